"""This room's steps of the night: `lines`, `cases` (order: crm_site/pipeline.py).

Lines whose last day has passed expire; what a relationship manager must see to becomes a task: a line that has
expired or soon will, an annual review, a line that is nearly used up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.db import connection
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.models import CaseStatus, CreditLine, LineStatus
from credit_rating.models.lines import LIVING
from credit_rating.policies import Body
from credit_rating.selectors.lines import control_policy
from credit_rating.services.cases import close_due
from credit_rating.services.lines import expire_lines, lapse_changes
from crm_site.lib import formats
from crm_site.lib.dates import month_end
from crm_site.lib.money import from_minor
from crm_site.lib.registry import (
    Counts,
    NoticeKind,
    RunContext,
    Step,
    WorkReason,
    add_notice,
    add_step,
    add_work_reason,
)
from crm_site.work.services import TaskRow, put_tasks
from crm_site.work.urgency import pressing
from customers.nightly import customer_ranges

EXPIRED_DAYS = 30  # how long an expired line stays on the list of who should renew it
SOURCES = ("line_expired:", "line_expiring:", "line_review:", "line_use:")


def lines(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Expire and watch the lines of a range of customers. A night for a past date leaves them alone."""
    if not context.is_newest:
        return Counts()
    first, last = int(chunk["lo"]), int(chunk["hi"])
    day = context.business_date
    over = CreditLine.objects.filter(
        customer_id__gte=first, customer_id__lte=last, status__in=LIVING, expires_on__lte=day
    )
    expired = expire_lines(over.values_list("pk", flat=True), now=timezone.now())
    stale = CreditLine.objects.filter(customer_id__gte=first, customer_id__lte=last, waiting_until__lte=day)
    expired += lapse_changes(stale.values_list("pk", flat=True), now=timezone.now())
    policy = control_policy(day)
    counts = put_tasks(
        context.bank_id,
        list(_tasks(context.bank_id, day, policy, first, last)),
        sources=SOURCES,
        as_of=day,
        run_id=context.run_id,
        customers=(first, last),
    )
    return Counts(int(chunk["rows"]), expired + counts.changed + counts.cancelled)


