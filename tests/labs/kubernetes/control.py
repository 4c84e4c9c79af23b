# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and stops the lab's Kubernetes: etcd, the control plane, and kwok in the place of the kubelets.

Promises: `up` on a running cluster changes nothing and brings back what has died; `up --fresh` ends with an empty one.
"""

import json
import shutil
import signal
import ssl
import urllib.request
from pathlib import Path

from ..processes import Processes, Progress
from . import certificates
from .kube import Json, Kube
from .site import IP, Site

ORDER = ("etcd", "apiserver", "controller-manager", "scheduler", "kwok")
HEALTH_SECONDS = 180  # 4 s on a quiet machine
RBAC = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
# what kubeadm binds too: who holds a bootstrap token may ask for a kubelet's certificate, and gets it
BOOTSTRAP_ROLES = {
    "lab:kubelet-bootstrap": "system:node-bootstrapper",
    "lab:node-autoapprove-bootstrap": "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
}


class Kubernetes:
    """The lab's cluster; tests use start_one() and stop_one() to break it."""

    def __init__(self, site: Site, say: Progress) -> None:
        self.site, self.say = site, say
        self.processes = Processes(site.run, site.log, site.home)

    def up(self, *, fresh: bool = False) -> None:
        """Ends when every component is healthy and a pod could be made."""
        if fresh:
            self.down()
            shutil.rmtree(self.site.data, ignore_errors=True)
            shutil.rmtree(self.site.log, ignore_errors=True)
        elif self.runs():
            self.say("Kubernetes is up already")
            return
        for folder in (self.site.pki, self.site.log, self.site.run, self.site.data, self.site.etc):
            folder.mkdir(parents=True, exist_ok=True)
        certificates.make(self.site)
        write_configuration(self.site)
        for name in self.wanted():
            self.start_one(name)
        kube = Kube(self.site.kubeconfig)
        for binding, role in BOOTSTRAP_ROLES.items():
            kube.ensure(RBAC, cluster_role_binding(binding, role, "system:bootstrappers"))
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.processes.wait_for("the service account", lambda: kube.get(account), HEALTH_SECONDS, self.wanted())
        for name in ORDER[2:]:
            self.wait_healthy(name)
        self.say(f"Kubernetes {self.site.version} is up")

    def runs(self) -> bool:
        return all(map(self.processes.pid, self.wanted()))

    def wanted(self) -> list[str]:
        """Without our etcd when another one is given."""
        return [name for name in ORDER if name != "etcd" or not self.site.etcd_servers]

    def down(self) -> None:
        """Ends every process; the state stays."""
        for name in reversed(ORDER):
            self.stop_one(name)
        self.say("Kubernetes is down")

    def start_one(self, name: str) -> None:
        """Starts a component, unless it runs; the API server is ready afterwards."""
        self.processes.start(name, COMMANDS[name](self.site))
        if name == "apiserver":
            kube = Kube(self.site.kubeconfig)
            self.processes.wait_for(name, lambda: kube.raw("GET", "/readyz")[0] == 200, HEALTH_SECONDS, [name])

    def stop_one(self, name: str, sign: signal.Signals = signal.SIGTERM) -> None:
        """TERM, or KILL for a crash. The API server takes 15 s to end by TERM while clients watch."""
        self.processes.stop([name], 20, sign)

    def forget_history(self) -> int:
        """The versions before the newest one, which is returned, are gone from etcd; the API server does so every 5 min for older ones."""
        newest = self._etcd("maintenance/status")["header"]["revision"]
        self._etcd("kv/compaction", revision=newest, physical=True)
        return int(newest)

    def _etcd(self, call: str, **body: object) -> Json:
        url = (self.site.etcd_servers or f"http://{IP}:{self.site.port('etcd')}").split(",")[0]
        with urllib.request.urlopen(f"{url}/v3/{call}", json.dumps(body).encode(), timeout=20) as answer:
            return dict(json.load(answer))

    def wait_healthy(self, name: str) -> None:
        scheme = "http" if name == "kwok" else "https"
        url = f"{scheme}://{IP}:{self.site.port(name)}/healthz"
        unverified = ssl._create_unverified_context() if scheme == "https" else None  # a certificate made at each start
        self.processes.wait_for(name, lambda: urllib.request.urlopen(url, timeout=5, context=unverified), HEALTH_SECONDS, [name])


def cluster_role_binding(name: str, role: str, group: str) -> dict[str, object]:
    api = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "Group", "name": group}],
    }


