# SPDX-License-Identifier: GPL-3.0-or-later
"""What options are written with: how they add up, and the short words for the kinds that come again and again."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

Options = dict[str, dict[str, Any]]


class Spec:
    """Options with the conditions between them. Specs add up; an option that two of them declare is a mistake of ours."""

    def __init__(self, options: Options, **conditions: list[Any]) -> None:
        """`conditions` are those of AnsibleModule: mutually_exclusive, required_one_of, required_if, ..."""
        self.options = options
        self.conditions = conditions

    def __add__(self, other: Spec) -> Spec:
        """Both."""
        doubled = self.options.keys() & other.options.keys()
        if doubled:
            raise ValueError(f"declared twice: {sorted(doubled)}")
        names = self.conditions.keys() | other.conditions.keys()
        joined = {name: [*self.conditions.get(name, []), *other.conditions.get(name, [])] for name in names}
        return Spec({**self.options, **other.options}, **joined)

    def create_module(self) -> AnsibleModule:
        """The parameters, checked for type and presence; every module of ours supports check mode."""
        return AnsibleModule(argument_spec=self.options, supports_check_mode=True, **self.conditions)


def text(**more: Any) -> dict[str, Any]:
    """An option that is a text."""
    return {"type": "str", **more}


def texts(**more: Any) -> dict[str, Any]:
    """An option that is a list of texts."""
    return {"type": "list", "elements": "str", **more}


def from_environment(variable: str, **more: Any) -> dict[str, Any]:
    """A text that comes from an environment variable where it is not given."""
    return text(fallback=(env_fallback, [variable]), **more)
