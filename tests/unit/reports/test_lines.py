# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as lines for a person, the whole story compared."""

from __future__ import annotations

from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.reports.lines import WIDTH, Lines

EVENTS: list[dict[str, Any]] = [
    {"at": "2026-11-21T04:00:00Z", "kind": "phase", "machine": "web-0-aaaaa", "text": "ready", "before": ""},
    {"at": "2026-11-21T04:00:00Z", "kind": "summary", "text": "0/3 done, 3 available"},
    {"at": "2026-11-21T04:00:01Z", "kind": "create", "machine": "web-0-bbbbb", "text": "3 exist < ceiling 4"},
    {"at": "2026-11-21T04:00:20Z", "kind": "summary", "text": "too early to be shown"},
    {"at": "2026-11-21T04:01:11Z", "kind": "phase", "machine": "web-0-bbbbb", "text": "joining", "before": "booting"},
    {"at": "2026-11-21T04:01:31Z", "kind": "phase", "machine": "web-0-bbbbb", "text": "ready", "before": "joining"},
    {"at": "2026-11-21T04:02:01Z", "kind": "choose", "machine": "web-0-aaaaa", "text": "outdated; 4 available > floor 3"},
    {"at": "2026-11-21T04:02:01Z", "kind": "evict", "machine": "web-0-aaaaa", "text": "no PDB", "pod": "shop/cart-0"},
    {"at": "2026-11-21T04:02:02Z", "kind": "phase", "machine": "web-0-aaaaa", "text": "draining", "before": "ready"},
    {
        "at": "2026-11-21T04:02:02Z",
        "kind": "blocked",
        "machine": "node web-0-aaaaa",
        "text": "PDB shop/cart can never allow an eviction: it wants 2 of 2 pods healthy (pod shop/cart-0)",
    },
    {
        "at": "2026-11-21T04:03:02Z",
        "kind": "blocked",
        "machine": "node web-0-aaaaa",
        "text": "PDB shop/cart can never allow an eviction: it wants 2 of 2 pods healthy (pod shop/cart-0)",
    },
    {
        "at": "2026-11-21T04:04:02Z",
        "kind": "waits",
        "machine": "",
        "text": "step 1 of 3: its machines soak until 2026-11-21T04:14:02Z; nothing is wrong",
        "code": "step",
    },
    {"at": "2026-11-21T04:14:02Z", "kind": "waited", "machine": "", "text": "not shown: what comes of it is", "code": "step"},
    {"at": "2026-11-21T04:17:02Z", "kind": "quarantine", "machine": "web-0-aaaaa", "text": "1 pod left (cart-0)"},
    {"at": "2026-11-21T05:17:02Z", "kind": "end", "machine": "", "text": "not drained: web-0-aaaaa"},
    {
        "at": "2026-11-21T05:17:02Z",
        "kind": "summary",
        "text": "1/3 done, 3 available, 1 set aside, about 9m left; blocked: PDB shop/cart can never allow an eviction (node web-0-aaaaa)",
    },
    {"at": "2026-11-21T05:18:02Z", "kind": "gone", "machine": "web-0-aaaaa", "text": "the VM is gone"},
    {"at": "2026-11-21T05:18:02Z", "kind": "gone", "machine": "web-1-ccccc", "text": "the VM is gone"},
    {"at": "2026-11-21T05:18:03Z", "kind": "reboot", "machine": "web-2-ddddd", "text": "unhealthy: not ready for 10m"},
    {"at": "not an instant", "kind": "newer than this reader", "machine": "web-0-aaaaa", "text": "?"},
]

STORY = """\
     0s  == 0/3 done, 3 available
     1s  web-0-bbbbb          create    3 exist < ceiling 4
  1m11s  web-0-bbbbb          joining   was booting
  1m31s  web-0-bbbbb          ready     1m30s after its create
   2m1s  web-0-aaaaa          drain     outdated; 4 available > floor 3
   2m2s  web-0-aaaaa          BLOCKED   PDB shop/cart can never allow an
           eviction: it wants 2 of 2 pods healthy (pod shop/cart-0)
   4m2s  waits: step 1 of 3: its machines soak until 2026-11-21T04:14:02Z;
           nothing is wrong
  17m2s  web-0-aaaaa          SET ASIDE 1 pod left (cart-0)
  1h17m  end: not drained: web-0-aaaaa
  1h17m  == 1/3 done, 3 available, 1 set aside, about 9m left; blocked: PDB
           shop/cart can never allow an eviction (node web-0-aaaaa)
  1h18m  web-0-aaaaa          gone      1h16m after its drain began
  1h18m  web-1-ccccc          gone      the VM is gone
  1h18m  web-2-ddddd          reboot    unhealthy: not ready for 10m
"""


def test_a_rollout_reads_as_a_story() -> None:
    """A line per change of a machine, in the world's time; what was said before, pods, and what was merely found are left out."""
    lines = Lines()
    shown = [line for number, event in enumerate(EVENTS) if (line := lines.line(event, 10.0 * number))]
    assert "\n".join(shown) + "\n" == STORY
    assert max(map(len, "\n".join(shown).splitlines())) <= WIDTH


