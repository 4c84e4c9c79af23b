# SPDX-License-Identifier: GPL-3.0-or-later
"""The role takes what the module takes: its argument specs and its task are made from the module's documentation.

pytest tests/unit/entry/test_role.py --update writes both anew.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.modules import node_pool

ROLE = Path(__file__).resolve().parents[3] / "roles/node_pool"
NOT_FOR_ROLES = ("stop_file",)  # the action plugin's
LICENSE = "# SPDX-License-Identifier: GPL-3.0-or-later\n---\n"
ARGUMENT_KEYS = ("description", "type", "elements", "required", "choices", "default")


class IndentedDumper(yaml.SafeDumper):
    """Lists are indented below their key, as yamllint wants them."""

    def increase_indent(self, flow: Any = None, indentless: Any = None) -> None:
        del indentless
        super().increase_indent(flow, indentless=False)


def dump(value: Any) -> str:
    return yaml.dump(value, Dumper=IndentedDumper, sort_keys=False, width=120)


def module_options() -> dict[str, Any]:
    """The module's options, fragments included, in their order."""
    documentation = yaml.safe_load(node_pool.DOCUMENTATION)
    options = dict(documentation["options"])
    for name in documentation["extends_documentation_fragment"]:
        _namespace, _collection, fragment, *variant = name.split(".")
        loaded = importlib.import_module(f"ansible_collections.immutable.fleet.plugins.doc_fragments.{fragment}").ModuleDocFragment
        options |= yaml.safe_load(getattr(loaded, variant[0].upper() if variant else "DOCUMENTATION"))["options"]
    return {name: option for name, option in options.items() if name not in NOT_FOR_ROLES}


def argument(option: dict[str, Any]) -> dict[str, Any]:
    """An option as role argument specs have it; defaults are the module's business, and shown."""
    spec = {key: option[key] for key in ARGUMENT_KEYS if key in option}
    if "description" in spec:
        spec["description"] = in_the_roles_words(spec["description"])
    if "suboptions" in option:
        spec["options"] = {name: argument(inner) for name, inner in option["suboptions"].items()}
    return spec


def in_the_roles_words(text: Any) -> Any:
    """A link to an option of the module, as O(strategy.max_surge), becomes one to the role's variable."""
    if isinstance(text, list):
        return [in_the_roles_words(line) for line in text]
    return re.sub(r"\bO\(([a-z])", r"O(node_pool_\1", text)


def wanted_specs() -> str:
    arguments = {f"node_pool_{name}": argument(option) for name, option in module_options().items()}
    main = {
        "short_description": "Provision, scale and roll a pool of identical machines",
        "description": [
            "Each variable is the option of the same name of the module immutable.fleet.node_pool.",
            "The module's answer is in the variable node_pool_result.",
        ],
        "author": ["immutable.fleet contributors"],
        "version_added": "0.1.0",
        "options": arguments,
    }
    return LICENSE + dump({"argument_specs": {"main": main}})


def variable(name: str, rest: str = "") -> str:
    return "{{ node_pool_" + name + rest + " }}"


def wanted_task() -> str:
    arguments = {
        name: variable(name) if option.get("required") else variable(name, " | default(omit)") for name, option in module_options().items()
    }
    task = {
        "name": "Bring the pool to what the variables describe",
        "immutable.fleet.node_pool": arguments,
        "register": "node_pool_result",
    }
    return LICENSE + dump([task])


@pytest.mark.parametrize(("file", "wanted"), [("meta/argument_specs.yml", wanted_specs), ("tasks/main.yml", wanted_task)])
def test_the_role_is_the_modules_twin(file: str, wanted: Any, request: pytest.FixtureRequest) -> None:
    """A new option reaches the role with the same commit."""
    path = ROLE / file
    if request.config.getoption("update"):
        path.write_text(wanted())
    assert path.read_text() == wanted()
