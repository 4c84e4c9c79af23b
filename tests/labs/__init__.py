# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on loopback for the system tests: OpenStack, Kubernetes and vSphere, without a container engine.

openstack/, kubernetes/ and vsphere/ have no __init__.py: a namespace package never hides the SDK of the same name.
"""
