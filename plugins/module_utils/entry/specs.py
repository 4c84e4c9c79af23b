# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module, declared once a subject. A subject's twin is the doc fragment of the same name and order.

Durations and counts are texts here ("20m", "25%"; a plain number is taken too): entry/parse turns them into values and
names the option's path when they are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import env_fallback

from ansible_collections.immutable.fleet.plugins.module_utils.entry.cloud_specs import OPENSTACK, SIMULATED, VSPHERE
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import Options, Spec
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import from_environment as _from_environment
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import text as _text
from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import texts as _texts

# --- kubernetes: as in kubernetes.core ---------------------------------------------------------------------------------

KUBERNETES = Spec(
    {
        "kubernetes": {
            "type": "dict",
            "options": {
                "kubeconfig": {"type": "raw", "no_log": False, "fallback": (env_fallback, ["K8S_AUTH_KUBECONFIG"])},
                "context": _from_environment("K8S_AUTH_CONTEXT"),
                "host": _from_environment("K8S_AUTH_HOST"),
                "api_key": _from_environment("K8S_AUTH_API_KEY", no_log=True),
                "username": _from_environment("K8S_AUTH_USERNAME"),
                "password": _from_environment("K8S_AUTH_PASSWORD", no_log=True),
                "client_cert": {
                    "type": "path",
                    "aliases": ["cert_file"],
                    "fallback": (env_fallback, ["K8S_AUTH_CERT_FILE"]),
                },
                "client_key": {
                    "type": "path",
                    "no_log": False,
                    "aliases": ["key_file"],
                    "fallback": (env_fallback, ["K8S_AUTH_KEY_FILE"]),
                },
                "ca_cert": {
                    "type": "path",
                    "aliases": ["ssl_ca_cert"],
                    "fallback": (env_fallback, ["K8S_AUTH_SSL_CA_CERT"]),
                },
                "validate_certs": {
                    "type": "bool",
                    "aliases": ["verify_ssl"],
                    "fallback": (env_fallback, ["K8S_AUTH_VERIFY_SSL"]),
                },
                "proxy": _from_environment("K8S_AUTH_PROXY"),
                "lock_namespace": _text(default="kube-system"),
            },
        },
    },
)

# --- image: a version of a golden image, or a channel -------------------------------------------------------------------

IMAGE = Spec(
    {
        "image": {
            "type": "dict",
            "options": {
                "channel": _text(),
                "name": _text(),
                "version": _text(),
                "signed_by": _text(),
                "allowed_signers": {"type": "path"},
            },
        },
    },
)

# --- drain, strategy, pool, run -----------------------------------------------------------------------------------------

DRAIN = Spec(
    {
        "drain": {
            "type": "dict",
            "apply_defaults": True,
            "options": {
                "timeout": _text(default="15m"),
                "on_timeout": _text(choices=["skip", "fail", "force"], default="skip"),
                "grace_period": {"type": "int"},
                "delete_emptydir_data": {"type": "bool", "default": True},
                "force": {"type": "bool", "default": False},
                "volume_detach_timeout": _text(default="5m"),
                "delete_timeout": _text(default="10m"),
                "include_cordoned": {"type": "bool", "default": False},
                "rules": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": {
                        "behavior": _text(choices=["Drain", "Skip", "WaitCompleted"], default="Drain"),
                        "order": {"type": "int", "default": 0},
                        "selector": {"type": "dict", "default": {}},
                        "namespaces": {"type": "list", "elements": "str", "default": []},
                    },
                },
            },
        },
    },
)

_PROBE: Options = {
    "type": _text(required=True, choices=["tcp", "http", "https", "tls", "command"]),
    "port": {"type": "int"},
    "path": _text(),
    "host": _text(),
    "status": _texts(),
    "body": _text(),
    "validate_certs": {"type": "bool"},
    "ca_cert": {"type": "path"},
    "expires_in": _text(),
    "command": _texts(),
    "interval": _text(default="10s"),
    "timeout": _text(default="5s"),
    "consecutive_ok": {"type": "int", "default": 3},
    "consecutive_failed": {"type": "int", "default": 3},
}

