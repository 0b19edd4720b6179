"""A thousand reservations at once on one line, through the real web server whose workers are killed meanwhile."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from crm_site.launcher.postgres import free_port
from crm_site.launcher.processes import die_with_parent
from tests.prove.conftest import Promise
from tests.prove.databases import ROOT, address, bank_id, database, environment, manage
from tests.prove.storm import children

CALLS, CLIENTS, KILLS, TRIES = 1_000, 32, 12, 200
LIMIT_MINOR = 150_000  # half of what is asked for
OPEN = """
import datetime as dt, sys
import django
django.setup()
from decimal import Decimal
from django.utils import timezone
from credit_rating.services.lines import open_line
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import bank
from customers.models import Customer, Product
bank_id, limit = int(sys.argv[1]), Decimal(int(sys.argv[2])) / 100
with bank(bank_id):
    customer = Customer.objects.create(number="C-1", kind="corporate", name="Storm Works")
    product = Product.objects.create(code="WC", name="Working capital", family="loan")
    line = open_line(
        Actor(bank_id, "committee", grants=(Grant(Role.PRESIDENT, 0, 2_147_483_647),)), customer=customer,
        product=product, currency="CNY", limit=limit, starts_on=dt.date(2020, 1, 1), expires_on=dt.date(2099, 1, 1),
        now=timezone.now())
print(line.pk)
"""
EXPIRE = """
import datetime as dt, sys
import django
django.setup()
from django.utils import timezone
from credit_rating.services.control import expire_all_due
from crm_site.lib.tenancy import bank
with bank(int(sys.argv[1])):
    print(expire_all_due(now=timezone.now() + dt.timedelta(days=1)))
