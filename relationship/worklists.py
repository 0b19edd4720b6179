"""What the night puts on people's worklists, and how each reason reads (D6).

Each source says everything that calls for work among a range of customers; work.services keeps what people have
done, postponed or handed over. A source's key names the cause, so that the same cause never makes two tasks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_site.lib import formats
from crm_site.lib.dates import quarter_end
from crm_site.lib.money import from_minor
from crm_site.lib.registry import WorkReason
from crm_site.work.services import TaskRow
from customers.facts import CHURN_ALARM_BP, MISSING_ITEMS
from customers.models.standing import TIER_LABELS, VALUE_TIERS
from segmentation.churn_reasons import sentence as churn_sentence

MATURITY_DAYS = 7
BIRTHDAY_DAYS = 3
TIER_CHANGE_DAYS = 7  # how long a change of tier stays on the list
DROP_PCT = 20
HIGH, MID = 3, 2

# Urgency, 0 to 100: what a day's delay may cost. Within one urgency the larger stake comes first.
OVERDUE, CHURN_HIGH, CHURN_MID, DROP, TIER_DOWN, TIER_UP, MISSING = 100, 80, 65, 55, 60, 45, 10


@dataclass(frozen=True, slots=True)
class Night:
    """What a source knows: the bank, its currency, the business date and the working day that it prepares."""

    bank_id: int
    currency: str
    business_date: dt.date
    working_day: dt.date


@dataclass(frozen=True, slots=True)
class Source:
    """A cause of work. `rows` yields all of it among the customers first..last; keys begin with `code` + ":"."""

    code: str
    rows: Callable[[Night, int, int], Iterator[TaskRow]]


def _select(sql: str, night: Night, first: int, last: int, **more: Any) -> Iterator[tuple[Any, ...]]:
    """Rows of a query whose first columns are customer, owner, home branch; owned customers alone."""
    values = {
        "bank": night.bank_id,
        "currency": night.currency,
        "date": night.business_date,
        "day": night.working_day,
        "first": first,
        "last": last,
        **more,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        while rows := cursor.fetchmany(5000):
            yield from rows


_RATE = """(case when {t}.currency = %(currency)s then 1 else coalesce((select r.rate from customers_fxrate r
    where r.bank_id = %(bank)s and r.currency = {t}.currency and r.rate_date <= %(date)s
    order by r.rate_date desc limit 1), 1) end)"""

_MATURITIES = f"""
select s.customer_id, s.responsible_id, s.home_branch_id, a.id, a.maturity_date, right(a.number, 4),
       round(coalesce((select greatest(b.balance, 0) from customers_balancechange b
                       where b.bank_id = %(bank)s and b.account_id = a.id and b.date <= %(date)s
                       order by b.date desc limit 1), 0) * {_RATE.format(t="a")})::bigint as balance
from customers_account a
join customers_standing s on s.bank_id = a.bank_id and s.customer_id = a.owner_id
where a.bank_id = %(bank)s and a.maturity_date between %(day)s and %(until)s
  and a.owner_id between %(first)s and %(last)s
  and (a.closed_date is null or a.closed_date > %(date)s) and s.responsible_id is not null
"""


def maturities(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """Deposits that mature within 7 days: more urgent at 3 and at 1."""
    until = night.working_day + dt.timedelta(days=MATURITY_DAYS)
    for customer, owner, unit, account, day, tail, balance in _select(
        _MATURITIES, night, first, last, until=until
    ):
        if balance > 0:
            yield TaskRow(
                reason="maturity",
                source_key=f"maturity:{account}:{day}",
                due_date=day,
                customer_id=customer,
                owner_id=owner,
                unit_id=unit,
                params={"date": day.isoformat(), "tail": tail, **_amount("amount", balance, night)},
                stake=from_minor(balance),
                urgency=_nearness(day, night.working_day),
            )


_HOLDINGS = f"""
select s.customer_id, s.responsible_id, s.home_branch_id, h.reference, h.maturity_date, p.name,
       round(h.value * {_RATE.format(t="h")})::bigint
from customers_standing s
join lateral (select distinct on (x.reference) x.* from customers_holding x
              where x.bank_id = s.bank_id and x.customer_id = s.customer_id and x.date <= %(date)s
              order by x.reference, x.date desc) h on true
