# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of Keystone, Glance, Placement, Neutron and Nova. Each unusual value says which trap it avoids."""

import shutil

from .base import NO_NOTIFICATIONS, RABBIT, Section, credentials, database, token_check, write_ini
from .site import IP, Site


def configure(site: Site) -> None:
    """Writes all files below etc/."""
    keystone(site)
    glance(site)
    placement(site)
    neutron(site)
    nova(site)


def keystone(site: Site) -> None:
    sections: dict[str, Section] = {
        "DEFAULT": {"log_file": site.log / "keystone.log"},
        "database": database(site, "keystone"),
        "token": {"provider": "fernet", "expiration": 86400},
        "fernet_tokens": {"key_repository": site.data / "keystone/fernet"},
        "credential": {"key_repository": site.data / "keystone/credential"},
        # one keystone process, so a cache in its memory is coherent
        "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
        "oslo_messaging_notifications": NO_NOTIFICATIONS,
        # bcrypt at its default cost of 12 takes 0.2 s a password check
        "identity": {"password_hash_rounds": 4},
    }
    write_ini(site.etc / "keystone/keystone.conf", sections)


def glance(site: Site) -> None:
    images = site.data / "glance"
    for name in ("images", "staging", "tasks"):
        (images / name).mkdir(parents=True, exist_ok=True)
    sections: dict[str, Section] = {
        "DEFAULT": {
            "log_file": site.log / "glance.log",
            "bind_host": IP,
            "enabled_backends": "fs:file",
            "transport_url": "fake:",
            "worker_self_reference_url": site.url("glance"),
        },
        "database": database(site, "glance"),
        "glance_store": {"default_backend": "fs"},
        "fs": {"filesystem_store_datadir": images / "images"},
        "os_glance_staging_store": {"filesystem_store_datadir": images / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": images / "tasks"},
        "keystone_authtoken": token_check(site, "glance"),
        "paste_deploy": {"flavor": "keystone", "config_file": site.home / "venv/etc/glance/glance-api-paste.ini"},
        "oslo_messaging_notifications": NO_NOTIFICATIONS,
        "oslo_concurrency": {"lock_path": site.run},
        "image_format": {"disk_formats": "ami,ari,aki,vhd,vhdx,vmdk,raw,qcow2,vdi,iso,ploop"},
    }
    write_ini(site.etc / "glance/glance-api.conf", sections)


def placement(site: Site) -> None:
    sections: dict[str, Section] = {
        "DEFAULT": {"log_file": site.log / "placement.log"},
        "api": {"auth_strategy": "keystone"},
        "placement_database": database(site, "placement"),
        "keystone_authtoken": token_check(site, "placement"),
    }
    write_ini(site.etc / "placement/placement.conf", sections)


def neutron(site: Site) -> None:
    unlimited = ("port", "network", "subnet", "router", "floatingip", "security_group", "security_group_rule")
    sections: dict[str, Section] = {
        "DEFAULT": {
            "log_file": site.log / "neutron.log",
            "core_plugin": "ml2",
            # without trunk, which wants a mechanism driver that it knows
            "service_plugins": "router,qos,port_forwarding",
            "auth_strategy": "keystone",
            "host": "lab",
            "state_path": site.data / "neutron",
            "api_paste_config": site.home / "venv/etc/neutron/api-paste.ini",
            # nobody listens: no agent exists
            "transport_url": "fake:",
            "notify_nova_on_port_status_changes": "false",
            # nova learns floating IPs from this
            "notify_nova_on_port_data_changes": "true",
            "dhcp_agent_notification": "false",
            "rpc_workers": 0,
            "rpc_state_report_workers": 0,
            "global_physnet_mtu": 1500,
        },
        "database": database(site, "neutron"),
        "nova": credentials(site, "neutron"),
        "keystone_authtoken": token_check(site, "neutron"),
        "oslo_concurrency": {"lock_path": site.run},
        "oslo_messaging_notifications": NO_NOTIFICATIONS,
        "quotas": {f"quota_{thing}": -1 for thing in unlimited},
        "ml2": {
            "type_drivers": "flat,vlan,vxlan,local",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "lab",
            "extension_drivers": "port_security,qos",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vlan": {"network_vlan_ranges": "physnet1:100:1999"},
        "ml2_type_vxlan": {"vni_ranges": "1:65535"},
        "securitygroup": {"enable_security_group": "true"},
    }
    write_ini(site.etc / "neutron/neutron.conf", sections)


def nova(site: Site) -> None:
    (site.data / "nova").mkdir(parents=True, exist_ok=True)
    sections = nova_sections(site)
    write_ini(site.etc / "nova/nova.conf", sections)
    # nova-compute must not know the databases: with [api_database] set it asks every cell itself, which is forbidden
    compute = {name: body for name, body in sections.items() if "database" not in name}
    write_ini(site.etc / "nova-compute/nova.conf", compute)
    shutil.copy(site.home / "venv/etc/nova/api-paste.ini", site.etc / "nova/api-paste.ini")


def nova_sections(site: Site) -> dict[str, Section]:
    sections: dict[str, Section] = {
        "DEFAULT": nova_default(site),
        "api_database": database(site, "nova_api"),
        "database": database(site, "nova"),
        "keystone_authtoken": token_check(site, "nova"),
        "keystone": credentials(site, "nova"),
        "api": {"auth_strategy": "keystone", "max_limit": 1000},
        "wsgi": {"api_paste_config": site.home / "venv/etc/nova/api-paste.ini"},
        "placement": credentials(site, "placement"),
        "glance": {"endpoint_override": site.url("glance"), **credentials(site, "glance"), "num_retries": 3},
        "neutron": {**credentials(site, "neutron"), "http_retries": 3},
        "cinder": credentials(site, "nova"),
        "oslo_concurrency": {"lock_path": site.run},
        "oslo_messaging_notifications": NO_NOTIFICATIONS,
        "oslo_messaging_rabbit": RABBIT,
        "quota": {
            **dict.fromkeys(("instances", "cores", "ram", "key_pairs", "server_groups", "server_group_members"), -1),
            "metadata_items": 128,
        },
        # a failed build must not make a host unattractive, nor disable it
        "compute": {
            "consecutive_build_service_disable_threshold": 0,
            "max_concurrent_builds": 20,
            "provider_config_location": site.etc / "nova/providers",
        },
        "filter_scheduler": {
            "build_failure_weight_multiplier": 0,
            "shuffle_best_same_weighed_hosts": "true",
            "host_subset_size": 3,
            "enabled_filters": "ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,"
            "ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,AggregateInstanceExtraSpecsFilter,"
            "SameHostFilter,DifferentHostFilter",
        },
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": -1, "max_attempts": 3},
        "conductor": {"workers": 1},
        "image_cache": {"manager_interval": -1},
        "vnc": {
            "enabled": "true",
            "server_listen": IP,
            "novncproxy_base_url": f"{site.url('novnc')}/vnc_auto.html",
        },
    }
    if "cinder" in site.services:
        # cinder refuses to detach a server's volume for anybody who does not show a service token (409)
        sections["service_user"] = {**credentials(site, "nova"), "send_service_user_token": "true"}
    return sections


def nova_default(site: Site) -> Section:
    return {
        "my_ip": IP,
        "host": "lab",
        "log_dir": site.log,
        "state_path": site.data / "nova",
        "transport_url": site.amqp,
        "rpc_response_timeout": 120,
        "compute_driver": "labfake.LabDriver",
        # neither an agent nor neutron tells nova that a port is plugged
        "vif_plugging_is_fatal": "false",
        "vif_plugging_timeout": 0,
        "report_interval": 20,
        "service_down_time": 300,
        "allow_resize_to_same_host": "true",
        "sync_power_state_interval": 3600,
        # else the resource tracker asks placement about every server each minute (2900 requests while 200 were built)
        "update_resources_interval": 3600,
        "reclaim_instance_interval": 0,
        "force_config_drive": "false",
        "graceful_shutdown_timeout": 3,
        "manager_shutdown_timeout": 2,
        "ssl_only": "false",
        # nova asks this often whether a volume it made is available; upstream 3 s
        "block_device_allocate_retries": 180,
        "block_device_allocate_retries_interval": 1,
    }
