# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP answer of the API server -> our error."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.clusters.kubernetes.answers import TWO_BUDGETS, Expired, error_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import (
    Conflict,
    Denied,
    Invalid,
    NotFound,
    PortError,
    Throttled,
    Transient,
)
from ansible_collections.immutable.fleet.tests.unit.clusters.kubernetes.worlds import RECORDED


def answer(status: int, body: object = None, **headers: str) -> PortError:
    text = body if isinstance(body, str) else json.dumps(body or {"message": "no"})
    return error_of(status, {key.replace("_", "-"): value for key, value in headers.items()}, text.encode(), "pod shop/cart")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Invalid),
        (401, Denied),
        (403, Denied),
        (404, NotFound),
        (405, Invalid),
        (408, Transient),
        (409, Conflict),
        (410, Expired),
        (422, Invalid),
        (429, Throttled),
        (302, Invalid),
        (500, Transient),
        (503, Transient),
        (504, Transient),
    ],
)
def test_status_decides_who_acts(status: int, expected: type) -> None:
    """And whether waiting helps."""
    assert answer(status).__class__ is expected


def test_message_is_the_servers_with_the_object() -> None:
    """Nothing is hidden, nothing invented."""
    assert str(answer(409, {"message": "modified"})) == "modified (HTTP 409) (pod shop/cart)"


@pytest.mark.parametrize(
    ("body", "said"), [("<html>Bad gateway</html>", "<html>Bad gateway</html>"), ("[]", "[]"), ({"code": 502}, "no reason given")]
)
def test_answer_of_something_else_is_quoted(body: object, said: str) -> None:
    """A proxy between us and the API server."""
    assert answer(502, body).what == f"{said} (HTTP 502)"


def test_long_answers_are_cut() -> None:
    """An admission webhook may answer pages."""
    assert len(answer(400, {"message": "x" * 10000}).what) < 600


def test_FM01_refusal_by_a_budget_says_which_and_why() -> None:
    """The cause has the numbers, the message has not; no Retry-After is sent (recorded)."""
    error = answer(429, (RECORDED / "refused-by-budget.json").read_text())
    assert isinstance(error, Throttled)
    assert (error.what, error.after) == ("The disruption budget front needs 2 healthy pods and has 2 currently", None)


def test_retry_after_is_kept() -> None:
    """Sent by API Priority and Fairness, and by an eviction whose budget is being processed."""
    error = answer(429, Retry_After="10")
    assert isinstance(error, Throttled)
    assert error.after == timedelta(seconds=10)


def test_FM03_two_budgets_have_no_other_sign_than_their_text() -> None:
    """Recorded: neither reason nor cause."""
    assert TWO_BUDGETS in answer(500, (RECORDED / "two-budgets.json").read_text()).what


def test_eviction_in_a_namespace_that_ends_is_not_for_now() -> None:
    """403, and yet nobody lacks a permission."""
    body = {"message": "forbidden", "details": {"causes": [{"reason": "NamespaceTerminating", "message": "ends"}]}}
    error = answer(403, body)
    assert isinstance(error, Throttled)
    assert error.after == timedelta(seconds=5)
