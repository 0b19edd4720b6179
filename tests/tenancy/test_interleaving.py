"""Two banks at once in the same processes: nobody ever sees the other's.

A state machine deals requests, streamed exports, deliveries, jobs, tokens and cache entries of two banks to a few
web threads in any order. Each thread has its own connection, as under the web server, and serves both banks one
after the other; a streamed export stays open while other threads go on.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client, override_settings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from crm_site.accounts.services import create_api_client
from crm_site.jobs import executor
from crm_site.jobs import services as jobs
from crm_site.jobs.tasks import drain
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.registry import Counts, RunContext
from crm_site.lib.tenancy import bank, current_bank
from customers.ingest.feeds import FEEDS
from customers.ingest.services import process_batch, receive
from customers.models import Batch, Customer
from tests.conftest import NOW, House, Person, build_house, hire
from tests.jobs import toy

LANES = 3
NAMES = {"alpha": "银杏", "beta": "黄柏"}  # every customer of the bank carries it; nothing of the other's may
CUSTOMERS = 450  # an export leaves in several chunks
lanes = st.integers(0, LANES - 1)
banks = st.sampled_from(sorted(NAMES))


@dataclass
class Side:
    """One bank with its people, customers and machine client."""

    house: House
    mine: str
    other: str
    person: Person
    first: int
    token: str = ""
    batches: list[int] = field(default_factory=list)

    @property
    def code(self) -> str:
        return self.house.bank.code

    def check(self, text: str, *, must: bool = True) -> None:
        """The text is this bank's: its own name is there, the other's is not."""
        assert self.other not in text, f"{self.code} saw a row of the other bank"
        assert not must or self.mine in text, f"{self.code} did not see its own row"


def build_side(code: str, other: str) -> Side:
    house = build_house(code)
    person = hire(house, "manager", Role.BRANCH_MANAGER, house.head_office)  # the same number in both banks
    administrator = hire(house, "admin2", Role.ADMINISTRATOR, house.head_office)
    side = Side(house, NAMES[code], NAMES[other], person, 0)
    rows = [f"{i:05d},personal,{side.mine}{i:03d},+861380000{i:04d}" for i in range(CUSTOMERS)]
    assert deliver(side, "number,kind,name,phone\n" + "\n".join(rows)).rows_inserted == CUSTOMERS
    with bank(house.id):
        side.first = Customer.objects.get(number="00000").pk
        made = create_api_client(administrator.actor, name="core", scopes=["customers:read"])
    form = {"grant_type": "client_credentials", "client_id": made.client_id, "scope": "customers:read"}
    answer = Client(HTTP_HOST=house.bank.host).post(
        "/identity/o/api/token", form | {"client_secret": made.client_secret}
    )
    side.token = answer.json()["access_token"]
    return side


def deliver(side: Side, text: str) -> Batch:
    """A delivery of customers as the API takes it, landed at once; its file lies in its own bank's folder."""
    with bank(side.house.id):
        actor = system_actor(side.house.id, "test")
        feed = FEEDS["customers"]
        batch = receive(actor=actor, feed=feed, chunks=[text.encode()], source="api", now=NOW)
        assert batch.path.startswith(f"ingest/{side.house.id}/")
        batch = process_batch(batch.pk)
    side.batches.append(batch.pk)
    return batch


class Lane:
    """A web thread: its own connection, and at most one open stream."""

    def __init__(self, sides: dict[str, Side]) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.sides = sides
        self.clients: dict[str, Client] = {}
        self.stream: tuple[str, Any, Iterator[bytes]] | None = None  # bank, answer, what is still to come

    def run(self, work: Callable[[], Any]) -> Any:
        return self.thread.submit(self._guarded, work).result(timeout=60)

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        finally:
            if self.stream is None:  # nothing of a bank stays on the connection between two requests
                assert current_bank() is None
                with connection.cursor() as cursor:
                    cursor.execute(
                        "select coalesce(current_setting('app.bank_id', true), ''), count(*) from customers_customer"
                    )
                    assert cursor.fetchone() == ("", 0)

    def client(self, code: str) -> Client:
        if code not in self.clients:
            side = self.sides[code]
            client = Client(HTTP_HOST=side.house.bank.host, HTTP_ACCEPT_LANGUAGE="en")
            with bank(side.house.id):
                client.force_login(
                    side.person.staff, backend="allauth.account.auth_backends.AuthenticationBackend"
                )
            self.clients[code] = client
        return self.clients[code]

    def hang_up(self) -> None:
        """The reader goes away in the middle: the web server closes the answer, on its thread."""
        if self.stream is not None:
            answer, self.stream = self.stream[1], None
            self.run(answer.close)

    def close(self) -> None:
        self.hang_up()
        self.thread.submit(connections.close_all).result()
        self.thread.shutdown()


