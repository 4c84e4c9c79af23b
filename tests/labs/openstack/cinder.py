# SPDX-License-Identifier: GPL-3.0-or-later
"""Cinder: API, scheduler and volume service, with volumes that hold no data (drivers/cinder_lab.py)."""

from collections.abc import Callable
from typing import Any

from ..processes import Processes, run
from .base import (
    NO_NOTIFICATIONS,
    RABBIT,
    Section,
    connect,
    create_databases,
    credentials,
    database,
    http_answers,
    register,
    start_api,
    token_check,
    write_ini,
)
from .site import IP, Site

VOLUME_TYPES: dict[str, dict[str, str]] = {"standard": {}, "fast": {}, "shared": {"multiattach": "<is> True"}}


class Cinder:
    """Block storage."""

    name = "cinder"

    def __init__(self, site: Site, processes: Processes) -> None:
        self.site, self.processes = site, processes
        self.config = site.etc / "cinder/cinder.conf"

    def configure(self) -> None:
        site, state = self.site, self.site.data / "cinder"
        state.mkdir(parents=True, exist_ok=True)
        sections: dict[str, Section] = {
            "DEFAULT": self.default_section(),
            "lab": {"volume_driver": "cinder_lab.LabVolumeDriver", "volume_backend_name": "lab"},
            "database": database(site, "cinder"),
            "keystone_authtoken": token_check(site, "cinder"),
            "nova": credentials(site, "cinder"),
            "service_user": {**credentials(site, "cinder"), "send_service_user_token": "true"},
            "coordination": {"backend_url": f"file://{state}/locks"},
            "oslo_concurrency": {"lock_path": state},
            "oslo_messaging_rabbit": RABBIT,
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
        }
        write_ini(self.config, sections)

    def default_section(self) -> Section:
        site, defaults = self.site, self.site.home / "venv/etc/cinder"
        unlimited = ("volumes", "snapshots", "gigabytes", "groups", "backups", "backup_gigabytes")
        return {
            "host": "lab",
            "my_ip": IP,
            "state_path": site.data / "cinder",
            "transport_url": site.amqp,
            "rpc_response_timeout": 120,
            "auth_strategy": "keystone",
            "api_paste_config": defaults / "api-paste.ini",
            "resource_query_filters_file": defaults / "resource_filters.json",
            "glance_api_servers": site.url("glance"),
            "enabled_backends": "lab",
            "default_volume_type": "standard",
            "storage_availability_zone": "nova",
            "report_interval": 5,
            "service_down_time": 300,
            **{f"quota_{thing}": -1 for thing in unlimited},
            # without the first report of the backend there is none until the next one, upstream 60 s later
            "periodic_interval": 10,
            "periodic_fuzzy_delay": 5,
            "backend_stats_polling_interval": 10,
            "graceful_shutdown_timeout": 3,
        }

    def database_jobs(self) -> list[Callable[[], None]]:
        create_databases(self.site, "cinder")
        return [self.cinder_database]

    def cinder_database(self) -> None:
        run([self.site.bin / "cinder-manage", "--config-file", self.config, "db", "sync"])

    def seed_identity(self) -> None:
        """The official type, and the one that nova and older clients look for."""
        url = self.site.url("cinder") + "/v3"
        register(self.site, "cinder", [("cinder", "block-storage", url), ("cinderv3", "volumev3", url)])

    def start(self) -> None:
        site = self.site
        arguments = f"--config-file {self.config} --log-file {site.log}/cinder-api.log"
        start_api(site, self.processes, "cinder", "cinder.wsgi.api:application", {}, arguments)
        argv = [site.bin / "python", site.bin / "lab_cinder_services.py", "--config-file", self.config]
        argv += ["--log-file", site.log / "cinder-volume.log"]
        self.processes.start("cinder-volume", argv, site.driver_environment)

    def wait_up(self) -> None:
        self.processes.wait_for("cinder", lambda: http_answers(self.site.url("cinder") + "/"), 120, ["cinder"])

    def seed(self) -> None:
        admin = connect(self.site)
        for name, specs in VOLUME_TYPES.items():
            admin.block_storage.create_type(name=name, extra_specs={"volume_backend_name": "lab", **specs})
        small = admin.identity.find_project("small")
        admin.block_storage.update_quota_set(small.id, volumes=2, gigabytes=20, snapshots=2)

    def answers(self, cloud: Any) -> bool:
        states = [service.state for service in cloud.block_storage.services()]
        return states == ["up", "up"] and bool(list(cloud.block_storage.backend_pools()))

    def names(self) -> list[str]:
        return ["cinder", "cinder-volume"]
