"""What the night puts on people's worklists, and how each reason reads (D6).

Each source is a SELECT of everything that calls for work among a range of customers; work.services keeps what people
have done, postponed or handed over. A source's key names the cause, so that the same cause never makes two tasks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_site.lib import formats
from crm_site.lib.dates import quarter_end
from crm_site.lib.registry import WorkReason
from crm_site.work.urgency import pressing_sql
from customers.facts import CHURN_ALARM_BP, MISSING_ITEMS
from customers.models.standing import TIER_LABELS, VALUE_TIERS
from segmentation.churn_reasons import sentence as churn_sentence

MATURITY_DAYS = 7
BIRTHDAY_DAYS = 3
TIER_CHANGE_DAYS = 7  # how long a change of tier stays on the list
DROP_PCT = 20
HIGH, MID = 3, 2

# Urgency, 0 to 100: what a day's delay may cost; deadlines by work.urgency. Within one urgency the larger stake comes first.
OVERDUE, CHURN_HIGH, CHURN_MID, DROP, TIER_DOWN, TIER_UP, MISSING = 100, 80, 65, 55, 60, 45, 10


@dataclass(frozen=True, slots=True)
class Source:
    """A cause of work. `sql` selects its tasks, all of it among the customers first..last who have somebody responsible,
    in the columns of work.services.put_selected_tasks; keys begin with `code` + ":"."""

    code: str
    sql: str


def values_of(bank_id: int, currency: str, business_date: dt.date, first: int, last: int) -> dict[str, Any]:
    """What the sources' SQL asks for, for the customers first..last; `day` is the working day that the night prepares."""
    working_day = business_date + dt.timedelta(days=1)
    return {
        "bank": bank_id,
        "currency": currency,
        "date": business_date,
        "day": working_day,
        "first": first,
        "last": last,
        "maturity": working_day + dt.timedelta(days=MATURITY_DAYS),
        "birthday": working_day + dt.timedelta(days=BIRTHDAY_DAYS),
        "since": business_date - dt.timedelta(days=TIER_CHANGE_DAYS),
        "quarter": quarter_end(working_day),
        "alarm": CHURN_ALARM_BP,
        "pct": DROP_PCT,
    }


_RATE = """(case when {t}.currency = %(currency)s then 1 else coalesce((select r.rate from customers_fxrate r
    where r.bank_id = %(bank)s and r.currency = {t}.currency and r.rate_date <= %(date)s
    order by r.rate_date desc limit 1), 1) end)"""
_AMOUNT = "({minor}::numeric / 100)::numeric(20, 2)::text"  # as str(from_minor(minor))
_NEARNESS = pressing_sql("due", "%(day)s")
_MONTH = "to_char(%(date)s::date, 'YYYY-MM')"

# Deposits that mature within 7 days: the nearer, the more urgent.
_MATURITIES = f"""
select 'maturity:' || account || ':' || due, 'maturity', customer, owner, unit, due, balance, {_NEARNESS},
       jsonb_build_object('date', due, 'tail', tail, 'amount', {_AMOUNT.format(minor="balance")}, 'currency', %(currency)s)
from (
    select s.customer_id, s.responsible_id, s.home_branch_id, a.id, a.maturity_date, right(a.number, 4),
           round(coalesce((select greatest(b.balance, 0) from customers_balancechange b
                           where b.bank_id = %(bank)s and b.account_id = a.id and b.date <= %(date)s
                           order by b.date desc limit 1), 0) * {_RATE.format(t="a")})::bigint
    from customers_account a
    join customers_standing s on s.bank_id = a.bank_id and s.customer_id = a.owner_id
    where a.bank_id = %(bank)s and a.maturity_date between %(day)s and %(maturity)s
      and a.owner_id between %(first)s and %(last)s
      and (a.closed_date is null or a.closed_date > %(date)s) and s.responsible_id is not null
) m (customer, owner, unit, account, due, tail, balance)
where balance > 0
"""

# Wealth products, funds and policies that mature within 7 days.
_HOLDINGS = f"""
select 'holding:' || reference || ':' || due, 'holding', customer, owner, unit, due, value, {_NEARNESS},
       jsonb_build_object('date', due, 'product', product, 'amount', {_AMOUNT.format(minor="value")},
                          'currency', %(currency)s)
from (
    select s.customer_id, s.responsible_id, s.home_branch_id, h.reference, h.maturity_date, p.name,
           round(h.value * {_RATE.format(t="h")})::bigint
    from customers_standing s
    join lateral (select distinct on (x.reference) x.* from customers_holding x
                  where x.bank_id = s.bank_id and x.customer_id = s.customer_id and x.date <= %(date)s
                  order by x.reference, x.date desc) h on true
    join customers_product p on p.bank_id = s.bank_id and p.id = h.product_id
    where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
      and s.customer_id in (select m.customer_id from customers_holding m
                            where m.bank_id = %(bank)s and m.maturity_date between %(day)s and %(maturity)s
                              and m.customer_id between %(first)s and %(last)s)
      and h.value > 0 and h.maturity_date between %(day)s and %(maturity)s
) h (customer, owner, unit, reference, due, product, value)
"""

