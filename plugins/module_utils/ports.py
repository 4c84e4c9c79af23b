# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine needs of the outside world, as small typed contracts. docs/provider-contract.md says the same in tables.

For every verb: one short call, bounded by the call timeout, that never waits for a condition. Errors are those of
model/errors; an adapter translates and chains its SDK's (`raise ... from exc`). A write is repeatable unless its docstring
says otherwise. Instants handed over are in the loop's clock, corrected by the server's Date header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.model.event import Event
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import Budget, Look, Node, NodeChange, Pod
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import LockFact
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering
from ansible_collections.immutable.fleet.plugins.module_utils.model.vm import Leftover, NewMachine, Starts, Vm

if TYPE_CHECKING:  # few runs need them
    from pathlib import Path

    from ansible_collections.immutable.fleet.plugins.module_utils.model.access import Right
    from ansible_collections.immutable.fleet.plugins.module_utils.model.balancer import Member, MemberChange
    from ansible_collections.immutable.fleet.plugins.module_utils.model.capture import Capture
    from ansible_collections.immutable.fleet.plugins.module_utils.model.channel import Catalogue, Promotion
    from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Question
    from ansible_collections.immutable.fleet.plugins.module_utils.model.probe import Answer, ServiceProbe
    from ansible_collections.immutable.fleet.plugins.module_utils.model.room import Room
    from ansible_collections.immutable.fleet.plugins.module_utils.model.version import Manifest, Revocation, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list of a pool's VMs. `as_of`: every change before this instant is in it (for a list: when the request began).

    `is_full` False is a delta: `vms` holds what changed since `since`, `gone` the ids that are no more.
    `starts` bounds the creates that are sent until the next one; those of `vms` that are being made are not among them.
    `ahead`: how far the loop's clock is ahead of the cloud's, by its Date header; instants in the listing are in the loop's.
    `tells` False: of what is in flight nothing will be told until a listing says otherwise, though `watch` answered True.
    """

    as_of: datetime
    vms: tuple[Vm, ...] = ()
    gone: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] | None = None  # None: not looked for this time
    is_full: bool = True
    starts: Starts | None = None  # None: as many as one likes
    ahead: timedelta = timedelta(0)
    captures: tuple[Capture, ...] | None = None  # None: the run has no `Captures`
    tells: bool = True


class Cloud(Protocol):
    """Where VMs come from. One instance serves one pool; it holds the template (image, flavor, networks ...) it creates from."""

    def resolve(self, pinned: Mapping[str, str] | None = None) -> Revision:
        """The template with every name resolved to an id or digest, before anything is touched. Again when an operator retargets.

        `pinned` is the pool record's or an override's: where its "asked" is what the template asks for, its image is taken,
        whatever the name means by now (FM37): the one of its "id" and "digest", or the one that its "name" means. The
        answer's `image` is what to pin. Raises `Invalid` (unknown image, two images of one name, unknown flavor; `where` is
        the option's path), `Denied`. Reads only; `create` comes after it, and makes a machine of any revision resolved so far.
        """

    def room(self) -> Room:
        """What is left of all that one more machine of the template takes, before the first create of a run; after `resolve`.

        Reads only, a few calls at once, and at most once per run: one that makes nothing never asks. What policy hides or nobody
        answers is in `unknown`, so that it raises only what every call would (`Transient`), or every create (`Denied`).
        """

    def watch(self, on_change: Callable[[], None]) -> bool:
        """Whether the cloud will call `on_change` (from any thread) when a VM changes that is in flight. Once, before the first list.

        In flight is what this adapter's verbs set going and a list found being made; more may be told. True: the engine lists
        when told, and asks for everything now and then to be sure, sooner while a machine is ill. False: it polls with one shared list.
        """

    def list_vms(self, since: datetime | None, *, with_leftovers: bool) -> Listing:
        """Every VM with a mark of this pool, half-made ones too. Once per poll: may page, must not fan out per VM.

        `since` is the `as_of` of an earlier listing and allows a delta, and where the cloud tells, what is known already with
        what was told laid over it, as of the last list of everything; None asks for everything.
        """

    def create(self, machine: NewMachine) -> None:
        """Post one VM with its marks, ports and volumes; returns when the cloud has accepted it, not when it runs.

        Not repeatable after `Transient`: the name is looked up instead. A definite failure (`Exhausted`, `Invalid`,
        `Denied`) leaves nothing behind (FM22). Where `machine.recreated`, what an earlier machine of this name left (ports, hence
        addresses) is taken over, and left again after a refusal: the name is awaited.
        """

    def delete(self, vm: Vm) -> None:
        """Ask for deletion of the VM and of what was made for it. One that is gone already is success.

        Where a deletion has steps, each call takes one, and the list says by `delete_again` when the next is due.
        What the cloud itself leaves behind is a leftover of a list after the VM's end, to be cleared.
        """

    def power(self, vm: Vm, wanted: str) -> None:
        """Begin to switch the VM off (`vm.OFF`) or to reset it (`vm.REBOOT`), without asking its guest.

        That it is off is a fact that a list brings: STOPPED. Off already is success. `NotFound` where it is gone, `Conflict`
        while something else is done to it.
        """

    def clear(self, leftover: Leftover) -> None:
        """Delete one leftover. One that is gone already is success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """The cluster now, joined by node. Unchanged nodes are the same objects as in the view before.

    `as_of`: every change before this instant is in it; it advances with events and bookmarks, and stands still when the
    watch is dead. `tokens` are bootstrap tokens that carry the pool's mark. `ahead`: how far the loop's clock is ahead of the
    server's, by its Date header; instants in the view are in the loop's.
    """

    as_of: datetime
    nodes: dict[str, Node] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    tokens: tuple[Leftover, ...] = ()
    error: str = ""  # why as_of stands still, in the server's words
    ahead: timedelta = timedelta(0)


