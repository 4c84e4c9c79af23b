# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the cluster do what the tests rely on? Budgets, slow pods, volumes, tokens, dead kubelets, the audit log."""

from datetime import UTC, datetime, timedelta

from ..processes import LabError, Progress
from .bootstrap import TOKEN_SECRETS, create_token
from .guests import VM
from .joiner import Joiner
from .kube import NODES, Json, Kube, audit_mark, audit_since, kubelet_stop, readiness, wait
from .site import Site
from .workload import Workload, nodes

NAME = "lab-check"
TOKEN = "chk001.0123456789abcdef"


def check(site: Site, say: Progress) -> None:
    """Some 20 s, most of them LAB_NODE_GRACE. Leaves an empty namespace behind."""
    kube = Kube(site.kubeconfig, agent=NAME)
    with nodes(kube, 3, prefix=NAME) as names, Workload(kube, NAME) as workload:
        workload.deployment("blocked", 2, min_available=2)
        workload.deployment("slow", 2, stop_seconds=2, max_unavailable=1)
        workload.stateful_set("disk", 1, volumes=True)
        say(f"pods run after {workload.wait_running():.1f} s")
        wait("volume attached", workload.attached)
        mark = audit_mark(site.audit_log)
        ensure(evict(workload, "blocked") == 429, "a PDB that allows 0 evictions did not prevent one")
        ensure(evict(workload, "slow") == 201, "an eviction within the budget was refused")
        gone = wait("eviction", lambda: len(workload.pods("slow")) == 2 and all(map(is_running, workload.pods("slow"))))[1]
        say(f"evicted pod replaced after {gone:.1f} s")
        evictions = [call for call in audit_since(mark, site.audit_log) if call["objectRef"].get("subresource") == "eviction"]
        ensure(len(evictions) == 2, f"the audit log shows {len(evictions)} evictions, not 2")
        kubelet_stop(kube, names[0])
        silent = wait("NotReady", lambda: readiness(kube.get(f"{NODES}/{names[0]}")) == "Unknown", 90)[1]
        say(f"node without kubelet NotReady after {silent:.1f} s")
    tokens(kube, say)


def evict(workload: Workload, app: str) -> int:
    """The status of the answer."""
    name = workload.pods(app)[0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": workload.namespace}}
    return workload.kube.raw("POST", f"{workload.pods_path}/{name}/eviction", body)[0]


def is_running(pod: Json) -> bool:
    return bool(pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp"))


def tokens(kube: Kube, say: Progress) -> None:
    """A guest with a good token joins, one with a bad one does not."""
    joiner = Joiner(ccm=True)
    secret = f"{TOKEN_SECRETS}/bootstrap-token-{TOKEN[:6]}"
    kube.delete(secret)
    create_token(kube, TOKEN, (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    began = say.seconds()
    good = VM(id="good", name=f"{NAME}-good", provider_id="lab:///good", user_data=f"bootstrap_token: {TOKEN}\n")
    bad = VM(id="bad", name=f"{NAME}-bad", provider_id="lab:///bad", user_data="bootstrap_token: aaaaaa.0123456789abcdef\n")
    try:
        ensure(joiner.boot(good), "a guest with a good token did not join")
        say(f"guest joined by token after {say.seconds() - began:.1f} s")
        ensure(not joiner.boot(bad) and kube.find(f"{NODES}/{bad.name}") is None, "a guest with a bad token joined")
    finally:
        joiner.delete(good.id)
        joiner.delete(bad.id)
        kube.delete(secret)


def ensure(condition: bool, what: str) -> None:
    if not condition:
        raise LabError(what)
