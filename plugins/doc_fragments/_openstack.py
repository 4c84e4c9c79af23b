# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines on OpenStack."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/cloud_specs.py, OPENSTACK."""

    DOCUMENTATION = r"""
options:
  openstack:
    description:
      - Machines are servers of an OpenStack project. Exactly one provider has to be given.
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
      image:
        description:
          - Name or ID of the image that machines are made from. It is resolved once, at the start of a rollout, to an ID and a digest,
            so that a name that moves in the meantime does not mix two images in one pool.
          - Two images of one name are refused. For a pool that is declared, this or O(openstack.image_properties) is required.
        type: str
      image_properties:
        description: Properties that choose the image instead of a name; exactly one image has to have them all.
        type: dict
      flavor:
        description: Name or ID of the flavor. Required for a pool that is declared.
        type: str
      networks:
        description: Networks of each machine, in the order of its interfaces. One port is made for each.
        type: list
        elements: dict
        suboptions:
          network:
            description: Name or ID of the network. Required, unless O(openstack.networks[].subnet) says it.
            type: str
          subnet:
            description: Name or ID of the subnet that the address comes from.
            type: str
          fixed_ips:
            description: Addresses by slot. The first is that of slot 0. A machine of a slot without an address gets one from the subnet.
            type: list
            elements: str
          security_groups:
            description: Names or IDs of the security groups of this port. O(openstack.security_groups) where it is not given.
            type: list
            elements: str
          port_security:
            description: Whether the port is filtered. The network's own setting where it is not given.
            type: bool
      security_groups:
        description: Names or IDs of the security groups of every port. The project's V(default) group where it is not given.
        type: list
        elements: str
      key_name:
        description: Name of the key pair. Machines have none where it is not given.
        type: str
      server_group:
        description: Name or ID of a server group. It is made with O(openstack.server_group_policy) where there is none of that name.
        type: str
      server_group_policy:
        description: Policy of a server group that has to be made.
        type: str
        choices: [affinity, anti-affinity, soft-affinity, soft-anti-affinity]
        default: soft-anti-affinity
      config_drive:
        description: Whether machines read their user data from a drive instead of the metadata service.
        type: bool
        default: false
      boot_volume:
        description: Boot from a volume made from the image. From the hypervisor's disk where it is not given.
        type: dict
        suboptions:
          size:
            description: Size in GiB.
            type: int
            required: true
          type:
            description: Name of the volume type. The project's default where it is not given.
            type: str
          delete_on_termination:
            description: Whether the volume goes with its machine. A volume that is kept is no longer the collection's business.
            type: bool
            default: true
      metadata:
        description: Metadata of each server beside the collection's own marks. Keys that begin with C(immutable.fleet) are refused.
        type: dict
        aliases: [meta]
      tags:
        description: Tags of each server beside the collection's own marks.
        type: list
        elements: str
"""
