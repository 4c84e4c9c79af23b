# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on loopback for the system tests: OpenStack and Kubernetes, without a container engine.

openstack/ and kubernetes/ have no __init__.py: a namespace package never hides the SDK of the same name.
"""
