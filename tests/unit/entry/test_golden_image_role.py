# SPDX-License-Identifier: GPL-3.0-or-later
"""The role golden_image takes what its modules take: argument specs and the build's task are made from their documentation.

pytest tests/unit/entry/test_golden_image_role.py --update writes both anew.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.entry import image_specs
from ansible_collections.immutable.fleet.plugins.modules import golden_image, golden_image_build, golden_image_channel
from ansible_collections.immutable.fleet.tests.unit.entry.test_role import LICENSE, ROLES, argument, dump, module_options, variable

ROLE = "golden_image"
OF_BUILD = module_options(golden_image_build)
OF_IMAGE = module_options(golden_image)
OF_CHANNEL = module_options(golden_image_channel)
STORE = {name: OF_IMAGE[name] for name in image_specs.STORES}

CANARY: dict[str, Any] = {
    "description": [
        "Image and channel that get the version before it is promoted, as V(web/canary), for pools that try it.",
        "What this channel does not point to any more is not promoted.",
    ],
    "type": "str",
}
GATE: dict[str, Any] = {
    "description": [
        "Who is asked before O(channel) is pointed to a version that it never pointed to.",
        "What does not pass ends the run with a failure, and the next run asks again.",
        "Exactly one of O(gate.command) and O(gate.url).",
    ],
    "type": "dict",
    "suboptions": {
        "command": {
            "description": [
                "A program of the host that the role works on, with its arguments, not run by a shell. It passes by ending with 0.",
                "It finds the variables C(FLEET_IMAGE), C(FLEET_VERSION) and C(FLEET_CHANNEL) in its environment.",
            ],
            "type": "list",
            "elements": "str",
        },
        "url": {
            "description": [
                "An C(http) or C(https) address that passes by answering 2xx. A redirect is not followed and does not pass.",
                "V(${image}), V(${version}) and V(${channel}) are replaced in it. It is no place for a secret.",
            ],
            "type": "str",
        },
        "tries": {"description": "How often it is asked at most.", "type": "int", "default": 1},
        "pause": {"description": "Seconds between two tries.", "type": "int", "default": 60},
    },
}
REVOKE: dict[str, Any] = {
    "description": "Whether nobody may use the version any more. Then every channel points to the one before, whatever its name.",
    "type": "bool",
    "default": False,
}

PUBLISH = {**OF_BUILD, **{name: OF_IMAGE[name] for name in ("sign_with", "visibility", "properties")}, **STORE}
PROMOTE = {
    "name": OF_IMAGE["name"],
    "version": {
        **OF_CHANNEL["version"],
        "description": "The version to promote. That of the entry point C(publish) of the same run where it is not given.",
    },
    "channel": OF_CHANNEL["channel"],
    "canary": CANARY,
    "gate": GATE,
    "reason": OF_CHANNEL["reason"],
    **STORE,
}
ROLL_BACK = {
    "name": OF_IMAGE["name"],
    "version": {"description": "The version to leave. Channels that point to another one stay.", "type": "str", "required": True},
    "channel": OF_CHANNEL["channel"],
    "canary": {**CANARY, "description": "Another channel, which is pointed away from the version as well."},
    "revoke": REVOKE,
    "reason": {**OF_CHANNEL["reason"], "required": True, "default": None},
    **STORE,
}
RESULT = "What it is, with C(name), C(version), C(ref), C(id) and C(digest), is in the variable golden_image_result."
ENTRY_POINTS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "main": (
        "Bake an image, publish it, and point a channel to it",
        ["The entry points C(publish), and C(promote) where O(channel) is given.", RESULT],
        {**PUBLISH, **{name: {**PROMOTE[name], "required": False} for name in ("channel", "canary", "gate", "reason")}},
    ),
    "publish": (
        "Bake an image and publish it",
        ["What is published already is not built again, whichever host built it: inputs make the version.", RESULT],
        PUBLISH,
    ),
    "promote": (
        "Point a channel to a version, once, behind a gate",
        ["A version that the channel pointed to before is left alone, so that one that was rolled back from stays away."],
        PROMOTE,
    ),
    "roll_back": (
        "Point channels to the version before, and forbid the one that they leave where asked to",
        ["Run twice it rolls back once."],
        ROLL_BACK,
    ),
}


def options_of(options: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, option in options.items():
        spec = argument(option, ROLE)
        if not spec.get("required"):
            spec.pop("required", None)
        if spec.get("default", "") is None:
            spec.pop("default")
        found[f"{ROLE}_{name}"] = spec
    return found


def wanted_specs() -> str:
    specs = {
        entry: {
            "short_description": short,
            "description": description,
            "author": ["immutable.fleet contributors"],
            "version_added": "0.1.0",
            "options": options_of(options),
        }
        for entry, (short, description, options) in ENTRY_POINTS.items()
    }
    for spec in specs.values():
        spec["description"] = argument({"description": spec["description"]}, ROLE)["description"]
    return LICENSE + dump(json.loads(json.dumps({"argument_specs": specs})))  # copied, so that no part is written as an alias of another


def wanted_build() -> str:
    given = {name: variable(ROLE, name, "" if option.get("required") else " | default(omit)") for name, option in OF_BUILD.items()}
    task = {
        "name": "Make it, judge it, boot it",
        "immutable.fleet.golden_image_build": given,
        "become": True,
        "check_mode": "{{ golden_image_is_asked_only or ansible_check_mode }}",
        "register": "golden_image_built",
        "changed_when": "golden_image_built.changed and not golden_image_is_asked_only",
    }
    return LICENSE + dump([task])


@pytest.mark.parametrize(("file", "wanted"), [("meta/argument_specs.yml", wanted_specs), ("tasks/build.yml", wanted_build)])
def test_the_role_takes_what_its_modules_take(file: str, wanted: Any, request: pytest.FixtureRequest) -> None:
    """A new way to build reaches the role with the same commit."""
    path = ROLES / ROLE / file
    if request.config.getoption("update"):
        path.write_text(wanted())
    assert path.read_text() == wanted()
