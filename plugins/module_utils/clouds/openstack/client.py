# SPDX-License-Identifier: GPL-3.0-or-later
"""Transport: one authenticated session, JSON in and out, refusals and failures as our errors.

Of openstacksdk only `openstack.config` is used: it reads clouds.yaml and OS_*, and gives a keystoneauth session that
authenticates, has the catalogue and pools connections. Its resource classes and cloud layer differ between releases (FM47)
and cost more than the call where lists are long: a server object takes longer to build than Nova needs to send it.
Rejected: importing `openstack.config` past the package's `__init__`, which loads every service (0.2 s of 0.4): what it
leaves in `sys.modules` is half a package.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlencode

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.refusals import refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Denied,
    Invalid,
    LibraryMissing,
    Throttled,
    Transient,
)

COMPUTE = "compute"
IMAGE = "image"
NETWORK = "network"
VOLUME = "block-storage"
LOAD_BALANCER = "load-balancer"  # asked by balancers/octavia, which is handed this transport

LIBRARY = "openstacksdk>=1.0.0"
# Tags at creation came with 2.52, volume types in block devices with 2.67 (Stein, 2019). No newer one: 2.73 makes every list
# read system_metadata too.
_HEADERS = {COMPUTE: {"OpenStack-API-Version": "compute 2.67", "X-OpenStack-Nova-API-Version": "2.67"}}
# Catalogues give these with or without the version; asking for the version document would cost a call each.
_VERSION_PATHS = {COMPUTE: "/v2.1", IMAGE: "/v2", NETWORK: "/v2.0", VOLUME: "/v3", LOAD_BALANCER: "/v2"}
_VERSION = re.compile(r"/v\d+(\.\d+)?(/|$)")
PAGE = 1000  # Nova's own maximum; an operator may have lowered it, so the links say whether there is more
UPLOAD_PATIENCE = 90  # half an hour between the last byte and Glance's answer: its store may copy before it says so
CHUNK = 1 << 20
LIST_PATIENCE = 3  # a page of 1000 servers took Nova 22 s on two busy cores; the call timeout is meant for writes
SKEW_IGNORED = timedelta(seconds=2)  # a Date header has whole seconds, and the answer was some time under way

Query = Sequence[tuple[str, str]]


class Transport(Protocol):
    """What the rest of the adapter needs of `Client`; tests have a smaller one."""

    skew: timedelta  # the servers' clock minus ours

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Query = (),
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: int = 1,
    ) -> Any:
        """The JSON of the answer, None where there is none. Raises the errors of model/errors for all else than success.

        `patience` multiplies the call timeout, for reads that may be long.
        """

    def project_id(self) -> str:
        """Of the token."""


class Client:
    """The transport of one pool. Connects at the first request; may be used from many threads."""

    def __init__(self, connection: Mapping[str, Any], call_timeout: timedelta, now: Callable[[], datetime]) -> None:
        """Makes no call. Raises `LibraryMissing`."""
        try:
            import openstack.config
        except ImportError as exc:
            raise LibraryMissing(what="a pool on OpenStack needs openstacksdk", library=LIBRARY) from exc
        self._configuration = openstack.config.OpenStackConfig
        self.skew = timedelta(0)
        self._connection = connection
        auth = connection.get("auth") or {}
        by_cloud = bool(connection.get("cloud"))  # what is given beside it overrides it
        self._login_option = "openstack.cloud" if by_cloud and not auth else "openstack.auth"
        self._address_option = "openstack.cloud" if by_cloud and not auth.get("auth_url") else "openstack.auth.auth_url"
        self._call_timeout = call_timeout
        self._now = now
        self._lock = threading.RLock()
        self._region: Any = None
        self._session: Any = None
        self._endpoints: dict[str, str] = {}

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Query = (),
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: int = 1,
    ) -> Any:
        """As `Transport.request`. A token that ran out is renewed on the way."""
        call = f"{method} {service} {path}"
        self._open()
        url = self._endpoint(service) + path + (f"?{urlencode(query)}" if query else "")
        with self._errors(call):
            began = self._now()
            response = self._session.request(
                url,
                method,
                json=body,
                headers={"Accept": "application/json", **_HEADERS.get(service, {}), **(headers or {})},
                timeout=self._call_timeout.total_seconds() * patience,
                raise_exc=False,
                log=False,  # bodies hold user data
            )
        if service == COMPUTE:
            self._compare_clocks(response.headers.get("Date"), began)
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise refusal(call, response.status_code, response.content, response.headers)
        if not response.content:
            return None
        try:
            return json.loads(response.content)
        except ValueError as exc:
            raise Transient(what=f"the answer to {call} is no JSON") from exc

    def upload(self, path: str, source: BinaryIO) -> None:
        """PUT a file's bytes to Glance, as they are read. Raises as `request` does.

        The token is to be fresh: a call that is repeated with a new one would find the file read. So it comes after another call.
        """
        call = f"PUT image {path}"
        self._open()
        url = self._endpoint(IMAGE) + path
        with self._errors(call):
            response = self._session.request(
                url,
                "PUT",
                data=source,
                headers={"Content-Type": "application/octet-stream"},
                timeout=self._call_timeout.total_seconds() * UPLOAD_PATIENCE,
                raise_exc=False,
                log=False,
            )
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise refusal(call, response.status_code, response.content, response.headers)

    def download(self, path: str, target: BinaryIO) -> None:
        """GET bytes of Glance's into a file, as they come. Raises as `request` does."""
        call = f"GET image {path}"
        self._open()
        url = self._endpoint(IMAGE) + path
        with self._errors(call):
            response = self._session.request(
                url,
                "GET",
                stream=True,
                timeout=self._call_timeout.total_seconds(),
                raise_exc=False,
                log=False,
            )
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise refusal(call, response.status_code, response.content, response.headers)
        try:
            target.writelines(response.iter_content(CHUNK))
        except OSError as exc:  # requests' errors are of this kind too, without a number
            if exc.errno is not None:
                raise
            raise Transient(what=f"the bytes ended too early: {exc} [{call}]") from exc

    def project_id(self) -> str:
        """As `Transport.project_id`."""
        self._open()
        with self._errors("authentication"):
            return str(self._session.get_project_id())

    def _open(self) -> None:
        with self._lock:
            if self._session is not None:
                return
            with self._errors("authentication"):
                self._region = self._configuration(app_name="immutable.fleet").get_one(**self._connection)
                session = self._region.get_session()
            session.timeout = self._call_timeout.total_seconds()  # for the token; its default is for ever
            self._session = session

    def _endpoint(self, service: str) -> str:
        """The service's URL with its version, from clouds.yaml or the catalogue. The first one costs the token."""
        with self._lock:
            if service not in self._endpoints:
                with self._errors("authentication"):
                    self._endpoints[service] = self._look_up(service)
            return self._endpoints[service]

    def _look_up(self, service: str) -> str:
        region = self._region
        url = region.get_endpoint(service) or self._session.get_endpoint(
            service_type=region.get_service_type(service),
            service_name=region.get_service_name(service),
            interface=region.get_interface(service),
            region_name=region.get_region_name(service),
        )
        if not url:
            raise Invalid(what=f"the catalogue has no service {service} for this region and interface", where="openstack")
        url = str(url).rstrip("/")
        if not _VERSION.search(url):
            url += _VERSION_PATHS[service]
        if service == VOLUME and not url.endswith(self._session.get_project_id()):
            url = f"{url}/{self._session.get_project_id()}"  # Cinder before Yoga wants it
        return url

    def _errors(self, call: str) -> AbstractContextManager[None]:
        """Translates errors. Until the identity service has answered once, silence names the option that leads there."""
        return _as_our_errors(call, self._login_option, "" if self._endpoints else self._address_option)

    def _compare_clocks(self, date: str | None, began: datetime) -> None:
        """Keep how far the server's clock is ahead. Differences that the measurement itself explains count as none."""
        if not date:
            return
        try:
            theirs = parsedate_to_datetime(date).astimezone(UTC) + timedelta(milliseconds=500)
        except ValueError:
            return
        ended = self._now()
        seen = theirs - (began + (ended - began) / 2)
        if abs(seen) <= SKEW_IGNORED + (ended - began) / 2:
            self.skew = timedelta(0)
        elif abs(seen - self.skew) > SKEW_IGNORED:
            self.skew = timedelta(seconds=round(seen.total_seconds()))


