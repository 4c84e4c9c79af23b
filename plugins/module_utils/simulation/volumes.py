# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that follow their pods: attached to one node at a time, let go some time after the pod is gone (FM12)."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.immutable.fleet.plugins.module_utils.simulation.rows import Volume
from ansible_collections.immutable.fleet.plugins.module_utils.simulation.state import State

DETACHED = "detached"


class Volumes:
    """VolumeAttachments. `on` is `{node: {claim: None}}`, in order of attachment."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.on: dict[str, dict[str, None]] = {}

    def reload(self) -> None:
        """Build `on` anew after rows came from a file."""
        self.on = {}
        for volume in self._state.volumes.values():
            self.on.setdefault(volume.node, {})[volume.claim] = None

    def attach(self, claim: str, node: str, pod: str, *, observed: bool = False) -> bool:
        """Whether the pod can start: its volume is on its node now. False: it is still attached elsewhere, and `pod` waits."""
        volume = self._state.volumes.get(claim)
        if volume is None:
            self._state.volumes.put(claim, Volume(claim, node, observed))
            self._show(claim, node)
            return True
        self._state.volumes.touch(claim)
        if volume.node == node:
            volume.turn += 1  # a detach that was planned is void
            return True
        volume.waiter = pod
        return False

    def release(self, claim: str, node: str, after: timedelta) -> None:
        """The pod that used it on `node` is gone."""
        volume = self._state.volumes.get(claim)
        if volume is not None and volume.node == node:
            self._state.plan(after, DETACHED, f"{claim} {volume.turn}")

    def let_go(self, node: str, after: timedelta) -> None:
        """Out of service: what no pod uses any more is detached without waiting for a kubelet to unmount it."""
        for claim in self.on.get(node, ()):
            if all(row.claim != claim or row.node != node for row in self._state.pods.values()):
                self.release(claim, node, after)

    def release_observed(self, node: str, after: timedelta) -> None:
        """No pod is left on `node`: what nobody is known to use goes too."""
        for claim in self.on.get(node, ()):
            if self._state.volumes[claim].observed:
                self.release(claim, node, after)

    def detached(self, key: str) -> str:
        """Event. The pod that can start now, "" for none."""
        claim, _separator, turn = key.rpartition(" ")
        volume = self._state.volumes.get(claim)
        if volume is None or volume.turn != int(turn):
            return ""
        self._hide(claim, volume.node)
        waiter = self._state.pods.get(volume.waiter)
        if waiter is None or not waiter.node:
            self._state.volumes.drop(claim)
            return ""
        uid, volume.node, volume.waiter, volume.turn = volume.waiter, waiter.node, "", volume.turn + 1
        self._state.volumes.touch(claim)
        self._show(claim, volume.node)
        return uid

    def _show(self, claim: str, node: str) -> None:
        self.on.setdefault(node, {})[claim] = None
        self._state.node_changed(node)

    def _hide(self, claim: str, node: str) -> None:
        attached = self.on.get(node, {})
        attached.pop(claim, None)
        if not attached:
            self.on.pop(node, None)
        self._state.node_changed(node)
