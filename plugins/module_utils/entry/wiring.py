# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that knows all adapters: plain `if` with a static import under it.

Ansible's packer follows static imports, so every adapter travels with the module; Python executes only the branch taken, so a
pool on one provider neither compiles nor needs another one's code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Ports
from ansible_collections.immutable.fleet.plugins.module_utils.engine.threads import ThreadsRuntime
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import FORCE, Pool, Strategy
from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import placeholders
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Lock

if TYPE_CHECKING:
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.convert import DrainRule
    from ansible_collections.immutable.fleet.plugins.module_utils.entry.parse import DrainRequest
    from ansible_collections.immutable.fleet.plugins.module_utils.model.gate import Gate
    from ansible_collections.immutable.fleet.plugins.module_utils.ports import Probe, Prober
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.store import StoreSession

Params = Mapping[str, Any]
CALL_TIMEOUT = timedelta(seconds=20)  # where no option says another one


@dataclass(frozen=True, slots=True)
class Kit:
    """The adapters of one run, and its time."""

    ports: Ports
    runtime: ThreadsRuntime
    speed: float = 1.0  # of a simulated world's clock


def pool_kit(params: Params, pool: Pool, user_data: str, call_timeout: timedelta) -> Kit:
    """What a pool needs. Changes nothing (cloud and cluster are being listed already).

    Raises `Invalid` and `LibraryMissing`; where the pool follows a channel also what its store answers.
    """
    transport: Any = None
    if params.get("image"):
        from ansible_collections.immutable.fleet.plugins.module_utils.entry.image_stores import followed

        found = followed(params, call_timeout)
        params, transport = found.params, found.transport
    if params["simulated"] is not None:
        return _simulated_pool(params, pool, user_data)
    from ansible_collections.immutable.fleet.plugins.module_utils.entry.first_look import FirstLook

    runtime = ThreadsRuntime()
    if params.get("balancer") is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.entry import plain

        site = plain.site_of(params, pool.name, call_timeout, runtime.now, transport)
        first = FirstLook(_cloud(params, pool, user_data, call_timeout, runtime.now, site.transport))
        return Kit(replace(plain.ports_of(params, site), cloud=first), runtime)
    # The list runs while the cluster's library is imported: first things first.
    cloud = FirstLook(_cloud(params, pool, user_data, call_timeout, runtime.now, transport))
    if params["kubernetes"] is None:
        return Kit(Ports(cloud=cloud), runtime)
    return Kit(replace(_kubernetes(params, pool, user_data, runtime.now), cloud=cloud), runtime)


def _cloud(
    params: Params,
    pool: Pool,
    user_data: str,
    call_timeout: timedelta,
    now: Callable[[], datetime],
    transport: Any = None,
) -> Cloud:
    """The adapter of the provider that was given, which makes no call yet. `transport` is its client, where it is connected."""
    if params.get("vsphere") is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere import options as vsphere
        from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.cloud import VsphereCloud

        parsed = vsphere.parse_options(params["vsphere"], user_data)
        domains = pool.failure_domains if "failure_domains" in params else None
        return VsphereCloud(pool.name, parsed, failure_domains=domains, call_timeout=call_timeout, now=now, transport=transport)
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.cloud import OpenStackCloud
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.options import parse_options

    options = parse_options(params["openstack"], user_data)
    return OpenStackCloud(pool.name, options, call_timeout=call_timeout, now=now, transport=transport)


def pool_lock(params: Params) -> tuple[Lock, Callable[[], Mapping[str, str]], datetime]:
    """A pool's lock by itself, who tells `{node: pool}` or `{machine: pool}`, and the time by its world's clock. Makes no call."""
    if params["simulated"] is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
        from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock

        session = world_at(params["simulated"]["world"])
        return SimulatedLock(session, params["name"]), SimulatedCluster(session, params["name"]).pools_of_nodes, session.now()
    if params["openstack"] is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.entry import plain

        now = ThreadsRuntime().now
        site = plain.site_of(params, params["name"], CALL_TIMEOUT, now)
        return plain.lock_of(site), lambda: plain.machines_of(params, site), now()
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.members import pools_of_nodes

    runtime = ThreadsRuntime()
    client = _client(params["kubernetes"], runtime.now)
    lock = KubernetesLock(client, pool=params["name"], namespace=params["kubernetes"]["lock_namespace"])
    return lock, lambda: pools_of_nodes(client), runtime.now()


def nodes_kit(params: Params, request: DrainRequest) -> Kit:
    """What existing nodes need: their cluster. No pool, so nothing that two runs could both create, and no lock."""
    if params["simulated"] is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster

        session = world_at(params["simulated"]["world"])
        return Kit(Ports(cluster=SimulatedCluster(session, "")), ThreadsRuntime(session.now, session.speed), session.speed)
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.access import KubernetesAccess
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
    from ansible_collections.immutable.fleet.plugins.module_utils.decide.drain_nodes import DRAINED

    runtime = ThreadsRuntime()
    client = _client(params["kubernetes"], runtime.now)
    cluster = KubernetesCluster(client, pool="", drain_rules=drain_rules(params))
    access = KubernetesAccess(client, evicts=request.state == DRAINED, forces=request.policy.on_timeout == FORCE)
    return Kit(Ports(cluster=cluster, access=access), runtime)