HEALTH = Spec(
    {
        "health": {
            "type": "dict",
            "apply_defaults": True,
            "options": {
                "remediate": {"type": "bool", "default": True},
                "conditions": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": {
                        "type": _text(required=True),
                        "status": _text(required=True, choices=["True", "False", "Unknown"]),
                        "timeout": _text(default="5m"),
                    },
                },
                "max_unhealthy": _text(default="34%"),
                "max_in_flight": _text(default="5%"),
                "cooldown": _text(default="5m"),
                "suspend_after": {"type": "int", "default": 3},
                "reboot": {"type": "str"},
                "preserve_on_fail": {"type": "int", "default": 0},
                "probes": {"type": "list", "elements": "dict", "default": [], "options": _PROBE},
            },
        },
    },
)

BALANCER = Spec(
    {
        "balancer": {
            "type": "dict",
            "options": {
                "haproxy": {
                    "type": "dict",
                    "options": {
                        "socket": _text(required=True),
                        "backend": _text(required=True),
                        "port": {"type": "int", "required": True},
                        "weight": {"type": "int", "default": 1},
                        "slots": _text(),
                        "server_options": _text(),
                    },
                },
                "octavia": {
                    "type": "dict",
                    "options": {
                        "pool": _text(required=True),
                        "port": {"type": "int", "required": True},
                        "weight": {"type": "int", "default": 1},
                        "subnet_id": _text(),
                    },
                },
                "simulated": {"type": "dict", "options": {"backend": _text(required=True)}},
            },
        },
    },
)

_SCHEDULE: Options = {"cron": _text(), "duration": _text(), "timezone": _text(default="UTC")}
_GATE: Options = {"command": _texts(), "url": _text()}

STRATEGY = Spec(
    {
        "strategy": {
            "type": "dict",
            "apply_defaults": True,
            "options": {
                "type": _text(choices=["rolling_update", "on_delete", "recreate"], default="rolling_update"),
                "max_surge": _text(default="1"),
                "max_unavailable": _text(default="0"),
                "min_ready": _text(default="30s"),
                "startup_timeout": _text(default="20m"),
                "progress_deadline": _text(default="30m"),
                "max_blocked": _text(default="5%"),
                "max_unhealthy_total": _text(default="20%"),
                "steps": _texts(default=[]),
                "soak": _text(default="0"),
                "max_failed_new": _text(),
                "on_breach": _text(choices=["pause", "rollback"], default="pause"),
                "windows": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": {**_SCHEDULE, "cron": _text(required=True), "duration": _text(required=True)},
                },
                "budgets": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": {"count": _text(required=True), **_SCHEDULE},
                },
                "max_age": _text(),
                "order": _text(choices=["longest_drain", "oldest", "newest"], default="longest_drain"),
                "gate": {"type": "dict", "options": _GATE},
                "hooks": {
                    "type": "dict",
                    "options": {"before_drain": {"type": "dict", "options": _GATE}, "before_delete": {"type": "dict", "options": _GATE}},
                },
            },
        },
    },
)

POOL = Spec(
    {
        "name": _text(required=True, aliases=["pool"]),
        "state": _text(choices=["present", "absent"], default="present"),
        "replicas": {"type": "int"},
        "failure_domains": _texts(default=[], aliases=["availability_zones"]),
        "user_data": _text(no_log=True, aliases=["userdata"]),
        "labels": {"type": "dict", "default": {}},
        "taints": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "key": _text(required=True, no_log=False),
                "value": _text(default=""),
                "effect": _text(required=True, choices=["NoSchedule", "PreferNoSchedule", "NoExecute"]),
            },
        },
        "annotations": {"type": "dict", "default": {}},
        "allow_scale_to_zero": {"type": "bool", "default": False},
        "max_scale_down": _text(default="50%"),
    },
    required_if=[("state", "present", ["replicas"])],
)

CHECKUP = Spec(
    {
        "name": _text(required=True, aliases=["pool"]),
        "replicas": {"type": "int", "required": True},
        "lasts": _text(),
        "every": _text(default="30s"),
        **{name: POOL.options[name] for name in ("failure_domains", "user_data", "labels", "taints", "annotations")},
    },
)

