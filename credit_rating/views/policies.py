"""Credit policies: what is in force, a version, its draft as a grid, and its publication by a second person."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from credit_rating.forms import PolicyGrid, PolicyNoteForm
from credit_rating.models import CreditPolicy
from credit_rating.models.kinds import CreditKind
from credit_rating.models.trials import TRY
from credit_rating.policies import SHAPES, Shape
from credit_rating.policies.warnings import name_of, with_rules
from credit_rating.selectors import policies
from credit_rating.selectors.trials import tried, warning_rows
from credit_rating.services import policies as services
from crm_site.accounts.selectors import bank_today
from crm_site.accounts.versions import OPEN, is_second_person, states
from crm_site.accounts.views.versions import VersionActs, VersionLife
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may


@allowed("credit.read")
@require_GET
def policy_list(request: Any) -> HttpResponse:
    """Every subject with the versions in force today and those that begin later."""
    services.ensure_default_policies(timezone.now())
    current = policies.current(bank_today(request.bank))
    subjects = [
        (
            shape,
            [
                (version, state, len(policies.newer_rules(version)))
                for version, state in current.get(shape.subject, [])
            ],
        )
        for shape in SHAPES
    ]
    return render(request, "credit_rating/policy_list.html", {"subjects": subjects})


def find_policy(policy_id: int) -> CreditPolicy:
    """A version, or Http404."""
    try:
        return policies.policy_version(policy_id)
    except CreditPolicy.DoesNotExist:
        raise Http404 from None


@allowed("credit.read")
@require_GET
def policy(request: Any, policy_id: int) -> HttpResponse:
    """A version: what it says, who made it, and what may be done with it."""
    return LIFE.show(request, policy_id)


def _page(request: Any, found: CreditPolicy, form: Form, status: int) -> HttpResponse:
    shape = SHAPES[found.subject]
    today = bank_today(request.bank)
    versions = policies.policy_versions(found.subject)
    stands, before = states(versions, today), policies.before(found, today)
    context = {
        "policy": found,
        "shape": shape,
        "grid": PolicyGrid(shape, found.body),
        "versions": [(v, stands[v.pk]) for v in versions],
        "state": stands[found.pk],
        "before": before,
        "changes": policies.changes(found, before),
        "under_way": policies.under_way(found.subject, found.kind),
        "newer": [name_of(code) for code in policies.newer_rules(found)],
        **_tried(request.actor, found),
        "form": form,
        "kinds": [(k, label) for k, label in CreditKind.choices if k != found.kind] if shape.by_kind else [],
        "may_withdraw": may(request.actor, services.PUBLISH),
        "may_draft": may(request.actor, services.DRAFT),
        "may_publish": may(request.actor, services.PUBLISH) and is_second_person(request.actor, found),
        "is_own": not is_second_person(request.actor, found),
    }
    return render(request, "credit_rating/policy.html", context, status=status)


def _tried(actor: Any, found: CreditPolicy) -> dict[str, Any]:
    """The version tried on the book, where it is of a subject that is."""
    trial = tried(actor, found)
    return {
        "trial": trial,
        "may_try": may(actor, TRY) and found.status in OPEN,
        "trial_rows": warning_rows(actor, trial.result) if trial and trial.result else [],
    }


def _kind(shape: Shape, given: str) -> str:
    if given and (not shape.by_kind or given not in CreditKind.values):
        raise Http404
    return given


@allowed("credit_policy.draft")
@require_http_methods(["GET", "POST"])
def policy_edit(request: Any, policy_id: int) -> HttpResponse:
    """The next version for this kind, or (`?kind=`) the first of another kind, beginning with what this one says;
    `?newer=1`: and with the rules that a later program has brought."""
    base = find_policy(policy_id)
    shape = SHAPES[base.subject]
    kind = _kind(shape, request.GET.get("kind", base.kind))
    if request.method == "POST":
        return _save(request, base, shape, kind)
    form = PolicyNoteForm(initial={"note": base.note if base.status == "draft" else ""})
    body = base.body
    if request.GET.get("newer"):
        body = with_rules(body, policies.newer_rules(base))
    return _edit_page(request, base, PolicyGrid(shape, body), form, kind, 200)


def _save(request: Any, base: CreditPolicy, shape: Shape, kind: str) -> HttpResponse:
    grid, form = PolicyGrid.posted(shape, request.POST), PolicyNoteForm(request.POST)
    if "add" in request.POST or "remove" in request.POST:
        return _edit_page(
            request, base, grid, PolicyNoteForm(initial={"note": request.POST.get("note", "")}), kind, 200
        )
    if not form.is_valid():
        return _edit_page(request, base, grid, form, kind, 422)
    try:
        draft = services.draft_policy(
            request.actor, subject=base.subject, kind=kind, body=grid.body, note=form.cleaned_data["note"],
            now=timezone.now(),
        )  # fmt: skip
    except DomainError as error:
        grid.faults = dict(error.fields) or {"": error.message}
        return _edit_page(request, base, grid, form, kind, error.status)
    messages.success(request, _("The draft is saved."))
    return redirect("credit_rating:policy", draft.pk)


def _edit_page(
    request: Any, base: CreditPolicy, grid: PolicyGrid, form: PolicyNoteForm, kind: str, status: int
) -> HttpResponse:
    context = {
        "policy": base, "grid": grid, "form": form, "kind": kind,
        "kind_label": dict(CreditKind.choices).get(kind, ""),
    }  # fmt: skip
    return render(request, "credit_rating/policy_edit.html", context, status=status)


LIFE = VersionLife(
    "credit_rating:policy", "credit_rating:policy-list", find_policy, _page,
    VersionActs(
        services.DRAFT, services.PUBLISH, "policy_id", services.propose_policy, services.publish_policy, services.return_policy,
        services.discard_draft, services.withdraw_policy,
    ),
)  # fmt: skip
policy_propose, policy_publish, policy_return, policy_discard, policy_withdraw = LIFE.views()
