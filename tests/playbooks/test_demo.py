# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make demo` shows is what the README says of it."""

from __future__ import annotations

import re

from ansible_collections.immutable.fleet.tests.playbooks.conftest import SPEED, Site

SUMMARY = (
    r"provision   8 machines in \w+ of the world's time",
    r"forecast    \d\d steps, about \w+; nothing was changed",
    r"roll        8 made, 8 deleted, \d+ pods moved in \w+; never fewer than 8 machines available",
    r"report      \S+/report.html, for a browser",
    r"repair      1 made, 1 deleted in \w+",
    r"again       changed: false",
    r"now         8 machines, 8 of image v2, by zone: 4 and 4",
)


def test_the_demo_ends_with_what_it_did(site: Site) -> None:
    """Lines while it works, and a summary that a person understands; with a faster clock than for people who read along."""
    run = site.run_named("immutable.fleet.demo", variables={"demo_folder": str(site.folder), "demo_speed": SPEED})
    assert run.code == 0, run.text
    ends = [found.start() for found in re.finditer(r"^ +\w+  end: done$", run.text, re.MULTILINE)]
    creates = [found.start() for found in re.finditer(r"^ +\w+  web-\d-\w{5} +create ", run.text, re.MULTILINE)]
    assert creates[0] < ends[0], "what was done is shown while it is done"
    assert len([at for at in creates if at < ends[0]]) == 8
    for line in SUMMARY:
        assert re.search(line, run.text), (line, run.text)
    assert (site.folder / "report.html").stat().st_size > 0
