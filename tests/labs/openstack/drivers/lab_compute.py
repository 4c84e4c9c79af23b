# SPDX-License-Identifier: GPL-3.0-or-later
"""nova-compute for several hosts in one process.

usage: lab_compute.py HOST[,HOST...] --config-file nova.conf ...

The same steps as nova.cmd.compute.main(), but one Service per host.
"""

# autopep8: off
from nova import monkey_patch

monkey_patch.patch()
# autopep8: on
import os
import shlex
import sys
import time

import os_vif
from oslo_log import log as logging
from oslo_privsep import priv_context
from oslo_service import service as oslo_service

from nova.compute import rpcapi as compute_rpcapi
from nova.conductor import rpcapi as conductor_rpcapi
import nova.conf
from nova import config
import nova.db.main.api
from nova import objects
from nova.objects import base as objects_base
from nova import service
from nova import utils
from nova.virt import labfake

CONF = nova.conf.CONF


def main():
    hosts = sys.argv[1].split(",")
    config.parse_args([sys.argv[0], *sys.argv[2:]])
    logging.setup(CONF, "nova")
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    objects.register_all()
    os_vif.initialize()
    # nova wants this file from the second start on (any one will do here,
    # the driver gives each node its own UUID)
    os.makedirs(CONF.state_path, exist_ok=True)
    ident = os.path.join(CONF.state_path, "compute_id")
    if not os.path.exists(ident):
        with open(ident, "w") as f:
            f.write(labfake.node_uuid(hosts[0]))
    # A first ping of a conductor that is not there yet costs 10 s: the modules
    # are loaded by now, wait until `up` has seen the conductor.
    go = os.environ.get("LAB_GO_FILE")
    while go and not os.path.exists(go):
        time.sleep(0.1)
    nova.db.main.api.DISABLE_DB_ACCESS = True
    objects_base.NovaObject.indirection_api = conductor_rpcapi.ConductorAPI()
    objects.Service.enable_min_version_cache()
    launcher = oslo_service.ServiceLauncher(CONF)
    for host in hosts:
        launcher.launch_service(
            service.Service.create(binary="nova-compute", host=host, topic=compute_rpcapi.RPC_TOPIC, topic_alt=compute_rpcapi.RPC_TOPIC_ALT)
        )
    launcher.wait()


if __name__ == "__main__":
    main()
