# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB and RabbitMQ from unpacked Debian packages: what every service needs before it starts."""

import os
import shutil
import socket

from ..processes import Processes, run
from .base import sql
from .site import IP, Site

ERLANG_FLAGS = (  # no busy waiting of the schedulers, everything on loopback
    "+S 1:1 +SDio 8 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
)


def start_mariadb(site: Site, processes: Processes) -> None:
    """On a unix socket only, without durability: a lab's state may be lost with the power."""
    argv: list[object] = [site.root / "usr/sbin/mariadbd", "--no-defaults", *mariadb_places(site)]
    argv += [f"--plugin-dir={site.root}/usr/lib/mysql/plugin", f"--socket={site.mysql_socket}", "--skip-networking"]
    argv += [f"--pid-file={site.run}/mariadbd.own", "--skip-log-bin", "--skip-name-resolve", "--performance-schema=OFF"]
    argv += ["--character-set-server=utf8mb3", "--max-connections=1000"]
    argv += ["--innodb-buffer-pool-size=256M", "--innodb-log-file-size=96M", "--innodb-doublewrite=0"]
    argv += ["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=O_DIRECT_NO_FSYNC"]
    if not (site.data / "mysql/mysql").exists():
        (site.data / "mysql").mkdir(parents=True, exist_ok=True)
        install: list[object] = ["sh", site.root / "usr/bin/mariadb-install-db", "--no-defaults", *mariadb_places(site)]
        path = f"{site.root}/usr/bin:{site.root}/usr/sbin:{os.environ['PATH']}"
        run([*install, "--auth-root-authentication-method=normal", "--skip-test-db"], {**site.libraries, "PATH": path})
    processes.start("mariadbd", argv, site.libraries)
    processes.wait_for("mariadb", lambda: sql(site, "select 1"), alive=["mariadbd"])


def mariadb_places(site: Site) -> list[object]:
    places: list[object] = [f"--basedir={site.root}/usr", f"--datadir={site.data}/mysql", f"--tmpdir={site.home}/tmp"]
    places.append(f"--lc-messages-dir={site.root}/usr/share/mysql")
    return [*places, "--user=root"] if os.getuid() == 0 else places


def start_rabbitmq(site: Site, processes: Processes) -> None:
    """With empty queues: nothing in them is worth keeping, and a first boot takes 9 s where a later one takes 20."""
    configure_rabbitmq(site)
    state = site.data / "rabbit"
    if not processes.pid("rabbitmq"):
        shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True, exist_ok=True)
    runtime = next((site.root / "usr/lib/erlang").glob("erts-*"))
    port = str(site.port("epmd"))
    # our own epmd, so that it ends with the lab
    processes.start("epmd", [runtime / "bin/epmd", "-port", port, "-address", IP], {"ERL_EPMD_PORT": port})
    server = next((site.root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    processes.start("rabbitmq", ["sh", server / "sbin/rabbitmq-server"], rabbitmq_environment(site))


def rabbitmq_environment(site: Site) -> dict[str, str]:
    state, etc = site.data / "rabbit", site.etc / "rabbitmq"
    return {
        "PATH": f"{site.root}/usr/lib/erlang/bin:{os.environ['PATH']}",
        "ERL_ROOTDIR": f"{site.root}/usr/lib/erlang",
        "HOME": str(state),
        "RABBITMQ_NODENAME": f"lab{site.port_base}@localhost",
        "RABBITMQ_CONF_ENV_FILE": str(etc / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(state / "mnesia"),
        "RABBITMQ_LOG_BASE": str(site.log),
        "RABBITMQ_PID_FILE": str(site.run / "rabbit.own"),
        "RABBITMQ_SCHEMA_DIR": str(state / "schema"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(state / "config"),
        "RABBITMQ_FEATURE_FLAGS_FILE": str(state / "feature_flags"),
        "RABBITMQ_NODE_IP_ADDRESS": IP,
        "RABBITMQ_NODE_PORT": str(site.port("amqp")),
        "RABBITMQ_DIST_PORT": str(site.port("erlang")),
        "ERL_EPMD_PORT": str(site.port("epmd")),
        "ERL_EPMD_ADDRESS": IP,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_FLAGS,
    }


def configure_rabbitmq(site: Site) -> None:
    etc = site.etc / "rabbitmq"
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = {IP}:{site.port('amqp')}\n"
        "loopback_users = none\n"
        "vm_memory_high_watermark.absolute = 1GB\n"
        "disk_free_limit.absolute = 50MB\n"
        "log.file = false\nlog.console = true\nlog.console.level = warning\n"
    )
    (etc / "enabled_plugins").write_text("[].\n")
    (etc / "rabbitmq-env.conf").write_text("")  # instead of the machine's own, if it has one


def rabbitmq_answers(site: Site) -> bool:
    """It speaks AMQP: asked for a version that it lacks, it names its own (a method frame, type 1, or a greeting)."""
    with socket.create_connection((IP, site.port("amqp")), 2) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) == b"\x01"


def stop(processes: Processes) -> None:
    """The database last: the others write to it while they end."""
    processes.stop(["rabbitmq"], 30)
    processes.stop(["epmd"], 5)
    processes.stop(["mariadbd"], 60)
