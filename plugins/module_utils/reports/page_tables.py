# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's tables: machines on a time axis, what blocked, pods, refused calls.

A machine's bar stands in a row of a table and says its steps in words, so that the picture and its fallback are one thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from html import escape

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.reports.critical_path import Link
from ansible_collections.immutable.fleet.plugins.module_utils.reports.page_chart import (
    CLASSES,
    WIDE,
    Interval,
    Scale,
    machine_bar,
    sample,
)
from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import (
    COMING,
    LEAVING,
    STEPS,
    Block,
    PodMove,
    Row,
    Timeline,
    blocked_machine,
)

ROWS_MAX = 500  # of lists that a person reads; the event file has all
PODS_MAX = 200
DENSE_FROM = 150  # machines


def more(count: int, shown: int = ROWS_MAX) -> str:
    """A line that says what a list leaves out."""
    return f'<p class="note">And {count - shown:,} more, which the event file has.</p>' if count > shown else ""


def machines(timeline: Timeline, scale: Scale, path: Sequence[Link]) -> str:
    """A row for each machine."""
    if not timeline.rows:
        return ""
    critical = _intervals((link.machine, (link.begin, link.end)) for link in path)
    blocked = _intervals(
        (blocked_machine(block), (block.begin, block.end if block.end is not None else timeline.seconds))
        for block in timeline.blocks
        if not block.is_wait
    )
    changed = [row for row in timeline.rows if row.is_changed]
    unchanged = [row for row in timeline.rows if not row.is_changed]
    parts = [_rows(changed, scale, critical, blocked)]
    if unchanged:
        title = f"{len(unchanged)} machines as they were" if len(unchanged) > 1 else "1 machine as it was"
        parts.append(f'<tr class="part"><th colspan="4">{title}</th></tr>' + _rows(unchanged, scale, critical, blocked))
    dense = " dense" if len(timeline.rows) > DENSE_FROM else ""
    domain_width = 80 if any(row.domain for row in timeline.rows) else 0
    return (
        f'<section><h2>Machines</h2><ul class="key">{_key(timeline, has_blocks=bool(blocked))}</ul>'
        '<div class="find" hidden><label for="find">Find a machine</label>'
        '<input id="find" type="search" placeholder="name, zone, drain..." autocomplete="off"><span id="found" role="status"></span></div>'
        f'<table class="machines{dense}" style="--tick:{scale.tick_percent:.4f}%"><colgroup>'
        f'<col style="width:{_name_width(timeline.rows)}ch">'
        f'<col class="zone" style="width:{domain_width}px"><col><col style="width:150px"></colgroup>'
        f'<thead><tr><th scope="col">Machine</th><th scope="col" class="zone">{"Domain" if domain_width else ""}</th>'
        f'<th scope="col" class="time"><div class="axis">{scale.axis()}</div></th>'
        f'<th scope="col" class="took" style="padding-left:16px">Took</th></tr></thead><tbody>{"".join(parts)}</tbody></table></section>'
    )


def _key(timeline: Timeline, *, has_blocks: bool) -> str:
    used = {segment.step for row in timeline.rows for segment in row.segments}
    items = [(CLASSES[step], step) for step in STEPS if step in used]
    items += [("k", "on the critical path")] + ([("o", "blocked")] if has_blocks else [])
    return "".join(f"<li>{sample(kind)}{words}</li>" for kind, words in items)


def _name_width(rows: Sequence[Row]) -> int:
    return min(34, max(12, *(len(row.name) for row in rows)) + 3)


def _intervals(pairs: Iterable[tuple[str, Interval]]) -> dict[str, list[Interval]]:
    found: dict[str, list[Interval]] = {}
    for name, interval in pairs:
        found.setdefault(name, []).append(interval)
    found.pop("", None)
    return found


def _rows(rows: Sequence[Row], scale: Scale, critical: dict[str, list[Interval]], blocked: dict[str, list[Interval]]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(row.name)}</th><td class="zone">{escape(row.domain)}</td><td class="time">'
        f'<svg viewBox="0 0 {WIDE} 14" preserveAspectRatio="none" role="img"><title>{_words(row)}</title>'
        f"{machine_bar(row, scale, critical.get(row.name, ()), blocked.get(row.name, ()))}</svg></td>"
        f'<td class="took">{_took(row)}</td></tr>'
        for row in rows
    )


def _words(row: Row) -> str:
    """A bar in words: what it says to who hovers over it, and to who does not see it."""
    return "; ".join(f"{segment.step} {_say(segment.begin)} to {_say(segment.end)}" for segment in row.segments)


