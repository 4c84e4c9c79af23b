# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where golden images lie."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/image_specs.py, IMAGE_STORE."""

    # `openstack` as in _openstack.py: what documents options has to be one literal, which `ansible-test sanity` reads without Python.
    DOCUMENTATION = r"""
options:
  openstack:
    description:
      - Images are those of the image service (Glance) of an OpenStack project. Exactly one store has to be given.
      - The connection is configured as for the modules of C(openstack.cloud), with C(clouds.yaml), the C(OS_*) environment
        variables or O(openstack.auth). Needs C(openstacksdk) >= 1.0.0.
    type: dict
    suboptions:
      cloud:
        description: Name of a cloud in C(clouds.yaml). The environment variable E(OS_CLOUD) is used where it is not given.
        type: str
      auth:
        description:
          - Credentials, for clouds that are not described in C(clouds.yaml).
          - Other authentication plugins than password, token and application credential are configured in C(clouds.yaml).
        type: dict
        suboptions:
          auth_url:
            description: URL of the identity service.
            type: str
          username:
            description: Name of the user.
            type: str
          user_id:
            description: ID of the user.
            type: str
          password:
            description: Password of the user.
            type: str
          user_domain_name:
            description: Name of the user's domain.
            type: str
          user_domain_id:
            description: ID of the user's domain.
            type: str
          project_name:
            description: Name of the project.
            type: str
          project_id:
            description: ID of the project.
            type: str
          project_domain_name:
            description: Name of the project's domain.
            type: str
          project_domain_id:
            description: ID of the project's domain.
            type: str
          domain_name:
            description: Name of the domain, for a token scoped to a domain.
            type: str
          domain_id:
            description: ID of the domain, for a token scoped to a domain.
            type: str
          system_scope:
            description: V(all) for a token scoped to the system.
            type: str
          application_credential_id:
            description: ID of an application credential.
            type: str
          application_credential_name:
            description: Name of an application credential; needs the user beside it.
            type: str
          application_credential_secret:
            description: Secret of the application credential.
            type: str
          token:
            description: A token that was issued before.
            type: str
          passcode:
            description: A one-time passcode.
            type: str
      auth_type:
        description: Name of the authentication plugin; V(password) where nothing says otherwise.
        type: str
      region_name:
        description: Name of the region.
        type: str
      interface:
        description: Which endpoint of each service is used.
        type: str
        choices: [admin, internal, public]
        default: public
        aliases: [endpoint_type]
      validate_certs:
        description: Whether certificates of the services are checked. They are, unless C(clouds.yaml) says otherwise.
        type: bool
        aliases: [verify]
      ca_cert:
        description: File of the certificate authority that signed the services' certificates.
        type: path
        aliases: [cacert]
      client_cert:
        description: File of a client certificate.
        type: path
        aliases: [cert]
      client_key:
        description: File of the client certificate's key.
        type: path
        aliases: [key]
  vsphere:
    description:
      - Images are templates in a folder of a vCenter, version 7.0 or newer. Exactly one store has to be given.
      - The connection is configured as for the modules of C(vmware.vmware), with these options or the C(VMWARE_*) environment
        variables. Needs C(pyvmomi) >= 8.0.1.0.
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
        description: Whether certificates of vCenter, and of the host that takes a disk, are checked.
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
      datacenter:
        description: Name of the datacenter in which the other names are looked for. Everywhere where it is not given.
        type: str
      image_folder:
        description: Name or path of the folder of VMs that the images lie in. It is never made.
        type: str
        default: golden-images
      cluster:
        description: Name of a cluster whose hosts see O(vsphere.datastore). A template or a promotion is made there.
        type: str
      resource_pool:
        description: Name of the resource pool, within the cluster. The cluster's own where it is not given.
        type: str
      datastore:
        description: Name of the datastore that templates lie on. Required where one is made.
        type: str
      guest_id:
        description: Which guest the templates say that they have, by vSphere's name, as in V(debian12_64Guest).
        type: str
        default: otherLinux64Guest
      firmware:
        description: What the image boots with.
        type: str
        choices: [bios, efi]
        default: bios
  simulated:
    description:
      - Images are those of a simulated world, which M(immutable.fleet.simulated_world) makes. It keeps manifests, and no bytes.
      - Exactly one store has to be given.
    type: dict
    suboptions:
      world:
        description: File of the world. Several runs and processes may use one at the same time.
        type: path
        required: true
"""
