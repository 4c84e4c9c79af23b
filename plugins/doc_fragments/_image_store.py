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
