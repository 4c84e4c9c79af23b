# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd clusters of several members on loopback, for tests of control plane replacement.

  lab etcd up                     start m1, m2, m3 (or the members that are there)
  lab etcd start|stop|kill NAME   one member
  lab etcd add NAME               a new member: first the vote of the others, then its process
  lab etcd remove NAME            out of the cluster, stopped, its data dropped
  lab etcd status|leader|endpoints|down|wipe

Names are m0 to m9. A Kubernetes lab on top of it: LAB_ETCD_SERVERS=$(lab etcd endpoints) lab up kubernetes --fresh

For 5 s after a member has (re)joined, etcd refuses add and remove: "etcdserver: unhealthy cluster".
"""

import json
import re
import shutil
import signal
import sys
from typing import Any

from ..processes import LabError, Processes, run
from .site import IP, MEMBERS_OFFSET, Site

FIRST = ("m1", "m2", "m3")
COMMAND_SECONDS = 10


class Members:
    """The members below etcd3/ of a lab; client port base + 10 + 2n for member mN, its peer port one above."""

    def __init__(self, site: Site | None = None) -> None:
        self.site = site or Site.from_environment()
        self.home = self.site.state / "etcd3"
        self.home.mkdir(parents=True, exist_ok=True)
        self.processes = Processes(self.home, self.home, self.home)

    def names(self) -> list[str]:
        return sorted(folder.name for folder in self.home.glob("m[0-9]") if folder.is_dir())

    def client_url(self, name: str, peer: int = 0) -> str:
        if not re.fullmatch(r"m\d", name):
            raise LabError(f"{name}: members are called m0 to m9")
        return f"http://{IP}:{self.site.port_base + MEMBERS_OFFSET + 2 * int(name[1]) + peer}"

    def endpoints(self) -> str:
        return ",".join(map(self.client_url, self.names()))

    def up(self) -> None:
        names = self.names() or list(FIRST)
        cluster = ",".join(f"{name}={self.client_url(name, peer=1)}" for name in names)
        for name in names:
            self._start(name, "new", cluster)
        self.wait_healthy()

    def start(self, name: str) -> None:
        """A member that has been there before."""
        self._start(name, "existing", "")
        self.wait_healthy()

    def stop(self, name: str, sign: signal.Signals = signal.SIGTERM) -> None:
        self.processes.stop([name], 10, sign)

    def add(self, name: str) -> None:
        told = self.control("member", "add", name, f"--peer-urls={self.client_url(name, peer=1)}", form="simple")
        cluster = re.search(r'ETCD_INITIAL_CLUSTER="(.*)"', told)
        if not cluster:
            raise LabError(f"etcdctl member add {name} did not tell the cluster: {told}")
        self._start(name, "existing", cluster[1])
        self.wait_healthy()

    def remove(self, name: str) -> None:
        numbers = {member.get("name"): member["ID"] for member in self.ask("member", "list")["members"]}
        if name not in numbers:
            raise LabError(f"no member {name}, only {', '.join(map(str, numbers))}")
        self.control("member", "remove", f"{numbers[name]:x}")
        self.stop(name)
        shutil.rmtree(self.home / name)

    def leader(self) -> str:
        """Its name; empty while there is none."""
        for name in self.names():
            if self.processes.pid(name):
                status = self.ask("endpoint", "status", endpoints=self.client_url(name))[0]["Status"]
                if status["leader"] == status["header"]["member_id"]:
                    return name
        return ""

    def down(self) -> None:
        self.processes.stop(self.names(), 10)

    def wipe(self) -> None:
        self.down()
        shutil.rmtree(self.home)

    def wait_healthy(self) -> None:
        alive = [name for name in self.names() if self.processes.pid(name)]
        endpoints = ",".join(map(self.client_url, alive))
        self.processes.wait_for("etcd", lambda: self.ask("endpoint", "health", endpoints=endpoints), COMMAND_SECONDS, alive)

    def ask(self, *words: str, endpoints: str | None = None) -> Any:
        return json.loads(self.control(*words, endpoints=endpoints))

    def control(self, *words: str, endpoints: str | None = None, form: str = "json") -> str:
        argv = [self.site.bin / "etcdctl", f"--endpoints={endpoints or self.endpoints()}", f"--write-out={form}"]
        return run([*argv, f"--command-timeout={COMMAND_SECONDS}s", *words])

    def _start(self, name: str, state: str, cluster: str) -> None:
        """`state` and `cluster` count at the member's first start only."""
        client, peer = self.client_url(name), self.client_url(name, peer=1)
        (self.home / name).mkdir(exist_ok=True)
        argv: list[object] = [self.site.bin / "etcd", f"--name={name}", f"--data-dir={self.home / name}", "--unsafe-no-fsync"]
        argv += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
        argv += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster-state={state}", f"--initial-cluster={cluster}"]
        self.processes.start(name, [*argv, "--log-level=warn"])


def main(words: list[str]) -> None:
    members = Members()
    match words:
        case ["up" | "down" | "wipe" as command]:
            getattr(members, command)()
        case ["endpoints" | "leader" as command]:
            print(getattr(members, command)())
        case ["start" | "stop" | "add" | "remove" as command, name]:
            getattr(members, command)(name)
        case ["kill", name]:
            members.stop(name, signal.SIGKILL)
        case ["status"]:
            print(members.control("endpoint", "status", form="table"))
        case _:
            print(__doc__)
            sys.exit(0 if words == ["--help"] else 2)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LabError as error:
        sys.exit(f"etcd: {error}")
