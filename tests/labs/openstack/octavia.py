# SPDX-License-Identifier: GPL-3.0-or-later
"""Octavia: the API, and the worker with a HAProxy per load balancer (drivers/octavia_lab.py)."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
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
    sql,
    start_api,
    token_check,
    write_ini,
)
from .site import Site

SETTLE_SECONDS = 20
# upstream asks for a role load-balancer_member: here "member" is enough, as in its keystone_default_roles-policy.yaml
POLICY = """
"system_admin": "role:admin"
"system_reader": "role:admin"
"project_reader": "role:reader and project_id:%(project_id)s"
"project_member": "role:member and project_id:%(project_id)s"
"context_is_admin": "role:admin"
"load-balancer:admin": "is_admin:True or rule:system_admin or role:load-balancer_admin"
"load-balancer:read": "is_admin:True or rule:system_reader or rule:project_reader"
"load-balancer:read-global": "is_admin:True or rule:system_reader"
"load-balancer:write": "is_admin:True or rule:project_member"
"load-balancer:read-quota": "is_admin:True or rule:system_reader or rule:project_reader"
"load-balancer:read-quota-global": "is_admin:True or rule:system_reader"
"load-balancer:write-quota": "is_admin:True"
"""


class Octavia:
    """Load balancers."""

    name = "octavia"

    def __init__(self, site: Site, processes: Processes) -> None:
        self.site, self.processes = site, processes
        self.config = site.etc / "octavia/octavia.conf"
        self.up_file = site.run / "octavia-worker.up"

    def configure(self) -> None:
        site, authority = self.site, self.site.data / "octavia/ca.pem"
        authority.parent.mkdir(parents=True, exist_ok=True)
        if not authority.exists():
            make_authority(authority)
        lab_drivers = ("compute_driver", "network_driver", "amphora_driver")
        sections: dict[str, Section] = {
            "DEFAULT": {"transport_url": site.amqp, "host": "lab", "rpc_response_timeout": 120},
            "api_settings": {
                "auth_strategy": "keystone",
                "api_base_uri": site.url("octavia"),
                "enabled_provider_drivers": "amphora: lab HAProxies,octavia: alias of amphora",
                "default_provider_driver": "amphora",
            },
            "database": database(site, "octavia"),
            "keystone_authtoken": token_check(site, "octavia"),
            "service_auth": credentials(site, "octavia"),
            "neutron": credentials(site, "octavia"),
            "controller_worker": {
                **dict.fromkeys(lab_drivers, "lab"),
                "image_driver": "image_noop_driver",
                "volume_driver": "volume_noop_driver",
                "workers": 1,
                "client_ca": authority,
                "event_notifications": "false",
                "loadbalancer_topology": "SINGLE",
            },
            "certificates": {
                "cert_manager": "noop_cert_manager",
                "ca_certificate": authority,
                "ca_private_key": authority.with_suffix(".key"),
            },
            "health_manager": {"heartbeat_key": "lab"},
            "oslo_messaging": {"topic": "octavia_prov"},
            "oslo_messaging_rabbit": RABBIT,
            "oslo_messaging_notifications": NO_NOTIFICATIONS,
            "oslo_policy": {
                "policy_file": self.config.with_name("policy.yaml"),
                "enforce_scope": "true",
                "enforce_new_defaults": "true",
            },
        }
        write_ini(self.config, sections)
        self.config.with_name("policy.yaml").write_text(POLICY)

    def database_jobs(self) -> list[Callable[[], None]]:
        create_databases(self.site, "octavia")
        return [self.octavia_database]

    def octavia_database(self) -> None:
        run([self.site.bin / "octavia-db-manage", "--config-file", self.config, "upgrade", "head"])

    def seed_identity(self) -> None:
        register(self.site, "octavia", [("octavia", "load-balancer", self.site.url("octavia"))])

    def start(self) -> None:
        site = self.site
        if not self.processes.pid("octavia-worker"):
            self.up_file.unlink(missing_ok=True)
        arguments = f"--config-file {self.config} --log-file {site.log}/octavia-api.log"
        start_api(site, self.processes, "octavia", "octavia.wsgi.api:application", {}, arguments)
        argv = [site.bin / "python", site.bin / "lab_octavia_worker.py", "--config-file", self.config]
        argv += ["--log-file", site.log / "octavia-worker.log"]
        self.processes.start("octavia-worker", argv, {**site.driver_environment, "LAB_UP_FILE": str(self.up_file)})

    def wait_up(self) -> None:
        self.processes.wait_for("octavia", lambda: http_answers(self.site.url("octavia") + "/"), 120, ["octavia"])
        self.processes.wait_for("octavia-worker", self.up_file.exists, 120, ["octavia-worker"])

    def seed(self) -> None:
        admin = connect(self.site)
        small = admin.identity.find_project("small")
        admin.load_balancer.update_quota(small.id, load_balancers=1, pools=2, listeners=2, members=4)

    def answers(self, cloud: Any) -> bool:
        return isinstance(list(cloud.load_balancer.load_balancers()), list)

    def settle(self) -> None:
        """A request in the queue is lost when the lab stops, and what it was to change stays PENDING: let it end."""
        pending = "select count(*) from octavia.load_balancer where provisioning_status like 'PENDING%'"
        deadline = time.monotonic() + SETTLE_SECONDS
        with contextlib.suppress(Exception):  # the database may be gone already
            while self.processes.pid("octavia-worker") and time.monotonic() < deadline and sql(self.site, pending)[0][0]:
                time.sleep(0.2)

    def names(self) -> list[str]:
        return ["octavia", "octavia-worker"]


def make_authority(path: Path) -> None:
    """A CA, made once: Octavia's create flow signs a certificate for each amphora."""
    key = path.with_suffix(".key")
    run(
        [
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-subj", "/CN=lab", "-days", "3650", "-keyout", key, "-out", path),
        ]
    )
