# SPDX-License-Identifier: GPL-3.0-or-later
"""The report and the metrics of real runs: written by the task, opened in a browser, read by Prometheus' parser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser

from ansible_collections.immutable.fleet.tests.playbooks.browser import DARK, LIGHT, Browser
from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site

PICTURES = Path(__file__).resolve().parents[2] / "build/report"  # kept: to be looked at
PNG_BYTES_MIN = 20_000  # an empty page has 8,000
CART = {"name": "cart", "namespace": "shop", "replicas": 8, "budget": {"max_unavailable": 2}, "stop": "5s"}
ROCK = {"name": "rock", "namespace": "shop", "replicas": 1, "budget": {"min_available": 1}}


def files(site: Site) -> dict[str, str]:
    return {"report_file": str(site.folder / "report.html"), "metrics_file": str(site.folder / "fleet.prom")}


def rows_of(document: str) -> list[str]:
    """Names of the machines that have a bar."""
    return re.findall(r'<tr><th scope="row">([^<]+)</th>.*?<svg.*?</svg>', document)


def metric(path: Path, name: str, **labels: str) -> float | None:
    for family in parser.text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            if sample.name == f"immutable_fleet_{name}" and labels.items() <= sample.labels.items():
                return sample.value
    return None


def test_a_report_opens_in_a_browser(site: Site, browser: Browser) -> None:
    """Of a roll that failed: a row for each machine, the way forward, no error in the console; as it looks by day, by night, on paper."""
    events = site.folder / "events.jsonl"
    run = site.run(
        [
            site.make_world(),
            site.pool("v1", replicas=4, register="made"),
            site.change_world(workloads=[CART, ROCK]),
            site.pool("v2", replicas=4, strategy={"max_surge": 2}, events_file=str(events), register="rolled", failing=True, **files(site)),
        ]
    )
    page = Path(run["rolled"]["report_file"])
    machines = {event["machine"] for line in events.read_text().splitlines() if (event := json.loads(line))["kind"] == "phase"}
    document = browser.document(page)
    assert sorted(rows_of(document)) == sorted(machines)
    assert run["rolled"]["failure"]["forward"] in document
    assert "PDB shop/rock can never allow an eviction" in document
    assert 'class="find"><label' in document, "the script has run: it shows the search field"
    pictures = [browser.screenshot(page, PICTURES / f"{name}.png", flag) for name, flag in (("light", LIGHT), ("dark", DARK))]
    assert min(picture.stat().st_size for picture in pictures) > PNG_BYTES_MIN
    assert browser.paper(page, PICTURES / "paper.pdf").read_bytes().startswith(b"%PDF")
    assert metric(site.folder / "fleet.prom", "run_failure", code=run["rolled"]["failure"]["code"]) == 1


def test_metrics_and_report_of_a_run_that_went_well(site: Site) -> None:
    """Each is there when the task has ended; the same task again, with nothing to do, replaces them."""
    run = site.run([site.make_world(), site.pool(register="made", **files(site))])
    assert run.code == 0, run.text
    prom, report = site.folder / "fleet.prom", site.folder / "report.html"
    assert (metric(prom, "run_success", pool="web"), metric(prom, "run_actions", verb="create")) == (1, 3)
    assert sorted(rows_of(report.read_text())) == sorted(machine["name"] for machine in run["made"]["machines"])
    again = site.run([site.pool(register="again", **files(site))])
    assert again["again"]["changed"] is False
    assert (metric(prom, "run_success"), metric(prom, "run_actions", verb="create")) == (1, 0)
    assert "3 machines as they were" in report.read_text()


def test_a_plan_has_a_report_and_no_metrics(site: Site) -> None:
    """Check mode promises that nothing happened: a collector must not believe that something did."""
    run = site.run([site.make_world(), site.pool(register="made")])
    planned = site.run([site.pool("v2", register="plan", **files(site))], "--check")
    assert (run.code, planned.code) == (0, 0), planned.text
    page = (site.folder / "report.html").read_text()
    assert "plan: nothing was changed" in page
    assert "takes " in page, "what the plan comes to"
    assert len([words for words in re.findall(r"<title>([^<]*)</title>", page) if "boot " in words]) == 3, "phases of machines to come"
    assert not (site.folder / "fleet.prom").exists()


@pytest.mark.parametrize("option", ["report_file", "metrics_file"])
def test_a_place_that_cannot_be_written_is_refused(site: Site, option: str) -> None:
    """With the option's path, before anything is touched."""
    wrong: dict[str, Any] = {option: "/proc/none/file"}
    run = site.run([site.make_world(), site.pool(register="wrong", failing=True, **wrong), {**site.change_world(), "register": "world"}])
    assert (run["wrong"]["failure"]["where"], run["wrong"]["failure"]["code"]) == (option, "invalid")
    assert run["world"]["machines"] == []


def test_nodes_that_are_drained_have_a_report_too(site: Site) -> None:
    """Without a pool: the nodes on their time axis, and the pods that left."""
    nodes = [{"name": "worker-1"}, {"name": "worker-2"}]
    drain = {"nodes": ["worker-1"], "simulated": {"world": str(site.world)}, **files(site)}
    run = site.run([site.make_world(nodes=nodes, workloads=[CART]), site.task("node_drain", drain, register="drained")])
    assert run.code == 0, run.text
    text = (site.folder / "report.html").read_text()
    assert rows_of(text) == ["worker-1"]
    assert metric(site.folder / "fleet.prom", "run_pods_moved") == run["drained"]["summary"]["evicted"]
