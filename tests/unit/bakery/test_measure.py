# SPDX-License-Identifier: GPL-3.0-or-later
"""A file is read once, and what it comes to is what the usual tools say."""

from __future__ import annotations

from hashlib import sha256, sha512
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.measure import CHUNK, measure
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_digests_and_size(tmp_path: Path, size: int) -> None:
    content = b"x" * size
    (tmp_path / "disk").write_bytes(content)
    found = measure(str(tmp_path / "disk"))
    assert (found.size, found.digest, found.others) == (
        size,
        "sha256:" + sha256(content).hexdigest(),
        {"sha512": sha512(content).hexdigest()},
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        measure(str(tmp_path / "none"))
    assert refused.value.where == "path"