def test_summaries_come_every_thirty_seconds_of_the_readers_time() -> None:
    """However fast the world's clock runs."""
    lines = Lines()
    event = {"at": "2026-11-21T04:00:00Z", "kind": "summary", "text": "all well"}
    assert [lines.line(event, seconds) is not None for seconds in (0.0, 1.0, 29.9, 30.0, 31.0, 60.0)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_our_own_cordon_is_told_once() -> None:
    """node_drain's action and the phase it leads to are one change; a phase that nobody of ours caused is another."""
    at = "2026-11-21T04:00:00Z"
    events = [
        {"at": at, "kind": "cordon", "machine": "worker-3", "text": "before the first eviction, so that no pod comes back"},
        {"at": at, "kind": "phase", "machine": "worker-3", "text": "cordoned", "before": "ready"},
        {"at": at, "kind": "phase", "machine": "worker-3", "text": "drained", "before": "draining"},
        {"at": at, "kind": "uncordon", "machine": "worker-3", "text": "asked for"},
        {"at": at, "kind": "phase", "machine": "worker-3", "text": "ready", "before": "cordoned"},
        {"at": at, "kind": "phase", "machine": "worker-3", "text": "cordoned", "before": "ready"},
    ]
    lines = Lines()
    shown = [line.split()[2] for event in events if (line := lines.line(event, 0.0))]
    assert shown == ["cordon", "drained", "uncordon", "cordoned"]


def test_a_plain_machine_comes_and_goes_by_its_member() -> None:
    """Its mark is on the record, so the drain of its member begins its way out; whoever nobody counts is waited for by name."""
    old, new = "shop-0-aaaaa", "shop-0-bbbbb"
    waits = "sessions are not counted: drains until 2026-11-21T04:05:07Z (drain.timeout 5m)"
    events = [
        {"at": "2026-11-21T04:00:00Z", "kind": "create", "machine": new, "text": "3 exist < ceiling 4"},
        {"at": "2026-11-21T04:00:05Z", "kind": "join", "machine": new, "text": "its probes find it well"},
        {"at": "2026-11-21T04:00:06Z", "kind": "phase", "machine": new, "text": "ready", "before": "joining"},
        {"at": "2026-11-21T04:00:07Z", "kind": "drain", "machine": old, "text": "outdated; 4 available > floor 3"},
        {"at": "2026-11-21T04:00:08Z", "kind": "phase", "machine": old, "text": "draining", "before": "ready"},
        {"at": "2026-11-21T04:00:08Z", "kind": "waits", "machine": f"machine {old}, failure domain az1", "text": waits},
        {"at": "2026-11-21T04:05:07Z", "kind": "remove", "machine": old, "text": "drain timeout 5m passed, its sessions are not counted"},
        {"at": "2026-11-21T04:05:09Z", "kind": "delete", "machine": old, "text": "no member of the balancer any more"},
        {"at": "2026-11-21T04:05:19Z", "kind": "gone", "machine": old, "text": "the VM is gone"},
    ]
    lines = Lines()
    shown = [line for event in events if (line := lines.line(event, 0.0))]
    assert "\n".join(shown) == (
        "     0s  shop-0-bbbbb         create    3 exist < ceiling 4\n"
        "     5s  shop-0-bbbbb         join      its probes find it well\n"
        "     6s  shop-0-bbbbb         ready     6s after its create\n"
        "     7s  shop-0-aaaaa         drain     outdated; 4 available > floor 3\n"
        "     8s  shop-0-aaaaa         waits     sessions are not counted: drains until\n"
        "           2026-11-21T04:05:07Z (drain.timeout 5m)\n"
        "   5m7s  shop-0-aaaaa         remove    drain timeout 5m passed, its sessions...\n"
        "   5m9s  shop-0-aaaaa         delete    no member of the balancer any more\n"
        "  5m19s  shop-0-aaaaa         gone      5m12s after its drain began"
    )


def test_a_bake_reads_as_its_stages() -> None:
    """With each finding whole, for somebody has to mend it, and a line of the console cut."""
    at, lines = "2026-11-21T04:00:00Z", Lines()
    found = "secrets: /etc/app/production/credentials.ini: line 2 holds a value of client_secret"
    console = "[  102.182203] cloud-init[450]: Cloud-init v. 22.4.2 running 'modules:final'"
    events = [
        {"at": at, "kind": "stage", "text": "hygiene"},
        {"at": at, "kind": "finding", "text": found},
        {"at": at, "kind": "boot", "text": console},
    ]
    assert "\n".join(lines.line(event, 0.0) or "" for event in events) == (
        "     0s  stage: hygiene\n"
        "     0s  FOUND: secrets: /etc/app/production/credentials.ini: line 2 holds a\n"
        "           value of client_secret\n"
        "     0s  boot: [  102.182203] cloud-init[450]: Cloud-init v. 22.4.2 running '..."
    )
