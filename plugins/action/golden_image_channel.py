# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`golden_image_channel` without a copy of the engine made for each task."""

from __future__ import annotations

from ansible_collections.immutable.fleet.plugins.plugin_utils.in_place_action import InPlaceAction


class ActionModule(InPlaceAction):
    """Runs the module immutable.fleet.golden_image_channel; plugin_utils/in_place_action.py does it all."""
