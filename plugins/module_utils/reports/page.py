# SPDX-License-Identifier: GPL-3.0-or-later
"""A timeline as one HTML page that opens from a file: light and dark, on paper, without a mouse, without a network.

Promises: every text of a cloud, a cluster or a user is escaped, and the page's own policy lets nothing run but its own script; 1,000
machines stay under 2 MB. Pure: a timeline in, a text out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from html import escape

from ansible_collections.immutable.fleet.plugins.module_utils.model.quantity import say_count, say_duration
from ansible_collections.immutable.fleet.plugins.module_utils.reports import page_tables as tables
from ansible_collections.immutable.fleet.plugins.module_utils.reports.critical_path import WAIT, Link, critical_path, spent_by_step
from ansible_collections.immutable.fleet.plugins.module_utils.reports.page_chart import (
    CLASSES,
    LINES,
    Capacity,
    Scale,
    line_sample,
    sample,
    strip,
)
from ansible_collections.immutable.fleet.plugins.module_utils.reports.page_style import SCRIPT, STYLE
from ansible_collections.immutable.fleet.plugins.module_utils.reports.timeline import COMING, LEAVING, Row, Timeline

FAILURE_PARTS = ("what", "where", "since", "forward", "back")
COMMANDS = ("forward", "back")


def page(timeline: Timeline, other_surges: Sequence[tuple[int, timedelta]] = ()) -> str:
    """The report. `other_surges`: (max_surge, how long the run would have taken with it), as a forecast found it."""
    path, scale = critical_path(timeline.rows, timeline.seconds), Scale(timeline.seconds)
    sections = (
        _header(timeline),
        _failure(timeline),
        _pending(timeline),
        _forecast(timeline),
        _facts(timeline),
        _capacity(timeline, scale),
        _path(path),
        _other_surges(timeline, other_surges),
        tables.steering(timeline),
        tables.waits(timeline),
        tables.blocks(timeline),
        tables.machines(timeline, scale, path),
        tables.pods(timeline),
        tables.refusals(timeline),
    )
    began = f"{timeline.began_at:%d %B %Y, %H:%M:%S} UTC"
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="generator" content="immutable.fleet">'
        f"<title>{escape(_title(timeline))}</title><style>{STYLE}</style></head>\n<body><main>"
        + "\n".join(section for section in sections if section)
        + f"\n<footer>immutable.fleet. Times are since the beginning of the run, {escape(began)}, by the clock of what it worked on."
        f"</footer></main><script>{SCRIPT}</script></body></html>\n"
    )


def say(seconds: float) -> str:
    """A duration for people."""
    return say_duration(timedelta(seconds=seconds))


def _name(timeline: Timeline) -> str:
    pool = str(timeline.begin.get("pool", ""))
    if pool:
        return f"Pool {pool}"
    return "Nodes" if timeline.rows else "Run"


def _state(timeline: Timeline) -> tuple[str, str]:
    """(class, words) of how it ended."""
    code = str(timeline.end.get("code", ""))
    if timeline.is_plan:
        return "soft", "plan: nothing was changed"
    if code == "ok":
        return ("wait", "pending") if timeline.end.get("pending") else ("good", "done")
    return "bad", f"failed: {code.replace('_', ' ')}" if code else "cut off"


def _title(timeline: Timeline) -> str:
    return f"{_name(timeline)}: {_state(timeline)[1]} after {say(timeline.seconds)}"


def _header(timeline: Timeline) -> str:
    kind, words = _state(timeline)
    image, revision = str(timeline.begin.get("image", "")), str(timeline.begin.get("revision", ""))
    parts = [f"Image {image}" if image else "", f"revision {revision}" if revision not in ("", "*") else ""]
    ended = timeline.began_at + timedelta(seconds=timeline.seconds)
    to = f"{ended:%H:%M:%S}" if ended.date() == timeline.began_at.date() else f"{ended:%d %B, %H:%M:%S}"
    when = f"{timeline.began_at:%d %B %Y, %H:%M:%S} to {to} UTC"
    what = ", ".join(part for part in parts if part)
    return (
        f'<header><h1>{escape(_name(timeline))}<span class="state {kind}">{escape(words)}</span></h1>'
        f'<p class="soft">{escape(". ".join(part for part in (what, when) if part))}</p></header>'
    )


def _failure(timeline: Timeline) -> str:
    rows = []
    for name in FAILURE_PARTS:
        text = str(timeline.end.get(name, ""))
        if text:
            shown = f"<code>{escape(text)}</code>" if name in COMMANDS else escape(text)
            rows.append(f"<dt>{name}</dt><dd>{shown}</dd>")
    return f'<section class="failure" aria-label="Why it failed"><dl>{"".join(rows)}</dl></section>' if rows else ""


def _pending(timeline: Timeline) -> str:
    text = str(timeline.end.get("pending", ""))
    shown = f"<dl><dt>pending</dt><dd>{escape(text)}</dd></dl>"
    return f'<section class="failure pending" aria-label="What it left, and why">{shown}</section>' if text else ""


def _forecast(timeline: Timeline) -> str:
    rows = "".join(f"<li>{escape(sentence)}</li>" for sentence in timeline.sentences)
    return f'<section><h2>Forecast</h2><ul class="said">{rows}</ul></section>' if rows else ""


def _facts(timeline: Timeline) -> str:
    counts = timeline.counts
    facts = [("Duration", say(timeline.seconds), "")]
    if timeline.bounds:
        facts.append(("Machines made", f"{counts.get('create', 0):,}", _median("came", [r.spent(COMING) for r in _came(timeline)])))
        facts.append(("Machines removed", f"{counts.get('delete', 0):,}", _median("left", [r.spent(LEAVING) for r in _left(timeline)])))
    moved = sum(1 for pod in timeline.pods if pod.end is not None)
    facts.append(("Pods moved", f"{moved:,}", f"{sum(pod.refused for pod in timeline.pods):,} evictions refused"))
    if timeline.capacity and timeline.bounds:
        lowest = min(available for _at, available, _existing in timeline.capacity)
        highest = max(existing for _at, _available, existing in timeline.capacity)
        _at, _replicas, floor, ceiling = timeline.bounds[-1]
        facts.append(("Least available", f"{lowest:,}", f"floor {floor:,}"))
        facts.append(("Most existing", f"{highest:,}", f"ceiling {ceiling:,}"))
    aside = counts.get("quarantine", 0)
    if aside:
        facts.append(("Set aside", str(aside), "could not be drained in time"))
    shown = (f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>" for name, value, more in facts)
    return f'<dl class="facts">{"".join(shown)}</dl>'


def _came(timeline: Timeline) -> list[Row]:
    return [row for row in timeline.rows if row.is_new and any(segment.step in ("soak", "serve") for segment in row.segments)]


def _left(timeline: Timeline) -> list[Row]:
    return [row for row in timeline.rows if row.is_gone]


def _median(verb: str, seconds: list[float]) -> str:
    return f"{verb} in {say(sorted(seconds)[len(seconds) // 2])} (median)" if seconds else ""


def _capacity(timeline: Timeline, scale: Scale) -> str:
    if not timeline.capacity or not timeline.bounds:
        return ""
    capacity = Capacity(timeline, scale)
    _at, _replicas, floor, ceiling = timeline.bounds[-1]
    words = {"available": "available", "floor": f"floor {floor}", "existing": "existing", "ceiling": f"ceiling {ceiling}"}
    key = "".join(f"<li>{line_sample(LINES[name])}{text}</li>" for name, text in words.items())
    body = "".join(
        f'<tr><td class="n">{say(at)}</td><td class="n">{available}</td><td class="n">{existing}</td></tr>'
        for at, available, existing in timeline.capacity[: tables.ROWS_MAX]
    )
    return (
        f'<section><h2>Capacity</h2><ul class="key">{key}</ul><div class="plot"><div class="y" aria-hidden="true">{capacity.labels()}</div>'
        f'{capacity.picture()}<div class="axis" aria-hidden="true">{scale.axis()}</div></div>'
        f"<details><summary>In numbers</summary><table class='narrow'><caption>Machines at each change</caption><thead><tr>"
        f'<th class="n">Since</th><th class="n">Available</th><th class="n">Existing</th></tr></thead><tbody>{body}</tbody></table>'
        f"{tables.more(len(timeline.capacity))}</details></section>"
    )


def _path(path: Sequence[Link]) -> str:
    if not path:
        return ""
    spent = spent_by_step(path)
    total = sum(spent.values())
    parts = ((step, f"{step} {say(seconds)} ({round(seconds / total * 100)}%)") for step, seconds in spent.items())
    key = "".join(f"<li>{sample(CLASSES[step])}{text}</li>" for step, text in parts)
    rows = "".join(
        f'<tr><td class="n">{say(link.begin)}</td><td class="n">{say(link.end - link.begin)}</td><td>{link.step}</td>'
        f"<td>{escape(link.machine)}</td></tr>"
        for link in path[: tables.ROWS_MAX]
    )
    return (
        "<section><h2>Critical path</h2><p class='note'>What the duration was made of: each step began when the one before it had ended. "
        f"Where <em>{WAIT}</em> is long, something else than a machine was waited for.</p>{strip(spent)}"
        f'<ul class="key">{key}</ul><details><summary>{say_count(len(path), "step")}</summary>'
        '<table class="narrow"><thead><tr><th class="n">Since</th>'
        f'<th class="n">Took</th><th>Step</th><th>Machine</th></tr></thead><tbody>{rows}</tbody></table>{tables.more(len(path))}</details>'
        "</section>"
    )


def _other_surges(timeline: Timeline, others: Iterable[tuple[int, timedelta]]) -> str:
    rows = "".join(
        f'<tr><td class="n">{surge}</td><td class="n">{say_duration(span)}</td><td class="n">{_compared(span, timeline.seconds)}</td></tr>'
        for surge, span in others
    )
    if not rows:
        return ""
    return (
        "<section><h2>With another surge</h2><table class='narrow'><caption>How long this run would have taken, replayed in "
        f'virtual time, with the durations seen</caption><thead><tr><th class="n">max_surge</th><th class="n">Would have taken</th>'
        f'<th class="n">Than this run</th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _compared(span: timedelta, seconds: float) -> str:
    difference = span.total_seconds() - seconds
    if abs(difference) < 1:
        return "the same"
    return f"{say(abs(difference))} {'longer' if difference > 0 else 'shorter'}"
