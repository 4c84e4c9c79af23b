# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines on vSphere."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/cloud_specs.py, VSPHERE."""

    DOCUMENTATION = r"""
options:
  vsphere:
    description:
      - Machines are VMs of a vCenter, version 7.0 or newer. Exactly one provider has to be given.
      - The connection is configured as for the modules of C(vmware.vmware), with these options or the C(VMWARE_*) environment
        variables. Needs C(pyvmomi) >= 8.0.1.0.
      - A name may be written as a path where it is not the only one, as in C(lab-dc/vm/fleet) or C(fd-a/fleet).
    type: dict
    suboptions:
      hostname:
        description: Name or address of vCenter. The environment variable E(VMWARE_HOST) is used where it is not given.
        type: str
      username:
        description: Name of the account. The environment variable E(VMWARE_USER) is used where it is not given.
        type: str
      password:
        description: Password of the account. The environment variable E(VMWARE_PASSWORD) is used where it is not given.
        type: str
      port:
        description: Port of vCenter.
        type: int
        default: 443
      validate_certs:
        description: Whether vCenter's certificate is checked.
        type: bool
        default: true
      ca_cert:
        description: File of the certificate authority that signed vCenter's certificate. The system's own where it is not given.
        type: path
      proxy_host:
        description: Name or address of an HTTP proxy on the way to vCenter.
        type: str
      proxy_port:
        description: Port of the proxy.
        type: int
        default: 8080
      template:
        description:
          - Name, path (C(/lab-dc/vm/templates/base-v2)), UUID or ID of the template that machines are cloned from. Required for a pool
            that is declared, unless its C(image) says it. A path or a UUID is found quicker than a name where vCenter has many VMs.
          - It is resolved once, at the start of a rollout. Two templates of one name are refused.
        type: str
      content_library:
        description:
          - Name of a content library that O(vsphere.template) is the name of an item in, of the type VM template. Needs vCenter 7.0 U2
            or newer.
          - An OVF item is refused. vCenter does not make a machine with its settings from one in one call.
        type: str
      image_folder:
        description:
          - Name or path of the folder of templates that M(immutable.fleet.golden_image) publishes, for pools whose C(image) follows a
            channel or names a version.
        type: str
        default: golden-images
      linked_clone:
        description:
          - Whether machines share the template's disk as it is in a snapshot of it, instead of a full copy.
          - Without that snapshot the task is refused. vCenter would make a full copy without a word.
        type: bool
        default: false
      snapshot:
        description: Name of the snapshot that linked clones share. The template's only one where it is not given.
        type: str
      datacenter:
        description: Name of the datacenter in which the other names are looked for. Everywhere where it is not given.
        type: str
      folder:
        description:
          - Name or path of the folder for the pool's VMs. Names of VMs are unique in a folder, which keeps a machine from being made
            twice, so a pool stays in its folder. The datacenter's own where it is not given.
        type: str
      cluster:
        description: Name of the cluster. Required, unless O(vsphere.resource_pool) or O(vsphere.failure_domains) say it.
        type: str
      resource_pool:
        description: Name of the resource pool, within the cluster. The cluster's own where it is not given.
        type: str
      datastore:
        description: Name of the datastore for the machines' disks. The template's own where neither this nor a cluster is given.
        type: str
      datastore_cluster:
        description: Name of the datastore cluster. A machine goes to that datastore of it which has most space.
        type: str
      host_group:
        description:
          - Name of a group of hosts of the cluster that machines go to. The clone names a host of it, and a rule of DRS, which is not
            mandatory, keeps them there. DRS chooses among all hosts where it is not given.
        type: str
      failure_domains:
        description:
          - Where machines of each of the pool's failure domains go. What a domain does not say is taken from the options beside this one.
          - A failure domain that is not described here is the cluster of its name.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the failure domain, as in the pool's C(failure_domains).
            type: str
            required: true
          cluster:
            description: Name of the cluster.
            type: str
          resource_pool:
            description: Name of the resource pool.
            type: str
          datastore:
            description: Name of the datastore.
            type: str
          datastore_cluster:
            description: Name of the datastore cluster.
            type: str
          host_group:
            description: Name of a group of hosts of the cluster.
            type: str
          networks:
            description: Names of the networks, one for each of O(vsphere.networks), where they are others in this domain.
            type: list
            elements: str
      hardware:
        description: What machines have of it. The template's own where it is not given.
        type: dict
        suboptions:
          num_cpus:
            description: Number of CPUs.
            type: int
          num_cpu_cores_per_socket:
            description: Number of cores in each socket.
            type: int
          memory_mb:
            description: Memory in MiB, a multiple of 4.
            type: int
      disks:
        description: Sizes of the template's disks, in their order. A disk can grow, and not shrink.
        type: list
        elements: dict
        suboptions:
          size_gb:
            description: Size in GiB.
            type: int
            required: true
      extra_disks:
        description: Empty disks that each machine has beside the template's, thinly provisioned, on its own datastore.
        type: list
        elements: dict
        suboptions:
          size_gb:
            description: Size in GiB.
            type: int
            required: true
          keep:
            description:
              - Whether the disk outlives its machine. It is independent then, so snapshots do not take it along, and is detached before the
                VM is destroyed. Its file stays in the folder of the machine's name, for whoever wants it.
            type: bool
            default: false
      networks:
        description: Networks of each machine, in the order of its interfaces. The template's own where it is not given.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of a port group or network.
            type: str
          addresses:
            description:
              - Static addresses that machines are given, as in V(10.0.0.10-10.0.0.40). One is never given twice. DHCP where it is empty.
              - There have to be as many as machines at the height of a rollout, which is C(replicas) and the surge.
            type: list
            elements: str
          prefix_length:
            description: Length of the network's prefix, as in V(24). Required with O(vsphere.networks[].addresses).
            type: int
          gateway:
            description: Address of the default gateway.
            type: str
          dns_servers:
            description: Addresses of name servers.
            type: list
            elements: str
          dns_search:
            description: Domains that names are looked up in.
            type: list
            elements: str
          guest_device:
            description: The interface's name in the guest, as in V(ens192). Required with static addresses and several interfaces.
            type: str
      anti_affinity:
        description:
          - Whether rules of DRS keep the pool's machines on different hosts of their cluster. A cluster has a rule for each so many
            machines as it has hosts. They are put in order within a minute, and before a run ends.
          - Rules that were made stay when this is turned off. With it, they are removed with the pool's machines.
        type: bool
        default: false
      stable_addresses:
        description:
          - Whether each slot has a static address of its own, the first slot the first one, and its machines never another.
          - The old machine holds it until it is gone, so it has to go first. Refused with C(max_surge) above 0, unless the strategy is
            C(recreate).
        type: bool
        default: false
      advanced_settings:
        description:
          - Settings in each VM's C(extraConfig) beside the collection's own marks, as in C(disk.EnableUUID).
          - Keys that begin with C(immutable.fleet), C(guestinfo.metadata) or C(guestinfo.userdata) are refused.
        type: dict
      shutdown_timeout:
        description:
          - How long the guest of a machine that is deleted has to shut down, before it is powered off. V(0) asks no guest.
          - A VM whose tools do not run is powered off at once.
        type: str
        default: 60s
"""
