# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the clouds, one subject each. A subject's twin is the doc fragment of the same name and order."""

from __future__ import annotations

from ansible.module_utils.basic import env_fallback

from ansible_collections.immutable.fleet.plugins.module_utils.entry.spec import Options, Spec, from_environment, text, texts

# --- simulated -------------------------------------------------------------------------------------------------------

SIMULATED = Spec(
    {
        "simulated": {
            "type": "dict",
            "options": {
                "world": {"type": "path", "required": True},
                "image": text(),
                "flavor": text(),
                "networks": texts(),
            },
        },
    },
)

# --- openstack: connection as in openstack.cloud, template as in openstack.cloud.server -------------------------------

OPENSTACK_CONNECTION: Options = {
    "cloud": from_environment("OS_CLOUD"),
    "auth": {
        "type": "dict",
        "options": {
            "auth_url": text(),
            "username": text(),
            "user_id": text(),
            "password": text(no_log=True),
            "user_domain_name": text(),
            "user_domain_id": text(),
            "project_name": text(),
            "project_id": text(),
            "project_domain_name": text(),
            "project_domain_id": text(),
            "domain_name": text(),
            "domain_id": text(),
            "system_scope": text(),
            "application_credential_id": text(),
            "application_credential_name": text(),
            "application_credential_secret": text(no_log=True),
            "token": text(no_log=True),
            "passcode": text(no_log=True),
        },
    },
    "auth_type": text(),
    "region_name": text(),
    "interface": text(choices=["admin", "internal", "public"], default="public", aliases=["endpoint_type"]),
    "validate_certs": {"type": "bool", "aliases": ["verify"]},
    "ca_cert": {"type": "path", "aliases": ["cacert"]},
    "client_cert": {"type": "path", "aliases": ["cert"]},
    "client_key": {"type": "path", "no_log": False, "aliases": ["key"]},
}

OPENSTACK_TEMPLATE: Options = {
    "image": text(),
    "image_properties": {"type": "dict"},
    "flavor": text(),
    "networks": {
        "type": "list",
        "elements": "dict",
        "options": {
            "network": text(),
            "subnet": text(),
            "fixed_ips": texts(),
            "security_groups": texts(),
            "port_security": {"type": "bool"},
        },
    },
    "security_groups": texts(),
    "key_name": text(),
    "server_group": text(),
    "server_group_policy": text(
        choices=["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"],
        default="soft-anti-affinity",
    ),
    "config_drive": {"type": "bool", "default": False},
    "boot_volume": {
        "type": "dict",
        "options": {
            "size": {"type": "int", "required": True},
            "type": text(),
            "delete_on_termination": {"type": "bool", "default": True},
        },
    },
    "metadata": {"type": "dict", "aliases": ["meta"]},
    "tags": texts(),
}

OPENSTACK = Spec({"openstack": {"type": "dict", "options": {**OPENSTACK_CONNECTION, **OPENSTACK_TEMPLATE}}})

# --- vsphere: connection as in vmware.vmware, template as in community.vmware.vmware_guest ------------------------------

VSPHERE_CONNECTION: Options = {
    "hostname": from_environment("VMWARE_HOST"),
    "username": from_environment("VMWARE_USER"),
    "password": from_environment("VMWARE_PASSWORD", no_log=True),
    "port": {"type": "int", "default": 443, "fallback": (env_fallback, ["VMWARE_PORT"])},
    "validate_certs": {"type": "bool", "default": True, "fallback": (env_fallback, ["VMWARE_VALIDATE_CERTS"])},
    "ca_cert": {"type": "path"},
    "proxy_host": from_environment("VMWARE_PROXY_HOST"),
    "proxy_port": {"type": "int", "default": 8080, "fallback": (env_fallback, ["VMWARE_PROXY_PORT"])},
}

_VSPHERE_PLACE: Options = {
    "cluster": text(),
    "resource_pool": text(),
    "datastore": text(),
    "datastore_cluster": text(),
    "host_group": text(),
}

IMAGE_FOLDER = text(default="golden-images")

VSPHERE_TEMPLATE: Options = {
    "template": text(),
    "content_library": text(),
    "image_folder": IMAGE_FOLDER,
    "linked_clone": {"type": "bool", "default": False},
    "snapshot": text(),
    "datacenter": text(),
    "folder": text(),
    **_VSPHERE_PLACE,
    "failure_domains": {
        "type": "list",
        "elements": "dict",
        "options": {"name": text(required=True), **_VSPHERE_PLACE, "networks": texts()},
    },
    "hardware": {
        "type": "dict",
        "options": {"num_cpus": {"type": "int"}, "num_cpu_cores_per_socket": {"type": "int"}, "memory_mb": {"type": "int"}},
    },
    "disks": {"type": "list", "elements": "dict", "options": {"size_gb": {"type": "int", "required": True}}},
    "extra_disks": {
        "type": "list",
        "elements": "dict",
        "options": {"size_gb": {"type": "int", "required": True}, "keep": {"type": "bool", "default": False}},
    },
    "networks": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": text(),
            "addresses": texts(),
            "prefix_length": {"type": "int"},
            "gateway": text(),
            "dns_servers": texts(),
            "dns_search": texts(),
            "guest_device": text(),
        },
    },
    "anti_affinity": {"type": "bool", "default": False},
    "stable_addresses": {"type": "bool", "default": False},
    "advanced_settings": {"type": "dict"},
    "shutdown_timeout": text(default="60s"),
}

VSPHERE = Spec({"vsphere": {"type": "dict", "options": {**VSPHERE_CONNECTION, **VSPHERE_TEMPLATE}}})
