"""The line calculation: a form that reckons while one types, its print, and what was saved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from credit_rating import words
from credit_rating.engine.pricing import annualised, instalments
from credit_rating.engine.steps import Step, Term, from_data
from credit_rating.forms_case import CalculationForm
from credit_rating.models import GuaranteeKind, LineCalculation, credit_kind
from credit_rating.policies import SHAPES
from credit_rating.selectors import calculations
from credit_rating.selectors.calculation_news import News
from credit_rating.selectors.calculations import PERCENT_INPUTS, Reckoning
from credit_rating.selectors.cases import asked_beside
from credit_rating.selectors.guarantees import GuaranteeRow
from credit_rating.selectors.ratings import in_force, in_review
from credit_rating.services.calculations import PREPARE, save_calculation
from credit_rating.views.case import case_customer, is_partial, page
from credit_rating.views.tie_words import told_ties
from crm_site.accounts.selectors import bank_today
from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.formats import BILLION, MILLION, THOUSAND, Unit, column_unit
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import require
from customers.models import Customer

LPR_DAYS = 35  # published on the 20th of each month, or the working day after it
START = {"grade": "A", "term_months": "12", "requested": "", "discount": "none"}


def drawn_steps(steps: tuple[Step, ...] | list[Step]) -> list[dict[str, Any]]:
    """Steps as the form draws them: details belong to the step that follows, which has the number."""
    numbers = count(1)
    return [
        {
            "step": s, "label": words.STEPS.get(s.code) or words.PRICE_STEPS[s.code],
            "number": "" if s.role in ("detail", "limit") else next(numbers),
            "note": words.NOTES.get(s.note) or words.STEPS.get(s.note, ""),
            "terms": [(t, words.TERMS[t.code], words.OPS[t.op]) for t in _signed(s.terms)],
        }
        for s in steps
    ]  # fmt: skip


def _signed(terms: Sequence[Term]) -> list[Term]:
    """Terms as they are written: what is taken off first has its minus at the figure, not before its name."""
    return [replace(t, value=-t.value, op="") if n == 0 and t.op == "-" else t for n, t in enumerate(terms)]


@dataclass(frozen=True, slots=True)
class Reference:
    """The LPR behind a suggested rate. `bp`: the rate above it; `age`: its days on the day of the calculation."""

    lpr: Decimal
    of: dt.date
    bp: Decimal
    age: int

    @property
    def is_old(self) -> bool:
        """Whether a newer one has been published: it is set every month."""
        return self.age > LPR_DAYS


def _reference(rate: Decimal, lpr: Decimal, of: dt.date | None, day: dt.date) -> Reference | None:
    return Reference(lpr, of, (rate - lpr) * 10_000, (day - of).days) if of else None


def fine_unit(values: Sequence[Decimal | None]) -> Unit:
    """One unit for a table in which small amounts matter too: thousands rather than millions up to a billion."""
    chosen = column_unit(values)
    small = max((abs(v) for v in values if v is not None), default=Decimal(0)) < BILLION.divisor
    return THOUSAND if chosen == MILLION and small else chosen


def _scale(steps: Sequence[Step]) -> Unit:
    """The one unit of the steps' amounts."""
    return fine_unit([s.amount for s in steps if s.kind == "money"])


def guarantee_scale(rows: Sequence[GuaranteeRow]) -> Unit:
    """The one unit of a table of guarantees."""
    return fine_unit([row.valued for row in rows])


def _style(code: str) -> str:
    """How an input is written: money, percent, days or number."""
    if code in PERCENT_INPUTS:
        return "percent"
    return "days" if code.endswith("_days") else "number" if code == "household_members" else "money"


def _drawn_inputs(found: Reckoning) -> list[tuple[Any, Any, str, Any]]:
    """(input, its name, how it is shown, its source)."""
    return [
        (i, words.TERMS[i.code], _style(i.code), _source(i.code, i.source, i.detail)) for i in found.inputs
    ]


def _source(code: str, source: str, detail: str) -> str:
    """Where a figure comes from, in words: statement and year, who said it, how many banks a report names."""
    said = str(words.SOURCES[source])
    if source == "collected":
        return str(words.SOURCES.get(detail, said))
    if code == "other_banks" and detail.isdigit():
        banks = int(detail)
        detail = ngettext("%s bank", "%s banks", banks) % banks
    return f"{said} · {detail}" if detail else said


def drawn_news(news: Sequence[News]) -> list[tuple[News, Any, str, str]]:
    """(what is newer than a calculation, its name, how it is written, its source)."""
    return [(n, words.TERMS[n.code], _style(n.code), _source(n.code, n.source, n.detail)) for n in news]


def _result(request: Any, customer: Customer, form: CalculationForm) -> dict[str, Any]:
    """What the form's terms come to; nothing while they are no terms."""
    if not form.is_valid():
        return {"found": None}
    tried = form.tried()
    found = calculations.reckon(
        request.actor, customer, form.asked(), day=bank_today(request.bank), what_if=tried
    )
    before = calculations.moved_from(request.actor, found) if tried and found.limit is not None else None
    return {
        "found": found,
        "steps": drawn_steps(found.steps),
        "price_steps": drawn_steps(found.price.steps) if found.price else [],
        "lpr": _reference(found.price.rate, found.price.lpr, found.lpr_date, found.day)
        if found.price
        else None,
        "inputs": _drawn_inputs(found),
        "missing": [words.TERMS[code] for code in found.missing],
        "members": list(
            zip(found.concentration.members, told_ties(found.concentration.members), strict=True)
        ),
        "caps": [(use, words.CAPS[use.code]) for use in found.concentration.uses],
        "is_tried": bool(tried),
        "moved": None if before is None or found.limit is None else found.limit - before,
        "rates": _yearly(found),
        "scale": _scale(found.steps),
        "guarantee_scale": guarantee_scale(found.guarantees),
        "caps_scale": fine_unit(
            [found.concentration.credit_after, *(u.cap for u in found.concentration.uses)]
        ),
        **_room(found),
    }