def cases(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Close the cases of a range of customers whose time is up: votes are counted, everything else expires."""
    if not context.is_newest:
        return Counts()
    first, last = int(chunk["lo"]), int(chunk["hi"])
    working_day = context.business_date + dt.timedelta(days=1)
    closed = close_due(now=timezone.now(), today=working_day, customers=(first, last))
    return Counts(int(chunk["rows"]), closed)


# Lines that may call for work, with their limit in the bank's currency.
WATCHED = """
SELECT l.id, l.year, l.serial, l.customer_id, c.responsible_id, c.home_branch_id, l.status, l.currency, l.expires_on,
    l.review_on, l.limit_amount, l.reserved + l.utilised,
    CASE WHEN l.currency = b.currency THEN l.limit_amount ELSE coalesce(round(l.limit_amount * (
        SELECT r.rate FROM customers_fxrate r WHERE r.bank_id = l.bank_id AND r.currency = l.currency
            AND r.rate_date <= %(day)s ORDER BY r.rate_date DESC LIMIT 1)), 0) END::bigint
FROM credit_rating_creditline l
JOIN customers_customer c ON c.bank_id = l.bank_id AND c.id = l.customer_id
JOIN accounts_bank b ON b.id = l.bank_id
WHERE l.bank_id = %(bank)s AND l.customer_id BETWEEN %(first)s AND %(last)s AND (
    l.status = 'expired' AND l.expires_on >= %(since)s
    OR l.status IN ('active', 'frozen') AND (l.expires_on <= %(until)s OR l.review_on <= %(review)s
        OR (l.reserved + l.utilised) * 10000 >= l.limit_amount::numeric * %(warn)s))
"""


def watch_values(bank_id: int, day: dt.date, policy: Body, first: int, last: int) -> dict[str, Any]:
    """The parameters of WATCHED for the customers first..last."""
    working_day = day + dt.timedelta(days=1)
    return {
        "bank": bank_id,
        "day": day,
        "first": first,
        "last": last,
        "until": working_day + dt.timedelta(days=int(policy.params["watch_days"])),
        "review": working_day + dt.timedelta(days=int(policy.params["review_days"])),
        "since": day - dt.timedelta(days=EXPIRED_DAYS),
        "warn": int(policy.params["warn_pct"] * 10_000),
    }


def _tasks(bank_id: int, day: dt.date, policy: Body, first: int, last: int) -> Iterator[TaskRow]:
    values = watch_values(bank_id, day, policy, first, last)
    with connection.cursor() as cursor:
        cursor.execute(WATCHED, values)
        rows = cursor.fetchall()
    for row in rows:
        yield from _of_line(
            row, day + dt.timedelta(days=1), values["until"], values["review"], policy.params["warn_pct"]
        )


def _of_line(
    row: tuple[Any, ...], working_day: dt.date, until: dt.date, review: dt.date, warn: Decimal
) -> Iterator[TaskRow]:
    key, year, serial, customer, owner, unit, status, currency, expires, reviewed, limit, used, stake = row
    params = {"line": CreditLine(year=year, serial=serial).number, "line_id": key}
    amount = {"amount": str(from_minor(used)), "currency": currency}
    ends = {"date": expires.isoformat()}

    def task(reason: str, mark: str, due: dt.date, urgency: int, **more: str) -> TaskRow:
        return TaskRow(
            reason=reason, source_key=f"{reason}:{key}:{mark}", due_date=due, customer_id=customer, owner_id=owner,
            unit_id=unit, params=params | more, stake=from_minor(stake), urgency=urgency,
        )  # fmt: skip

    if status == LineStatus.EXPIRED:
        due = expires + dt.timedelta(days=EXPIRED_DAYS)
        yield task("line_expired", expires.isoformat(), due, 80 if used else 40, **ends, **amount)
        return
    if expires <= until:
        near = pressing(expires, working_day, 75 if (expires - working_day).days <= 7 else 50)
        yield task("line_expiring", expires.isoformat(), expires, near, **ends)
    elif reviewed is not None and reviewed <= review:
        near = pressing(reviewed, working_day, 45)
        yield task("line_review", reviewed.isoformat(), reviewed, near, date=reviewed.isoformat())
    if used and used >= limit * warn:
        # Once a month while it lasts: what was seen to is not asked again tomorrow.
        share = str(from_minor(used) / from_minor(limit))
        yield task("line_use", f"{working_day:%Y-%m}", month_end(working_day), 55, share=share, **amount)


def plan_customers(context: RunContext) -> Iterator[Mapping[str, Any]]:
    return customer_ranges(context.bank_id)


def _day(params: Mapping[str, Any]) -> str:
    return formats.day(dt.date.fromisoformat(str(params["date"])))


def _amount(params: Mapping[str, Any]) -> str:
    currency = str(params["currency"])
    return str(formats.money(Decimal(str(params["amount"])), currency, home=currency))


def _say_expired(params: Mapping[str, Any]) -> str:
    if str(params["amount"]) == "0.00":
        return _("Credit line %(line)s expired on %(day)s") % {"line": params["line"], "day": _day(params)}
    return _("Credit line %(line)s expired on %(day)s with %(amount)s in use") % {
        "line": params["line"], "day": _day(params), "amount": _amount(params),
    }  # fmt: skip


def _say_expiring(params: Mapping[str, Any]) -> str:
    return _("Credit line %(line)s expires on %(day)s") % {"line": params["line"], "day": _day(params)}


def _say_review(params: Mapping[str, Any]) -> str:
    return _("Annual review of credit line %(line)s is due on %(day)s") % {
        "line": params["line"], "day": _day(params),
    }  # fmt: skip


def _say_use(params: Mapping[str, Any]) -> str:
    return _("Credit line %(line)s is used to %(share)s, %(amount)s") % {
        "line": params["line"], "share": formats.percent(Decimal(str(params["share"])), 0), "amount": _amount(params),
    }  # fmt: skip


def _say_decide(params: Mapping[str, Any]) -> str:
    return _("Decide case %(case)s, %(amount)s") % {"case": params["case"], "amount": _amount(params)}


def _say_returned(params: Mapping[str, Any]) -> str:
    return _("Case %(case)s came back for more information") % {"case": params["case"]}


def _say_ended(params: Mapping[str, Any]) -> str:
    return _("Case %(case)s: %(status)s") % {
        "case": params["case"], "status": CaseStatus(str(params["status"])).label,
    }  # fmt: skip


def _say_copied(params: Mapping[str, Any]) -> str:
    return _("%(by)s sent you a copy of case %(case)s") % {"by": params["by"], "case": params["case"]}


def _case(params: Mapping[str, Any]) -> str:
    return reverse("credit_rating:case", args=[params["case_id"]])


REASONS = (
    WorkReason(
        "case_decide",
        gettext_lazy("Case to decide"),
        "gavel",
        _say_decide,
        "watch",
        is_dated=True,
        address=_case,
    ),
    WorkReason(
        "case_returned",
        gettext_lazy("Case returned"),
        "arrow-back-up",
        _say_returned,
        "watch",
        is_dated=True,
        address=_case,
    ),
    WorkReason("line_expired", gettext_lazy("Line expired"), "calendar-x", _say_expired, "risk"),
    WorkReason("line_expiring", gettext_lazy("Line expires"), "calendar-due", _say_expiring, "watch"),
    WorkReason("line_review", gettext_lazy("Line review"), "clipboard-check", _say_review),
    WorkReason("line_use", gettext_lazy("Line nearly used up"), "gauge", _say_use, "watch"),
)


def register() -> None:
    """Make the step and its reasons known (AppConfig.ready)."""
    add_step(Step("lines", gettext_lazy("Credit lines"), lines, after=("placement",), plan=plan_customers))
    add_step(Step("cases", gettext_lazy("Approval cases"), cases, after=("placement",), plan=plan_customers))
    for reason in REASONS:
        add_work_reason(reason)
    add_notice(NoticeKind("case.ended", "gavel", _say_ended))
    add_notice(NoticeKind("case.copied", "copy", _say_copied))
