# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of a disk on their way to the host that vCenter chose: plain HTTP, by the standard library."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import timedelta
from http.client import HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.vsphere.options import Connection

# https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/vim.HttpNfcLease.html: how a disk is told from other files.
DISK = "application/x-vnd.vmware-streamVmdk"
ACCEPTED = range(200, 300)


def post(url: str, chunks: Iterable[bytes], size: int, *, connection: Connection, trust: ssl.SSLContext, timeout: timedelta) -> None:
    """Send `size` bytes. Raises what the standard library raises; `HTTPException` for an answer that is no success.

    The URL has a token for this one file, so no password is sent.
    """
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or 443
    if connection.proxy_host:
        way = HTTPSConnection(connection.proxy_host, connection.proxy_port, context=trust, timeout=timeout.total_seconds())
        way.set_tunnel(host, port)
    else:
        way = HTTPSConnection(host, port, context=trust, timeout=timeout.total_seconds())
    try:
        way.request("POST", parts.path, body=chunks, headers={"Content-Type": DISK, "Content-Length": str(size)})
        answer = way.getresponse()
        answer.read()
        if answer.status not in ACCEPTED:
            raise HTTPException(f"{host} says {answer.status} {answer.reason}")
    finally:
        way.close()
