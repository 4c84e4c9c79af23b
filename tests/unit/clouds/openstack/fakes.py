# SPDX-License-Identifier: GPL-3.0-or-later
"""A transport that answers from a table, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any


class FakeTransport:
    """`answers` maps "METHOD service /path" to a body, an error to raise, or a list of those, one for each call."""

    def __init__(self, answers: Mapping[str, Any], project: str = "p1") -> None:
        self.skew = timedelta(0)
        self.answers = dict(answers)
        self.calls: list[str] = []
        self.bodies: list[Any] = []
        self.queries: list[list[tuple[str, str]]] = []
        self.headers: list[Mapping[str, str] | None] = []
        self._project = project

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Any = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        patience: int = 1,
    ) -> Any:
        del patience
        call = f"{method} {service} {path}"
        self.calls.append(call)
        self.bodies.append(body)
        self.queries.append(list(query))
        self.headers.append(headers)
        answer = self.answers[call]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def project_id(self) -> str:
        return self._project
