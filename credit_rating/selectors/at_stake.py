"""What the bank has at stake with customers, and the capital that it is measured against (C5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from credit_rating.engine.exposure import Capital, Stake
from credit_rating.engine.steps import ZERO
from credit_rating.models import BankCapital
from credit_rating.models.lines import LIVING, CreditLine
from crm_site.accounts.banks import home_currency
from crm_site.lib.errors import DomainError
from crm_site.lib.money import from_minor, round_cents
from crm_site.lib.tenancy import require_bank
from customers.models import FxRate, Standing


def stakes_of(customers: Iterable[int], day: dt.date) -> dict[int, Stake]:
    """customer -> loans of the core's newest day, and its living lines as they stand now, in the bank's currency."""
    ids = list(customers)
    return stakes_by(standings_of(ids), ids, day)


def stakes_by(standings: Mapping[int, Standing], ids: list[int], day: dt.date) -> dict[int, Stake]:
    lines = _lines_of(ids, day)
    return {
        one: Stake(standings[one].loans if one in standings else ZERO, *lines.get(one, _NO_LINES))
        for one in ids
    }


# engine.exposure.Stake's credit, of many at once: lines as _lines_of counts them, each amount in the bank's minor units.
_CREDITS = """
SELECT w.id, greatest(coalesce(s.loans, 0) - coalesce(l.drawn, 0), 0) + coalesce(l.limits, 0)
FROM unnest(%(customers)s::bigint[]) AS w(id)
LEFT JOIN customers_standing s ON s.bank_id = %(bank)s AND s.customer_id = w.id
LEFT JOIN (
    SELECT x.customer_id, sum(round(greatest(x.limit_amount, coalesce(x.waiting_limit, 0)) * r.rate))::bigint AS limits,
        sum(round(x.utilised * r.rate))::bigint AS drawn
    FROM credit_rating_creditline x
    LEFT JOIN unnest(%(currencies)s::text[], %(rates)s::numeric[]) AS r(currency, rate) ON r.currency = x.currency
    WHERE x.bank_id = %(bank)s AND x.customer_id = ANY(%(customers)s)
        AND (x.status = ANY(%(living)s) AND x.expires_on >= %(day)s OR x.waiting_until >= %(day)s)
    GROUP BY 1
) l ON l.customer_id = w.id"""


def credits_of(customers: Iterable[int], day: dt.date) -> dict[int, Decimal]:
    """customer -> credit granted, as `stakes_of` says it, in the bank's currency; two statements however many. Raises
    DomainError for a currency without an exchange rate."""
    ids = list(customers)
    lines = CreditLine.objects.filter(_counting(day), customer_id__in=_array(ids)).order_by()
    rates = home_rates(lines.values_list("currency", flat=True).distinct(), day)
    values: dict[str, Any] = {
        "bank": require_bank(), "customers": ids, "currencies": list(rates), "rates": list(rates.values()),
        "living": [status.value for status in LIVING], "day": day,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_CREDITS, values)
        return {one: from_minor(minor) for one, minor in cursor.fetchall()}


def _array(ids: list[int]) -> RawSQL:
    return RawSQL("select unnest(%s::bigint[])", [ids])


def standings_of(ids: list[int]) -> dict[int, Standing]:
    told = Standing.objects.filter(customer_id__in=ids)
    return {s.customer_id: s for s in told.only("customer_id", "loans", "overdue_amount", "days_past_due")}


def home_rates(currencies: Iterable[str], day: dt.date) -> dict[str, Decimal]:
    """currency -> its newest rate up to a day to the bank's own (1). Raises DomainError for one that has none."""
    wanted = set(currencies)
    home = home_currency(require_bank())
    rates = {home: Decimal(1)}
    if foreign := wanted - {home}:
        known = FxRate.objects.filter(currency__in=foreign, rate_date__lte=day)
        rates |= dict(
            known.order_by("currency", "-rate_date").distinct("currency").values_list("currency", "rate")
        )
    if missing := wanted - rates.keys():
        raise DomainError(
            _("No exchange rate by %(day)s for: %(currencies)s")
            % {"day": day.isoformat(), "currencies": ", ".join(sorted(missing))},
            code="fx_rate_missing",
        )
    return rates


_NO_LINES = (ZERO, ZERO, ZERO)


def _counting(day: dt.date) -> Q:
    return Q(status__in=LIVING, expires_on__gte=day) | Q(waiting_until__gte=day)


def _lines_of(customers: list[int], day: dt.date) -> dict[int, tuple[Decimal, Decimal, Decimal]]:
    """customer -> (limits, drawn, reserved) of the lines that may be drawn on. Frozen ones count: they may thaw; a raise
    or renewal that is approved and waits for its conditions counts as well.

    Raises DomainError for a currency without an exchange rate: a line that is left out would look like room.
    """
    lines = list(CreditLine.objects.filter(_counting(day), customer_id__in=customers))
    rows = [(x.customer_id, x.currency, x.promised, x.reserved, x.utilised) for x in lines]
    rates = home_rates({currency for _customer, currency, *_amounts in rows}, day)
    found: dict[int, tuple[Decimal, Decimal, Decimal]] = {}
    for customer, currency, limit, reserved, utilised in rows:
        limits, drawn, held = found.get(customer, _NO_LINES)
        rate = rates[currency]
        found[customer] = (
            limits + round_cents(limit * rate),
            drawn + round_cents(utilised * rate),
            held + round_cents(reserved * rate),
        )
    return found


def quarter_end_before(day: dt.date) -> dt.date:
    """The last day of the quarter before the day's."""
    return dt.date(day.year, (day.month - 1) // 3 * 3 + 1, 1) - dt.timedelta(days=1)


def capital_on(day: dt.date) -> tuple[Capital, BankCapital] | None:
    """The bank's capital that holds on a day, with last quarter's; None before the first is on record."""
    known = list(BankCapital.objects.filter(as_of__lte=day).order_by("-as_of"))  # a few a year
    if not known:
        return None
    now, quarter = known[0], quarter_end_before(day)
    last = next((row for row in known if row.as_of <= quarter), None)
    return Capital(now.net_capital, now.tier1_net_capital, last.net_capital if last else None), now
