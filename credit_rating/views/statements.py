"""A company's statements side by side with their ratios; typed in or uploaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from credit_rating import words
from credit_rating.case_files import KINDS
from credit_rating.engine.ratios import ITEMS, RATIOS, TOTALS, Part
from credit_rating.forms_case import StatementFileForm, StatementForm
from credit_rating.models import Statement, StatementSource
from credit_rating.selectors.statements import Finances, finances_of
from credit_rating.services.statements import OLDEST_YEAR, save_statement, save_uploaded
from credit_rating.statement_files import read_statements, template
from credit_rating.views.case import company_of, page
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.formats import column_unit
from crm_site.lib.guards import allowed

_RATIO = {r.code: r for r in RATIOS}


def _formula(parts: tuple[Part, ...]) -> str:
    said = []
    for i, part in enumerate(parts):
        name = str(words.ITEMS[part.item])
        if part.basis == "average":
            name = _("average %s") % name
        elif part.basis in ("before", "first"):
            name = _("%s before") % name
        sign = "− " if part.sign < 0 else "+ " if i else ""
        said.append(f"{sign}{name}")
    text = " ".join(said)
    return f"({text})" if len(parts) > 1 else text


def formula_of(code: str) -> str:
    """A ratio's formula in words."""
    ratio = _RATIO[code]
    text = f"{_formula(ratio.numerator)} ÷ {_formula(ratio.denominator)}"
    if ratio.factor != 1:
        text = f"{ratio.factor} × {text}"
    if ratio.root > 1:
        text = f"({text}) ^ (1/{ratio.root})"
    return f"{text} − {ratio.less}" if ratio.less else text


def _table(finances: Finances) -> list[tuple[Any, list[tuple[Any, bool, list[Any]]]]]:
    """[(sheet, [(line, is a total, amounts newest first)])]."""
    amounts = [s.amounts for s in finances.statements]
    return [
        (words.SHEETS[sheet], [(words.ITEMS[i], i in TOTALS, [a.get(i) for a in amounts]) for i in items])
        for sheet, items in ITEMS.items()
    ]


@allowed("credit.read")
@require_GET
def statement_list(request: Any, customer_id: int) -> HttpResponse:
    """Three years side by side, what is wrong with them, and the ratios with their formulae."""
    customer = company_of(request, customer_id)
    finances = finances_of(request.actor, customer)
    today = bank_today(request.bank)
    context = {
        "finances": finances,
        "scale": column_unit([a for s in finances.statements for a in s.amounts.values()]), "sheets": _table(finances),
        "ratios": [
            (words.RATIOS[code], formula_of(code), [
                (v, words.REASONS.get(v.reason, ""), [words.ITEMS[i] for i in v.items]) for v in values])
            for code, values in finances.ratios
        ],
        "faults": [(f, words.ITEMS[f.item], words.FAULTS[f.code]) for f in finances.faults],
        "open_years": [y for y in range(today.year - 1, today.year - 4, -1) if y not in finances.years],
    }  # fmt: skip
    return page(request, "credit_rating/statement_list.html", customer, context, tab="statements")


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def statement_edit(request: Any, customer_id: int, year: int) -> HttpResponse:
    """A year typed in or corrected."""
    customer, today = company_of(request, customer_id), bank_today(request.bank)
    if not OLDEST_YEAR <= year <= today.year:
        raise Http404
    stands = Statement.objects.visible_to(request.actor).filter(customer=customer, year=year).first()
    form = StatementForm(request.POST) if request.method == "POST" else StatementForm.of(stands, year)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            save_statement(
                request.actor, customer=customer, year=year, report_date=given["report_date"], figures=form.figures(),
                explanation=given["explanation"], is_audited=given["is_audited"], auditor=given["auditor"],
                source=StatementSource.TYPED, base=given["base"], today=today, now=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The statement of %s is saved.") % year)
            return redirect("credit_rating:statements", customer.pk)
    context = {"form": form, "year": year}
    status = 422 if form.errors else 200
    return page(
        request, "credit_rating/statement_edit.html", customer, context, tab="statements", status=status
    )


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def statement_upload(request: Any, customer_id: int) -> HttpResponse:
    """Several years from a file: all of them or none."""
    customer, today = company_of(request, customer_id), bank_today(request.bank)
    form = StatementFileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            years, unknown = _read(form.cleaned_data["file"])
            saved = save_uploaded(
                request.actor, customer=customer, years=years, explanation=form.cleaned_data["explanation"],
                today=today, now=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            form.add_error(None, error.message)
            for item, text in error.fields.items():
                if item in form.fields:
                    form.add_error(item, text)
                else:
                    form.add_error(None, f"{words.ITEMS.get(item, item)}: {text}")
        else:
            messages.success(request, _("%s years are saved.") % len(saved))
            if unknown:
                messages.warning(
                    request, _("Lines that are not known were left out: %s.") % ", ".join(unknown[:8])
                )
            return redirect("credit_rating:statements", customer.pk)
    status = 422 if form.errors else 200
    return page(
        request,
        "credit_rating/statement_upload.html",
        customer,
        {"form": form},
        tab="statements",
        status=status,
    )


@allowed("credit.prepare")
@require_GET
def statement_template(request: Any, customer_id: int) -> HttpResponse:
    """A workbook of the last three years to fill in and upload again."""
    customer, last = company_of(request, customer_id), bank_today(request.bank).year - 1
    answer = HttpResponse(template(range(last - 2, last + 1)), content_type=KINDS["xlsx"].content_type)
    answer["Content-Disposition"] = f'attachment; filename="statements-{customer.number}.xlsx"'
    return answer


def _read(file: Any) -> Any:
    with tempfile.NamedTemporaryFile(suffix=Path(file.name).suffix) as spool:
        for chunk in file.chunks():
            spool.write(chunk)
        spool.flush()
        return read_statements(Path(spool.name), file.name)