# Birthdays of high and mid customers on the day and the three after it; silent while a loan is overdue.
# The anniversary in the year of the working day, or of the next year around New Year; 29 February: the 28th.
_BIRTHDAYS = f"""
select 'birthday:' || customer || ':' || due, 'birthday', customer, owner, unit, due, 0,
       case when due = %(day)s then 50 else 30 end + case when tier = {HIGH} then 5 else 0 end,
       jsonb_build_object('date', due, 'age', age)
from (
    select s.customer_id, s.responsible_id, s.home_branch_id, s.value_tier,
           (c.birth_date + make_interval(years => y.year - date_part('year', c.birth_date)::int))::date,
           y.year - date_part('year', c.birth_date)::int
    from customers_standing s
    join customers_customer c on c.bank_id = s.bank_id and c.id = s.customer_id and c.birth_date is not null
    cross join (select distinct date_part('year', d)::int as year
                from unnest(array[%(day)s::date, %(birthday)s::date]) as d) y
    where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
      and s.value_tier >= {MID} and c.kind <> 'corporate' and s.overdue_amount = 0
) b (customer, owner, unit, tier, due, age)
where due between %(day)s and %(birthday)s
"""

# High and mid customers at or above the churn alarm; raised anew each month while it lasts.
_CHURN = f"""
select 'churn:' || s.customer_id || ':' || {_MONTH}, 'churn', s.customer_id, s.responsible_id, s.home_branch_id,
       %(day)s::date, s.deposits_adb, case when s.value_tier = {HIGH} then {CHURN_HIGH} else {CHURN_MID} end,
       jsonb_build_object('churn_bp', s.churn_bp, 'reason', coalesce(x.reason_1, 0), 'value', coalesce(x.value_1, 0),
                          'currency', %(currency)s)
from customers_standing s
left join segmentation_churnscore x
    on x.bank_id = s.bank_id and x.as_of = %(date)s and x.customer_id = s.customer_id
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and s.value_tier >= {MID} and s.churn_bp >= %(alarm)s
"""

# Customers whose value tier changed in the last days, with what they had then; a first tier is no change.
_TIERS = f"""
select 'tier:' || s.customer_id || ':' || h.from_date,
       case when h.rank > before.rank then 'tier_up' else 'tier_down' end,
       s.customer_id, s.responsible_id, s.home_branch_id, h.from_date + {TIER_CHANGE_DAYS}, h.deposits_adb + h.loans,
       case when h.rank > before.rank then {TIER_UP} else {TIER_DOWN} end,
       jsonb_build_object('from', before.rank, 'to', h.rank, 'date', h.from_date)
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

# Borrowers in arrears. The key is the day the arrears began, so that new arrears make a new task.
_OVERDUE = f"""
select 'overdue:' || s.customer_id || ':' || (%(date)s::date - s.days_past_due), 'overdue', s.customer_id, s.responsible_id,
       s.home_branch_id, %(day)s::date, s.loans, {OVERDUE},
       jsonb_build_object('days', s.days_past_due, 'amount', {_AMOUNT.format(minor="s.overdue_amount")},
                          'currency', %(currency)s)
from customers_standing s
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and s.overdue_amount > 0
"""

# High and mid customers whose average deposits fell by more than 20% since the last month-end.
_DROPS = f"""
select 'drop:' || s.customer_id || ':' || {_MONTH}, 'drop', s.customer_id, s.responsible_id, s.home_branch_id,
       %(day)s::date + 3, s.adb_previous - s.deposits_adb, {DROP},
       jsonb_build_object('pct', round((s.deposits_adb - s.adb_previous)::numeric / s.adb_previous, 3)::text,
                          'before', {_AMOUNT.format(minor="s.adb_previous")},
                          'now', {_AMOUNT.format(minor="s.deposits_adb")}, 'currency', %(currency)s)
from customers_standing s
where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
  and s.value_tier >= {MID} and s.adb_previous > 0
  and (s.adb_previous - s.deposits_adb) * 100 > s.adb_previous * %(pct)s
"""

# What the bank should know of high and mid customers, and the phone of every depositor; once a quarter.
# Silent while a loan is overdue: who is called about arrears is not asked for his hobbies.
_ITEMS = ", ".join(f"case when {item.sql.format(c='c')} then '{item.code}' end" for item in MISSING_ITEMS)
_PHONE = next(item for item in MISSING_ITEMS if item.code == "phone").sql.format(c="c")
_MISSING = f"""
select 'missing:' || customer || ':' || %(quarter)s::date, 'missing', customer, owner, unit, %(quarter)s::date, 0,
       {MISSING} + case when tier = {HIGH} then 5 else 0 end, jsonb_build_object('items', items)
from (
    select s.customer_id, s.responsible_id, s.home_branch_id, s.value_tier, array_remove(array[{_ITEMS}], null)
    from customers_standing s
    join customers_customer c on c.bank_id = s.bank_id and c.id = s.customer_id
    where s.bank_id = %(bank)s and s.customer_id between %(first)s and %(last)s and s.responsible_id is not null
      and not c.is_prospect and c.status <> 'closed' and s.overdue_amount = 0
      and (s.value_tier >= {MID} or s.value_tier = 1 and s.deposits_adb > 0 and {_PHONE})
) m (customer, owner, unit, tier, items)
where cardinality(items) > 0
"""

SOURCES: Sequence[Source] = (
    Source("maturity", _MATURITIES),
    Source("holding", _HOLDINGS),
    Source("birthday", _BIRTHDAYS),
    Source("churn", _CHURN),
    Source("tier", _TIERS),
    Source("overdue", _OVERDUE),
    Source("drop", _DROPS),
    Source("missing", _MISSING),
)


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
