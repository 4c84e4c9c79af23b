# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Kubernetes roles write for machines: cloud-configs that node_pool fills and kubeadm reads."""

from __future__ import annotations

from typing import Any

import yaml

from ansible_collections.immutable.fleet.plugins.module_utils.model.user_data import placeholders, render
from ansible_collections.immutable.fleet.tests.playbooks.conftest import Site

MACHINE = {
    "machine_name": "web-3-x7k2p",
    "api_server": "api.example.org:6443",
    "bootstrap_token": "012345.0123456789012345",  # a number, for whoever reads it as one
    "ca_hash": "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
}
KEY = "00" * 32
GIVEN = {
    "kubernetes_worker_kubelet": {"maxPods": 150},
    "kubernetes_worker_kubelet_args": {"cloud-provider": "external", "v": 2},
    "kubernetes_worker_cloud_config": {"ntp": {"enabled": True}, "runcmd": [["mkdir", "/data"]], "write_files": [{"path": "/etc/motd"}]},
    "kubernetes_worker_taints": [{"key": "pool", "value": "web", "effect": "NoSchedule"}],
    "kubernetes_control_plane_certificate_key": KEY,
    "kubernetes_control_plane_cluster": {"kubernetesVersion": "v1.34.2", "controlPlaneEndpoint": "api.example.org:6443"},
    "kubernetes_control_plane_kube_proxy": {"mode": "nftables"},
}
FLAGS = [{"name": "cloud-provider", "value": "external"}, {"name": "v", "value": "2"}]  # kubeadm refuses a value that is no text
ROLES = {
    "worker": ("kubernetes_worker", "user_data"),
    "joins": ("kubernetes_control_plane", "join"),
    "begins": ("kubernetes_control_plane", "init"),
}


def texts(site: Site) -> dict[str, str]:
    """`{which: user data for node_pool}`, all by one playbook; nothing that it shows has the key in it."""
    tasks: list[dict[str, Any]] = []
    for which, (role, entry) in ROLES.items():
        tasks.append({"ansible.builtin.include_role": {"name": f"immutable.fleet.{role}", "tasks_from": entry}})
        kept = {"content": "{{ " + role + "_user_data }}", "dest": str(site.folder / which), "mode": "0600"}
        tasks.append({"ansible.builtin.copy": kept, "no_log": True})
    run = site.run(tasks, "-vvv", vars=GIVEN)
    assert run.code == 0, run.text
    assert KEY not in run.text
    return {which: (site.folder / which).read_text(encoding="utf-8") for which in ROLES}


def file_of(document: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The documents of a file that cloud-init writes."""
    (content,) = [file["content"] for file in document["write_files"] if file["path"] == path]
    return list(yaml.safe_load_all(content))


def test_machines_join_by_user_data(site: Site) -> None:
    """A worker and a control plane join with what is known of each machine; the first machine begins a cluster."""
    given = texts(site)
    assert all(text.startswith("#cloud-config\n") for text in given.values())
    assert {which: placeholders(text) for which, text in given.items()} == {
        "worker": frozenset(MACHINE),
        "joins": frozenset(MACHINE),
        "begins": frozenset({"machine_name"}),
    }
    worker, joins, begins = (yaml.safe_load(render(text, MACHINE)) for text in given.values())

    assert worker["runcmd"] == [
        ["mkdir", "/data"],
        ["systemctl", "enable", "kubelet.service"],
        ["kubeadm", "join", "--config=/etc/kubernetes/join.json"],
        ["rm", "-f", "/etc/kubernetes/join.json"],
    ]
    assert worker["ntp"] == {"enabled": True}
    assert [(file["path"], file.get("permissions")) for file in worker["write_files"]] == [
        ("/etc/kubernetes/join.json", "0600"),
        ("/etc/kubernetes/patches/kubeletconfiguration+merge.json", "0644"),
        ("/etc/motd", None),
    ]
    assert file_of(worker, "/etc/kubernetes/join.json") == [
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "JoinConfiguration",
            "discovery": {
                "bootstrapToken": {
                    "apiServerEndpoint": MACHINE["api_server"],
                    "token": MACHINE["bootstrap_token"],
                    "caCertHashes": [MACHINE["ca_hash"]],
                }
            },
            "nodeRegistration": {
                "name": MACHINE["machine_name"],
                "criSocket": "unix:///run/containerd/containerd.sock",
                "kubeletExtraArgs": FLAGS,
                "taints": GIVEN["kubernetes_worker_taints"],
            },
            "patches": {"directory": "/etc/kubernetes/patches"},
        }
    ]
    assert file_of(worker, "/etc/kubernetes/patches/kubeletconfiguration+merge.json") == [{"maxPods": 150}]

    (join,) = file_of(joins, "/etc/kubernetes/join.json")
    assert join["controlPlane"] == {"certificateKey": KEY}
    assert join["discovery"]["bootstrapToken"]["token"] == MACHINE["bootstrap_token"]

    assert ["kubeadm", "init", "--config=/etc/kubernetes/init.yaml", "--upload-certs"] in begins["runcmd"]
    begin, cluster, kubelet, kube_proxy = file_of(begins, "/etc/kubernetes/init.yaml")
    assert (begin["kind"], begin["certificateKey"]) == ("InitConfiguration", KEY)
    assert (begin["nodeRegistration"]["name"], begin["nodeRegistration"]["kubeletExtraArgs"]) == (MACHINE["machine_name"], FLAGS)
    assert (cluster["kind"], cluster["controlPlaneEndpoint"]) == ("ClusterConfiguration", "api.example.org:6443")
    assert (kubelet["kind"], kubelet["maxPods"]) == ("KubeletConfiguration", 150)
    assert (kube_proxy["kind"], kube_proxy["mode"]) == ("KubeProxyConfiguration", "nftables")
