# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cluster port against the lab's API server."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.client import Client
from ansible_collections.immutable.fleet.plugins.module_utils.model import marks
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Conflict, Invalid, NotFound, Throttled, Transient
from ansible_collections.immutable.fleet.plugins.module_utils.model.node import NodeChange
from ansible_collections.immutable.fleet.plugins.module_utils.model.pool import Taint
from ansible_collections.immutable.fleet.plugins.module_utils.ports import ClusterView
from ansible_collections.immutable.fleet.tests.labs.kubernetes.control import Kubernetes
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Kube, audit_mark, audit_since, wait
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.kubernetes.workload import POLICY, Workload, nodes
from ansible_collections.immutable.fleet.tests.labs.processes import Progress
from ansible_collections.immutable.fleet.tests.system.kubernetes_lab import AGENT, Watched, client_of, now, watched

pytestmark = pytest.mark.lab

NODES = "/api/v1/nodes"
BACK_SECONDS = 30  # after an outage: 5 s of back-off, 3 s of a first watch, and a machine that is three times as slow
LOOK_AGAIN_SECONDS = 30  # so late that only news can be what is seen before


@pytest.fixture(scope="module")
def client(kubernetes_site: Site) -> Iterator[Client]:
    made = client_of(kubernetes_site.kubeconfig)
    yield made
    made.close()


@pytest.fixture(scope="module")
def machines(kube: Kube) -> Iterator[list[str]]:
    with nodes(kube, 2, prefix="kc") as names:
        yield names


@pytest.fixture
def shop(kube: Kube, machines: list[str]) -> Iterator[Workload]:
    """A namespace of its own, so that no test waits for another's remains."""
    namespace = f"kc-{secrets.token_hex(3)}"
    with Workload(kube, namespace) as workload:
        yield workload
    kube.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def web(client: Client, kube: Kube, machines: list[str]) -> Iterator[Watched]:
    with watched(client) as started:
        yield started
    kube.patch(f"{NODES}/{machines[0]}", {"spec": {"unschedulable": None, "taints": None}})  # whatever a test left half done


def change_of(web: Watched, name: str, **wanted: object) -> NodeChange:
    node = web.node(name)
    return NodeChange(**{"node": name, "uid": node.uid, "version": node.version, **wanted})


def write(web: Watched, name: str, **wanted: object) -> None:
    """As the loop writes: when somebody was faster (the control plane taints what is cordoned), it looks and tries again."""

    def accepted(_view: ClusterView) -> bool:
        try:
            web.cluster.change(change_of(web, name, **wanted))
        except Conflict:
            return False
        return True

    web.until("the write is accepted", accepted)


def test_change_is_seen_within_200_ms(web: Watched, kube: Kube, machines: list[str]) -> None:
    """From the API server's answer to another's write until a view shows it: told, not found by looking again.

    The quicker ones of ten count, since the others may have waited for a busy machine.
    """

    def shows(wanted: str) -> Callable[[ClusterView], object]:
        return lambda view: view.nodes[machines[0]].labels.get("lab/number") == wanted

    taken = []
    for number in range(10):
        kube.patch(f"{NODES}/{machines[0]}", {"metadata": {"labels": {"lab/number": str(number)}}})
        taken.append(web.until("the label", shows(str(number)), every=LOOK_AGAIN_SECONDS))
    assert max(taken) < LOOK_AGAIN_SECONDS
    assert sorted(taken)[2] < 0.2


def test_unchanged_nodes_stay_the_same_objects(web: Watched, kube: Kube, machines: list[str]) -> None:
    """So that a turn of the loop costs what changed."""
    before = web.cluster.view().nodes
    kube.patch(f"{NODES}/{machines[0]}", {"metadata": {"labels": {"lab/same": "no"}}})
    web.until("the label", lambda view: view.nodes[machines[0]].labels.get("lab/same"))
    after = web.cluster.view().nodes
    same, other = after[machines[1]], before[machines[1]]
    assert same is other or same.version != other.version  # the kubelet may have reported meanwhile
    assert after[machines[0]] is not before[machines[0]]


def test_cordon_and_annotation_are_one_patch_and_seen_at_once(web: Watched, kube: Kube, machines: list[str]) -> None:
    """The answer of the write is in the view before the watch brings it."""
    note = marks.Note(now().replace(microsecond=0), "outdated")
    mark = audit_mark()
    write(web, machines[0], schedulable=False, annotations={marks.NODE_CHOSEN: str(note)})
    node = web.node(machines[0])
    assert (node.is_cordoned_by_us, node.chosen) == (True, note)
    assert {call["verb"] for call in audit_since(mark) if call["userAgent"] == AGENT} <= {"patch", "watch"}
    write(web, machines[0], schedulable=True, annotations={marks.NODE_CHOSEN: None})
    assert (web.node(machines[0]).schedulable, web.node(machines[0]).chosen) == (True, None)


