"""Scorecards and the model risk record: every version with who made, validated and published it, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from credit_rating.factors import SOURCES
from credit_rating.forms import CellField, PolicyGrid
from credit_rating.forms_rating import CardNoteForm
from credit_rating.models import CardOrigin, Scorecard
from credit_rating.models.samples import DEVELOP
from credit_rating.models.trials import TRY
from credit_rating.scorecards import shape_of, split_answers
from credit_rating.selectors import scorecards as selectors
from credit_rating.selectors.trials import Tried, known_rows, tried
from credit_rating.services import scorecards as services
from credit_rating.services.policies import DRAFT, PUBLISH
from credit_rating.views.card_changes import card_changes
from credit_rating.views.card_rows import bands_chart, considered_rows, factor_cards
from crm_site.accounts.selectors import bank_today
from crm_site.accounts.versions import OPEN, is_second_person, predecessor, state_of, states
from crm_site.accounts.views.versions import VersionActs, VersionLife
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may


@allowed("credit.read")
@require_GET
def scorecard_list(request: Any) -> HttpResponse:
    """The model risk record: every version, and how grades fared against later defaults."""
    services.ensure_default_scorecards(timezone.now())
    today = bank_today(request.bank)
    cards = list(selectors.scorecard_versions())
    stands = states(cards, today)
    context = {
        "rows": [(card, stands[card.pk]) for card in cards], "outcomes": selectors.backtest(today),
        "may_develop": may(request.actor, DEVELOP),
    }  # fmt: skip
    return render(request, "credit_rating/scorecard_list.html", context)


def find_card(scorecard_id: int) -> Scorecard:
    """A version, or Http404."""
    try:
        return selectors.scorecard(scorecard_id)
    except Scorecard.DoesNotExist:
        raise Http404 from None


@allowed("credit.read")
@require_GET
def scorecard(request: Any, scorecard_id: int) -> HttpResponse:
    """A version: its points, how it was validated, who made it, and what may be done with it."""
    return LIFE.show(request, scorecard_id)


def _page(request: Any, found: Scorecard, form: Form, status: int) -> HttpResponse:
    today = bank_today(request.bank)
    before, trial = predecessor(found, today), tried(request.actor, found)
    context = {
        "card": found,
        "state": state_of(found, today),
        "before": before,
        "changes": card_changes(before, found) if before else None,
        "factors": factor_cards(found),
        "under_way": selectors.under_way(found),
        "trial": trial,
        **_tried(trial),
        "may_try": may(request.actor, TRY) and found.status in OPEN,
        "outcomes": selectors.backtest(today, found.pk),
        "use": selectors.use_of(found.pk),
        "record": found.record,
        "bands": bands_chart(found.record),
        "considered": considered_rows(found.record),
        "sample": selectors.sample_of(request.actor, found),
        "form": form,
        "may_withdraw": may(request.actor, PUBLISH),
        "may_draft": may(request.actor, DRAFT),
        "may_publish": may(request.actor, PUBLISH) and is_second_person(request.actor, found),
        "is_own": not is_second_person(request.actor, found),
        "is_expert": found.origin == CardOrigin.EXPERT,
    }
    return render(request, "credit_rating/scorecard.html", context, status=status)


def _tried(trial: Tried | None) -> dict[str, Any]:
    """The card it was tried against, by its name in the reader's language, and what the ratings keep."""
    if trial is None or trial.result is None:
        return {}
    against = trial.result["against"]
    return {
        "against": selectors.version_or_none(against["id"]) if against else None,
        "known_rows": known_rows(trial.result),
    }


@allowed("credit_policy.draft")
@require_http_methods(["GET", "POST"])
def scorecard_edit(request: Any, scorecard_id: int) -> HttpResponse:
    """The next version of an expert's card (or of another name, the first); the names of a developed draft's factors."""
    base = find_card(scorecard_id)
    if base.origin == CardOrigin.DEVELOPED and base.status != "draft":
        raise Http404  # its points come from a sample: develop_scorecard makes the next version
    if request.method == "POST":
        return _save(request, base)
    shape = shape_of(base.kind, base.origin)
    form = CardNoteForm(initial={"name": base.name, "note": base.note if base.status == "draft" else ""})
    return _edit_page(request, base, PolicyGrid(shape, base.body), form, 200)


def _save(request: Any, base: Scorecard) -> HttpResponse:
    grid = PolicyGrid.posted(shape_of(base.kind, base.origin), request.POST)
    form = CardNoteForm(request.POST)
    if "add" in request.POST or "remove" in request.POST:
        kept = {name: request.POST.get(name, "") for name in ("name", "note")}
        return _edit_page(request, base, grid, CardNoteForm(initial=kept), 200)
    if not form.is_valid():
        return _edit_page(request, base, grid, form, 422)
    given, now = form.cleaned_data, timezone.now()
    try:
        if base.origin == CardOrigin.DEVELOPED:
            draft = services.name_developed_card(
                request.actor, scorecard_id=base.pk, body=grid.body, note=given["note"], now=now
            )
        else:
            draft = services.draft_expert_card(
                request.actor, kind=base.kind, name=given["name"], body=grid.body, note=given["note"], now=now
            )
    except DomainError as error:
        grid.faults = dict(error.fields) or {"": error.message}
        return _edit_page(request, base, grid, form, error.status)
    messages.success(request, _("The draft is saved."))
    return redirect("credit_rating:scorecard", draft.pk)


def _edit_page(
    request: Any, base: Scorecard, grid: PolicyGrid, form: CardNoteForm, status: int
) -> HttpResponse:
    answers = [s for s in SOURCES.values() if base.kind in s.kinds and s.choices]
    context = {
        "card": base, "grid": grid, "tables": _tables(grid), "form": form, "answers": answers,
    }  # fmt: skip
    return render(request, "credit_rating/scorecard_edit.html", context, status=status)


def _tables(grid: PolicyGrid) -> list[tuple[Any, list[tuple[str, list[tuple[CellField, str]]]], str]]:
    """The grid's tables with what the codes of answers in a cell mean, in the reader's words."""
    factors = (grid.body.get("tables") or {}).get("factors") or []
    sources = {row.get("code"): row.get("source") for row in factors}
    return [
        (table, [(name, [(c, _answer_words(c, sources)) for c in cells]) for name, cells in rows], fault)
        for table, rows, fault in grid.tables()
    ]


def _answer_words(cell: CellField, sources: Mapping[Any, Any]) -> str:
    """What a cell's answers are called by the source of its factor; a code without a name stands as it is."""
    source = SOURCES.get(str(sources.get(cell.row.get("factor"))))
    if cell.column.name != "values" or source is None or not source.choices or not cell.value:
        return ""
    names = {code: str(label) for code, label in source.choices}
    return " · ".join(names.get(code, code) for code in split_answers(str(cell.value)))


LIFE = VersionLife(
    "credit_rating:scorecard", "credit_rating:scorecard-list", find_card, _page,
    VersionActs(
        DRAFT, PUBLISH, "scorecard_id", services.propose_scorecard, services.publish_scorecard, services.return_scorecard,
        services.discard_scorecard, services.withdraw_scorecard, asks_ground=True,
    ),
)  # fmt: skip
scorecard_propose, scorecard_publish, scorecard_return, scorecard_discard, scorecard_withdraw = LIFE.views()
