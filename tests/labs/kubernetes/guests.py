# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a VM and of the guest in it, and the Node that its kubelet would register. Pure."""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .kube import Json

# what a kubelet writes on its Node; without it the attach-detach controller leaves the node alone
ANNOTATIONS = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
NOT_READY = "lab/notready"  # annotation: kwok renews the lease, the node is never Ready
TOKEN = re.compile(r"token[\"'\s:=]*([a-z0-9]{6}\.[a-z0-9]{16})(?![a-z0-9])", re.IGNORECASE)
RESOURCES = {"cpu": "8", "memory": "32Gi", "pods": "110"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VM:
    """A machine as its cloud shows it. `meta` holds server metadata or extraConfig over the image's properties."""

    id: str
    name: str
    on: bool = True
    zone: str = ""
    kind: str = ""  # flavor
    addresses: tuple[str, ...] = ()
    provider_id: str = ""
    image: str = ""  # id of the one that it was made from
    user_data: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "VM":
        """From a JSON object; `labels` may be an object, `taints` a list of "key=value:Effect"."""
        known = {key: value for key, value in event.items() if key in cls.__dataclass_fields__}
        meta = {str(key): str(value) for key, value in event.get("meta", {}).items()}
        if labels := event.get("labels"):
            meta["lab_labels"] = ",".join(f"{key}={value}" for key, value in labels.items())
        if taints := event.get("taints"):
            meta["lab_taints"] = ",".join(taints)
        return cls(**known | {"addresses": tuple(event.get("addresses", ())), "meta": meta})


class Source(Protocol):
    """A cloud that is asked again and again."""

    def servers(self) -> list[VM]:
        """All VMs that exist now. Called each second: must not cost much when nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How the guest of a VM behaves."""

    node: str
    join: str  # "", "never", "notready"
    boot_delay: float | None
    flap: float | None  # seconds between two changes of readiness
    kubelet_stopped: bool
    rejoin: bool
    labels: Mapping[str, str]
    taints: tuple[Json, ...]
    version: str
    token: str | None


def facts(vm: VM, control: Mapping[str, Mapping[str, str]], version: str) -> Facts:
    """The control file wins over metadata, metadata over user data."""
    text = plain(vm.user_data)
    known: dict[str, str] = from_user_data(text)
    known.update(vm.meta)
    for pattern, more in control.items():
        if re.fullmatch(pattern, vm.name):
            known.update(more)
    token = TOKEN.search(text)
    return Facts(
        node=known.get("lab_node_name", vm.name),
        join=known.get("lab_join", ""),
        boot_delay=float(known["lab_boot_delay"]) if known.get("lab_boot_delay") else None,
        flap=float(known["lab_flap"]) if known.get("lab_flap") else None,
        kubelet_stopped=known.get("lab_kubelet") == "stopped",
        rejoin=known.get("lab_rejoin") == "1",
        labels=dict(pair.partition("=")[::2] for pair in words(known.get("lab_labels"))),
        taints=tuple(map(taint, words(known.get("lab_taints")))),
        version=known.get("kubelet_version", version),
        token=token[1].lower() if token else None,
    )


def plain(user_data: str) -> str:
    """User data as text: it comes plain or in base64 (which has no line of more than one word)."""
    if re.fullmatch(r"[A-Za-z0-9+/=\s]+", user_data):
        try:
            return base64.b64decode(user_data, validate=False).decode(errors="replace")
        except binascii.Error:
            return user_data
    return user_data


def from_user_data(text: str) -> dict[str, str]:
    """What the kubelet's command line and the image's settings in user data ask for."""
    found = {}
    for word, key in (
        ("--node-labels", "lab_labels"),
        ("--register-with-taints", "lab_taints"),
        ("lab_kubelet_version", "kubelet_version"),
    ):
        if match := re.search(word + r"[=:]\s*[\"']?([^\s\"']+)", text):
            found[key] = match[1]
    return found


def words(text: str | None) -> Iterable[str]:
    return filter(None, (text or "").split(","))


def taint(text: str) -> Json:
    """From "key=value:Effect" or "key:Effect"."""
    pair, _colon, effect = text.partition(":")
    key, _equals, value = pair.partition("=")
    return {"key": key, "value": value, "effect": effect}


def node(vm: VM, guest: Facts, boot_id: str) -> Json:
    """The Node that the guest's kubelet registers."""
    labels = {"kubernetes.io/hostname": guest.node, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    if vm.zone:
        labels |= {"topology.kubernetes.io/zone": vm.zone, "topology.kubernetes.io/region": "lab"}
    if vm.kind:
        labels["node.kubernetes.io/instance-type"] = re.sub(r"[^\w.-]", "_", vm.kind)
    number = zlib.crc32(vm.id.encode())
    address = vm.addresses[0] if vm.addresses else f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    notes = ANNOTATIONS | ({NOT_READY: "true"} if guest.join == "notready" else {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": guest.node, "labels": labels | dict(guest.labels), "annotations": notes},
        "spec": {"providerID": vm.provider_id, "taints": list(guest.taints)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": guest.node}],
            "capacity": RESOURCES,
            "allocatable": RESOURCES,
            "nodeInfo": {
                "kubeletVersion": guest.version,
                "systemUUID": vm.id,
                "machineID": vm.id,
                "bootID": boot_id,
                "osImage": "lab",
                "architecture": "amd64",
                "operatingSystem": "linux",
                "kernelVersion": "6.1.0-lab",
                "containerRuntimeVersion": "containerd://2.1.0",
                "kubeProxyVersion": "",
            },
        },
    }
