# SPDX-License-Identifier: GPL-3.0-or-later
"""Following one resource through all that a server may do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes import watch as watching
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.answers import Expired
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.skew import Skew
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.table import Table
from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.watch import LAG, Resource, Watch
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Denied, Transient
from ansible_collections.immutable.fleet.tests.unit.clusters.kubernetes.worlds import Json, attachment

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
END_SECONDS = 10


class FakeServer:
    """A client whose lists and watches are scripted, one after the other; when the script is over, the watch stops."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.asked: list[str] = []  # "list", or the version that a watch goes on from
        self.seconds: list[str] = []
        self.skew = Skew()
        self.time = NOON
        self.stop: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self.time

    def _next(self) -> Any:
        self.time += timedelta(seconds=1)
        if not self.script:
            self.stop()
            raise Transient(what="the script is over")
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pages(self, _path: str, **_options: Any) -> Iterator[Json]:
        self.asked.append("list")
        version, items = self._next()
        yield {"metadata": {"resourceVersion": str(version)}, "items": items}

    def stream(self, _path: str, *, query: dict[str, str], **_options: Any) -> FakeStream:
        self.asked.append(query["resourceVersion"])
        self.seconds.append(query["timeoutSeconds"])
        return FakeStream(self, self._next())


class FakeStream:
    def __init__(self, server: FakeServer, script: list[Any]) -> None:
        self.server, self.script = server, script

    def lines(self) -> Iterator[bytes]:
        for line in self.script:
            self.server.time += timedelta(seconds=1)
            if isinstance(line, Exception):
                raise line
            yield json.dumps(line).encode()

    def close(self) -> None:
        self.script = []


def event(kind: str, raw: Json) -> Json:
    return {"type": kind, "object": raw}


def bookmark(version: int) -> Json:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class Followed:
    """A watch of names, run to the end of the server's script."""

    def __init__(self, server: FakeServer) -> None:
        self.names: dict[str, str] = {}
        self.wakes = 0
        self.errors: list[str] = []

        def changed(key: str, _before: str | None, after: str | None) -> None:
            self.names = {**{k: v for k, v in self.names.items() if k != key}, **({key: after} if after else {})}

        def woken() -> None:
            self.wakes += 1
            if self.watch.error and self.watch.error not in self.errors:
                self.errors.append(self.watch.error)

        resource = Resource(name="things", path="/things", read=lambda raw, _shift: raw["metadata"]["name"])
        client: Any = server
        self.watch = Watch(client, resource, Table(changed), threading.RLock(), on_change=woken, jitter=lambda: 0.0)
        server.stop = self.watch.stop
        self.watch.list_all()
        self.watch.start()
        self.watch.join(END_SECONDS)
        self.list_of_names = sorted(self.names.values())


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BACKOFF_SECONDS", 0.0001)


def test_events_are_taken_in_and_versions_go_on() -> None:
    """The next watch begins where the last line was, a bookmark's or an event's."""
    server = FakeServer(
        (10, [attachment("a", version=3), attachment("b", version=4)]),
        [event("ADDED", attachment("c", version=11)), bookmark(15)],
        [event("DELETED", attachment("a", version=16))],
    )
    followed = Followed(server)
    assert followed.list_of_names == ["b", "c"]
    assert server.asked == ["list", "10", "15", "16"]


def test_as_of_is_the_begin_of_the_list_then_the_last_line_less_the_lag() -> None:
    """It moves with lines only."""
    assert Followed(FakeServer((10, []))).watch.as_of() == NOON
    server = FakeServer((10, []), [bookmark(11), bookmark(12)])
    followed = Followed(server)
    heard_at = NOON + timedelta(seconds=4)  # one for the list, one for the watch, two lines
    assert followed.watch.as_of() == heard_at - LAG


def test_as_of_stands_still_while_the_server_is_away() -> None:
    """And the error says why."""
    away = Transient(what="https://lab cannot be reached: Connection refused", where="things")
    followed = Followed(FakeServer((10, []), [bookmark(11)], away, away, away))
    assert followed.watch.as_of() == NOON + timedelta(seconds=3) - LAG
    assert followed.errors == [str(away)]


def test_error_is_over_once_the_server_lets_us_in_and_the_first_watch_is_short() -> None:
    """So that its bookmark moves `as_of` soon."""
    server = FakeServer((10, []), Transient(what="away"), [bookmark(11)], [bookmark(12)])
    followed = Followed(server)
    assert followed.watch.error == ""
    assert server.seconds[:4] == ["10", "3", "10", "10"]


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(Expired(what="too old resource version"), id="refused"),
        pytest.param([event("ERROR", {"code": 410, "message": "too old resource version"})], id="in the stream"),
    ],
)
def test_expired_version_is_listed_again(gone: Any) -> None:
    """410; what went meanwhile is gone. Nobody is told of an error."""
    server = FakeServer((10, [attachment("a", version=3)]), gone, (50, [attachment("b", version=40)]), [bookmark(51)])
    followed = Followed(server)
    assert (followed.list_of_names, followed.errors) == (["b"], [])
    assert server.asked == ["list", "10", "list", "50", "51"]


def test_watch_without_a_line_proves_nothing_and_is_listed_again() -> None:
    """A server that is behind lets a watch in from a version that it does not have, and is silent."""
    server = FakeServer((10, []), [], (5, []), [bookmark(6)])
    followed = Followed(server)
    assert server.asked == ["list", "10", "list", "5", "6"]
    assert followed.watch.as_of() > NOON


def test_stream_that_breaks_goes_on_from_its_last_line() -> None:
    """No list is needed."""
    server = FakeServer((10, []), [event("ADDED", attachment("a", version=12)), Transient(what="broke off")], [bookmark(13)])
    assert Followed(server).list_of_names == ["a"]
    assert server.asked == ["list", "10", "12", "13"]


def test_version_that_is_refused_again_and_again_is_doubted() -> None:
    """Whatever the reason, a list may cure it."""
    refused = [Transient(what="too large resource version")] * watching.STALE_FAILURES_MAX
    server = FakeServer((10, []), *refused, (5, []), [bookmark(6)])
    Followed(server)
    assert server.asked == ["list", *["10"] * watching.STALE_FAILURES_MAX, "list", "5", "6"]


def test_object_that_is_not_understood_does_not_end_the_watch() -> None:
    """It is said, and the resource is listed again."""
    odd = event("ADDED", {"metadata": {"resourceVersion": "11", "uid": "u"}})
    followed = Followed(FakeServer((10, []), [odd], (20, [attachment("a", version=12)]), [bookmark(21)]))
    assert followed.list_of_names == ["a"]
    assert "not understood: KeyError 'name'" in followed.errors[0]


def test_the_loop_is_woken_by_news_only() -> None:
    """Bookmarks, repeated versions and clean reconnections are none."""
    quiet = Followed(FakeServer((10, [attachment("a", version=3)]), [bookmark(11)], [bookmark(12)]))
    news = Followed(FakeServer((10, []), [event("ADDED", attachment("a", version=11)), event("MODIFIED", attachment("a", version=11))]))
    assert (quiet.wakes, news.wakes) == (0, 1)


def test_first_list_raises_its_error() -> None:
    """And tries an expired page again, within a bound."""
    with pytest.raises(Denied):
        Followed(FakeServer(Denied(what="forbidden")))
    expired = Expired(what="the continue token is too old")
    assert Followed(FakeServer(expired, expired, (10, [attachment("a")]))).list_of_names == ["a"]
    with pytest.raises(Expired):
        Followed(FakeServer(expired, expired, expired))