class Banks(RuleBasedStateMachine):
    """What can happen, in any order, on any thread."""

    sides: dict[str, Side]

    def __init__(self) -> None:
        super().__init__()
        self.lanes = [Lane(self.sides) for _ in range(LANES)]
        self.names_seen: list[tuple[int, set[str]]] = []

    def teardown(self) -> None:
        for lane in self.lanes:
            lane.close()

    def free(self, number: int) -> Lane:
        """The thread, with its stream read to the end: a web thread serves one request at a time."""
        lane = self.lanes[number]
        if lane.stream is not None:
            self._read(lane, whole=True)
        return lane

    def _read(self, lane: Lane, *, whole: bool) -> None:
        assert lane.stream is not None
        code, _answer, chunks = lane.stream

        def step() -> bool:
            for chunk in chunks:
                self.sides[code].check(chunk.decode(), must=False)
                if not whole:
                    return False
            lane.stream = None
            return True

        lane.run(step)

    @rule(
        lane=lanes,
        code=banks,
        address=st.sampled_from(["/customers/", "/search/?q={mine}", "/customers/{first}/"]),
    )
    def page(self, lane: int, code: str, address: str) -> None:
        side, own = self.sides[code], self.free(lane)
        url = address.format(mine=side.mine, first=side.first)
        answer = own.run(lambda: own.client(code).get(url))
        assert answer.status_code == 200
        side.check(answer.content.decode())

    @rule(lane=lanes, code=banks)
    def the_others_page(self, lane: int, code: str) -> None:
        side, own = self.sides[code], self.free(lane)
        foreign = next(other for other in self.sides.values() if other is not side)
        answer = own.run(lambda: own.client(code).get(f"/customers/{foreign.first}/"))
        assert answer.status_code == 404
        side.check(answer.content.decode(), must=False)
        found = own.run(lambda: own.client(code).get(f"/search/?q={foreign.mine}"))
        assert "/customers/" + str(foreign.first) not in found.content.decode()

    @rule(lane=lanes, code=banks)
    def the_others_cookie(self, lane: int, code: str) -> None:
        own = self.free(lane)
        foreign = next(other for other in self.sides.values() if other.code != code)
        stolen = Client(
            HTTP_HOST=foreign.house.bank.host
        )  # a browser of its own: its answer may drop the cookie

        def visit() -> Any:
            stolen.cookies = copy.deepcopy(own.client(code).cookies)
            return stolen.get("/customers/")

        answer = own.run(visit)
        assert answer.status_code == 302
        assert "/accounts/login/" in answer.headers["Location"]

    @rule(lane=lanes, code=banks)
    def api(self, lane: int, code: str) -> None:
        side, own = self.sides[code], self.free(lane)
        foreign = next(other for other in self.sides.values() if other is not side)
        client = Client(HTTP_HOST=side.house.bank.host)
        answer = own.run(
            lambda: client.get("/api/v1/customers/00007", HTTP_AUTHORIZATION=f"Bearer {side.token}")
        )
        assert answer.status_code == 200
        side.check(answer.content.decode())
        refused = own.run(
            lambda: client.get("/api/v1/customers/00007", HTTP_AUTHORIZATION=f"Bearer {foreign.token}")
        )
        assert refused.status_code == 401

    @rule(lane=lanes, code=banks)
    def open_export(self, lane: int, code: str) -> None:
        own = self.free(lane)

        def begin() -> None:
            form = {"c": "", "sort": "-deposits_adb", "purpose": "inspection", "format": "csv"}
            answer = own.client(code).post("/customers/export/run/", form)
            assert answer.status_code == 200, answer.content.decode()[:300]
            chunks = iter(answer.streaming_content)
            next(chunks)
            own.stream = (code, answer, chunks)

        own.run(begin)

    @precondition(lambda self: any(lane.stream for lane in self.lanes))
    @rule(whole=st.booleans())
    def read_export(self, whole: bool) -> None:
        self._read(next(lane for lane in self.lanes if lane.stream), whole=whole)

    @precondition(lambda self: any(lane.stream for lane in self.lanes))
    @rule()
    def leave_export(self) -> None:
        next(lane for lane in self.lanes if lane.stream).hang_up()

    @rule(lane=lanes, code=banks, number=st.integers(0, CUSTOMERS - 1))
    def delivery(self, lane: int, code: str, number: int) -> None:
        """The same customer number arrives for both banks."""
        side, own = self.sides[code], self.free(lane)
        row = f"number,kind,name\n{number:05d},personal,{side.mine}{len(side.batches)}\n"
        batch = own.run(lambda: deliver(side, row))
        assert (batch.rows_received, batch.rows_updated, batch.rows_rejected) == (1, 1, 0)

    @rule(lane=lanes, code=banks)
    def files_of_others(self, lane: int, code: str) -> None:
        side, own = self.sides[code], self.free(lane)
        foreign = next(other for other in self.sides.values() if other is not side)

        def look() -> tuple[int, int]:
            with bank(side.house.id):
                return (
                    Batch.objects.filter(pk__in=foreign.batches).count(),
                    Batch.objects.filter(pk__in=side.batches).count(),
                )

        assert own.run(look) == (0, len(side.batches))

    @rule(lane=lanes, code=banks)
    def start_job(self, lane: int, code: str) -> None:
        side, own = self.sides[code], self.free(lane)

        def begin() -> None:
            with bank(side.house.id):
                jobs.start_run(system_actor(side.house.id, "test"), pipeline="toy", business_date=toy.DAY)

        own.run(begin)

    @rule(lane=lanes, whole=st.booleans())
    def work(self, lane: int, whole: bool) -> None:
        """A Celery task's body: chunks of both banks follow each other on one connection."""
        own = self.free(lane)
        own.run(drain if whole else executor.work_once)
        by_id = {side.house.id: side for side in self.sides.values()}
        for bank_id, names in self.names_seen:
            assert names == {by_id[bank_id].mine}
        self.names_seen.clear()

    @rule(lane=lanes, code=banks)
    def cached(self, lane: int, code: str) -> None:
        """A cache entry belongs to its bank although both use the same key."""
        side, own = self.sides[code], self.free(lane)

        def use() -> None:
            with bank(side.house.id):
                assert cache.get("failed:manager") in (None, side.mine)
                cache.set("failed:manager", side.mine, 60)
            assert cache.get("failed:manager") is None

        own.run(use)


@pytest.fixture
def two_banks(transactional_db: None, tmp_path: Any) -> Iterator[dict[str, Side]]:
    with override_settings(MEDIA_ROOT=tmp_path):
        yield {"alpha": build_side("alpha", "beta"), "beta": build_side("beta", "alpha")}
    cache.clear()


def run(sides: dict[str, Side], *, examples: int, steps: int) -> None:
    seen: list[tuple[int, set[str]]] = []

    class Machine(Banks):
        def __init__(self) -> None:
            self.sides = sides
            super().__init__()
            self.names_seen = seen

    def names(context: RunContext, _payload: object) -> Counts:
        seen.append((context.bank_id, {name[:2] for name in Customer.objects.values_list("name", flat=True)}))
        return Counts(1, 0)

    with toy.pipeline(toy.step("look", chunks=2, work=names)):
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip


def test_interleaved_banks_never_see_each_other(two_banks: dict[str, Side]) -> None:
    run(two_banks, examples=2, steps=12)