def _room(found: Reckoning) -> dict[str, Any]:
    """What the customer has beside what is asked for, and what the limit then leaves; or why that is not known."""
    try:
        beside = asked_beside(found.customer, found.day)
    except DomainError as error:
        return {"beside": None, "room": None, "room_fault": error.message}
    return {"beside": beside, "room": found.room(beside)}


def _yearly(found: Reckoning) -> tuple[Decimal, Decimal] | None:
    """(compound, simple) yearly rate when what is asked for is repaid in equal instalments."""
    if found.price is None or not found.terms.requested:
        return None
    paid = instalments(found.terms.requested, found.price.rate, found.terms.term_months)
    return annualised(found.terms.requested, paid)


@allowed("credit.read")
@require_http_methods(["GET", "POST"])
def calculation_form(request: Any, customer_id: int) -> HttpResponse:
    """Reckon while one types (GET: nothing is saved), or save what is on record (POST)."""
    if request.method == "POST":
        require(request.actor, PREPARE)
    customer = case_customer(request, customer_id)
    rated = in_force(request.actor, customer, bank_today(request.bank))
    waits = None if rated else in_review(request.actor, customer)
    known = rated or waits
    start = START | ({"grade": known.grade} if known else {})
    given = request.POST if request.method == "POST" else {**start, **request.GET.dict()}
    form = CalculationForm(given, kind=credit_kind(customer))
    result = _result(request, customer, form)
    if request.method == "POST" and form.is_valid():
        if form.tried():
            form.add_error(None, _("What is only tried is not saved: empty the what-if fields first."))
        else:
            try:
                kept = save_calculation(
                    request.actor, customer=customer, terms=form.asked(), day=bank_today(request.bank),
                    now=timezone.now(),
                )  # fmt: skip
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, _("Calculation %s is saved.") % kept.number)
                return redirect("credit_rating:calculation", kept.pk)
    if is_partial(request):
        return render(
            request, "credit_rating/_calculation_result.html", {"customer": customer, "form": form, **result}
        )
    saved = calculations.calculations_of(request.actor, customer)
    context = {"form": form, "saved": saved, "rated": rated, "waits": waits, **result}
    status = 422 if request.method == "POST" else 200
    return page(
        request, "credit_rating/calculation_form.html", customer, context, tab="calculation", status=status
    )


def _day(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def _saved(request: Any, calculation_id: int) -> dict[str, Any]:
    try:
        return saved_context(calculations.calculation(request.actor, calculation_id))
    except LineCalculation.DoesNotExist:
        raise Http404 from None


def saved_context(found: LineCalculation) -> dict[str, Any]:
    """A saved calculation as templates draw it."""
    content = found.content
    price = content["price"]
    saved_steps = from_data(content["steps"])
    rate = Decimal(found.rate_bp) / 10_000 if found.rate_bp is not None else None
    return {
        "calculation": found, "customer": found.customer, "content": content,
        "steps": drawn_steps(saved_steps),
        "scale": _scale(saved_steps),
        "price_steps": drawn_steps(from_data(price["steps"])) if price else [],
        "rate": rate,
        "lpr": _reference(rate, Decimal(price["lpr"]), _day(price["lpr_date"]), found.as_of) if price and rate else None,
        "policies": [
            (SHAPES[subject].label if subject in SHAPES else subject, version["version"])
            for subject, version in content["policies"].items()
        ],
        "inputs": [
            (words.TERMS[i["code"]], Decimal(i["value"]), _style(i["code"]),
             _source(i["code"], i["source"], i["detail"]), i["as_of"])
            for i in content["inputs"]
        ],
        "caps": [
            (words.CAPS[u["code"]], Decimal(u["amount"]), Decimal(u["cap"]), Decimal(u["pct"]), u["level"])
            for u in content["caps"]
        ],
        "guarantees": [
            {**g, "kind_label": GuaranteeKind(g["kind"]).label, **{k: Decimal(g[k]) for k in ("amount", "usable", "rate", "before")},
             "valued": Decimal(g["valued"]) if g["valued"] else None}
            for g in content["guarantees"]
        ],
        "usable": Decimal(content["usable"]),
    }  # fmt: skip


@allowed("credit.read")
@require_GET
def calculation(request: Any, calculation_id: int) -> HttpResponse:
    """A saved calculation as it was."""
    context = _saved(request, calculation_id)
    return page(request, "credit_rating/calculation.html", context["customer"], context, tab="calculation")


@allowed("credit.read")
@require_GET
def calculation_print(request: Any, calculation_id: int) -> HttpResponse:
    """The paper form 客户授信额度测算表."""
    context = _saved(request, calculation_id)
    found: LineCalculation = context["calculation"]
    context |= {
        "form_name": _("Line calculation form"), "form_number": found.number, "printed_by": request.actor.label,
        "printed_at": timezone.now(), "as_of_line": _("As of %s") % formats.day(found.as_of),
        "scale": Unit("", Decimal(1), 2), "full": True,
    }  # fmt: skip
    return render(request, "credit_rating/calculation_print.html", context)