class Cluster(Protocol):
    """The workload cluster."""

    def start(self, on_change: Callable[[], None]) -> None:
        """List once, then watch nodes, pods, PDBs, VolumeAttachments and our tokens; `on_change` is called from any thread.

        Raises `Denied`, `Invalid` (wrong context) and `Transient` (unreachable) from the first list.
        """

    def view(self) -> ClusterView:
        """The newest facts, without a call. Every turn of the loop: O(changes), not O(cluster)."""

    def change(self, change: NodeChange) -> None:
        """One PATCH with UID (and version) as precondition. `Conflict` when somebody was faster, `NotFound` when gone."""

    def evict(self, pod: Pod, grace: timedelta | None) -> None:
        """One eviction.

        `Throttled` is a PDB's refusal (429), `Conflict` a spent or wrong precondition, `NotFound` is done, `Invalid` a refusal
        that waiting does not cure (two PDBs on one pod).
        """

    def remove(self, pod: Pod, grace: timedelta | None) -> None:
        """Delete a pod past its budgets (the drain's `on_timeout: force`), by UID."""

    def look(self, node: str) -> Look:
        """Pods that a drain must see gone, and attachments, by direct reads. Once before each VM delete."""

    def look_for_node(self, vm: Vm) -> Look:
        """Whether a VM that has no node in the newest view may have joined since, by a direct read: `node` of the answer.

        "" says that every Node which existed when the read began is in the view. Once before the delete of such a VM.
        """

    def delete_node(self, node: Node) -> None:
        """Delete the Node object by UID. One that is gone already is success."""

    def mint_token(self, machine: str, ttl: timedelta) -> str:
        """A bootstrap token for one machine, short-lived, marked with pool and machine. The text is a secret."""

    def delete_token(self, token: Leftover) -> None:
        """Delete one token. One that is gone already is success."""

    def join_values(self) -> dict[str, str]:
        """`{"api_server": "host:port", "ca_hash": "sha256:..."}` for user data."""

    def stop(self) -> None:
        """End the watches; called once, never fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberListing:
    """One list of a backend's members, ours and others'. `as_of`: every change before this instant is in it."""

    as_of: datetime
    members: tuple[Member, ...] = ()
    is_busy: bool = False  # an earlier change is not in effect yet, and one that is sent now would be refused (`Throttled`)
    fault: str = ""  # why it takes no change at all until somebody mends it, in its own words


class Balancer(Protocol):
    """One backend of a load balancer (Octavia calls it a pool), for one pool of machines. At most one change is under way."""

    def find_backend(self) -> None:
        """Names to ids, before anything is touched. `Invalid` (no such backend, two of one name) with the option's path, `Denied`.

        Reads only; once per run, before all else.
        """

    def list_members(self) -> MemberListing:
        """Every member now, those that are not ours too. Once per poll: one to three calls, never one per member."""

    def change_members(self, changes: Sequence[MemberChange]) -> None:
        """Begin to make members as wished, all in one update where the balancer can; what is not so yet, a later list tells.

        Repeatable. A member that is gone or so already is passed over. REMOVED ends what is left of its sessions. Nothing is
        sent where one of them must not be: `Invalid` for a member or an address that is not ours, `Conflict` while an older
        member has the address or the name. `Throttled` while an earlier change is carried out, `Exhausted` where no more members fit.
        """


class ImageStore(Protocol):
    """Where golden images lie: versions, which never change, and promotions, which are only added. No part of the loop."""

    def catalogue(self) -> Catalogue:
        """All versions and promotions that this account sees, revoked ones and half-uploaded ones too. May page."""

    def publish(self, manifest: Manifest, path: str, *, text: str, signature: str = "") -> Version:
        """The version with the bytes of the file, which are those of the manifest. `text` is the manifest as it was signed.

        Repeatable, and goes on where a killed one ended: what an upload that was cut off left is used or replaced, what is published
        already is left as it is. The one verb that is not short: it returns when the store has the bytes and has been
        asked for their digest. `Conflict` while another uploads the same version, `Invalid` where other bytes are published
        under it.
        """

    def promote(self, promotion: Promotion) -> Promotion:
        """Add one promotion, in one call: it is there with all it says, or not at all. As it was added: its number may have grown.

        After `Transient` the catalogue tells, by the token. `Conflict` where somebody has taken the number.
        """

    def revoke(self, version: Version, revocation: Revocation) -> None:
        """Say on the version that no machine may be made of it, and hide it. Repeatable; one that is revoked keeps its reason."""

    def retire(self, version: Version) -> None:
        """Delete a version. Repeatable; gone is success. `Conflict` where the store still needs it, as for linked clones."""

    def users(self) -> Mapping[str, tuple[str, ...]]:
        """`{version id: (machine, ...)}` of all machines that this account sees, of whatever pool."""


class Captures(Protocol):
    """Images that a cloud makes of the disks of one image's builders, until they are fetched. Listed with the VMs, right after them."""

    def list(self) -> tuple[Capture, ...]:
        """All that carry the builders' mark, half-made ones too. Once per look; may page."""

    def begin(self, vm: Vm) -> None:
        """Ask for an image of the VM's disk, which carries the VM's name from the first moment. `Conflict` while one is being made."""

    def fetch(self, capture: Capture, file: Path) -> None:
        """`file` holds the image's bytes, compared with the cloud's digest; wholly or not at all. Takes as long as they do.

        Repeatable: after any error nothing is left of it.
        """

    def clear(self, leftover: Leftover) -> None:
        """Delete one that nobody needs any more, by its id. One that is gone already is success."""