"""


def script(name: str, text: str, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text, *map(str, words)], cwd=ROOT, check=True, capture_output=True, text=True,
        env=environment(name) | {"DJANGO_SETTINGS_MODULE": "crm_site.settings"},
    )  # fmt: skip
    return done.stdout.strip()


@contextmanager
def web(name: str) -> Iterator[tuple[int, int]]:
    """The web server as `make run` starts it, with four workers: (process id, port)."""
    port = free_port()
    variables = environment(name) | {"PORT": str(port), "WEB_WORKERS": "4", "WEB_THREADS": "4"}
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "python:crm_site.gunicorn", "crm_site.wsgi"],
        cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                    break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, "the web server does not answer"
                time.sleep(0.1)
        yield server.pid, port
    finally:
        server.terminate()
        server.wait(30)


@dataclass
class Caller:
    """Core banking: asks again with the same key until it knows the answer."""

    port: int
    host: str
    line: int
    token: str = ""
    retries: int = 0

    def sign_in(self, client_id: str, secret: str) -> None:
        pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        body = urlencode({"grant_type": "client_credentials", "scope": "lines:control"})
        kind = {"Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self._send("POST", "/identity/o/api/token", body, kind)
        assert status == 200, answer
        self.token = answer["access_token"]

    def _send(self, method: str, path: str, body: str, headers: dict[str, str]) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, {"Host": self.host, **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def post(self, path: str, body: dict[str, str], key: str) -> tuple[int, Any]:
        """The answer, however many workers die on the way."""
        headers = {
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Idempotency-Key": key,
        }  # fmt: skip
        for _try in range(TRIES):
            try:
                status, answer = self._send("POST", f"/api/v1/{path}", json.dumps(body), headers)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                self.retries += 1
                time.sleep(0.05)
                continue
            if status < 500 and not (status == 409 and answer["code"] == "conflict"):
                return status, answer
            self.retries += 1
            time.sleep(0.05)
        raise AssertionError(f"{path}: no answer in {TRIES} tries")

    def payment(self, number: int) -> tuple[int, str]:
        """One payment: (reservation or 0, how it ended). Every tenth is sent twice, as a nervous client does."""
        dice = random.Random(number)
        amount = f"{dice.randint(100, 500) / 100:.2f}"
        body = {"amount": amount, "currency": "CNY", "reference": f"P-{number}"}
        asked = [
            self.post(f"lines/{self.line}/reservations", body, f"r-{number}")
            for _ in range(1 + (number % 10 == 0))
        ]
        assert all(answer == asked[0] for answer in asked) or asked[0][0] == 409, asked
        status, made = asked[-1]
        if status == 409:
            assert made["code"] == "insufficient_limit", made
            return 0, "refused"
        assert status == 201, made
        act = dice.choice(("commit", "commit", "release", "leave"))
        if act == "leave":
            return made["id"], "expired"
        status, ended = self.post(f"reservations/{made['id']}/{act}", {}, f"{act}-{number}")
        assert status == 200, ended
        return made["id"], ended["status"]


def _kill(server: int, dice: random.Random, over: threading.Event) -> int:
    """Kill a random worker every now and then until it is over; how many."""
    killed = 0
    while not over.wait(dice.uniform(0.3, 0.9)) and killed < KILLS:
        victims = children(server)
        if len(victims) >= 3:
            os.kill(dice.choice(victims), signal.SIGKILL)
            killed += 1
    return killed


@pytest.mark.prove
def test_a_thousand_reservations_at_once_under_kills(promise: Promise) -> None:
    with database("prove_line_control") as name:
        manage(name, "migrate", "--verbosity", "0")
        host = json.loads(manage(name, "create_bank", "lines", "--name", "Lines Bank", "--json"))["host"]
        made = json.loads(
            manage(name, "create_api_client", "--bank", "lines", "--name", "core", "--scopes", "lines:control", "--json")
        )  # fmt: skip
        bank = bank_id(name, "lines")
        line = int(script(name, OPEN, bank, LIMIT_MINOR))
        with web(name) as (server, port):
            caller, over = Caller(port, host, line), threading.Event()
            caller.sign_in(made["client_id"], made["client_secret"])
            with ThreadPoolExecutor(CLIENTS + 1) as pool:
                killer = pool.submit(_kill, server, random.Random(20261120), over)
                ends = list(pool.map(caller.payment, range(CALLS)))
                over.set()
                kills = killer.result()
        script(name, EXPIRE, bank)
        wrong, figures = _audit(name, bank, line, ends)
    outcomes = Counter(end for _id, end in ends)
    print(f"{kills} workers killed, {caller.retries} retries, {dict(outcomes)}")
    promise("workers killed under the reservations", kills, "at least 3", kept=kills >= 3)
    promise(f"{CALLS} parallel reservations: the most ever in use of {LIMIT_MINOR:,}", f"{figures['peak']:,}",
            "never more", kept=figures["peak"] <= LIMIT_MINOR)  # fmt: skip
    promise("reservations that core banking and the ledger tell differently", wrong, "0", kept=wrong == 0)
    promise(
        "reservations not committed, released or expired", figures["open"], "0", kept=figures["open"] == 0
    )
    promise("keys that acted twice", figures["twice"], "0", kept=figures["twice"] == 0)
    promise("ledger minus counters", figures["difference"], "0", kept=figures["difference"] == 0)
    promise(
        "the line was asked for more than it has",
        outcomes["refused"],
        "at least 1",
        kept=outcomes["refused"] > 0,
    )


def _audit(name: str, bank: int, line: int, ends: list[tuple[int, str]]) -> tuple[int, dict[str, int]]:
    """(answers that the database does not bear out, figures of the line's books)."""
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        connection.execute("SELECT set_config('app.bank_id', %s, true)", [str(bank)])
        stored = dict(
            connection.execute(
                "SELECT id, status FROM credit_rating_reservation WHERE line_id = %s", [line]
            ).fetchall()
        )
        row = connection.execute(
            """
            SELECT max(e.reserved_after + e.utilised_after)::bigint,
                (SELECT count(*) FROM credit_rating_reservation WHERE status = 'reserved'),
                (SELECT count(*) - count(DISTINCT reference) FROM credit_rating_reservation),
                abs(sum(e.reserved_change) - max(l.reserved))::bigint
                    + abs(sum(e.utilised_change) - max(l.utilised))::bigint
            FROM credit_rating_lineentry e JOIN credit_rating_creditline l ON l.id = e.line_id WHERE l.id = %s
            """,
            [line],
        ).fetchone()
    assert row is not None
    told = {number: end for number, end in ends if number}
    wrong = sum(stored.get(number) != end for number, end in told.items()) + len(set(stored) - set(told))
    return wrong, dict(zip(("peak", "open", "twice", "difference"), map(int, row), strict=True))
