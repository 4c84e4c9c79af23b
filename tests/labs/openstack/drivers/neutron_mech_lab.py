# SPDX-License-Identifier: GPL-3.0-or-later
# Installed by install.py into the lab's venv with the entry point
# neutron.ml2.mechanism_drivers: lab
"""An ML2 mechanism driver that binds every port on every host at once.

No agent has to report: the port goes to ACTIVE in bind_port itself.
A host whose name contains "nobind" never binds (binding_failed), which is how
a server that fails in network set-up is made.

It also plays the part of the L3 agent for floating IPs: they go to ACTIVE when
they are associated with a port, to DOWN when not (the answer of the POST still
says DOWN, as it does in a cloud with agents).
"""

from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events
from neutron_lib.callbacks import registry
from neutron_lib.callbacks import resources
from neutron_lib import constants
from neutron_lib.plugins import constants as plugin_constants
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api


class LabMechanismDriver(api.MechanismDriver):
    def initialize(self):
        for event in (events.AFTER_CREATE, events.AFTER_UPDATE):
            registry.subscribe(self._floating_ip, resources.FLOATING_IP, event)

    def _floating_ip(self, resource, event, trigger, payload=None):
        fip = payload.states[-1] or {}
        directory.get_plugin(plugin_constants.L3).update_floatingip_status(
            payload.context.elevated(),
            payload.resource_id,
            constants.FLOATINGIP_STATUS_ACTIVE if fip.get("port_id") else constants.FLOATINGIP_STATUS_DOWN,
        )

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        if "nobind" in (context.host or ""):
            return
        for segment in context.segments_to_bind:
            context.set_binding(
                segment[api.ID],
                portbindings.VIF_TYPE_OVS,
                {portbindings.CAP_PORT_FILTER: True, portbindings.VIF_DETAILS_CONNECTIVITY: portbindings.CONNECTIVITY_L2},
                status=constants.PORT_STATUS_ACTIVE,
            )
            return

    def filter_hosts_with_segment_access(self, context, segments, candidate_hosts, agent_getter):
        return set(candidate_hosts)
