# SPDX-License-Identifier: GPL-3.0-or-later
"""Keystone, Glance, Placement, Neutron and Nova: databases, processes, what is seeded for them."""

import functools
import os
from collections.abc import Callable
from typing import Any

from ..processes import LabError, Processes, Progress, run
from . import core_config, seed
from .base import connect, create_databases, database_url, http_answers, register, sql, start_api
from .site import PASSWORD, Site

DATABASES = ("keystone", "glance", "placement", "neutron", "nova_api", "nova", "nova_cell0")
API_PATHS = {"keystone": "/v3", "glance": "/", "placement": "/", "neutron": "/", "nova": "/"}


class Core:
    """The five services without which there is no cloud."""

    name = "core"

    def __init__(self, site: Site, processes: Processes, say: Progress) -> None:
        self.site, self.processes, self.say = site, processes, say
        self.go_file = site.run / "conductor.up"

    def configure(self) -> None:
        """A nova that runs with another configuration (Cinder was switched on since) is started again."""
        file = self.site.etc / "nova/nova.conf"
        before = file.read_text() if file.exists() else ""
        core_config.configure(self.site)
        if file.read_text() != before:
            self.processes.stop([name for name in self.names() if name.startswith("nova")])

    def names(self) -> list[str]:
        return ["nova", "neutron", "glance", "placement", "nova-conductor", "nova-scheduler", "nova-compute", "keystone"]

    # --- databases ---------------------------------------------------------------------------------------------------

    def database_jobs(self) -> list[Callable[[], None]]:
        """The slow ones first."""
        create_databases(self.site, *DATABASES)
        return [self.neutron_database, self.nova_databases, self.keystone_database, self.glance_database, self.placement_database]

    def keystone_database(self) -> None:
        site = self.site
        manage = [site.bin / "keystone-manage", "--config-dir", site.etc / "keystone"]
        run([*manage, "db_sync"])
        owner = ["--keystone-user", os.getuid(), "--keystone-group", os.getgid()]
        for keys in ("fernet", "credential"):
            (site.data / "keystone" / keys).mkdir(parents=True, exist_ok=True)
            run([*manage, f"{keys}_setup", *owner])
        urls = [f"--bootstrap-{interface}-url={site.keystone}" for interface in ("admin", "internal", "public")]
        run([*manage, "bootstrap", f"--bootstrap-password={PASSWORD}", *urls, "--bootstrap-region-id=RegionOne"])

    def glance_database(self) -> None:
        run([self.site.bin / "glance-manage", "--config-dir", self.site.etc / "glance", "db_sync"])

    def placement_database(self) -> None:
        run([self.site.bin / "placement-manage", "--config-dir", self.site.etc / "placement", "db", "sync"])

    def neutron_database(self) -> None:
        config = self.site.etc / "neutron/neutron.conf"
        run([self.site.bin / "neutron-db-manage", "--config-file", config, "upgrade", "head"])

    def nova_databases(self) -> None:
        self.nova_manage("api_db", "sync")
        self.nova_manage("cell_v2", "map_cell0", "--database_connection", database_url(self.site, "nova_cell0"))
        self.nova_manage("cell_v2", "create_cell", "--name", "cell1")
        self.nova_manage("db", "sync")

    def nova_manage(self, *words: str) -> None:
        run([self.site.bin / "nova-manage", "--config-file", self.site.etc / "nova/nova.conf", *words])

    # --- processes ---------------------------------------------------------------------------------------------------

    def start_keystone(self) -> None:
        environment = {"OS_KEYSTONE_CONFIG_DIR": str(self.site.etc / "keystone")}
        start_api(self.site, self.processes, "keystone", "keystone.wsgi.api:application", environment)

    def wait_keystone(self) -> None:
        self.processes.wait_for("keystone", lambda: http_answers(self.site.keystone), alive=["keystone"])

    def start(self) -> None:
        """Everything but Keystone, which was started for the seeding already.

        nova-compute's first ping of the conductor costs 10 s when that is not there yet: it loads its modules, then
        waits for the go file.
        """
        site, config = self.site, self.site.etc / "nova/nova.conf"
        self.go_file.unlink(missing_ok=True)
        for name in ("nova-conductor", "nova-scheduler"):
            argv = [site.bin / name, "--config-file", config, "--log-file", site.log / f"{name}.log"]
            self.processes.start(name, argv)
        for name in ("glance", "placement", "neutron"):
            environment = {f"OS_{name.upper()}_CONFIG_DIR": str(site.etc / name)}
            if name == "neutron":
                environment["OS_NEUTRON_CONFIG_FILES"] = "neutron.conf"
            start_api(site, self.processes, name, f"{name}.wsgi.api:application", environment)
        environment = {"OS_NOVA_CONFIG_DIR": str(site.etc / "nova")}
        module, log = "nova.wsgi.osapi_compute:application", f"--log-file {site.log}/nova-api.log"
        start_api(site, self.processes, "nova", module, environment, log)
        hosts = ",".join(host for host, zone in site.hosts)
        argv = [site.bin / "python", site.bin / "lab_compute.py", hosts, "--config-file"]
        argv += [site.etc / "nova-compute/nova.conf", "--log-file", site.log / "nova-compute.log"]
        self.processes.start("nova-compute", argv, {**site.driver_environment, "LAB_GO_FILE": str(self.go_file)})

    def wait_up(self) -> None:
        """The APIs answer and every hypervisor has reported since this start."""
        wait = self.processes.wait_for
        wait("the conductor", lambda: self.reporting("nova-conductor"), alive=["nova-conductor"])
        self.go_file.write_text("")
        for name, path in API_PATHS.items():
            url = self.site.url(name) + path
            wait(name, functools.partial(http_answers, url), 120, [name])
        hosts = len(self.site.hosts)
        daemons = ["nova-conductor", "nova-scheduler", "nova-compute"]
        wait("the hypervisors", lambda: self.reporting("nova-compute") >= hosts, 180, daemons)

    def reporting(self, binary: str) -> int:
        """How many services of this kind have reported since this command began."""
        rows = sql(
            self.site,
            f"select count(*) from nova.services where `binary` = '{binary}' and deleted = 0 and "
            f"coalesce(updated_at, created_at) > utc_timestamp() - interval {int(self.say.seconds())} second",
        )
        return int(rows[0][0])

    def answers(self, cloud: Any) -> bool:
        """Each service; nova-compute stands behind the zones."""
        list(cloud.compute.flavors())
        list(cloud.image.images(limit=1))
        list(cloud.network.networks())
        return bool(list(cloud.compute.availability_zones()))

    # --- seed --------------------------------------------------------------------------------------------------------

    def seed_identity(self) -> None:
        site = self.site
        for name, kind, path in (
            ("glance", "image", ""),
            ("placement", "placement", ""),
            ("neutron", "network", ""),
            ("nova", "compute", "/v2.1"),
        ):
            register(site, name, [(name, kind, site.url(name) + path)])
        seed.projects(connect(site).identity)

    def seed(self) -> None:
        """Maps the hosts to the cell, then makes what a test finds there.

        A service row comes before its compute node: hosts that have no node yet are not mapped (each server sent
        there would go to ERROR), and a host can only join an aggregate when its resource provider exists.
        """
        hosts = len(self.site.hosts)
        providers = "select count(*) from placement.resource_providers"
        self.processes.wait_for("the resource providers", lambda: sql(self.site, providers)[0][0] >= hosts, 120)
        self.nova_manage("cell_v2", "discover_hosts")
        if sql(self.site, "select count(*) from nova_api.host_mappings")[0][0] < hosts:
            raise LabError("nova-manage cell_v2 discover_hosts did not map every host")
        seed.cloud(self.site)
