# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rest of the adapter needs of its client: plain values in and out, and no SDK."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.values import Data, Ref, Wanted


class Transport(Protocol):
    """One session with vCenter, from many threads. `client.Client` is one; tests have a smaller one."""

    skew: timedelta  # vCenter's clock minus ours

    def read(self, *wanted: Wanted) -> dict[Ref, dict[str, Any]]:
        """What is wanted, in one call and one more for each page after the first. Objects that are gone are left out.

        Raises the errors of model/errors.
        """

    def call(self, this: Ref, method: str, **arguments: Any) -> Any:
        """One method of one object. Raises the errors of model/errors; `Transient`: whether it worked is unknown."""

    def wait(self, collector: Ref, version: str, seconds: float) -> Data | None:
        """One WaitForUpdatesEx: the first UpdateSet after `version`; None where nothing changed for so long, or half a call timeout.

        A collector lives in a session, so none is begun for it: `NotFound` where that has ended. Raises the errors of model/errors.
        """

    def user(self) -> str:
        """The name of the session's user, as vCenter has it."""

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A question to the Automation API, where SOAP knows nothing of the thing. Raises the errors of model/errors."""

    def close(self) -> None:
        """End the session. Never fails; what is called later begins another."""
