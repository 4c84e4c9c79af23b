# SPDX-License-Identifier: GPL-3.0-or-later
"""What real API servers refuse: wrong options before anything is touched, and creates that no cloud can fulfil."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.client import IMAGE
from ansible_collections.immutable.fleet.tests.labs.kubernetes.kube import Json, Kube
from ansible_collections.immutable.fleet.tests.labs.kubernetes.site import Site
from ansible_collections.immutable.fleet.tests.labs.openstack.site import PASSWORD
from ansible_collections.immutable.fleet.tests.labs.openstack.site import Site as OpenStackSite
from ansible_collections.immutable.fleet.tests.system import openstack_lab
from ansible_collections.immutable.fleet.tests.system.audit import Ledger
from ansible_collections.immutable.fleet.tests.system.estate import Estate
from ansible_collections.immutable.fleet.tests.system.playbook import Playbooks, Running

pytestmark = openstack_lab.MARKS

DOUBLE = "golden-double"
CROWD = 4  # machines wanted at once where the quota is two
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


@pytest.fixture(scope="module", autouse=True)
def _lab() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        openstack_lab.use_or_skip(environment)
        yield


@pytest.fixture(scope="module")
def hopeless(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Estate, Running]]]:
    """Two runs that cannot succeed, side by side: servers that end in ERROR, and a quota of two."""
    failing = Estate("error", kube, Playbooks(tmp_path_factory.mktemp("error")), openstack={"metadata": {"lab_fail": "abort"}})
    network = {"networks": [{"network": "small-net"}]}
    crowded = Estate("quota", kube, Playbooks(tmp_path_factory.mktemp("quota")), cloud="small", openstack=network)
    estates = {"error": failing, "quota": crowded}
    try:
        for each in estates.values():
            each.remove()
        yield {name: (each, each.start(replicas=1 if name == "error" else CROWD)) for name, each in estates.items()}
    finally:
        for each in estates.values():
            each.remove()


def test_a_wrong_option_is_refused_before_anything_is_touched(
    hopeless: object, kube: Kube, kubernetes_site: Site, doubled: None, tmp_path: Path
) -> None:
    """With its path, what was expected or found, and how to go on."""
    pool = Estate("wrong", kube, Playbooks(tmp_path))
    config, keystone = str(kubernetes_site.kubeconfig), OpenStackSite.from_environment().keystone
    login = {"auth_url": keystone, "username": "lab", "project_name": "lab", "user_domain_name": "Default"}
    login |= {"project_domain_name": "Default"}
    here = {"host": kubernetes_site.server, "validate_certs": False}
    wrong: list[tuple[Json, str, str, str]] = [
        (_openstack(pool, image="golden-v9"), "invalid", "openstack.image", "there is no image 'golden-v9'"),
        (_openstack(pool, image=DOUBLE), "invalid", "openstack.image", "means 2 images"),
        (_openstack(pool, flavor="m9.huge"), "invalid", "openstack.flavor", "there are m1."),
        (_openstack(pool, networks=[{"network": "nowhere"}]), "invalid", "openstack.networks[].network", "no network 'nowhere'"),
        (_openstack(pool, cloud="nowhere"), "invalid", "openstack.cloud", "nowhere"),
        (_openstack(pool, cloud=None, auth={**login, "password": "expired"}), "denied", "openstack.auth", "credentials"),
        (
            _openstack(pool, cloud=None, auth={**login, "password": PASSWORD, "auth_url": "http://127.0.0.1:1"}),
            "unreachable",
            "openstack.auth.auth_url",
            "127.0.0.1",
        ),
        (_kubernetes(pool, kubeconfig=config, context="nowhere"), "invalid", "kubernetes.context", "nowhere"),
        (_kubernetes(pool, kubeconfig=str(tmp_path / "none")), "invalid", "kubernetes.kubeconfig", f"{tmp_path}/none"),
        (_kubernetes(pool, host="https://127.0.0.1:1", api_key="x"), "unreachable", "kubernetes.host", "127.0.0.1"),
        (_kubernetes(pool, **here, api_key="expired"), "denied", "kubernetes.api_key", "Unauthorized"),
        (_kubernetes(pool, **here, api_key=_token_without_rights(kube)), "denied", "kubernetes", "cannot"),
    ]
    ledger = Ledger.open(pool.name)
    results = pool.playbooks.refusals("node_pool", [task for task, *_expected in wrong])
    for result, (_task, code, where, said) in zip(results, wrong, strict=True):
        failure = result.get("failure") or {"what": result["msg"]}
        print(f"\n{failure}", end="")
        assert (result["failed"], failure.get("code"), result["changed"]) == (True, code, False), failure
        assert where in failure["where"], failure
        assert said in failure["what"], failure
        assert failure["forward"], failure
    assert ledger.lock_writes() == 0
    assert (pool.names(), pool.ports(), pool.tokens(), pool.holder()) == ([], [], [], "")


def test_FM22_FM24_servers_in_error_leave_nothing_and_their_fault_is_told(hopeless: dict[str, tuple[Estate, Running]]) -> None:
    """Each is deleted with its ports and tried again; in the end the message has Nova's own words."""
    pool, run = hopeless["error"]
    outcome = run.outcome()
    failure = outcome.failure
    assert failure["code"] == "exhausted"
    assert "gave up after 5 failed creates" in failure["what"]
    assert "aborted: lab_fail=abort" in failure["what"]
    assert outcome.result["summary"]["created"] == outcome.result["summary"]["deleted"] == 5
    assert (pool.names(), pool.ports(), pool.tokens(), pool.holder()) == ([], [], [], "")


def test_FM27_a_quota_that_is_too_small_is_named_before_anything_is_touched(hopeless: dict[str, tuple[Estate, Running]]) -> None:
    """With its numbers and the command that raises it; of a pool that would not be complete nothing is made."""
    pool, run = hopeless["quota"]
    outcome = run.outcome()
    failure = outcome.failure
    assert (failure["code"], outcome.result["changed"]) == ("exhausted", False)
    assert failure["what"] == f"no room for {CROWD} machines, 2 fit: instances: 0 of 2 used, {CROWD} more take {CROWD}"
    assert failure["where"].startswith(f"pool {pool.name}, compute quota of project ")
    assert failure["forward"].startswith("openstack quota set --instances "), "and cores, of which surge and quarantine take more too"
    assert (pool.names(), pool.ports(), pool.holder()) == ([], [], "")


@pytest.fixture
def doubled() -> Iterator[None]:
    """Two images of one name."""
    import openstack

    images = openstack.connect(cloud="user").image
    made = [
        images.create_image(name=DOUBLE, data=b"x" * 512, disk_format="raw", container_format="bare", allow_duplicates=True)
        for _number in range(2)
    ]
    yield
    for image in made:
        openstack_lab.client().request("DELETE", IMAGE, f"/images/{image.id}")


def _openstack(pool: Estate, **options: Any) -> Json:
    return pool.task(replicas=1, openstack=options)


def _kubernetes(pool: Estate, **options: Any) -> Json:
    return {**pool.task(replicas=1), "kubernetes": options}


def _token_without_rights(kube: Kube) -> str:
    kube.ensure(ACCOUNTS, {"metadata": {"name": "no-rights"}})
    answer = kube.post(f"{ACCOUNTS}/no-rights/token", {"spec": {"expirationSeconds": 600}})
    return str(answer["status"]["token"])
