"""A small, fixed part of the fuzzing that `make prove` does at length (tests/prove/test_api_fuzz.py)."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
from django.test import Client
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from crm_site.lib.tenancy import bank
from tests.architecture.places import a_customer
from tests.composition.fuzz import fuzz, operations
from tests.composition.test_api import token_of
from tests.conftest import House

SCOPES = "customers:read customers:write ingest:write jobs:run"


class InProcess(HTTPAdapter):
    """Requests go to Django's test client, in the test's transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Client(raise_request_exception=False)

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        host, _slash, path = str(request.url).removeprefix("http://").partition("/")
        body = request.body or b""
        headers = dict(request.headers)
        answer = self.client.generic(
            str(request.method), f"/{path}", body.encode() if isinstance(body, str) else body,
            content_type=headers.pop("Content-Type", ""), headers=headers, HTTP_HOST=host,
        )  # fmt: skip
        raw = HTTPResponse(
            io.BytesIO(answer.getvalue()), headers=dict(answer.items()), status=answer.status_code, preload_content=False,
        )  # fmt: skip
        return self.build_response(request, raw)


def test_every_answer_is_what_the_schema_says(house: House, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    with bank(house.id):
        a_customer(house, None)
    session = requests.Session()
    session.mount("http://", InProcess())
    session.headers["Authorization"] = f"Bearer {token_of(house, SCOPES)}"
    base = f"http://{house.bank.host}"
    schema = schemathesis.openapi.from_dict(session.get(f"{base}/api/v1/schema/?format=json").json())
    statuses: Counter[int] = Counter()
    found = list(operations(schema))
    assert len(found) >= 15
    for operation in found:
        statuses += fuzz(operation, lambda case: case.call(base_url=base, session=session), examples=3)
    assert {200, 202, 400, 404} <= set(statuses)