def every(transport: Transport, service: str, path: str, key: str, query: Query = ()) -> Iterator[Any]:
    """All objects of a list that comes in pages, in the order they come."""
    marker: tuple[tuple[str, str], ...] = ()
    while True:
        asked = (*query, ("limit", str(PAGE)), *marker)
        try:
            answer = transport.request("GET", service, path, query=asked, patience=LIST_PATIENCE)
        except Invalid as exc:
            if not marker:
                raise
            raise Transient(what=f"the list changed while it was read: {exc.what}") from exc  # the marker was deleted
        yield from answer[key]
        if not answer[key] or not (answer.get(f"{key}_links") or answer.get("next")):
            return
        marker = (("marker", answer[key][-1]["id"]),)


@contextmanager
def _as_our_errors(call: str, login: str, address: str) -> Iterator[None]:
    """Translate what keystoneauth and the SDK raise. Their texts name hosts, options and users, never a secret.

    `login` is the option that the credentials come from, `address` the one to look at where nobody answers, "" for none.
    """
    from keystoneauth1 import exceptions as keystone
    from openstack import exceptions as sdk

    try:
        yield
    except (keystone.Unauthorized, keystone.Forbidden) as exc:
        raise Denied(what=f"the identity service refused these credentials: {exc} [{call}]", where=login) from exc
    except keystone.SSLError as exc:
        raise Invalid(what=f"the certificate was refused: {exc} [{call}]", where="openstack.ca_cert") from exc
    except (keystone.EndpointNotFound, keystone.EmptyCatalog) as exc:
        raise Invalid(what=f"the catalogue lacks a service: {exc}", where="openstack.region_name, openstack.interface") from exc
    except keystone.TooManyRequests as exc:
        raise Throttled(what=f"the identity service has no time for us: {exc} [{call}]") from exc
    except (keystone.ConnectionError, keystone.DiscoveryFailure, keystone.HttpServerError) as exc:
        raise Transient(what=f"no answer: {exc} [{call}]", where=address) from exc
    except keystone.ClientException as exc:
        raise Invalid(what=f"the credentials cannot be used: {exc} [{call}]", where=login) from exc
    except sdk.SDKException as exc:
        raise Invalid(what=f"{exc}", where="openstack.cloud") from exc
    except Exception as exc:
        if exc.__class__ is Exception:  # keystoneauth's password plugin says so that there is no password
            raise Invalid(what=f"the credentials cannot be used: {exc} [{call}]", where=login) from exc
        raise
