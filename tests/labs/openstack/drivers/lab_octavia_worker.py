# SPDX-License-Identifier: GPL-3.0-or-later
"""octavia-worker and the lab's part of octavia-health-manager in one process.

usage: lab_octavia_worker.py --config-file octavia.conf ...

The worker is upstream's consumer without cotyledon's parent process. Instead
of an amphora sending heartbeats over UDP, a thread asks each HAProxy's stats
socket once in LAB_LB_HEARTBEAT seconds and hands the answer to the code of the
health manager that writes the operating status. $LAB_DIRECTORY/data/octavia/
members.json (written by members.py) says what members report.
"""

import json
import os
import pathlib
import signal
import sys
import threading
import time

from oslo_config import cfg
from oslo_log import log as logging
from sqlalchemy import text

from octavia.amphorae.backends.utils import haproxy_query
from octavia.amphorae.drivers.health import heartbeat_udp
from octavia.common import data_models
from octavia.common import service
from octavia.controller.queue.v2 import consumer
from octavia.controller.worker.v2.tasks import network_tasks
from octavia.db import api as db_api
from octavia.db import repositories
from octavia.statistics import stats_base

import octavia_lab as lab

CONF = cfg.CONF
LOG = logging.getLogger("octavia.lab")
SAID = lab.DATA / "members.json"
LAST = {}


def rows(query, **kw):
    session = db_api.get_session()
    with session.begin():
        return [r._mapping for r in session.execute(text(query), kw)]


def said():
    try:
        return json.loads(SAID.read_text())
    except (OSError, ValueError):
        return {}


def member_status(real, m, words):
    """What a member shall report, where HAProxy says `real` of it."""
    word = next((words[k] for k in (m["id"], m["name"], m["ip_address"]) if k in words), words.get("*", "UP"))
    if word == "real" or real in ("no check", "MAINT"):
        return real
    return "DRAIN" if word == "UP" and not m["weight"] else word


def delta(key, value):
    value = int(value or 0)
    last, LAST[key] = LAST.get(key, 0), value
    return value - last if value >= last else value


def heartbeat(amp, updater, words):
    listeners = rows("select id, protocol, enabled from listener where load_balancer_id = :lb", lb=amp["load_balancer_id"])
    members = {
        m["id"]: m
        for m in rows(
            "select m.id, m.name, m.ip_address, m.weight from member m join pool p on p.id = m.pool_id where p.load_balancer_id = :lb",
            lb=amp["load_balancer_id"],
        )
    }
    health = {
        "id": amp["id"],
        "ver": 3,
        "seq": 0,
        "recv_time": time.time(),
        "listeners": {x["id"]: {"status": "OPEN"} for x in listeners if x["enabled"] and x["protocol"] not in lab.CARRIED},
        "pools": {},
    }
    sock = lab.socket_of(amp["compute_id"])
    stats = []
    if os.path.exists(sock):
        query = haproxy_query.HAProxyQuery(sock)
        for row in query.show_stat(object_type=1):
            health["listeners"][row["pxname"]] = {"status": row["status"]}
            stats.append(
                data_models.ListenerStatistics(
                    listener_id=row["pxname"],
                    amphora_id=amp["id"],
                    active_connections=int(row["scur"] or 0),
                    **{
                        k: delta((row["pxname"], k), row[c])
                        for k, c in (
                            ("bytes_in", "bin"),
                            ("bytes_out", "bout"),
                            ("total_connections", "stot"),
                            ("request_errors", "ereq"),
                        )
                    },
                )
            )
        for key, pool in query.get_pool_status().items():
            now = {i: member_status(s, members[i], words) for i, s in pool["members"].items() if i in members}
            if now != pool["members"]:
                up = [i for i, s in now.items() if members[i]["weight"] and (s.startswith("UP") or s == "no check")]
                pool["status"] = "UP" if up or not now else "DOWN"
            health["pools"][key] = {"status": pool["status"], "members": now}
    updater.update_health(health, "127.0.0.1")
    if stats:
        stats_base.update_stats_via_driver(stats, deltas=True)


def beat(stop):
    updater = heartbeat_udp.UpdateHealthDb()
    while not stop.wait(float(os.environ.get("LAB_LB_HEARTBEAT", "1"))):
        try:
            words = said()
            for amp in rows(
                "select a.id, a.compute_id, a.load_balancer_id from "
                "amphora a join load_balancer l on l.id = "
                "a.load_balancer_id where a.status = 'ALLOCATED' and "
                "l.provisioning_status in ('ACTIVE', 'PENDING_UPDATE', "
                "'ERROR')"
            ):
                heartbeat(amp, updater, words)
        except Exception:
            LOG.exception("heartbeat")


def main():
    service.prepare_service(sys.argv)
    network_tasks.CalculateAmphoraDelta.execute = lab.no_delta
    stop = threading.Event()
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *a: stop.set())
    # After a restart of the lab the HAProxies are to be started again, and what
    # was PENDING stays so for ever: its request is lost. ERROR can be deleted.
    session = db_api.get_session()
    with session.begin():
        for table in ("load_balancer", "listener", "pool", "member", "health_monitor", "l7policy", "l7rule"):
            session.execute(text(f"update {table} set provisioning_status = 'ERROR' where provisioning_status like 'PENDING%'"))
    with session.begin():
        for row in rows("select id, load_balancer_id from amphora where status = 'ALLOCATED'"):
            try:
                lab.haproxy_apply(
                    repositories.LoadBalancerRepository().get(session, id=row["load_balancer_id"]),
                    repositories.AmphoraRepository().get(session, id=row["id"]),
                )
            except Exception:
                LOG.exception("amphora %s", row["id"])
    worker = consumer.ConsumerService(0, CONF)
    worker.run()
    threading.Thread(target=beat, args=(stop,), daemon=True).start()
    pathlib.Path(os.environ["LAB_UP_FILE"]).write_text("")
    stop.wait()
    worker.terminate()
    os._exit(0)


if __name__ == "__main__":
    main()