class Access(Protocol):
    """What the account of this run may do at the cluster's API server. A cluster that has no access control has no such port."""

    def needs(self, *, removes: bool) -> tuple[Right, ...]:
        """All rights that the other verbs of this run's ports take, in the order in which a person is told. Makes no call.

        `removes`: pods will be deleted, though the drain does not ask for it (a machine is proven dead).
        """

    def may(self, right: Right) -> bool:
        """Whether the server would let us. Changes nothing; one call for each right, before the first write of a run."""

    def user(self) -> str:
        """Who we are to the server; "" where it does not say. Only where something is missing. Never raises."""


class Lock(Protocol):
    """One holder per pool, and the pool's record. A lock object is never deleted while the pool exists."""

    def read(self) -> LockFact:
        """The lock now; a lock that was never made is free and has token 0."""

    def acquire(self, seen: LockFact, holder: str, ttl: timedelta) -> LockFact:
        """Take it and write `seen.record`, if nothing changed since `seen`; the token grows by one. `Conflict` if it did."""

    def renew(self, held: LockFact) -> LockFact:
        """Say that the holder lives, with `held.record` on it. `Conflict` when it is another's now."""

    def release(self, held: LockFact) -> None:
        """Give it back with `held.record` on it. A lock that is another's now is left alone."""

    def steer(self, seen: LockFact, steering: Steering) -> LockFact:
        """Write what operators ask of the pool, whoever holds it. `Conflict` when it changed since `seen`."""


class Runtime(Protocol):
    """Time and concurrency: threads and a real clock, or one thread and virtual time."""

    def now(self) -> datetime:
        """The loop's clock: aware, never backwards."""

    def submit(
        self,
        call: Callable[[], object],
        done: Callable[[object, Exception | None], None],
        guard: Callable[[], None] | None = None,
    ) -> None:
        """Run `call` soon, elsewhere; `done(result, error)` runs in the loop's own thread, during `wait`.

        `guard` is asked when the call is about to leave; what it raises is the call's error, and nothing was sent.
        """

    def wake(self) -> None:
        """End the current or next `wait` soon. From any thread."""

    def wait(self, until: datetime | None) -> None:
        """Return after `wake`, after an answer, or at `until`, with changes within 100 ms gathered into one return.

        After the last answer that is waited for it may return at once.
        """

    def fresh_suffix(self, length: int) -> str:
        """Random lower-case letters and digits for a name that was never used."""


class Reporter(Protocol):
    """Who is told. Every method does nothing by default in the base the reports folder offers."""

    def tell(self, event: Event) -> None:
        """One event, at once. Must not fail and must not wait."""


class Probe(Protocol):
    """A gate or a hook of the user's."""

    def ask(self, question: Question) -> tuple[bool, str]:
        """`(passed, what was said)` for a person: one line, short, without secrets. Never raises for a gate that does not pass.

        That includes one that cannot be run or reached, or takes longer than the call timeout. Repeatable: asked until it
        passes, at the most every 10 s, and again after a run was killed.
        """


class Prober(Protocol):
    """Whoever asks a machine's service whether it answers."""

    def probe(self, probe: ServiceProbe, vm: Vm) -> Answer:
        """`(passed, what was said)`: one question, bounded by `probe.timeout`. Repeatable; asked once an interval for each machine.

        A service that does not answer, or not as expected, has not passed. None of `passed`: nobody could be asked (a command that
        cannot be run, no address yet), which says nothing about the machine. What was said is for a person: one line, no secrets.
        """