def test_change_with_old_version_is_a_conflict(web: Watched, kube: Kube, machines: list[str]) -> None:
    """Nobody's change is overwritten."""
    change = change_of(web, machines[0], schedulable=False)
    kube.patch(f"{NODES}/{machines[0]}", {"metadata": {"labels": {"lab/meanwhile": "yes"}}})
    with pytest.raises(Conflict):
        web.cluster.change(change)
    assert "unschedulable" not in kube.get(f"{NODES}/{machines[0]}")["spec"]


def test_change_of_another_node_under_the_name_is_refused(web: Watched, kube: Kube, machines: list[str]) -> None:
    """A Node that was made anew has another UID: the one that was meant is gone."""
    change = change_of(web, machines[0], version=None, uid="another", schedulable=False)
    with pytest.raises(Conflict, match="another node of that name"):
        web.cluster.change(change)
    with pytest.raises(NotFound):
        web.cluster.change(replace(change, node="no-such-node"))
    assert "unschedulable" not in kube.get(f"{NODES}/{machines[0]}")["spec"]


def test_taints_that_stay_keep_the_instant_they_were_added(web: Watched, kube: Kube, machines: list[str]) -> None:
    """Kubernetes counts tolerationSeconds from it, and a taint list can only be written as a whole."""
    added = {"key": "lab/old", "effect": "NoSchedule", "timeAdded": "2026-11-21T04:10:07Z"}
    kube.patch(f"{NODES}/{machines[0]}", {"spec": {"taints": [added]}})
    web.until("the taint", lambda view: view.nodes[machines[0]].taints)
    outdated = Taint(marks.NODE_OUTDATED, "", "PreferNoSchedule")
    write(web, machines[0], taints=(*web.node(machines[0]).taints, outdated))
    assert added in kube.get(f"{NODES}/{machines[0]}")["spec"]["taints"]
    write(web, machines[0], taints=())
    assert "taints" not in kube.get(f"{NODES}/{machines[0]}")["spec"]


def test_eviction_is_accepted_and_seen(web: Watched, shop: Workload) -> None:
    """201, and the pod is terminating; evicted again it is no error."""
    shop.deployment("free", 2, max_unavailable=1, stop_seconds=2)
    shop.wait_running()
    raw = shop.pods("free")[0]
    web.until("its budget", lambda _view: web.pod(raw).budgets == (f"{shop.namespace}/free",))
    pod = web.pod(raw)
    web.cluster.evict(pod, None)
    web.until("it terminates", lambda _view: any(p.uid == pod.uid and p.terminating_since for p in web.pods("free")))
    web.cluster.evict(pod, timedelta(seconds=0))
    web.until("it is gone", lambda _view: all(p.uid != pod.uid for p in web.pods("free")))
    with pytest.raises(NotFound):
        web.cluster.evict(pod, None)


def test_FM01_eviction_that_a_budget_refuses_names_it(web: Watched, shop: Workload) -> None:
    """429 is Throttled, with the API server's own numbers."""
    shop.deployment("blocked", 2, min_available=2)
    shop.wait_running()
    pod, budget = web.pod(shop.pods("blocked")[0]), f"{shop.namespace}/blocked"
    web.until("that it never allows", lambda view: budget in view.budgets and view.budgets[budget].can_never_allow)
    with pytest.raises(Throttled, match="disruption budget blocked needs 2 healthy pods and has 2 currently"):
        web.cluster.evict(pod, None)


def test_FM03_two_budgets_over_one_pod_are_named(web: Watched, shop: Workload) -> None:
    """500 is not tried again: nothing but a person can help."""
    shop.deployment("two", 1, max_unavailable=1)
    shop.wait_running()
    shop.budget("two-more", "two", max_unavailable=1)
    shop.wait_running()
    raw = shop.pods("two")[0]
    web.until("both", lambda _view: len(web.pod(raw).budgets) == 2)
    with pytest.raises(Invalid, match=f"{shop.namespace}/two and {shop.namespace}/two-more both select it"):
        web.cluster.evict(web.pod(raw), None)


def test_FM50_pod_with_another_uid_under_the_name_spends_no_budget(web: Watched, shop: Workload, kube: Kube) -> None:
    """The UID is compared before the call; should the watch be late, the precondition refuses."""
    shop.stateful_set("db", 2, max_unavailable=1)
    shop.wait_running()
    before = web.pod(shop.pods("db")[0])
    kube.delete(f"{shop.pods_path}/{before.name}")
    web.until("the new one", lambda view: all(p.uid != before.uid for n in view.nodes.values() for p in n.pods))
    shop.wait_running()
    mark = audit_mark()
    with pytest.raises(NotFound):
        web.cluster.evict(before, None)
    assert [call for call in audit_since(mark) if call["objectRef"].get("subresource") == "eviction"] == []
    web.cluster._join.is_there = lambda pod: True  # a watch that is late
    with pytest.raises(Conflict, match="does not match the UID in record"):
        web.cluster.evict(before, None)