RUN = Spec(
    {
        "timeout": _text(),
        "wait": {"type": "bool", "default": True},
        "lock_ttl": _text(default="60s"),
        "call_timeout": _text(default="20s"),
        "events_file": {"type": "path"},
        "report_file": {"type": "path"},
        "metrics_file": {"type": "path"},
        "stop_file": {"type": "path"},
    },
)

NODES = Spec(
    {
        "nodes": _texts(required=True, aliases=["name", "node"]),
        "state": _text(choices=["cordoned", "drained", "uncordoned"], default="drained"),
    },
)

CONTROL = Spec(
    {
        "name": _text(required=True, aliases=["pool"]),
        "state": _text(
            required=True,
            choices=["paused", "resumed", "aborted", "retargeted", "rolled_back", "scaled", "released", "replaced", "protected"],
        ),
        "machine": _text(),
        "image": _text(),
        "replicas": {"type": "int"},
        "max_scale_down": _text(default="50%"),
        "lasts": _text(default="1h"),
    },
    required_if=[("state", state, ["machine"]) for state in ("released", "replaced", "protected")],
)

INFO = Spec({"name": _text(required=True, aliases=["pool"]), "user_data": _text(no_log=True, aliases=["userdata"])})

WORLD = Spec(
    {
        "world": {"type": "path", "required": True, "aliases": ["path"]},
        "state": _text(choices=["present", "absent"], default="present"),
        "speed": {"type": "float", "default": 1.0},
        "seed": {"type": "int"},
        "failure_domains": {"type": "list", "elements": "raw"},
        "images": {"type": "dict"},
        "quotas": {"type": "dict"},
        "nodes": {"type": "list", "elements": "raw"},
        "workloads": {"type": "list", "elements": "dict"},
        "backends": {"type": "list", "elements": "raw"},
        "durations": {"type": "dict"},
        "faults": {"type": "list", "elements": "dict"},
        "skip": _text(),
        "pods_per_node_max": {"type": "int"},
        "cluster": {"type": "bool"},
        "pushes": {"type": "bool"},
        "labels_nodes": {"type": "bool"},
        "deletes_nodes": {"type": "bool"},
    },
)

PROVIDERS = ("openstack", "vsphere", "simulated")
_PROVIDER = {"mutually_exclusive": [PROVIDERS], "required_one_of": [PROVIDERS]}
_CLUSTER = {"mutually_exclusive": [("kubernetes", "simulated")], "required_one_of": [("kubernetes", "simulated")]}
LOCKS = ("kubernetes", "openstack", "simulated")
_LOCK = {"mutually_exclusive": [LOCKS], "required_one_of": [LOCKS]}

NODE_POOL = POOL + IMAGE + STRATEGY + DRAIN + HEALTH + BALANCER + OPENSTACK + VSPHERE + SIMULATED + KUBERNETES + RUN + Spec({}, **_PROVIDER)
NODE_HEALTH = (
    CHECKUP + IMAGE + HEALTH + STRATEGY + DRAIN + BALANCER + OPENSTACK + VSPHERE + SIMULATED + KUBERNETES + RUN + Spec({}, **_PROVIDER)
)
NODE_POOL_INFO = INFO + IMAGE + BALANCER + OPENSTACK + VSPHERE + SIMULATED + KUBERNETES + Spec({}, **_PROVIDER)
NODE_POOL_CONTROL = CONTROL + OPENSTACK + SIMULATED + KUBERNETES + Spec({}, **_LOCK)
NODE_DRAIN = NODES + DRAIN + SIMULATED + KUBERNETES + RUN + Spec({}, **_CLUSTER)


def secrets_of(params: Mapping[str, Any], options: Options) -> list[str]:
    """Every text that a `no_log` option holds, at any depth: what the redactor hides from events and lines."""
    found: list[str] = []
    for name, option in options.items():
        value = params.get(name)
        if option.get("no_log"):
            found.extend(_texts_in(value))
        elif isinstance(value, dict) and "options" in option:
            found.extend(secrets_of(value, option["options"]))
    return found


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts_in(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _texts_in(inner)]
    return [value] if isinstance(value, str) else []
