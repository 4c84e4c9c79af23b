# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of `golden_image_build`. entry/baking.py turns them into a recipe and names the option's path when they are wrong."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import Spec, text, texts

FORMATS = ["qcow2", "raw", "vmdk"]
# The rules of the hygiene gate. Here, because a task that is refused for an option should not compile the rules; a test compares them.
RULES = ["ssh_host_keys", "machine_id", "instance_data", "shell_history", "secrets", "logs", "package_caches", "leftovers"]
RULES += ["ports", "ssh", "users", "sudo", "clock"]

GOLDEN_IMAGE_BUILD = Spec(
    {
        "name": text(required=True),
        "version": text(),
        "path": {"type": "path", "required": True},
        "format": text(choices=FORMATS, default="qcow2"),
        "chroot": {
            "type": "dict",
            "options": {
                "suite": text(required=True),
                "mirror": text(),
                "components": texts(default=["main"]),
                "variant": text(choices=["minbase", "apt", "important", "standard"], default="minbase"),
                "packages": texts(default=[]),
                "apt_options": texts(default=[]),
                "size": text(),
            },
        },
        "file": {"type": "path"},
        "roles": texts(),
        "roles_path": {"type": "list", "elements": "path", "default": []},
        "variables": {"type": "dict"},
        "extra_inputs": {"type": "list", "elements": "path", "default": []},
        "parent": text(default=""),
        "git_commit": text(),
        "hygiene": {
            "type": "dict",
            "apply_defaults": True,
            "options": {
                "ports": {"type": "list", "elements": "int", "default": []},
                "ssh": {"type": "bool", "default": True},
                "users": texts(default=[]),
                "sudoers": texts(default=[]),
                "clock_sync": {"type": "bool", "default": True},
                "allow": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": {
                        "rule": text(required=True, choices=RULES),
                        "path": text(required=True),
                        "reason": text(required=True),
                    },
                },
            },
        },
        "boot": {
            "type": "dict",
            "apply_defaults": True,
            "options": {
                "test": {"type": "bool", "default": True},
                "limit": text(default="15m"),
                "health": {
                    "type": "dict",
                    "options": {"port": {"type": "int", "required": True}, "path": text(default="")},
                },
            },
        },
        "timeout": text(),
        "events_file": {"type": "path"},
        "stop_file": {"type": "path"},
    },
    mutually_exclusive=[("chroot", "file"), ("file", "roles"), ("file", "variables")],
    required_one_of=[("chroot", "file")],
)
