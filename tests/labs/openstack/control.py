# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts, seeds and stops the lab's OpenStack. Runs in the services' venv.

Promises: `up` on a running cloud changes nothing; `up --fresh` ends with the cloud as it was right after its seeding,
whatever was done to it; a first start that was interrupted is begun again from nothing.
"""

import concurrent.futures
import functools
import shutil
from collections.abc import Callable
from pathlib import Path

from ..processes import LabError, Processes, Progress, run
from . import backends
from .base import Service, connect
from .cinder import Cinder
from .core import Core
from .octavia import Octavia
from .site import Site

DATABASE_JOBS_AT_ONCE = 3


class OpenStack:
    """The lab's cloud with the services that its site asks for."""

    def __init__(self, site: Site, say: Progress) -> None:
        self.site, self.say = site, say
        self.processes = Processes(site.run, site.log, site.home)
        self.core = Core(site, self.processes, say)
        self.octavia = Octavia(site, self.processes)
        self.more: list[Service] = [self.octavia, Cinder(site, self.processes)]
        unknown = set(site.services) - {service.name for service in [self.core, *self.more]}
        if unknown:
            raise LabError(f"LAB_SERVICES: unknown {', '.join(sorted(unknown))}; there are core, cinder, octavia")
        self.wanted: list[Service] = [self.core, *(service for service in self.more if service.name in site.services)]

    # --- up ----------------------------------------------------------------------------------------------------------

    def up(self, *, fresh: bool = False) -> None:
        """Ends with a cloud in which every service has answered an authenticated request."""
        if fresh:
            self.restore()
        elif self.runs():
            self.say("OpenStack is up already")
            return
        if not self.is_seeded(self.core) and self.site.data.exists():
            self.down()  # the remains of a first start that did not end
            shutil.rmtree(self.site.data)
        elif self.is_seeded(self.core) and self.marker(self.core).read_text() != self.filling():
            raise LabError("seeded with another port base or LAB_HOSTS; to seed it anew: lab up openstack --fresh")
        new = [service for service in self.wanted if not self.is_seeded(service)]
        pristine = fresh or self.core in new
        self.start(new)
        for service in new:
            service.seed()
            self.marker(service).write_text(self.filling())
            self.say(service.name, "seeded")
        cloud = connect(self.site)
        for service in self.wanted:
            self.processes.wait_for(f"an answer of {service.name}", functools.partial(service.answers, cloud))
        if new and pristine:
            self.save()
        self.say("OpenStack is up:", " ".join(service.name for service in self.wanted))

    def start(self, new: list[Service]) -> None:
        """Starts everything; `new` services get their databases and identities on the way."""
        site = self.site
        for folder in (site.etc, site.log, site.run, site.data, site.home / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        for service in self.wanted:
            service.configure()
        backends.start_mariadb(site, self.processes)
        backends.start_rabbitmq(site, self.processes)
        self.make_databases([job for service in new for job in service.database_jobs()])
        self.core.start_keystone()
        if new:
            self.core.wait_keystone()
            for service in new:
                service.seed_identity()
            self.say("identities seeded")
        self.core.start()
        self.processes.wait_for("rabbitmq", lambda: backends.rabbitmq_answers(site), alive=["rabbitmq"])
        for service in self.wanted:
            if service is not self.core:
                service.start()
        for service in self.wanted:
            service.wait_up()
            self.say(service.name, "answers")
        if not site.clouds_file.is_symlink():
            site.clouds_file.symlink_to(site.data / "clouds.yaml")

    def make_databases(self, jobs: list[Callable[[], None]]) -> None:
        with concurrent.futures.ThreadPoolExecutor(DATABASE_JOBS_AT_ONCE) as pool:
            running = {pool.submit(job): job.__name__ for job in jobs}
            for done in concurrent.futures.as_completed(running):
                done.result()
                self.say("made:", running[done].replace("_", " "))

    def marker(self, service: Service, state: Path | None = None) -> Path:
        """Exists once the service is seeded, and tells with what the databases were filled: ports and hypervisors."""
        return (state or self.site.data) / f".seeded-{service.name}"

    def filling(self) -> str:
        return f"{self.site.port_base} {self.site.hosts}"

    def is_seeded(self, service: Service) -> bool:
        return self.marker(service).exists()

    def expected(self) -> list[str]:
        """Names of the processes of a cloud that is up."""
        return ["mariadbd", "epmd", "rabbitmq", *(name for service in self.wanted for name in service.names())]

    def runs(self) -> bool:
        """Everything wanted is there, and nothing is half made."""
        return all(map(self.is_seeded, self.wanted)) and all(map(self.processes.pid, self.expected()))

    # --- the state kept for --fresh ----------------------------------------------------------------------------------

    def save(self) -> None:
        """Keeps the state of the running cloud. MariaDB is stopped for that moment; all services connect again."""
        self.processes.stop(["mariadbd"], 60)
        shutil.rmtree(self.site.seed, ignore_errors=True)
        run(["cp", "-a", self.site.data, self.site.seed])
        backends.start_mariadb(self.site, self.processes)
        self.say("state kept for --fresh")

    def restore(self) -> None:
        """Stops the cloud and puts the kept state back; without one that fits, the cloud is seeded anew."""
        self.down()
        shutil.rmtree(self.site.data, ignore_errors=True)
        kept = self.marker(self.core, self.site.seed)
        if kept.exists() and kept.read_text() == self.filling():
            run(["cp", "-a", self.site.seed, self.site.data])

    # --- down --------------------------------------------------------------------------------------------------------

    def down(self) -> None:
        """Ends every process of the lab, also of services that this site does not ask for. State stays."""
        self.octavia.settle()
        self.processes.stop([name for service in [*self.more, self.core] for name in service.names()], 15)
        self.processes.stop(self.processes.known("haproxy-*"), 10)  # after the worker that starts them
        backends.stop(self.processes)
        self.say("OpenStack is down")
