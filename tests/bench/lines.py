"""A reservation on one line, through the whole API, against a bare view that does the same UPDATE … RETURNING."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal

from django.utils import timezone

from credit_rating.models import CreditLine
from credit_rating.services.lines import open_line
from crm_site.accounts.models import Bank
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import bank
from customers.models import Customer, Product
from tests.bench.load import Target, alternate, p50, p95, per_second
from tests.bench.pages import token
from tests.bench.rows import Row, row
from tests.rig import Rig

NAMES = ("line_control",)
REQUESTS = 400
BODY = json.dumps({"amount": "0.01", "currency": "CNY", "reference": "bench"})


def a_line(found: Bank) -> CreditLine:
    """A line with room for every reservation of the measurement."""
    with bank(found.pk):
        return open_line(
            Actor(found.pk, "bench", grants=(Grant(Role.PRESIDENT, 0, 2_147_483_647),)),
            customer=Customer.objects.order_by("id")[0], product=Product.objects.order_by("id")[0], currency="CNY",
            limit=Decimal(1_000_000), starts_on=dt.date(2020, 1, 1), expires_on=dt.date(2099, 1, 1),
            now=timezone.now(),
        )  # fmt: skip


def run(rig: Rig, code: str, customers: int) -> Iterator[Row]:
    found = Bank.objects.get(code=code)
    first, second = a_line(found), a_line(found)
    with rig.web() as port, rig.web("bare", {"DJANGO_SETTINGS_MODULE": "tests.bench.site"}) as bare_port:
        headers = {"Host": found.host, "Content-Type": "application/json"}
        headers |= token(rig, found, port, "lines:control")
        ours = Target(port, f"/api/v1/lines/{first.pk}/reservations", headers, BODY)
        bare = Target(bare_port, f"/lines/{found.pk}/{second.pk}", {}, BODY)
        times, bare_times = alternate([ours, bare], REQUESTS)
        note = (
            f"p50 {p50(times):.1f} ms (bare {p50(bare_times):.1f}); {per_second(ours):.0f} requests/s with 8 clients "
            f"on one line (bare {per_second(bare):.0f})"
        )
        yield row("line_control", customers, p95(times), p95(bare_times), unit="ms p95", aim=3.0, note=note)
