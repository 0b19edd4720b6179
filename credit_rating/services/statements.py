"""Statements typed in or uploaded: kept only when they add up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating import words
from credit_rating.engine.ratios import ALL_ITEMS, Fault, check_statements
from credit_rating.models import Statement, StatementSource, credit_kind
from credit_rating.models.kinds import CreditKind
from crm_site.lib import formats
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from customers.models import Customer

PREPARE = "credit.prepare"
OLDEST_YEAR = 1990


class StatementFault(DomainError):
    """A statement that does not add up, or jumps without a word; `fields`: item -> what is wrong."""


def save_statement(
    actor: Actor,
    *,
    customer: Customer,
    year: int,
    report_date: dt.date,
    figures: Mapping[str, Decimal],
    explanation: str,
    is_audited: bool,
    auditor: str,
    source: str,
    base: dt.datetime | None,
    today: dt.date,
    now: dt.datetime,
) -> Statement:
    """Keep a year's statement, or put a corrected one in its place.

    `base`: when the one that was opened had been entered (None: there was none); another one there now raises Conflict.
    Raises StatementFault for what does not add up, and for a jump against the year before without an explanation.
    """
    require(actor, PREPARE)
    _check_frame(customer, year, report_date, figures, today)
    with transaction.atomic():
        Customer.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=customer.pk)
        others = {s.year: s.amounts for s in Statement.objects.filter(customer=customer).exclude(year=year)}
        _check_faults(check_statements({**others, year: figures}), year, explanation)
        stands = (
            Statement.objects.select_for_update(of=("self",)).filter(customer=customer, year=year).first()
        )
        if (stands.entered_at if stands else None) != base:
            raise Conflict(
                _(
                    "Somebody has entered this year meanwhile. What you typed is still here; look at theirs first."
                ),
                code="statement_changed",
            )
        statement = stands or Statement(customer=customer, year=year)
        statement.report_date, statement.explanation = report_date, explanation
        statement.figures = {item: f"{figures[item]:f}" for item in ALL_ITEMS if item in figures}
        statement.is_audited, statement.auditor = is_audited, auditor
        statement.source, statement.entered_by_id, statement.entered_at = source, actor.staff_id, now
        statement.source_as_of = now
        statement.save()
    return statement


def _check_frame(
    customer: Customer, year: int, report_date: dt.date, figures: Mapping[str, Decimal], today: dt.date
) -> None:
    if credit_kind(customer) not in (CreditKind.CORPORATE, CreditKind.SME):
        raise StatementFault(_("Only companies have statements."), code="statement_kind")
    if not OLDEST_YEAR <= year <= today.year:
        message = _("Not a year that a statement can be of.")
        raise StatementFault(message, code="statement_year", fields={"year": message})
    if report_date > today or report_date.year not in (year, year + 1):
        message = _("The date must lie in the year and not in the future.")
        raise StatementFault(message, code="statement_date", fields={"report_date": message})
    if not figures:
        raise StatementFault(_("No figure is given."), code="statement_empty")


def _check_faults(faults: list[Fault], year: int, explanation: str) -> None:
    errors = [f for f in faults if f.is_error and f.year == year]
    if errors:
        fields = {f.item: said(f) for f in errors}
        raise StatementFault(
            _("The statement does not add up; nothing is saved yet."), code="sums", fields=fields
        )
    jumps = [f for f in faults if f.code == "jump" and f.year == year]
    if jumps and not explanation.strip():
        fields = {f.item: said(f) for f in jumps} | {
            "explanation": _("Say why these figures changed so much.")
        }
        raise StatementFault(
            _("Some figures changed by more than half; say why."), code="jump", fields=fields
        )


def said(fault: Fault) -> str:
    """A fault in words."""
    what = str(words.FAULTS[fault.code])
    if fault.code == "jump":
        change = formats.percent_signed(fault.change or Decimal(0), 0)
        return _("%(what)s: %(change)s") % {"what": what, "change": change}
    return _("%(what)s: %(expected)s expected") % {"what": what, "expected": f"{fault.expected:,.2f}"}


def save_uploaded(
    actor: Actor, *, customer: Customer, years: Mapping[int, Mapping[str, Decimal]], explanation: str, today: dt.date,
    now: dt.datetime,
) -> list[Statement]:  # fmt: skip
    """Keep every year of an uploaded file, or none. Years that stand are replaced: the file was chosen for that."""
    require(actor, PREPARE)
    with transaction.atomic():
        stand = {s.year: s.entered_at for s in Statement.objects.visible_to(actor).filter(customer=customer)}
        return [
            save_statement(
                actor, customer=customer, year=year, report_date=min(dt.date(year, 12, 31), today),
                figures=years[year], explanation=explanation, is_audited=False, auditor="",
                source=StatementSource.UPLOAD, base=stand.get(year), today=today, now=now,
            )
            for year in sorted(years)
        ]  # fmt: skip