join customers_product p on p.bank_id = s.bank_id and p.id = h.product_id
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and s.customer_id in (select m.customer_id from customers_holding m
                        where m.bank_id = %(bank)s and m.maturity_date between %(day)s and %(until)s
                          and m.customer_id between %(first)s and %(last)s)
  and h.value > 0 and h.maturity_date between %(day)s and %(until)s
"""


def holdings(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """Wealth products, funds and policies that mature within 7 days."""
    until = night.working_day + dt.timedelta(days=MATURITY_DAYS)
    for customer, owner, unit, reference, day, product, value in _select(
        _HOLDINGS, night, first, last, until=until
    ):
        yield TaskRow(
            reason="holding",
            source_key=f"holding:{reference}:{day}",
            due_date=day,
            customer_id=customer,
            owner_id=owner,
            unit_id=unit,
            params={"date": day.isoformat(), "product": product, **_amount("amount", value, night)},
            stake=from_minor(value),
            urgency=_nearness(day, night.working_day),
        )


# The anniversary in the year of the working day, or of the next year around New Year; 29 February: the 28th.
_BIRTHDAYS = """
select * from (
    select s.customer_id, s.responsible_id, s.home_branch_id, s.value_tier,
           (c.birth_date + make_interval(years => y.year - date_part('year', c.birth_date)::int))::date as birthday,
           y.year - date_part('year', c.birth_date)::int as age
    from customers_standing s
    join customers_customer c on c.bank_id = s.bank_id and c.id = s.customer_id and c.birth_date is not null
    cross join (select distinct date_part('year', d)::int as year
                from unnest(array[%(day)s::date, %(until)s::date]) as d) y
    where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
      and s.value_tier >= 2 and c.kind <> 'corporate' and s.overdue_amount = 0
) b
where birthday between %(day)s and %(until)s
"""


def birthdays(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """Birthdays of high and mid customers on the day and the three after it; silent while a loan is overdue."""
    until = night.working_day + dt.timedelta(days=BIRTHDAY_DAYS)
    for customer, owner, unit, tier, day, age in _select(_BIRTHDAYS, night, first, last, until=until):
        yield TaskRow(
            reason="birthday",
            source_key=f"birthday:{customer}:{day}",
            due_date=day,
            customer_id=customer,
            owner_id=owner,
            unit_id=unit,
            params={"date": day.isoformat(), "age": age},
            urgency=(50 if day == night.working_day else 30) + (5 if tier == HIGH else 0),
        )


_CHURN = """
select s.customer_id, s.responsible_id, s.home_branch_id, s.value_tier, s.churn_bp, s.deposits_adb,
       x.reason_1, x.value_1
from customers_standing s
left join segmentation_churnscore x
    on x.bank_id = s.bank_id and x.as_of = %(date)s and x.customer_id = s.customer_id
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and s.value_tier >= 2 and s.churn_bp >= %(alarm)s
"""


def churn(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """High and mid customers at or above the churn alarm; raised anew each month while it lasts."""
    rows = list(_select(_CHURN, night, first, last, alarm=CHURN_ALARM_BP))
    for customer, owner, unit, tier, basis_points, deposits, reason, value in rows:
        yield TaskRow(
            reason="churn",
            source_key=f"churn:{customer}:{night.business_date:%Y-%m}",
            due_date=night.working_day,
            customer_id=customer,
            owner_id=owner,
            unit_id=unit,
            params={
                "churn_bp": basis_points,
                "reason": reason or 0,
                "value": value or 0.0,
                "currency": night.currency,
            },
            stake=from_minor(deposits),
            urgency=CHURN_HIGH if tier == HIGH else CHURN_MID,
        )


_TIERS = """
select s.customer_id, s.responsible_id, s.home_branch_id, h.from_date, before.rank, h.rank, s.deposits_adb + s.loans
from segmentation_tierhistory h
join customers_standing s on s.bank_id = h.bank_id and s.customer_id = h.customer_id
join lateral (select p.rank from segmentation_tierhistory p
              where p.bank_id = h.bank_id and p.customer_id = h.customer_id and p.scheme = h.scheme
                and p.from_date < h.from_date
              order by p.from_date desc limit 1) before on before.rank <> h.rank
