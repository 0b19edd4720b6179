"""The API fuzzed at length against the web server, on a bank with customers, history and deliveries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import schemathesis

from crm_site.launcher.postgres import free_port
from tests.composition.fuzz import fuzz, operations
from tests.prove.conftest import Promise
from tests.prove.databases import ROOT, database, environment, manage

EXAMPLES = int(os.environ.get("EXAMPLES", "150"))
SEED = int(os.environ.get("SEED", str(time.time_ns() % 10**9)))
SCOPES = "customers:read customers:write ingest:write jobs:run"
pytestmark = pytest.mark.prove


@contextmanager
def web(name: str, data: Path) -> Iterator[str]:
    """Our web server on that database; yields its address."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "python:crm_site.gunicorn", "crm_site.wsgi"], cwd=ROOT,
        env=environment(name) | {"PORT": str(port), "BANYAN_DATA": str(data)},
    )  # fmt: skip
    try:
        for _try in range(300):
            try:
                requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def test_every_answer_is_what_the_schema_says(promise: Promise, tmp_path: Path) -> None:
    with database("prove_fuzz") as name:
        manage(name, "migrate", "--noinput")
        manage(name, "make_bank", "fuzz", "--customers", "300")
        secret = json.loads(
            manage(
                name, "create_api_client", "--bank", "fuzz", "--name", "core", "--scopes", SCOPES, "--json"
            )
        )
        with web(name, tmp_path) as base, requests.Session() as session:
            session.headers["Host"] = "fuzz.localhost"

            def sign_in() -> None:
                form = {"grant_type": "client_credentials", "scope": SCOPES, **secret}
                session.headers.pop("Authorization", None)
                answer = session.post(f"{base}/identity/o/api/token", data=form, timeout=30).json()
                session.headers["Authorization"] = f"Bearer {answer['access_token']}"

            sign_in()
            schema = schemathesis.openapi.from_dict(
                session.get(f"{base}/api/v1/schema/?format=json", timeout=60).json()
            )
            statuses: Counter[int] = Counter()
            for operation in operations(schema):
                sign_in()
                statuses += fuzz(
                    operation,
                    lambda case: case.call(base_url=base, session=session),
                    examples=EXAMPLES,
                    number=SEED,
                )
    promise(
        "API: answers that its schema does not allow",
        f"0 of {statuses.total()} calls, seed {SEED}, {dict(sorted(statuses.items()))}",
        "0",
        kept=not any(status >= 500 for status in statuses),
    )
