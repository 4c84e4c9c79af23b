# SPDX-License-Identifier: GPL-3.0-or-later
"""A load of requests at a steady rate, by h2load of nghttp2, for as long as something else goes on.

with Load("http://127.0.0.1:8000/", per_second=500) as load:
    ...
load.sent, load.failed, load.per_second
"""

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ..debian import libraries
from ..processes import LabError
from .server import root

PACKAGE = "nghttp2-client"
CLIENTS = 50  # connections, each with its share of the rate
APART = "22ms"  # they begin one after the other, so that requests come evenly and not all at once
AT_A_TIME = 10_000  # requests of one h2load; the next one follows at once
# It counts what a connection that was cut off would have sent later as failed, too; what was started and not answered is what failed.
COUNTS = re.compile(r"requests: \d+ total, (\d+) started, \d+ done, (\d+) succeeded")


def load_program(environment: Mapping[str, str]) -> Path | None:
    """The h2load of the machine, else the unpacked one; None: there is neither."""
    found = shutil.which("h2load", path=f"{environment.get('PATH', '')}:{root(environment)}/usr/bin")
    return Path(found) if found else None


class Load:
    """HTTP/1.1 over connections that are kept. `per_second` is what was asked for, and in the end what it was."""

    def __init__(self, url: str, *, per_second: float) -> None:
        found = load_program(os.environ)
        if found is None:
            raise LabError("no h2load: lab up haproxy")
        rhythm = [f"--clients={CLIENTS}", f"--rps={per_second / CLIENTS:g}", "--rate=1", f"--rate-period={APART}"]
        self._words = [str(found), "--h1", *rhythm, f"--requests={AT_A_TIME}", url]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self._strange = ""  # what it said and nobody understood
        self.per_second = per_second
        self.sent = self.failed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """Every request that was sent has ended."""
        self._ends.set()
        self._thread.join()
        if self._strange:
            raise LabError(f"h2load: {self._strange}")

    def _run(self) -> None:
        began = time.monotonic()
        while not self._ends.is_set() and not self._strange:
            done = subprocess.run(self._words, env=os.environ | libraries(root(os.environ)), capture_output=True, text=True, check=False)
            counts = COUNTS.search(done.stdout)
            if counts is None:
                self._strange = done.stdout + done.stderr
                return
            started, succeeded = map(int, counts.groups())
            self.sent, self.failed = self.sent + started, self.failed + started - succeeded
            self.per_second = self.sent / (time.monotonic() - began)