def _simulated_pool(params: Params, pool: Pool, user_data: str) -> Kit:
    from ansible_collections.immutable.fleet.plugins.module_utils.clouds.simulated.cloud import SimulatedCloud

    options = params["simulated"]
    session = world_at(options["world"])
    runtime = ThreadsRuntime(session.now, session.speed)
    fields = {"flavor": options["flavor"] or "", "networks": ",".join(options["networks"] or []), "user_data": user_data}
    cloud = SimulatedCloud(session, pool.name, options["image"] or "", fields)
    if params.get("balancer") is not None:
        from ansible_collections.immutable.fleet.plugins.module_utils.balancers.simulated.balancer import SimulatedBalancer
        from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock

        balancer = SimulatedBalancer(session, pool.name, params["balancer"]["simulated"]["backend"])
        ports = Ports(cloud=cloud, balancer=balancer, lock=SimulatedLock(session, pool.name), prober=_simulated_prober(session, pool))
        return Kit(ports, runtime, session.speed)
    if params["kubernetes"] is None:
        from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.cluster import SimulatedCluster
        from ansible_collections.immutable.fleet.plugins.module_utils.clusters.simulated.lock import SimulatedLock

        ports = Ports(cloud=cloud, cluster=SimulatedCluster(session, pool.name), lock=SimulatedLock(session, pool.name))
        return Kit(replace(ports, prober=_simulated_prober(session, pool)), runtime, session.speed)
    if session.speed != 1.0:
        raise Invalid(
            what=f"the world's clock runs {session.speed:g} times as fast as the cluster's; expected a world of speed 1",
            where="simulated.world",
        )
    ports = replace(_kubernetes(params, pool, user_data, runtime.now), cloud=cloud)
    return Kit(replace(ports, prober=_simulated_prober(session, pool)), runtime)


def _simulated_prober(session: StoreSession, pool: Pool) -> Prober | None:
    if not pool.probes:
        return None
    from ansible_collections.immutable.fleet.plugins.module_utils.probes.simulated import SimulatedProber

    return SimulatedProber(session)


def prober_of(pool: Pool, redact: Callable[[str], str]) -> Prober:
    """Who asks the services of real machines. `redact` takes secrets out of what they say."""
    from ansible_collections.immutable.fleet.plugins.module_utils.probes.service import ServiceProber

    return ServiceProber(pool.name, redact)


def world_at(path: str) -> StoreSession:
    """A simulated world. Raises `Invalid`."""
    from ansible_collections.immutable.fleet.plugins.module_utils.simulation.store import open_world

    try:
        return open_world(path)
    except Invalid as error:
        error.what, error.where = f"{error.what}: {path}", "simulated.world"
        raise


def _kubernetes(params: Params, pool: Pool, user_data: str, now: Callable[[], datetime]) -> Ports:
    """Cluster, lock, and who says what we may do there. The cluster is being listed by then, as the cloud is."""
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.access import KubernetesAccess
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.cluster import KubernetesCluster
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.lock import KubernetesLock

    client, namespace = _client(params["kubernetes"], now), params["kubernetes"]["lock_namespace"]
    mints_tokens = "bootstrap_token" in placeholders(user_data)
    cluster = KubernetesCluster(
        client,
        pool=pool.name,
        drain_rules=drain_rules(params),
        mints_tokens=mints_tokens,
        kept_annotations=tuple(pool.annotations),
    )
    cluster.look_ahead()
    forces = pool.drain.on_timeout == FORCE
    access = KubernetesAccess(client, pool=pool.name, lock_namespace=namespace, mints_tokens=mints_tokens, forces=forces)
    return Ports(cluster=cluster, lock=KubernetesLock(client, pool=pool.name, namespace=namespace), access=access)


def drain_rules(params: Params) -> list[DrainRule]:
    """The rules of `drain.rules`, in the order given; none for a module that drains nothing."""
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.convert import DrainRule
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.selector import EVERYTHING, selector_of

    rules = []
    for index, given in enumerate((params.get("drain") or {}).get("rules", ())):
        try:
            selector = selector_of(given["selector"]) or EVERYTHING
        except (Invalid, AttributeError, KeyError, TypeError) as error:
            what = error.what if isinstance(error, Invalid) else "not a label selector; expected matchLabels and matchExpressions"
            raise Invalid(what=what, where=f"drain.rules[{index}].selector") from error
        namespaces = frozenset(given["namespaces"])
        rules.append(DrainRule(behaviour=given["behavior"], selector=selector, namespaces=namespaces, order=given["order"]))
    return rules


def probes_of(strategy: Strategy, call_timeout: timedelta, redact: Callable[[str], str]) -> dict[str, Probe]:
    """Who asks the gate and the hooks that a pool has."""
    gates = {name: getattr(strategy, name) for name in ("gate", "before_drain", "before_delete")}
    return {name: probe_of(gate, call_timeout, redact) for name, gate in gates.items() if gate is not None}


def probe_of(gate: Gate, call_timeout: timedelta, redact: Callable[[str], str]) -> Probe:
    """Who asks `gate`. `redact` takes secrets out of what it says."""
    if gate.url:
        from ansible_collections.immutable.fleet.plugins.module_utils.probes.http import HttpProbe

        return HttpProbe(gate.url, call_timeout, redact)
    from ansible_collections.immutable.fleet.plugins.module_utils.probes.command import CommandProbe

    return CommandProbe(gate.command, call_timeout, redact)


def _client(options: Params, now: Callable[[], datetime]) -> Client:
    from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client, Connection

    given = {name: options[name] for name in Connection.__dataclass_fields__ if options.get(name) is not None}  # aliases stand beside
    return Client(Connection(**given), now=now)
