# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers of real services mean. recorded/refusals.json was taken from the OpenStack lab (release 2026.1)."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clouds.openstack.refusals import refusal
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)

RECORDED = json.loads((Path(__file__).parent / "recorded/refusals.json").read_text())


def meaning(call: str, words: str) -> PortError:
    """The error made of the recorded answer to `call` that has `words` in it."""
    answer = next(row for row in RECORDED if row["call"].startswith(call) and words in row["body"])
    return refusal(answer["call"], answer["status"], answer["body"].encode(), answer["headers"])


@pytest.mark.parametrize(
    ("call", "words", "kind", "said"),
    [
        ("POST compute /servers", "availability zone", Invalid, "The requested availability zone is not available [400 to"),
        ("POST compute /servers", "Quota", Exhausted, "Quota exceeded for instances: Requested 1, but already used 2 of 2 instances"),
        ("GET compute /servers/nope", "", NotFound, "Instance nope could not be found. [404 to GET compute /servers/nope, req-"),
        ("GET image", "", NotFound, "No image found with ID 0cb2f73e-ca0f-4fd6-8baa-999a6b51c56d [404 to"),
        ("POST network /ports", "OverQuota", Exhausted, "Quota exceeded for resources: ['port']. [409 to"),
        ("POST network /ports", "already allocated", Conflict, "IP address 10.20.1.170 already allocated in subnet"),
        ("DELETE network /ports", "Constrained", Conflict, "Constrained to 1, but current revision is 5 [412 to"),
        ("DELETE network /ports", "PortNotFound", NotFound, "Port 0cb2f73e-ca0f-4fd6-8baa-999a6b51c56d could not be found."),
        ("POST block-storage", "exceeds", Exhausted, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds"),
    ],
)
def test_a_recorded_refusal_has_one_meaning_and_keeps_its_words(call: str, words: str, kind: type[PortError], said: str) -> None:
    """The class decides what happens next, the service's own words and request number tell the operator why."""
    error = meaning(call, words)
    assert error.__class__ is kind
    assert error.what.startswith(said)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, '{"error": {"code": 401, "message": "The request you have made requires authentication."}}', Denied),
        (403, '{"forbidden": {"code": 403, "message": "Policy doesn\'t allow os_compute_api:servers:create to be done."}}', Denied),
        (403, '{"forbidden": {"code": 403, "message": "Quota exceeded, too many servers in group"}}', Exhausted),
        (403, '{"forbidden": {"code": 403, "message": "Maximum number of ports exceeded"}}', Exhausted),
        (409, '{"NeutronError": {"type": "IpAddressGenerationFailure", "message": "No more IP addresses available"}}', Exhausted),
        (409, '{"conflictingRequest": {"code": 409, "message": "Instance is locked"}}', Conflict),
        (409, '{"faultcode": "Client", "faultstring": "Pool 1 is immutable and cannot be updated.", "debuginfo": null}', Conflict),
        (403, '{"faultcode": "Client", "faultstring": "Quota has been met for resources: Member", "debuginfo": null}', Exhausted),
        (413, '{"overLimit": {"code": 413, "message": "This request was rate-limited."}}', Throttled),
        (500, '{"computeFault": {"code": 500, "message": "Unexpected API Error."}}', Transient),
        (503, "<html><head><title>503</title></head><body>No server is available</body></html>", Transient),
        (406, '{"computeFault": {"message": "Version 2.67 is not supported by the API."}}', Invalid),
        (400, "", Invalid),
    ],
)
def test_statuses_that_services_share_are_told_apart_by_their_words(status: int, body: str, kind: type[PortError]) -> None:
    """403 is a quota in Nova, 409 one in Neutron, 413 one in Cinder; and each is something else elsewhere."""
    assert refusal("POST compute /servers", status, body.encode(), {}).__class__ is kind


def test_a_read_of_a_quota_that_policy_denies_is_no_lack_of_room() -> None:
    """The word is there, since that is what was asked for; a read uses up nothing."""
    said = "User does not have admin privileges: Only admin is authorized to access quotas for another project."
    body = json.dumps({"NeutronError": {"type": "AdminRequired", "message": said, "detail": ""}})
    assert refusal("GET network /quotas/p2/details.json", 403, body.encode(), {}).__class__ is Denied


def test_a_rate_limit_says_when_to_come_back() -> None:
    """Retry-After in seconds; a date there, which no service sends, is no reason to fail."""
    after = [refusal("GET x /y", 429, b"{}", {"retry-after": text}) for text in ("7", "Sat, 21 Nov 2026 08:00:00 GMT")]
    assert [error.after for error in after if isinstance(error, Throttled)] == [timedelta(seconds=7), None]


def test_a_value_that_a_schema_refuses_is_not_repeated() -> None:
    """Nova quotes it, and it may be user data with a join token."""
    body = json.dumps({"badRequest": {"message": "Invalid input for field/attribute user_data. Value: s3cret. 's3cret' is not a 'base64'"}})
    assert refusal("POST compute /servers", 400, body.encode(), {}).what == (
        "Invalid input for field/attribute user_data. (its value is not shown) [400 to POST compute /servers]"
    )
