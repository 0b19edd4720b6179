"""The whole REST API, called with what its own schema allows and with what it does not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
TOO_LONG = (
    414  # an address longer than any that is meant: the web server's own answer, the program never sees it
)
Send = Callable[[Case], Any]


@schemathesis.serializer("application/x-ndjson")
def _ndjson(context: Any, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def operations(schema: BaseSchema) -> Iterable[Any]:
    for found in schema.get_all_operations():
        yield found.ok()


def fuzz(operation: Any, send: Send, *, examples: int, number: int = 1) -> Counter[int]:
    """Half the calls fit the schema, half do not; raises at the first answer that is not what the schema says.

    Refused calls are problems, never pages; what does not fit is never accepted. Returns calls by status.
    """
    seen = _calls(operation, send, GenerationMode.POSITIVE, examples, number)
    if list(operation.query) or list(operation.body):  # else any text fits
        seen += _calls(operation, send, GenerationMode.NEGATIVE, examples, number)
    return seen


def _calls(operation: Any, send: Send, mode: GenerationMode, examples: int, number: int) -> Counter[int]:
    seen: Counter[int] = Counter()
    is_delivery = operation.label.startswith("POST /api/v1/ingest/")  # its rows are checked later, by the job
    must_refuse = mode == GenerationMode.NEGATIVE and not is_delivery
    checks = [*CHECKS, negative_data_rejection] if must_refuse else CHECKS

    @seed(number)
    @settings(
        max_examples=examples, derandomize=number == 1, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Case) -> None:
        response = send(case)
        seen[response.status_code] += 1
        if response.status_code == TOO_LONG:
            return
        case.validate_response(response, checks=checks)
        if response.status_code >= 400:
            kind = response.headers["content-type"]
            assert kind == ["application/problem+json"], kind

    call()
    return seen
