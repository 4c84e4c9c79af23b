# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, immutable.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workload cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Twin of entry/specs.py, KUBERNETES."""

    DOCUMENTATION = r"""
options:
  kubernetes:
    description:
      - The cluster that the nodes belong to, named as for the modules of C(kubernetes.core), with the same environment variables.
        Needs the Python package C(kubernetes) >= 24.2.0.
      - An empty dictionary means the current context of the default kubeconfig.
    type: dict
    suboptions:
      kubeconfig:
        description:
          - File of the kubeconfig, or its content as a dictionary. E(K8S_AUTH_KUBECONFIG), E(KUBECONFIG) or C(~/.kube/config) where it
            is not given.
        type: raw
      context:
        description: Name of the context; E(K8S_AUTH_CONTEXT) or the kubeconfig's current one where it is not given.
        type: str
      host:
        description: URL of the API server, for use without a kubeconfig; or E(K8S_AUTH_HOST).
        type: str
      api_key:
        description: Bearer token; or E(K8S_AUTH_API_KEY).
        type: str
      username:
        description: Name for basic authentication; or E(K8S_AUTH_USERNAME).
        type: str
      password:
        description: Password for basic authentication; or E(K8S_AUTH_PASSWORD).
        type: str
      client_cert:
        description: File of a client certificate; or E(K8S_AUTH_CERT_FILE).
        type: path
        aliases: [cert_file]
      client_key:
        description: File of the client certificate's key; or E(K8S_AUTH_KEY_FILE).
        type: path
        aliases: [key_file]
      ca_cert:
        description: File of the certificate authority that signed the API server's certificate; or E(K8S_AUTH_SSL_CA_CERT).
        type: path
        aliases: [ssl_ca_cert]
      validate_certs:
        description: Whether the API server's certificate is checked; or E(K8S_AUTH_VERIFY_SSL). It is, unless something says otherwise.
        type: bool
        aliases: [verify_ssl]
      proxy:
        description: URL of an HTTP proxy; or E(K8S_AUTH_PROXY).
        type: str
      lock_namespace:
        description: Namespace of the Lease that keeps two runs from working on one pool, and of the pool's record.
        type: str
        default: kube-system
"""