def test_FM02_unready_pod_that_its_budget_lets_go_shows_no_budget(web: Watched, shop: Workload, kube: Kube) -> None:
    """AlwaysAllow evicts an unready pod without counting it; the default policy does not, with too few healthy."""
    shop.deployment("sick", 1, unready=True, min_available=1)
    shop.wait_running()
    raw = shop.pods("sick")[0]
    web.until("the budget", lambda _view: web.pod(raw).budgets == (f"{shop.namespace}/sick",))
    with pytest.raises(Throttled):
        web.cluster.evict(web.pod(raw), None)
    always = {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}
    kube.patch(f"{POLICY}/{shop.namespace}/poddisruptionbudgets/sick", always)
    web.until("no budget", lambda _view: web.pod(raw).budgets == ())
    web.cluster.evict(web.pod(raw), None)


def test_remove_goes_past_the_budget_by_uid(web: Watched, shop: Workload) -> None:
    """The drain's `on_timeout: force`."""
    shop.deployment("forced", 2, min_available=2)
    shop.wait_running()
    pod = web.pod(shop.pods("forced")[0])
    web.cluster.remove(replace(pod, uid="another"), timedelta(seconds=0))
    assert any(p.uid == pod.uid for p in web.pods("forced"))
    web.cluster.remove(pod, timedelta(seconds=0))
    web.until("it is gone", lambda _view: all(p.uid != pod.uid for p in web.pods("forced")))
    web.cluster.remove(pod, timedelta(seconds=0))


def test_FM12_look_sees_pods_and_attachments_in_two_calls(web: Watched, shop: Workload, machines: list[str], client: Client) -> None:
    """Direct reads; DaemonSet, mirror, finished and skipped pods are not waited for, in the look as in the view."""
    shop.stateful_set("vol", 1, volumes=True, on=machines[0])
    shop.daemon_set("agent")
    shop.mirror_pod(machines[0])
    shop.bare_pod("left-alone", on=machines[0], labels={"cluster.x-k8s.io/drain": "skip"})
    shop.wait_running()
    wait("attached", lambda: shop.attached(machines[0]))
    web.until("both", lambda view: view.nodes[machines[0]].pods and view.nodes[machines[0]].attachments)
    mark = audit_mark()
    look = web.cluster.look(machines[0])
    calls = [call for call in audit_since(mark) if call["userAgent"] == AGENT and call["verb"] != "watch"]
    assert [(call["verb"], call["objectRef"]["resource"]) for call in calls] == [("list", "pods"), ("list", "volumeattachments")]
    node = web.node(machines[0])
    assert look.pods == (f"{shop.namespace}/vol-0",) == tuple(pod.full_name for pod in node.pods)
    assert look.attachments == node.attachments
    assert len(look.attachments) == 1
    assert web.cluster.look(machines[1]).is_empty


def test_pod_of_a_daemon_set_that_is_gone_must_leave(web: Watched, shop: Workload, kube: Kube, machines: list[str]) -> None:
    """Orphaned, nothing brings it back, and nothing will stop it either."""
    shop.daemon_set("orphans")
    wait("its pods", lambda: len([pod for pod in shop.pods("orphans") if pod["status"]["phase"] == "Running"]) >= 2)
    assert all(pod.namespace != shop.namespace for pod in web.node(machines[0]).pods)
    kube.delete(f"/apis/apps/v1/namespaces/{shop.namespace}/daemonsets/orphans", propagationPolicy="Orphan")
    web.until("the orphan", lambda view: any(pod.namespace == shop.namespace for pod in view.nodes[machines[0]].pods))
    assert web.cluster.look(machines[0]).pods == tuple(pod.full_name for pod in web.node(machines[0]).pods)


def test_node_is_deleted_by_uid_and_twice_is_no_error(web: Watched, kube: Kube) -> None:
    """What was made anew under the name is left alone."""
    with nodes(kube, 1, prefix="kc-delete") as (name,):
        web.until("the node", lambda view: name in view.nodes)
        node = web.node(name)
        web.cluster.delete_node(replace(node, uid="another"))
        assert kube.find(f"{NODES}/{name}") is not None
        web.cluster.delete_node(node)
        web.until("it is gone", lambda view: name not in view.nodes)
        web.cluster.delete_node(node)


def test_view_survives_the_api_server(kubernetes_site: Site, client: Client, kube: Kube, machines: list[str]) -> None:
    """Killed: `as_of` stands still and says why. Back: it moves on, and what happened meanwhile is seen."""
    lab = Kubernetes(kubernetes_site, Progress())
    with watched(client) as web:
        lab.stop_one("apiserver", signal.SIGKILL)
        try:
            web.until("the error", lambda view: view.error)
            stood_at = web.cluster.view().as_of
            time.sleep(2)
            assert web.cluster.view().as_of == stood_at
            with pytest.raises(Transient):
                web.cluster.look(machines[0])
        finally:
            lab.start_one("apiserver")
        back_at = now()
        kube.patch(f"{NODES}/{machines[0]}", {"metadata": {"labels": {"lab/after": "restart"}}})
        seen_after = web.until("the label", lambda view: view.nodes[machines[0]].labels.get("lab/after"))
        moved_after = web.until("as_of", lambda view: view.as_of > back_at and not view.error)
        assert seen_after + moved_after < BACK_SECONDS
        kube.patch(f"{NODES}/{machines[0]}", {"metadata": {"labels": {"lab/after": None}}})