def write_configuration(site: Site) -> None:
    """The audit policy, the scheduler's configuration, kwok's stages."""
    control_plane = ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "lab:kwok"]
    audit = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": control_plane},
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
            {"level": site.settings["LAB_AUDIT_LEVEL"]},
        ],
    }
    (site.etc / "audit.json").write_text(json.dumps(audit))
    scheduler = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(site.etc / "scheduler.kubeconfig"), "qps": 500, "burst": 1000},
    }
    (site.etc / "scheduler.json").write_text(json.dumps(scheduler))
    files = sorted(Path(__file__).with_name("stages").glob("*.yaml"))
    stages = "\n---\n".join(file.read_text() for file in files).replace("@KUBELET@", f"v{site.version}")
    for name in ("POD_START", "POD_STOP", "ATTACH", "DETACH"):
        stages = stages.replace(f"@{name}@", site.settings[f"LAB_{name}"])
    (site.etc / "stages.yaml").write_text(stages)


# --- command lines ---------------------------------------------------------------------------------------------------


def etcd(site: Site) -> list[object]:
    """Without fsync: it survives kill -9, not a power cut."""
    client, peer = (f"http://{IP}:{site.port(name)}" for name in ("etcd", "etcd-peer"))
    argv: list[object] = [site.bin / "etcd", "--name=lab", f"--data-dir={site.data / 'etcd'}", "--unsafe-no-fsync"]
    argv.append("--watch-progress-notify-interval=5s")  # as kubeadm: without it a quiet resource's watch gets no bookmark
    argv += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
    argv += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=lab={peer}"]
    return [*argv, "--quota-backend-bytes=4294967296", "--log-level=warn"]


def apiserver(site: Site) -> list[object]:
    pki, servers = site.pki, site.etcd_servers or f"http://{IP}:{site.port('etcd')}"
    seconds = site.settings["LAB_TOLERATION"]
    argv: list[object] = [site.kubernetes / "kube-apiserver", f"--etcd-servers={servers}"]
    argv += [f"--bind-address={IP}", f"--advertise-address={IP}", f"--secure-port={site.port('apiserver')}"]
    # endpoints may not be loopback addresses, so the service `kubernetes` has none
    argv += ["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16"]
    argv += [f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"]
    argv += [f"--client-ca-file={pki}/ca.crt", "--authorization-mode=Node,RBAC"]
    argv += ["--enable-admission-plugins=NodeRestriction", "--enable-bootstrap-token-auth"]
    argv += ["--service-account-issuer=https://kubernetes.default.svc"]
    argv += [f"--service-account-key-file={pki}/sa.key", f"--service-account-signing-key-file={pki}/sa.key"]
    argv += [f"--audit-policy-file={site.etc}/audit.json", f"--audit-log-path={site.audit_log}", "--audit-log-maxsize=1000"]
    argv += [f"--default-{kind}-toleration-seconds={seconds}" for kind in ("not-ready", "unreachable")]
    return argv


def controller_manager(site: Site) -> list[object]:
    argv: list[object] = [site.kubernetes / "kube-controller-manager", "--leader-elect=false"]
    argv += [f"--kubeconfig={site.etc}/controller-manager.kubeconfig", f"--bind-address={IP}"]
    argv += [f"--secure-port={site.port('controller-manager')}", "--use-service-account-credentials"]
    argv += ["--controllers=*,bootstrap-signer-controller,token-cleaner-controller", f"--root-ca-file={site.pki}/ca.crt"]
    argv += [f"--service-account-private-key-file={site.pki}/sa.key"]
    argv += [f"--cluster-signing-cert-file={site.pki}/ca.crt", f"--cluster-signing-key-file={site.pki}/ca.key"]
    argv += [f"--node-monitor-grace-period={site.settings['LAB_NODE_GRACE']}s", "--node-monitor-period=2s"]
    return [*argv, "--kube-api-qps=500", "--kube-api-burst=1000"]


def scheduler(site: Site) -> list[object]:
    argv: list[object] = [site.kubernetes / "kube-scheduler", f"--config={site.etc}/scheduler.json"]
    return [*argv, f"--bind-address={IP}", f"--secure-port={site.port('scheduler')}"]


def kwok(site: Site) -> list[object]:
    """The kubelet of every node."""
    argv: list[object] = [site.bin / "kwok", f"--kubeconfig={site.etc}/kwok.kubeconfig", f"--config={site.etc}/stages.yaml"]
    argv += ["--manage-all-nodes", f"--server-address={IP}:{site.port('kwok')}", "--v=WARN", "--node-ip=10.0.0.1"]
    return [*argv, f"--node-lease-duration-seconds={site.settings['LAB_LEASE_SECONDS']}"]


COMMANDS = {
    "etcd": etcd,
    "apiserver": apiserver,
    "controller-manager": controller_manager,
    "scheduler": scheduler,
    "kwok": kwok,
}