def _took(row: Row) -> str:
    came, left = row.spent(COMING), row.spent(LEAVING)
    ended_in = row.segments[-1].step if row.segments else ""
    parts = [f"came {_say(came)}" if came else "", f"left {_say(left)}" if left and row.is_gone else ""]
    parts.append(ended_in if ended_in in STEPS[-3:] else "")
    parts.append(f"{ended_in} {_say(left)}" if left and not row.is_gone and ended_in in LEAVING else "")
    return ", ".join(part for part in parts if part)


def steering(timeline: Timeline) -> str:
    """What operators asked for while the run went on."""
    if not timeline.steering:
        return ""
    rows = "".join(f'<tr><td class="n">{_say(at)}</td><td class="w">{escape(text)}</td></tr>' for at, text in timeline.steering[:ROWS_MAX])
    return (
        '<section><h2>What operators asked</h2><table><thead><tr><th class="n">At</th><th>What</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{more(len(timeline.steering))}</section>"
    )


def waits(timeline: Timeline) -> str:
    """What was waited for because somebody asked for it, the longest first."""
    return _blocks(timeline, "What it waited for", [block for block in timeline.blocks if block.is_wait])


def blocks(timeline: Timeline) -> str:
    """What stood in the way, the longest first."""
    return _blocks(timeline, "What blocked", [block for block in timeline.blocks if not block.is_wait])


def _blocks(timeline: Timeline, title: str, met: list[Block]) -> str:
    if not met:
        return ""
    found = sorted(met, key=lambda block: block.begin - (block.end if block.end is not None else timeline.seconds))
    rows = "".join(
        f'<tr><td class="n">{_say(block.begin)}</td><td class="n">{_say(block.end) if block.end is not None else "the end"}</td>'
        f'<td class="w">{escape(block.where)}</td><td class="w">{escape(block.what)}</td></tr>'
        for block in found[:ROWS_MAX]
    )
    return (
        f'<section><h2>{title}</h2><table><thead><tr><th class="n">From</th><th class="n">To</th><th>Where</th><th>What</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>{more(len(found))}</section>"
    )


def pods(timeline: Timeline) -> str:
    """Pods that had to leave: those that were refused or took longest."""
    if not timeline.pods:
        return ""
    ranked = sorted(timeline.pods, key=lambda move: (-move.refused, -_left_after(move, timeline.seconds), move.pod))
    rows = "".join(
        f'<tr><td class="w">{escape(move.pod)}</td><td>{escape(move.machine)}</td><td class="n">{_say(move.begin)}</td>'
        f'<td class="n">{_say(move.end - move.begin) if move.end is not None else "not left"}</td>'
        f'<td class="n">{move.asked}</td><td class="n">{move.refused}</td><td class="w">{escape(move.refusal)}</td></tr>'
        for move in ranked[:PODS_MAX]
    )
    left_out = ranked[PODS_MAX:]
    longest = max((_left_after(move, timeline.seconds) for move in left_out), default=0.0)
    note = f'<p class="note">And {len(left_out):,} more, each of them within {_say(longest)}.</p>' if left_out else ""
    return (
        "<section><h2>Pods</h2><table><caption>Those that were refused or took longest stand first</caption><thead><tr>"
        '<th>Pod</th><th>From</th><th class="n">Asked at</th><th class="n">Left in</th><th class="n">Asked</th><th class="n">Refused</th>'
        f"<th>Last refusal</th></tr></thead><tbody>{rows}</tbody></table>{note}</section>"
    )


def _left_after(move: PodMove, seconds: float) -> float:
    return (move.end if move.end is not None else seconds) - move.begin


def refusals(timeline: Timeline) -> str:
    """Calls that failed, beside evictions."""
    if not timeline.refusals:
        return ""
    found = sorted(timeline.refusals.items(), key=lambda item: -item[1])
    rows = "".join(
        f'<tr><td class="n">{count}</td><td>{escape(verb)}</td><td>{escape(code)}</td><td class="w">{escape(text)}</td></tr>'
        for (verb, code, text), count in found[:ROWS_MAX]
    )
    return (
        '<section><h2>Refused calls</h2><table><thead><tr><th class="n">Times</th><th>Call</th><th>Code</th><th>Words</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>{more(len(found))}</section>"
    )


def _say(seconds: float) -> str:
    return say_duration(timedelta(seconds=seconds))
