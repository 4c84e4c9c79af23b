# SPDX-License-Identifier: GPL-3.0-or-later
# Installed by install.py into the lab's venv with entry points "lab" for
# octavia.compute.drivers, octavia.network.drivers and octavia.amphora.drivers.
"""Octavia's amphora provider with real neutron ports and a local HAProxy.

The API, the worker, its flows and its database are upstream's. Only what lies
below is the lab's:

compute   no server is made; build() takes LAB_LB_DELAY seconds.
network   the VIP port is a real neutron port; what would be plugged into an
          amphora is only pretended.
amphora   the HAProxy configuration that upstream renders is run by a HAProxy
          on this machine, with every address a.b.c.d turned into
          127.(b + LAB_ADDRESS_SHIFT).c.d. Each change
          takes LAB_LB_DELAY seconds, or N with lab_delay=N in the
          description of the load balancer. lab_fail in the name of the load
          balancer, a listener, a pool or a member makes the change fail.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import signal
import subprocess
import time
import uuid

from octavia.amphorae.backends.utils import haproxy_query
from octavia.amphorae.drivers.noop_driver import driver as amphora_noop
from octavia.common import constants
from octavia.common import data_models
from octavia.common.jinja.haproxy.combined_listeners import jinja_cfg
from octavia.compute.drivers.noop_driver import driver as compute_noop
from octavia.network import data_models as network_models
from octavia.network.drivers.neutron import allowed_address_pairs

HOME = pathlib.Path(os.environ["LAB_DIRECTORY"])
RUN, DATA = HOME / "run", HOME / "data/octavia"
HAPROXY = HOME / "root/usr/sbin/haproxy"
SHIFT = int(os.environ["LAB_ADDRESS_SHIFT"])
DELAY = float(os.environ.get("LAB_LB_DELAY") or 0)
CARRIED = ("TCP", "HTTP", "HTTPS")  # what the data plane can do
GONE = (constants.PENDING_DELETE, constants.DELETED)


def loopback(ip):
    """The address on this machine that stands for ip."""
    a = ip.split(".")
    if len(a) != 4 or a[0] == "127":
        return ip
    return "127.%d.%s.%s" % ((int(a[1]) + SHIFT) % 256, a[2], a[3])


# ------------------------------------------------------------------ HAProxy
def born(pid):
    try:
        rest = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    rest = rest.rsplit(")", 1)[1].split()
    return None if rest[0] == "Z" else rest[19]


def haproxies(name):
    """Pids of the living processes; the pid files of dead ones go."""
    pids = []
    for f in RUN.glob(f"{name}-*.pid"):
        pid, t = f.read_text().split()
        if born(pid) == t:
            pids.append(pid)
        else:
            f.unlink(missing_ok=True)
    return pids


def name_of(compute_id):
    return "haproxy-" + compute_id[:8]


@contextlib.contextmanager
def locked(name):
    DATA.mkdir(parents=True, exist_ok=True)
    with open(RUN / f"{name}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def socket_of(compute_id):
    return str(RUN / f"{name_of(compute_id)}.sock")


def render(lb, amphora):
    listeners = [x for x in lb.listeners if x.protocol in CARRIED and x.provisioning_status not in GONE]
    if not listeners or ":" in lb.vip.ip_address:
        return None
    (DATA / lb.id).mkdir(parents=True, exist_ok=True)
    text = jinja_cfg.JinjaTemplater(base_amp_path=str(DATA), connection_logging=False).build_config(
        host_amphora=amphora,
        listeners=listeners,
        tls_certs={},
        haproxy_versions=["2", "6"],
        amp_details={},
        socket_path=socket_of(amphora.compute_id),
    )
    members = [m for p in lb.pools for m in p.members]
    for ip in {lb.vip.ip_address, *(m.ip_address for m in members), *(m.monitor_address for m in members if m.monitor_address)}:
        text = re.sub(r"(?<![\d.])%s(?![\d.])" % re.escape(ip), loopback(ip), text)
    text = re.sub(r"(?m)^ *(user nobody|log /run.*)\n", "", text)
    # 50000 by default, more than a process may open files here
    text = re.sub(r"maxconn (\d+)", lambda m: "maxconn %d" % min(int(m[1]), 2000), text)
    text = text.replace("/var/lib/octavia/ping-wrapper.sh", "/bin/true")
    # connections of a configuration that was replaced may end in peace
    return text.replace("global\n", "global\n    hard-stop-after 60s\n", 1)


def haproxy_apply(lb, amphora):
    name = name_of(amphora.compute_id)
    with locked(name):
        text = render(lb, amphora)
        if text is None:
            _stop(name)
            return
        cfg, own = DATA / f"{name}.cfg", RUN / f"{name}.own"
        state = DATA / lb.id / "servers-state"
        old = haproxies(name)
        if old:
            haproxy_query.HAProxyQuery(socket_of(amphora.compute_id)).save_state(str(state))
        elif not state.exists():
            state.write_text("")
        cfg.write_text(text)
        r = subprocess.run(
            [str(HAPROXY), "-D", "-f", str(cfg), "-p", str(own), *(["-sf", *old] if old else [])],
            capture_output=True,
            text=True,
            check=False,
            env={"LD_LIBRARY_PATH": os.environ.get("LAB_LIBRARIES", "")},
        )
        if r.returncode:
            raise RuntimeError("haproxy: " + r.stderr[-1500:])
        pid = own.read_text().split()[0]
        (RUN / f"{name}-{pid}.pid").write_text(f"{pid} {born(pid)}")


def _stop(name):
    for pid in haproxies(name):
        os.kill(int(pid), signal.SIGTERM)
        (RUN / f"{name}-{pid}.pid").unlink(missing_ok=True)
    (DATA / f"{name}.cfg").unlink(missing_ok=True)
    (RUN / f"{name}.sock").unlink(missing_ok=True)


# ------------------------------------------------------------------ drivers
class LabComputeDriver(compute_noop.NoopComputeDriver):
    def build(self, *args, **kwargs):
        time.sleep(DELAY)
        return super().build(*args, **kwargs)

    def delete(self, compute_id):
        if compute_id:
            with locked(name_of(compute_id)):
                _stop(name_of(compute_id))

    # upstream's keeps these in a file in /tmp
    def attach_network_or_port(self, *args, **kwargs):
        pass

    def detach_port(self, *args, **kwargs):
        pass


class LabAmphoraDriver(amphora_noop.NoopAmphoraLoadBalancerDriver):
    def update(self, lb):
        m = re.search(r"lab_delay=([\d.]+)", lb.description or "")
        time.sleep(float(m[1]) if m else DELAY)
        for x in (lb, *lb.listeners, *lb.pools, *(m for p in lb.pools for m in p.members)):
            if "lab_fail" in (x.name or "") and x.provisioning_status not in GONE:
                raise RuntimeError(f"{x.name} asks for a failure")
        for amphora in lb.amphorae:
            self.update_amphora_listeners(lb, amphora)

    def update_amphora_listeners(self, lb, amphora, timeout_dict=None):
        if amphora and amphora.compute_id and amphora.status != constants.DELETED:
            haproxy_apply(lb, amphora)

    def delete(self, listener):
        self.update(listener.load_balancer)


def no_delta(self, loadbalancer, amphora, availability_zone):
    """Nothing is ever plugged into, or out of, an amphora."""
    return network_models.Delta(
        amphora_id=amphora[constants.ID],
        compute_id=amphora[constants.COMPUTE_ID],
        add_nics=[],
        delete_nics=[],
        add_subnets=[],
        delete_subnets=[],
    ).to_dict(recurse=True)


class LabNetworkDriver(allowed_address_pairs.AllowedAddressPairsDriver):
    def __init__(self):
        super().__init__()
        self.sec_grp_enabled = False  # nothing here filters packets

    def _check_extension_enabled(self, alias):
        # upstream asks neutron four times for each task of each flow
        return alias in ("allowed-address-pairs", "project-id", "qos")

    def plug_aap_port(self, lb, vip, amphora, subnet):
        return data_models.Amphora(
            id=amphora.id,
            compute_id=amphora.compute_id,
            vrrp_ip="192.0.2.1",
            ha_ip=vip.ip_address,
            vrrp_port_id=str(uuid.uuid4()),
            ha_port_id=vip.port_id,
        )

    def get_network_configs(self, lb, amphora=None):
        subnet = self.get_subnet(lb.vip.subnet_id)
        port = network_models.Port(
            network_id=lb.vip.network_id,
            fixed_ips=[network_models.FixedIP(subnet_id=lb.vip.subnet_id, ip_address=lb.vip.ip_address)],
        )
        return {
            amp.id: network_models.AmphoraNetworkConfig(
                amphora=amp,
                vip_subnet=subnet,
                vip_port=port,
                vrrp_subnet=subnet,
                vrrp_port=port,
                ha_subnet=subnet,
                ha_port=port,
                additional_vip_data=[],
            )
            for amp in ([amphora] if amphora else lb.amphorae)
        }

    def deallocate_vip(self, vip):
        if vip.octavia_owned:
            self.delete_port(vip.port_id)

    def get_plugged_networks(self, compute_id):
        return []

    def nothing(self, *args, **kwargs):
        pass

    update_vip = unplug_vip = unplug_network = unplug_aap_port = nothing
    plug_port = failover_preparation = apply_qos_on_port = nothing
