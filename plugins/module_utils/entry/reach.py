# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a task's connection options a command in a message has to repeat, and what it must not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.immutable.fleet.plugins.module_utils.model.reach import CURRENT_CONTEXT, Reach

PATHS = ("kubeconfig", "client_cert", "client_key", "ca_cert")
# option that a command shows where it may -> the variable that says the same; the last three may hold what must not be shown
VARIABLES = {"api_key": "K8S_AUTH_API_KEY", "password": "K8S_AUTH_PASSWORD", "kubeconfig": "K8S_AUTH_KUBECONFIG", "proxy": "K8S_AUTH_PROXY"}
SHOWN = ("kubeconfig", "context", "host", "username", "client_cert", "client_key", "ca_cert", "validate_certs", "proxy", "lock_namespace")
LOCK_NAMESPACE = "kube-system"  # where nothing else is said
# Of OpenStack. What stands in `auth` is said by variables as a whole: half of it would not be joined with the other half.
SHOWN_OF_OPENSTACK = ("cloud", "auth_type", "region_name", "interface", "validate_certs", "ca_cert", "client_cert", "client_key")
INTERFACE = "public"  # where nothing else is said


def reach_of(params: Mapping[str, Any]) -> Reach:
    """How a terminal finds the pool's lock: in the cluster; where there is none, in the simulated world or the OpenStack project.

    Files are named with their whole path, since another terminal is in another folder.
    """
    kubernetes, simulated, openstack = (params.get(provider) for provider in ("kubernetes", "simulated", "openstack"))
    if kubernetes is None and simulated is not None:
        return Reach("simulated", {"world": _whole(simulated["world"])})
    if kubernetes is None and openstack is not None:
        return _reach_of_project(openstack)
    if kubernetes is None:
        return CURRENT_CONTEXT
    secret = [name for name in VARIABLES if kubernetes.get(name) is not None and _is_secret(name, kubernetes[name])]
    options = {name: _say(name, kubernetes[name]) for name in SHOWN if kubernetes.get(name) not in (None, "") and name not in secret}
    if options.get("lock_namespace") == LOCK_NAMESPACE:
        del options["lock_namespace"]
    return Reach("kubernetes", options, tuple(VARIABLES[name] for name in secret))


def _reach_of_project(given: Mapping[str, Any]) -> Reach:
    options = {name: _say(name, given[name]) for name in SHOWN_OF_OPENSTACK if given.get(name) not in (None, "")}
    if options.get("interface") == INTERFACE:
        del options["interface"]
    auth = given.get("auth") or {}
    return Reach("openstack", options, tuple(f"OS_{name.upper()}" for name, value in auth.items() if value is not None))


def _is_secret(name: str, value: Any) -> bool:
    if name == "kubeconfig":
        return not isinstance(value, str)  # its content, keys included
    return name != "proxy" or urlsplit(str(value)).password is not None


def _say(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _whole(value) if name in PATHS else str(value)


def _whole(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  # pathlib is not imported for a path
