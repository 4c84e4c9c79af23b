# SPDX-License-Identifier: GPL-3.0-or-later
"""cinder-scheduler and cinder-volume in one process.

usage: lab_cinder_services.py --config-file cinder.conf ...

The steps of cinder.cmd.scheduler.main() and cinder.cmd.volume.main(). A
service knows its row in the database by an attribute of its class: with two of
them in a process only the last one would report that it lives.
"""

# autopep8: off
import eventlet

eventlet.monkey_patch()
import __original_module_threading as orig_threading
import threading

orig_threading.current_thread.__globals__["_active"] = threading._active
# autopep8: on
import shlex
import sys

import os_brick
from oslo_config import cfg
from oslo_log import log as logging
from oslo_privsep import priv_context
from oslo_service import service as oslo_service

from cinder.cmd import volume as volume_cmd
from cinder.common import constants
from cinder import objects
from cinder import service
from cinder import utils
from cinder import version

CONF = cfg.CONF


class Service(service.Service):
    hears = False

    def start(self):
        go_on = self.manager.init_host_with_rpc

        def init_host_with_rpc():
            self.hears = True
            go_on()

        self.manager.init_host_with_rpc = init_host_with_rpc
        super().start()

    def report_state(self):
        service.Service.service_id = self.origin_service_id
        super().report_state()


def main():
    objects.register_all()
    CONF(sys.argv[1:], project="cinder", version=version.version_string())
    logging.setup(CONF, "cinder")
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    utils.monkey_patch()
    os_brick.setup(CONF)
    launcher = oslo_service.ServiceLauncher(CONF)
    scheduler = Service.create(binary="cinder-scheduler")
    launcher.launch_service(scheduler)
    # it has to hear the first report of what the backend can do: the next
    # one comes after periodic_interval
    while not scheduler.hears:
        eventlet.sleep(0.05)
    for backend in CONF.enabled_backends:
        CONF.register_opt(volume_cmd.host_opt, group=backend)
        launcher.launch_service(
            Service.create(host=f"{CONF.host}@{backend}", service_name=backend, binary=constants.VOLUME_BINARY, coordination=True)
        )
    launcher.wait()


if __name__ == "__main__":
    main()
