# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures by the real ssh-keygen: what counts, and what does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.signature import sign, verify
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, Refused

WHO = "bakery@example.org"
TEXT = '{"name":"web"}'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bakery's key, another one, and a file that allows the first."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("bakery", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)], check=True)
    public = (folder / "bakery.pub").read_text(encoding="utf-8").strip()
    (folder / "allowed").write_text(f'{WHO} namespaces="immutable.fleet" {public}\n', encoding="utf-8")
    return folder


def check(keys: Path, text: str, signature: str, signer: str = WHO) -> None:
    verify(text, signature, signer=signer, allowed_signers=str(keys / "allowed"), what="web@1")


def test_what_was_signed_is_accepted(keys: Path) -> None:
    check(keys, TEXT, sign(TEXT, str(keys / "bakery")))


def test_all_else_is_refused(keys: Path) -> None:
    """Another text, another's key, another name, another purpose, a text that is no signature, none at all."""
    good = sign(TEXT, str(keys / "bakery"))
    foreign = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(keys / "bakery")], input=TEXT, capture_output=True, text=True, check=True
    ).stdout
    wrong = [
        (TEXT + " ", good, WHO),
        (TEXT, sign(TEXT, str(keys / "other")), WHO),
        (TEXT, good, "somebody@example.org"),
        (TEXT, foreign, WHO),
        (TEXT, "signed, honestly", WHO),
        (TEXT, "", WHO),
    ]
    for text, signature, signer in wrong:
        with pytest.raises(Refused) as refused:
            check(keys, text, signature, signer)
        assert refused.value.where == "image.signed_by"
        assert "web@1" in refused.value.what


def test_files_that_are_not_there(keys: Path) -> None:
    """By the option's path."""
    with pytest.raises(Invalid) as no_key:
        sign(TEXT, str(keys / "none"))
    with pytest.raises(Invalid) as no_file:
        verify(TEXT, "x", signer=WHO, allowed_signers=str(keys / "none"), what="web@1")
    assert (no_key.value.where, no_file.value.where) == ("sign_with", "image.allowed_signers")


def test_a_key_with_a_passphrase_does_not_wait_for_a_person(keys: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(keys / "locked")], check=True)
    with pytest.raises(Invalid, match="cannot be signed"):
        sign(TEXT, str(keys / "locked"))
