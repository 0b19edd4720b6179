"""Row security's price: the same statements on the same rows, as the application role and as one that bypasses it."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import psycopg
from django.db import connection
from psycopg import sql

from crm_site.accounts.models import Bank
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.models import Standing
from customers.selectors.lists import SORTS
from tests.bench.pages import middle_cursor, person, signed_in, two_characters
from tests.bench.rows import Row, row
from tests.rig import Rig

NAMES = ("rls",)
MOST = 20
TURNS = 25
BYPASS = "bench_bypass"
Statement = tuple[str, Any]


def run(rig: Rig, code: str, customers: int) -> Iterator[Row]:
    found = Bank.objects.get(code=code)
    statements = captured(found)
    password = "bench-only-on-loopback"
    with rig.admin() as admin:
        admin.execute(f"DROP ROLE IF EXISTS {BYPASS}")
        admin.execute(
            sql.SQL("CREATE ROLE bench_bypass LOGIN BYPASSRLS PASSWORD {}").format(sql.Literal(password))
        )
        admin.execute(f"GRANT banyan_app TO {BYPASS}")
    with_security, without = connect(found.pk), connect(found.pk, user=BYPASS, password=password)
    ratios = {}
    for name, statement in statements.items():
        ours, limit = compared(with_security, without, statement)
        ratios[name] = (ours / limit, ours, limit)
    for one in (with_security, without):
        one.close()
    mean = math.exp(statistics.fmean(math.log(ratio) for ratio, _ours, _limit in ratios.values()))
    worst = max(ratios, key=lambda name: ratios[name][0])
    _ratio, ours, limit = ratios[worst]
    ours_all = sum(with_it for _r, with_it, _o in ratios.values())
    limit_all = sum(without_it for _r, _o, without_it in ratios.values())
    above = sum(ratio > 2 for ratio, _ours, _limit in ratios.values())
    note = (
        f"geometric mean of {len(ratios)}; {above} above 2; sums {ours_all:.1f} and {limit_all:.1f} ms; worst {worst}:"
        f" {ours:.2f} against {limit:.2f} ms"
    )
    yield row("rls", customers, mean, 1.0, unit="ratio", aim=1.3, note=note)


def captured(found: Bank) -> dict[str, Statement]:
    """The most frequent reads of the day's pages, and those of every list sort and the search, by name."""
    counts: Counter[str] = Counter()
    seen: dict[str, Any] = {}
    always: dict[str, str] = {}
    subject = ""

    def watch(execute: Any, text: str, params: Any, many: bool, context: Any) -> Any:
        if (
            text.lstrip().upper().startswith(("SELECT", "WITH"))
            and "set_config" not in text
            and "FOR UPDATE" not in text
        ):
            counts[text] += 1
            seen.setdefault(text, params)
            if subject and "customers_standing" in text and "ORDER BY" in text:
                always.setdefault(subject, text)
        return execute(text, params, many, context)

    risk = signed_in(found, person(found, Role.RISK))
    manager = signed_in(found, person(found, Role.BRANCH_MANAGER))
    rm = signed_in(found, person(found, Role.RELATIONSHIP_MANAGER))
    with bank(found.pk):
        some = list(Standing.objects.order_by("-deposits_adb").values_list("customer_id", flat=True)[:5])
    with connection.execute_wrapper(watch):
        for sort in SORTS:
            for sign in ("", "-"):
                subject = f"list by {sign}{sort}"
                risk.get(f"/customers/?sort={sign}{sort}")
        subject = "search"
        risk.get(f"/search/?q={quote(two_characters(found))}")
        subject = ""
        risk.get(f"/customers/?cursor={middle_cursor(found)}")
        for customer in some:
            risk.get(f"/customers/{customer}/")
            for panel in (
                "trend",
                "accounts",
                "loans",
                "products",
                "entries",
                "timeline",
                "contacts",
                "profile",
            ):
                risk.get(f"/customers/{customer}/panels/{panel}/", HTTP_HX_REQUEST="true")
        for client in (manager, rm):
            for _again in range(2):
                client.get("/")
                client.get("/customers/")
    chosen = {name: (text, seen[text]) for name, text in always.items()}
    for position, (text, _count) in enumerate(counts.most_common(MOST), 1):
        chosen[f"frequent {position}"] = (text, seen[text])
    return chosen


def connect(bank_id: int, **other: str) -> psycopg.Connection[Any]:
    """A connection with the bank set for good."""
    known = connection.settings_dict
    made = psycopg.connect(
        host=known["HOST"], port=known["PORT"], dbname=known["NAME"], user=other.get("user", known["USER"]),
        password=other.get("password", known["PASSWORD"]), autocommit=True, prepare_threshold=None,
        cursor_factory=psycopg.ClientCursor,
    )  # fmt: skip
    made.execute("SET app.bank_id = %s", [str(bank_id)])
    return made


def compared(ours: Any, limit: Any, statement: Statement) -> tuple[float, float]:
    """Median milliseconds with and without row security, in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS + 3):
        for one, found in zip((ours, limit), times, strict=True):
            begun = time.perf_counter()
            one.execute(*statement).fetchall()
            if turn >= 3:
                found.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])
