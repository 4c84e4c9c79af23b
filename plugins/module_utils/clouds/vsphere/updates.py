# SPDX-License-Identifier: GPL-3.0-or-later
"""What vCenter says of tasks and VMs in flight, as it says it: one collector, one list view, one filter, and one thread that waits.

The view holds what is in flight and nothing else. It is changed by one call for all that came since (ModifyListView, for which a
pending WaitForUpdatesEx answers with what was added), made when the first object is in flight and destroyed when the last one is not.
What ended stays in the view until the next change of it: it says nothing any more, and to take it out would be a call of its own.

The thread does nothing but wait: for vCenter's answer, and then for the list that takes it, so that no more is asked than is acted upon.
What breaks (the session, the connection, vCenter) ends it, and the next list of everything begins another one: so a reconnect is paced by
the loop, as all calls are. Sources: the vSphere Web Services SDK Programming Guide, "Client Data Synchronization (WaitForUpdatesEx)";
vSphere's CSI driver follows its tasks by a list view in the same way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.transport import Transport
from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Data, Found, Kind, Ref, data, well_known
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import NotFound, PortError

# ObjectUpdate.Kind, https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/
ENTER, MODIFY, LEAVE = "enter", "modify", "leave"
LIST_VIEW = "vim.view.ListView"
LONGEST = timedelta(minutes=5)  # of one wait; the transport keeps it below a call's timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One object's news. `values`: what changed, None for what is unset now; of one that entered, all there is."""

    at: datetime  # when it was heard, by the loop's clock
    ref: Ref
    kind: str
    values: Mapping[str, Any]


def updates_of(answer: Data, at: datetime) -> list[Update]:
    """An UpdateSet's, in its order."""
    return [
        Update(at=at, ref=each["obj"], kind=each["kind"], values={one["name"]: one.get("val") for one in each.get("changeSet", ())})
        for part in answer.get("filterSet", ())
        for each in part.get("objectSet", ())
    ]


def laid_over(found: Mapping[Ref, Found], news: Iterable[Update]) -> dict[Ref, Found]:
    """What is known of objects after the news. Of one that is not known, only what is whole is taken."""
    known = dict(found)
    for each in news:
        if each.kind == LEAVE:
            known.pop(each.ref, None)
        elif each.kind == ENTER or each.ref in known:
            merged = {**known.get(each.ref, {}), **each.values}
            known[each.ref] = {path: value for path, value in merged.items() if value is not None}
    return known


