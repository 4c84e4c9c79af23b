# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a page: whole, escaped, small, and well-formed. tests/playbooks opens it in a browser."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.reports.page import page
from ansible_collections.immutable.fleet.plugins.module_utils.reports.page_style import DARK, LIGHT
from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import read
from ansible_collections.immutable.fleet.tests.unit.reports.runs import provision, roll

VOID = {"meta", "col", "input"}
PART = "<script>alert('x')</script>\"&"
BYTES_MAX = 2_000_000
LUMINANCE = ((0.2126, 1), (0.7152, 3), (0.0722, 5))


class Reader(HTMLParser):
    """Tags that are open, texts by tag, and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def rolled() -> list[dict[str, Any]]:
    return roll()


def test_the_page_has_all_that_the_run_was(rolled: list[dict[str, Any]]) -> None:
    """Its sections in order, a row for each machine, the failure with the way forward, another surge's duration."""
    reader = Reader(page(read(rolled), [(1, timedelta(minutes=31)), (6, timedelta(minutes=4))]))
    assert reader.open == []
    assert reader.texts["h2"] == ["Capacity", "Critical path", "With another surge", "What blocked", "Machines", "Pods"]
    assert reader.texts["title"][0].startswith("Pool web: failed: blocked after ")
    machines = {event["machine"] for event in rolled if event["kind"] == "phase"}
    assert machines <= set(reader.texts["th"])
    assert any(text.startswith("kubectl -n shop edit pdb rock") for text in reader.texts["code"])
    assert "31m" in reader.texts["td"]


def test_bars_say_in_words_what_they_show() -> None:
    """For who hovers over them, and for who does not see them."""
    words = [text for text in Reader(page(read(provision(1)))).texts["title"] if text.startswith("create")]
    assert [re.sub(r"\d+s", "_", text).removesuffix("; serve _ to _") for text in words] == [
        "create _ to _; boot _ to _; join _ to _; soak _ to _"
    ]


def test_nothing_is_left_unescaped(rolled: list[dict[str, Any]]) -> None:
    """Whatever a server calls its machines, or says: it is a text."""
    evil = [{key: f"{value}{PART}" if key in ("machine", "text", "pod", "image") and value else value for key, value in event.items()}
            for event in rolled]  # fmt: skip
    for event in evil:
        if event["kind"] == "phase":
            event["text"] = event["text"].removesuffix(PART)
        if event["kind"] == "end":
            event |= {key: f"{event[key]}{PART}" for key in ("code", "what", "where", "forward", "back")}
    text = page(read(evil))
    assert text.count("<script>") == 1
    reader = Reader(text)
    assert reader.open == []
    assert not [name for _tag, name, _value in reader.attributes if name.startswith("on")]


def test_nothing_is_fetched_from_anywhere(rolled: list[dict[str, Any]]) -> None:
    """The page is a file of its own, and its policy says so to the browser."""
    text = page(read(rolled))
    reader = Reader(text)
    assert not [value for _tag, name, value in reader.attributes if name in ("src", "href")]
    assert "url(" not in text
    assert "@import" not in text
    policy = next(value for tag, name, value in reader.attributes if tag == "meta" and name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/=]+';", policy)


@pytest.mark.parametrize("events", [[], roll(3, pods=0, blocked=False)[:1], provision(0)], ids=["no event", "only begun", "nothing to do"])
def test_a_run_without_a_story_has_a_page(events: list[dict[str, Any]]) -> None:
    """One that was refused, cut off or had nothing to do."""
    assert Reader(page(read(events))).open == []


def test_a_thousand_machines_stay_small() -> None:
    """Under 2 MB, every machine with its steps; a row is repeated with other names, for the drawing is what is weighed."""
    events = roll(10, pods=100, blocked=False)
    named = re.compile(r"web-(\d+)-")
    many = [
        {**event, "machine": named.sub(rf"web-{copy}\g<1>-", event["machine"]), "pod": f"{event.get('pod', '')}-{copy}"}
        for event in events
        for copy in range(100)
    ]
    timeline = read(many)
    assert len(timeline.rows) == 2000
    assert len(page(timeline).encode()) < BYTES_MAX


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        full = "#" + "".join(2 * digit for digit in colour[1:]) if len(colour) == 4 else colour
        parts = [(weight, int(full[at : at + 2], 16) / 255) for weight, at in LUMINANCE]
        return sum(weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4) for weight, part in parts)

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def ended(**end: str) -> list[dict[str, Any]]:
    """A run that found nothing to do within a second."""
    events = [event for event in provision(1) if event["kind"] != "end"]
    first = {**events[0], "at": events[-1]["at"]}
    capacity = {"at": first["at"], "kind": "capacity", "machine": "", "text": "", "available": 3, "existing": 3}
    return [first, capacity, {"at": first["at"], "kind": "end", "machine": "", "text": "", "code": "ok", **end}]


def test_a_pending_end_is_not_called_done() -> None:
    """And says what is left, with the command that goes on."""
    reader = Reader(page(read(ended(pending="paused by ana: 3 machines are not as asked for; to go on: ansible localhost"))))
    assert reader.texts["span"][0] == "pending"
    assert "paused by ana: 3 machines are not as asked for; to go on: ansible localhost" in reader.texts["dd"]


def test_a_run_of_no_length_has_its_capacity_drawn() -> None:
    """From one edge of the picture to the other."""
    shapes = [value for tag, name, value in Reader(page(read(ended()))).attributes if (tag, name) == ("path", "d")]
    assert any(shape.endswith("H10000") for shape in shapes), shapes


def test_what_was_waited_for_is_no_blocker() -> None:
    """A soak was asked for."""
    soak = {"at": ended()[0]["at"], "kind": "waits", "machine": "", "text": "step 1 of 3: its machines soak", "code": "step", "since": ""}
    reader = Reader(page(read([ended()[0], soak, *ended()[1:]])))
    assert "What it waited for" in reader.texts["h2"]
    assert "What blocked" not in reader.texts["h2"]


def test_a_plan_shows_what_it_comes_to() -> None:
    """Sentences that stand behind its steps do not begin a new run."""
    events = provision(2)
    at = {"at": events[-1]["at"], "kind": "plan", "machine": ""}
    plan = [{**at, "at": events[0]["at"], "text": "nothing is changed"}, *events[:-1], {**at, "text": "takes 5m (p50)"}, events[-1]]
    reader = Reader(page(read(plan)))
    assert "takes 5m (p50)" in reader.texts["li"]
    assert sum(text.startswith("web-") for text in reader.texts["th"]) == 2


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_told_from_the_page(scheme: str) -> None:
    """WCAG: 4.5 to 1 for texts, 3 to 1 for bars."""
    colours = dict(re.findall(r"--([a-z]+):(#[0-9a-f]+)\b", scheme))
    texts = {name: contrast(colours[name], colours["page"]) for name in ("ink", "soft", "accent", "good", "bad", "detach")}
    assert {name: ratio for name, ratio in texts.items() if ratio < 4.5} == {}
    steps = ("create", "boot", "join", "soak", "drain", "detach", "delete", "trouble", "aside", "held")
    assert {name: ratio for name in steps if (ratio := contrast(colours[name], colours["page"])) < 3} == {}
