# SPDX-License-Identifier: GPL-3.0-or-later
"""A role takes what its module takes: its argument specs and its task are made from the module's documentation.

pytest tests/unit/entry/test_role.py --update writes both anew.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from ansible_collections.immutable.fleet.plugins.modules import node_health, node_pool

ROLES = Path(__file__).resolve().parents[3] / "roles"
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


@dataclass(frozen=True)
class Twin:
    """A role and its module; `short` and `task` are what people read of them. `has_only`: one pool of an inventory can be picked."""

    role: str
    module: ModuleType
    short: str
    task: str
    has_only: bool = False

    @property
    def name(self) -> str:
        return f"immutable.fleet.{self.module.__name__.rpartition('.')[2]}"


NODE_POOL = Twin(
    "node_pool", node_pool, "Provision, scale and roll a pool of identical machines", "Bring the pool to what the variables describe"
)
REMEDIATE = Twin(
    "remediate", node_health, "Replace the unhealthy machines of a pool", "Replace the unhealthy machines of the pool", has_only=True
)


def module_options(module: ModuleType) -> dict[str, Any]:
    """The module's options, fragments included, in their order."""
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = dict(documentation["options"])
    for name in documentation["extends_documentation_fragment"]:
        _namespace, _collection, fragment, *variant = name.split(".")
        loaded = importlib.import_module(f"ansible_collections.immutable.fleet.plugins.doc_fragments.{fragment}").ModuleDocFragment
        options |= yaml.safe_load(getattr(loaded, variant[0].upper() if variant else "DOCUMENTATION"))["options"]
    return {name: option for name, option in options.items() if name not in NOT_FOR_ROLES}


def argument(option: dict[str, Any], role: str) -> dict[str, Any]:
    """An option as role argument specs have it; defaults are the module's business, and shown."""
    spec = {key: option[key] for key in ARGUMENT_KEYS if key in option}
    if "description" in spec:
        spec["description"] = in_the_roles_words(spec["description"], role)
    if "suboptions" in option:
        spec["options"] = {name: argument(inner, role) for name, inner in option["suboptions"].items()}
    return spec


def in_the_roles_words(text: Any, role: str) -> Any:
    """A link to an option of the module, as O(strategy.max_surge), becomes one to the role's variable."""
    if isinstance(text, list):
        return [in_the_roles_words(line, role) for line in text]
    return re.sub(r"\bO\((?!immutable\.)([a-z])", rf"O({role}_\1", text)


ONLY = {
    "description": [
        "Name of the only pool to look after, of those of an inventory. Nothing is done for one of another name.",
        "All of them where it is not given.",
    ],
    "type": "str",
}


def wanted_specs(twin: Twin) -> str:
    arguments = {f"{twin.role}_{name}": argument(option, twin.role) for name, option in module_options(twin.module).items()}
    arguments |= {f"{twin.role}_only": ONLY} if twin.has_only else {}
    main = {
        "short_description": twin.short,
        "description": [
            f"Each variable is the option of the same name of the module {twin.name}.",
            f"The module's answer is in the variable {twin.role}_result.",
        ],
        "author": ["immutable.fleet contributors"],
        "version_added": "0.1.0",
        "options": arguments,
    }
    return LICENSE + dump({"argument_specs": {"main": main}})


def variable(role: str, name: str, rest: str = "") -> str:
    return "{{ " + role + "_" + name + rest + " }}"


def wanted_task(twin: Twin) -> str:
    arguments = {
        name: variable(twin.role, name, "" if option.get("required") else " | default(omit)")
        for name, option in module_options(twin.module).items()
    }
    task: dict[str, Any] = {"name": twin.task, twin.name: arguments, "register": f"{twin.role}_result"}
    if twin.has_only:
        task["when"] = f"{twin.role}_only is not defined or {twin.role}_only == {twin.role}_name"
    return LICENSE + dump([task])


@pytest.mark.parametrize("twin", [NODE_POOL, REMEDIATE], ids=lambda twin: twin.role)
@pytest.mark.parametrize(("file", "wanted"), [("meta/argument_specs.yml", wanted_specs), ("tasks/main.yml", wanted_task)])
def test_the_role_is_the_modules_twin(twin: Twin, file: str, wanted: Any, request: pytest.FixtureRequest) -> None:
    """A new option reaches the role with the same commit."""
    path = ROLES / twin.role / file
    if request.config.getoption("update"):
        path.write_text(wanted(twin))
    assert path.read_text() == wanted(twin)
