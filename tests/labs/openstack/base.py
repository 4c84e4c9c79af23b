# SPDX-License-Identifier: GPL-3.0-or-later
"""What every OpenStack service of the lab needs: ini files, database, credentials, uwsgi, the catalogue."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..processes import Processes
from .site import IP, PASSWORD, Site

Section = Mapping[str, object]
REGION = "RegionOne"
NO_NOTIFICATIONS: Section = {"driver": "noop"}  # for [oslo_messaging_notifications]
RABBIT: Section = {
    "kombu_reconnect_delay": 0.5,
    "rabbit_retry_interval": 1,
    "rabbit_retry_backoff": 0,
    "rabbit_interval_max": 1,
}
WSGI_THREADS = 8


class Service(Protocol):
    """A part of the cloud that can be there or not. In the order in which `up` asks:"""

    name: str

    def configure(self) -> None:
        """Writes its configuration. At each start."""

    def database_jobs(self) -> list[Callable[[], None]]:
        """What makes its databases; they run side by side. Once."""

    def seed_identity(self) -> None:
        """Its user and its catalogue entries; only Keystone runs. Once."""

    def start(self) -> None:
        """Starts its processes and returns. At each start, with MariaDB, RabbitMQ and Keystone there."""

    def wait_up(self) -> None:
        """Returns when its API answers."""

    def seed(self) -> None:
        """What a test finds there; the whole cloud runs. Once."""

    def answers(self, cloud: Any) -> bool:
        """One authenticated round trip went well."""

    def names(self) -> list[str]:
        """Its processes, in the order in which they can be stopped."""


def write_ini(path: Path, sections: Mapping[str, Section]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = ("\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in body.items())]) for name, body in sections.items())
    path.write_text("\n\n".join(blocks) + "\n")


def database_url(site: Site, name: str) -> str:
    return f"mysql+pymysql://root@localhost/{name}?unix_socket={site.mysql_socket}&charset=utf8"


def database(site: Site, name: str) -> Section:
    """The [database] section; many retries, for MariaDB is stopped a moment when the seed is saved."""
    return {
        "connection": database_url(site, name),
        "max_pool_size": 20,
        "max_overflow": 40,
        "max_retries": 40,
        "retry_interval": 1,
    }


def credentials(site: Site, user: str) -> dict[str, object]:
    return {
        "auth_type": "password",
        "auth_url": site.keystone,
        "username": user,
        "password": PASSWORD,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": REGION,
    }


def token_check(site: Site, user: str) -> Section:
    """The [keystone_authtoken] section."""
    section = credentials(site, user)
    del section["region_name"]
    return section | {
        "www_authenticate_uri": site.keystone,
        "service_token_roles": "service,admin",
        "service_token_roles_required": "true",
        "token_cache_time": 300,
    }


def sql(site: Site, *statements: str) -> Any:
    """Runs them as root over the socket; the rows of the last one."""
    import pymysql  # from the services' venv

    connection = pymysql.connect(unix_socket=str(site.mysql_socket), user="root", autocommit=True)
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def create_databases(site: Site, *names: str) -> None:
    sql(site, *(f"create database if not exists {name} character set utf8mb3" for name in names))


def start_api(site: Site, processes: Processes, name: str, module: str, environment: Mapping[str, str], arguments: str = "") -> None:
    """Serves a WSGI application with uwsgi on the service's port."""
    argv = [site.bin / "uwsgi", "--http-socket", f"{IP}:{site.port(name)}", "--virtualenv", site.home / "venv"]
    argv += ["--module", module, "--enable-threads", "--threads", WSGI_THREADS, "--need-app", "--lazy-apps", "--die-on-term"]
    argv += ["--buffer-size", 65535, "--listen", 512]
    # uwsgi closes after each answer but does not say so: clients that pool connections get RemoteDisconnected
    argv += ["--add-header", "Connection: close"]
    # glanceclient sends chunks of 1 MiB, the limit is 1 MB: "unable to receive chunked part"
    argv += ["--chunked-input-limit", 64 << 20]
    argv += ["--logto", site.log / f"{name}-access.log", "--log-format", "%(ltime) %(method) %(uri) %(status) %(msecs)ms"]
    if arguments:
        argv += ["--pyargv", arguments]
    processes.start(name, argv, {**site.driver_environment, **environment})


def http_answers(url: str) -> bool:
    """Somebody serves HTTP there, be it with "300 choose a version" or "401 who are you"."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        return error.code in (300, 401)


def connect(site: Site, user: str = "admin", project: str = "admin") -> Any:
    """openstacksdk, without any of the caller's own clouds."""
    import openstack  # from the services' venv

    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        compute_api_version="2",
        auth_url=site.keystone,
        username=user,
        password=PASSWORD,
        project_name=project,
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=REGION,
    )


def register(site: Site, user: str, entries: Iterable[tuple[str, str, str]]) -> None:
    """A service user and its catalogue entries (name, type, URL)."""
    identity = connect(site).identity
    project = identity.find_project("service") or identity.create_project(name="service", domain_id="default")
    roles = {role.name: role.id for role in identity.roles()}
    account = identity.create_user(name=user, password=PASSWORD, domain_id="default")
    for role in ("admin", "service"):
        identity.assign_project_role_to_user(project.id, account.id, roles[role])
    for name, kind, url in entries:
        service = identity.create_service(name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id=REGION)
