# SPDX-License-Identifier: GPL-3.0-or-later
"""Which revision a run makes: the one asked for, until an operator or a breach puts another image in its place.

One resolve at a time, started here and answered in the loop's own thread. While it is under way nothing is decided: a turn
that rolled towards the old target would have to be taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.decide import brake
from ansible_collections.immutable.fleet.plugins.module_utils.decide.target import image_instead
from ansible_collections.immutable.fleet.plugins.module_utils.engine.run import Job
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import FleetError, Invalid, PortError
from ansible_collections.immutable.fleet.plugins.module_utils.model.record import Image, PoolRecord
from ansible_collections.immutable.fleet.plugins.module_utils.model.revision import ANY, Revision
from ansible_collections.immutable.fleet.plugins.module_utils.model.steering import Steering
from ansible_collections.immutable.fleet.plugins.module_utils.ports import Cloud, Runtime

RETRY = timedelta(seconds=5)


class Course:
    """Follows `image_instead`. `failure` ends the run: the image that an operator named cannot be used."""

    def __init__(self, job: Job, cloud: Cloud | None, runtime: Runtime, tell: Callable[[Revision, datetime], None]) -> None:
        self._job, self._cloud, self._runtime, self._tell = job, cloud, runtime, tell
        pool = job.pool
        self.asked = pool.revision if pool is not None else ANY
        self._following: Image = {}
        self._is_resolving = False
        self._not_before: datetime | None = None
        self.failure: FleetError | None = None

    def is_set(self, record: PoolRecord, steering: Steering, now: datetime) -> bool:
        """Whether the job's revision is the one to make; if not, what is needed is on its way."""
        pool, cloud = self._job.pool, self._cloud
        if cloud is None or pool is None or self.asked.id == ANY.id:
            return True
        wanted = image_instead(pool, self.asked, record, steering)
        if wanted == self._following:
            return True
        if not wanted:
            self._follow(wanted, self.asked)
            return True
        if not self._is_resolving and (self._not_before is None or now >= self._not_before):
            self._is_resolving = True
            self._runtime.submit(lambda: cloud.resolve(wanted), lambda result, error: self._answered(wanted, result, error))
        return False

    def _answered(self, wanted: Image, result: object, error: Exception | None) -> None:
        self._is_resolving = False
        if isinstance(result, Revision):
            self._follow(wanted, result)
        elif isinstance(error, Invalid):
            pool = self._job.pool
            if pool is not None:
                error.forward = f"name another image: {brake.control(pool, 'retargeted', image='NAME')}"
                error.back = f"follow the variables again: {brake.control(pool, 'retargeted', then=brake.THEN_AGAIN)}"
            self.failure = error
        elif isinstance(error, PortError):
            self._not_before = self._runtime.now() + RETRY
        elif error is not None:
            raise error

    def _follow(self, image: Image, revision: Revision) -> None:
        self._following = image
        self._job.retarget(revision)
        self._tell(revision, self._runtime.now())