class Updates:
    """The watch of a pool. `follow` and `take` are called by lists, one at a time; `touch` and `stop` from any thread."""

    def __init__(
        self, transport: Transport, now: Callable[[], datetime], paths: Mapping[str, Sequence[str]], on_change: Callable[[], None]
    ) -> None:
        """`paths`: what is asked of each kind of object. Makes no call."""
        self._transport, self._now, self._paths, self._on_change = transport, now, paths, on_change
        self._lock = threading.Lock()
        self._news: list[Update] = []
        self._flight: _Flight | None = None
        self._needs_list = False  # what was told since the flight broke is lost
        self._broken = 0  # flights that broke without one answer, since the last answer

    @property
    def tells(self) -> bool:
        """Whether what is in flight will be told; False while vCenter lets nobody watch."""
        return self._broken == 0

    def touch(self, *, anew: bool) -> None:
        """This run asked for something: it is told as news, and followed from the next list on, one of everything if `anew`."""
        if anew:
            with self._lock:
                self._needs_list = True
        self._on_change()

    def take(self) -> list[Update] | None:
        """What was heard since the last time; None where only a list of everything can tell."""
        with self._lock:
            news, self._news = self._news, []
            needs_list, self._needs_list = self._needs_list, False
        return None if needs_list else news

    def follow(self, wanted: frozenset[Ref], until: datetime | None) -> None:
        """Follow these objects, and no others; `until`: when to tell in any case. One call at most, two where nothing is left."""
        flight = self._flight
        if flight is not None and not flight.is_alive():
            flight = self._flight = None
        if not wanted:
            self.stop()
        elif flight is not None:
            flight.change(wanted, until)
            flight.go_on()
        else:
            self._flight = _Flight(self._transport, self._now, self._paths, wanted, until, self._hear)
            self._flight.begin(self._ended)

    def stop(self) -> None:
        """End the watch; what was made for it in vCenter goes too. Never fails."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.end()

    def _hear(self, news: list[Update]) -> None:
        """`news` is empty when `until` has come."""
        with self._lock:
            self._news += news
            self._broken = 0
        self._on_change()

    def _ended(self, *, has_heard: bool) -> None:
        """The flight broke. The first time it is told, so that a list mends it; while it breaks at once, lists have their own rhythm."""
        with self._lock:
            self._news, self._needs_list = [], True
            self._broken = 0 if has_heard else self._broken + 1
            is_told = self._broken <= 1
        if is_told:
            self._on_change()


class _Flight:
    """From the first object in flight to the last, or until something breaks."""

    def __init__(
        self,
        transport: Transport,
        now: Callable[[], datetime],
        paths: Mapping[str, Sequence[str]],
        wanted: frozenset[Ref],
        until: datetime | None,
        hear: Callable[[list[Update]], None],
    ) -> None:
        self._transport, self._now, self._paths, self._hear = transport, now, paths, hear
        self._lock = threading.Lock()  # of all that follows
        self._wanted, self._until = wanted, until
        self._shown: frozenset[Ref] = frozenset()  # what is in the view
        self._made: list[tuple[Ref, str]] = []  # what to destroy in the end, and by which call
        self._view: Ref | None = None
        self._over, self._taken = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, ended: Callable[..., None]) -> None:
        """In a thread of its own: three calls, and then one that waits after the other."""
        self._thread = threading.Thread(target=self._run, args=(ended,), name="updates", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """False once it broke."""
        return self._thread is not None and self._thread.is_alive() and not self._over.is_set()

    def change(self, wanted: frozenset[Ref], until: datetime | None) -> None:
        """One call where something is to be followed that is not yet. Never fails: what breaks here, the thread meets too."""
        with self._lock:
            self._wanted, self._until = wanted, until
        with suppress(PortError):
            self._show()

    def go_on(self) -> None:
        """A list has taken what was told, and said what to follow: now it may be told more."""
        self._taken.set()

    def end(self) -> None:
        """Destroy what was made. A wait that is pending ends with it."""
        self._over.set()
        self._taken.set()
        with self._lock:
            made, self._made = self._made, []
        for ref, method in made:
            with suppress(PortError):  # it ends with its session at the latest
                self._transport.call(ref, method)

    def _run(self, ended: Callable[..., None]) -> None:
        has_heard, is_left = False, True
        try:
            collector = self._prepare()
            version = ""
            while not self._over.is_set():
                answer = self._transport.wait(collector, version, self._seconds())
                news = self._news_of(answer) if answer is not None else []
                version = answer["version"] if answer is not None else version
                if not self._over.is_set() and (news or self._is_due()):
                    self._taken.clear()
                    self._hear(news)
                    self._taken.wait(LONGEST.total_seconds())  # what changes until then vCenter tells in one answer
                has_heard = True
        except NotFound:
            is_left = False  # it went with its session
        except (PortError, KeyError, TypeError, ValueError):  # an answer that breaks vCenter's own rules, too: a list mends it
            pass
        was_ended = self._over.is_set()
        self._over.set()
        if was_ended or is_left:
            self.end()  # also what was made after somebody had ended it
        if not was_ended:
            ended(has_heard=has_heard)

    def _prepare(self) -> Ref:
        call = self._transport.call
        collector: Ref = call(well_known("propertyCollector"), "CreatePropertyCollector")
        with self._lock:
            self._made.append((collector, "DestroyPropertyCollector"))
            shown = self._wanted
        view: Ref = call(well_known("viewManager"), "CreateListView", obj=sorted(shown))
        with self._lock:
            self._made.append((view, "DestroyView"))
            self._view, self._shown = view, shown
        call(collector, "CreateFilter", spec=self._filter(view), partialUpdates=False)
        self._show()
        return collector

    def _filter(self, view: Ref) -> dict[str, Any]:
        wanted = [
            data("vmodl.query.PropertyCollector.PropertySpec", type=Kind(kind), pathSet=list(paths)) for kind, paths in self._paths.items()
        ]
        listed = data("vmodl.query.PropertyCollector.TraversalSpec", name="view", type=Kind(LIST_VIEW), path="view", skip=False)
        start = data("vmodl.query.PropertyCollector.ObjectSpec", obj=view, skip=True, selectSet=[listed])
        return data("vmodl.query.PropertyCollector.FilterSpec", propSet=wanted, objectSet=[start])

    def _show(self) -> None:
        """Put into the view what is wanted and not in it, and take out what is not wanted any more."""
        with self._lock:
            added, removed = self._wanted - self._shown, self._shown - self._wanted
            if self._view is None or not added:
                return
            self._transport.call(self._view, "ModifyListView", add=sorted(added), remove=sorted(removed))
            self._shown = self._wanted

    def _news_of(self, answer: Data) -> list[Update]:
        """Without what was taken out of the view, or ended before: that it left is no news."""
        with self._lock:
            wanted = self._wanted
        return [each for each in updates_of(answer, self._now()) if each.ref in wanted]

    def _seconds(self) -> float:
        with self._lock:
            left = self._until - self._now() if self._until is not None else LONGEST
        return max(0.0, min(left, LONGEST).total_seconds())

    def _is_due(self) -> bool:
        with self._lock:
            is_due = self._until is not None and self._now() >= self._until
            self._until = None if is_due else self._until
        return is_due