where h.bank_id = %(bank)s and h.scheme = 'value' and h.from_date > %(since)s and h.from_date <= %(date)s
  and h.to_date is null and h.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and before.rank > 0 and h.rank > 0
"""


def tier_changes(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """Customers whose value tier changed in the last days; a first tier is no change."""
    since = night.business_date - dt.timedelta(days=TIER_CHANGE_DAYS)
    for customer, owner, unit, day, before, after, value in _select(_TIERS, night, first, last, since=since):
        yield TaskRow(
            reason="tier_up" if after > before else "tier_down",
            source_key=f"tier:{customer}:{day}",
            due_date=day + dt.timedelta(days=TIER_CHANGE_DAYS),
            customer_id=customer,
            owner_id=owner,
            unit_id=unit,
            params={"from": before, "to": after, "date": day.isoformat()},
            stake=from_minor(value),
            urgency=TIER_UP if after > before else TIER_DOWN,
        )


_OVERDUE = """
select s.customer_id, s.responsible_id, s.home_branch_id, s.days_past_due, s.overdue_amount, s.loans
from customers_standing s
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and s.overdue_amount > 0
"""


def overdue(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """Borrowers in arrears. The key is the day the arrears began, so that new arrears make a new task."""
    for customer, owner, unit, days, amount, loans in _select(_OVERDUE, night, first, last):
        began = night.business_date - dt.timedelta(days=days)
        yield TaskRow(
            reason="overdue",
            source_key=f"overdue:{customer}:{began}",
            due_date=night.working_day,
            customer_id=customer,
            owner_id=owner,
            unit_id=unit,
            params={"days": days, **_amount("amount", amount, night)},
            stake=from_minor(loans),
            urgency=OVERDUE,
        )


_DROPS = """
select s.customer_id, s.responsible_id, s.home_branch_id, s.adb_previous, s.deposits_adb
from customers_standing s
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and s.value_tier >= 2 and s.adb_previous > 0
  and (s.adb_previous - s.deposits_adb) * 100 > s.adb_previous * %(pct)s
"""


def drops(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """High and mid customers whose average deposits fell by more than 20% since the last month-end."""
    for customer, owner, unit, before, now in _select(_DROPS, night, first, last, pct=DROP_PCT):
        yield TaskRow(
            reason="drop",
            source_key=f"drop:{customer}:{night.business_date:%Y-%m}",
            due_date=night.working_day + dt.timedelta(days=3),
            customer_id=customer,
            owner_id=owner,
            unit_id=unit,
            params={
                "pct": str((Decimal(now - before) / before).quantize(Decimal("0.001"))),
                **_amount("before", before, night),
                **_amount("now", now, night),
            },
            stake=from_minor(before - now),
            urgency=DROP,
        )


_ITEMS = ", ".join(f"({item.sql.format(c='c')})" for item in MISSING_ITEMS)
_PHONE = next(item for item in MISSING_ITEMS if item.code == "phone").sql.format(c="c")
_MISSING = f"""
select s.customer_id, s.responsible_id, s.home_branch_id, s.value_tier, {_ITEMS}
from customers_standing s
join customers_customer c on c.bank_id = s.bank_id and c.id = s.customer_id
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and not c.is_prospect and c.status <> 'closed' and s.overdue_amount = 0
  and (s.value_tier >= 2 or s.value_tier = 1 and s.deposits_adb > 0 and {_PHONE})
