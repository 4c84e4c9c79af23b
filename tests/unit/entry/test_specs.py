# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and their documentation are twins: same names, same order, same types and defaults."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.module_utils.entry import cloud_specs, image_specs, specs

FRAGMENTS = "ansible_collections.immutable.fleet.plugins.doc_fragments."
SUBJECTS = {
    "_openstack": cloud_specs.OPENSTACK,
    "_vsphere": cloud_specs.VSPHERE,
    "_simulated": cloud_specs.SIMULATED,
    "_kubernetes": specs.KUBERNETES,
    "_image": specs.IMAGE,
    "_image_store": image_specs.IMAGE_STORE,
    "_drain": specs.DRAIN,
    "_balancer": specs.BALANCER,
    "_strategy": specs.STRATEGY,
    "_health": specs.HEALTH,
    "_run": specs.RUN,
}


def documented(options: dict[str, Any]) -> dict[str, Any]:
    """Documentation, and an argument spec, as the same plain form."""
    plain: dict[str, Any] = {}
    for name, option in options.items():
        inner = option.get("suboptions") or option.get("options")
        plain[name] = {
            **{key: option[key] for key in ("elements", "choices", "aliases", "required") if option.get(key)},
            "type": option.get("type", "str"),
            "default": option.get("default"),
            "options": documented(inner) if inner else None,
            "order": list(inner or ()),
        }
    return plain


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_and_its_fragment_are_twins(name: str) -> None:
    """What ansible-doc shows is what is accepted."""
    fragment = importlib.import_module(FRAGMENTS + name).ModuleDocFragment.DOCUMENTATION
    options = yaml.safe_load(fragment)["options"]
    assert documented(options) == documented(SUBJECTS[name].options)
    assert list(options) == list(SUBJECTS[name].options)


def test_an_option_is_declared_by_one_subject_only() -> None:
    """Two meanings of one name would depend on the order of a sum."""
    with pytest.raises(ValueError, match=r"declared twice: \['drain'\]"):
        specs.DRAIN + specs.DRAIN


def test_secrets_are_found_at_any_depth() -> None:
    """The redactor learns every text of a no_log option, and nothing else: a user's name stays readable."""
    params = {
        "openstack": {"cloud": None, "auth": {"username": "admin", "password": "hunter2", "token": None}},
        "kubernetes": {"api_key": "k8s-token", "host": "https://k8s:6443"},
        "user_data": "#cloud-config",
        "name": "web",
    }
    assert specs.secrets_of(params, specs.NODE_POOL.options) == ["#cloud-config", "hunter2", "k8s-token"]


def test_what_describes_a_pool_describes_it_to_a_check_of_its_health() -> None:
    """The same variables go to both, and one parser reads them."""
    ways_of_a_pool = {"state", "allow_scale_to_zero", "max_scale_down"}
    assert specs.NODE_POOL.options.keys() - specs.NODE_HEALTH.options.keys() == ways_of_a_pool
    assert specs.NODE_HEALTH.options.keys() - specs.NODE_POOL.options.keys() == {"lasts", "every"}
