# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`golden_image_builder` with live progress."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.plugin_utils.live_action import LiveAction


class ActionModule(LiveAction):
    """Runs the module immutable.fleet.golden_image_builder and shows its events; plugin_utils/live_action.py does it all."""