"""


def missing(night: Night, first: int, last: int) -> Iterator[TaskRow]:
    """What the bank should know of high and mid customers, and the phone of every depositor; once a quarter.

    Silent while a loan is overdue: who is called about arrears is not asked for his hobbies.
    """
    codes = [item.code for item in MISSING_ITEMS]
    quarter = quarter_end(night.working_day)
    for customer, owner, unit, tier, *flags in _select(_MISSING, night, first, last):
        lacking = [code for code, lacks in zip(codes, flags, strict=True) if lacks]
        if lacking:
            yield TaskRow(
                reason="missing",
                source_key=f"missing:{customer}:{quarter}",
                due_date=quarter,
                customer_id=customer,
                owner_id=owner,
                unit_id=unit,
                params={"items": lacking},
                urgency=MISSING + (5 if tier == HIGH else 0),
            )


SOURCES: Sequence[Source] = (
    Source("maturity", maturities),
    Source("holding", holdings),
    Source("birthday", birthdays),
    Source("churn", churn),
    Source("tier", tier_changes),
    Source("overdue", overdue),
    Source("drop", drops),
    Source("missing", missing),
)


def _amount(name: str, minor: int, night: Night) -> dict[str, str]:
    return {name: str(from_minor(minor)), "currency": night.currency}


def _nearness(day: dt.date, today: dt.date) -> int:
    left = (day - today).days
    return 85 if left <= 1 else 70 if left <= 3 else 50


# How each reason reads.


def _money(params: Mapping[str, Any], name: str) -> str:
    currency = str(params["currency"])
    return str(formats.money(Decimal(params[name]), currency, home=currency))


def _day(params: Mapping[str, Any]) -> str:
    day = dt.date.fromisoformat(str(params["date"]))
    return formats.day(day, day)


def _tier(rank: int) -> str:
    return str(TIER_LABELS[VALUE_TIERS[rank]])


def _say_maturity(params: Mapping[str, Any]) -> str:
    return _("Deposit account …%(tail)s, %(amount)s, matures on %(day)s") % {
        "tail": params["tail"],
        "amount": _money(params, "amount"),
        "day": _day(params),
    }


def _say_holding(params: Mapping[str, Any]) -> str:
    return _("%(product)s, %(amount)s, matures on %(day)s") % {
        "product": params["product"],
        "amount": _money(params, "amount"),
        "day": _day(params),
    }


def _say_birthday(params: Mapping[str, Any]) -> str:
    return _("Turns %(age)d on %(day)s") % {"age": params["age"], "day": _day(params)}


def _say_churn(params: Mapping[str, Any]) -> str:
    chance = formats.percent(Decimal(params["churn_bp"]) / 10_000, 0)
    said = _("%(chance)s likely to leave") % {"chance": chance}
    if not params.get("reason"):
        return said
    why = churn_sentence(int(params["reason"]), float(params["value"]), str(params["currency"]))
    return f"{said}{'：' if formats.is_chinese() else ': '}{why}"


def _say_tier(params: Mapping[str, Any]) -> str:
    return _("%(before)s to %(after)s on %(day)s") % {
        "before": _tier(params["from"]),
        "after": _tier(params["to"]),
        "day": _day(params),
    }


def _say_overdue(params: Mapping[str, Any]) -> str:
    days = int(params["days"])
    text = ngettext("%(amount)s overdue for %(days)d day", "%(amount)s overdue for %(days)d days", days)
    return text % {"amount": _money(params, "amount"), "days": days}


def _say_drop(params: Mapping[str, Any]) -> str:
    return _("Average deposits %(pct)s since month-end: %(before)s to %(now)s") % {
        "pct": formats.percent_signed(Decimal(params["pct"])),
        "before": _money(params, "before"),
        "now": _money(params, "now"),
    }


def _say_missing(params: Mapping[str, Any]) -> str:
    labels = {item.code: str(item.label) for item in MISSING_ITEMS}
    names = [labels.get(code, code) for code in params["items"]]
    return _("Not known: %s") % ("、" if formats.is_chinese() else ", ").join(names)


REASONS = (
    WorkReason(
        "overdue", gettext_lazy("Loan overdue"), "alert-triangle", _say_overdue, "risk", needs_result=True
    ),
    WorkReason("churn", gettext_lazy("Churn risk"), "trending-down", _say_churn, "watch"),
    WorkReason("drop", gettext_lazy("Balance drop"), "arrow-down-right", _say_drop, "watch"),
    WorkReason("maturity", gettext_lazy("Deposit matures"), "calendar-event", _say_maturity),
    WorkReason("holding", gettext_lazy("Product matures"), "calendar-event", _say_holding),
    WorkReason("tier_down", gettext_lazy("Tier fell"), "stairs-down", _say_tier, "watch"),
    WorkReason("tier_up", gettext_lazy("Tier rose"), "stairs-up", _say_tier),
    WorkReason("birthday", gettext_lazy("Birthday"), "cake", _say_birthday),
    WorkReason("missing", gettext_lazy("Missing data"), "forms", _say_missing),
)
