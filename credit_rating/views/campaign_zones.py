"""A zone and its batches: taken, given, visited on a phone, proposed, approved by one signature, printed (C9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from credit_rating.forms_campaigns import REACHED_LABELS, MemberFilter, OwnerForm, SignForm
from credit_rating.models import BatchStatus, CampaignBatch, CampaignMember, CampaignStatus, CampaignZone
from credit_rating.policies.campaign import EXCEPTION_LABELS
from credit_rating.selectors import campaign_batches as lists
from credit_rating.selectors import campaigns as selectors
from credit_rating.selectors.campaigns import APPROVE_PIPELINE, MemberQuery
from credit_rating.services.campaigns import batches, members, zones
from credit_rating.services.campaigns.batches import StaleBatch
from credit_rating.services.campaigns.opening import bank_currency
from credit_rating.services.campaigns.rules import manages
from credit_rating.views.case import drawn_anew, is_partial
from crm_site.accounts.selectors import bank_today
from crm_site.accounts.sessions import confirm_identity
from crm_site.jobs.selectors import run_state
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may

BATCH_TONES = {"approved": "tag-ok", "returned": "tag-watch", "proposed": "tag-act"}


def _zone(zone_id: int) -> CampaignZone:
    try:
        return selectors.zone(zone_id)
    except CampaignZone.DoesNotExist:
        raise Http404 from None


@allowed("credit.read")
@require_GET
def zone(request: Any, zone_id: int) -> HttpResponse:
    """Whose zone it is, how far it is, whom to visit next with what is missing, and its batches."""
    return _zone_page(request, _zone(zone_id))


def _zone_page(request: Any, found: CampaignZone, status: int = 200, **more: Any) -> HttpResponse:
    actor, today, campaign = request.actor, bank_today(request.bank), found.campaign
    rows = [c for c in selectors.coverage_by(actor, campaign.pk, "zone") if c.key == str(found.pk)]
    whole = rows[0] if rows else selectors.Coverage(found.name, str(found.pk))
    leads = found.branch is not None and may(actor, "campaign.zone", found.branch)
    is_running = campaign.status == CampaignStatus.OPEN
    ready = MemberQuery(zone=str(found.pk), stage="calculated")
    link = MemberFilter(campaign.pk, {})
    place: dict[str, str] = {"zone": str(found.pk)}
    people = zones.candidates(found.branch, today) if leads and found.branch else []
    context = {
        "zone": found,
        "campaign": campaign,
        "whole": whole,
        "steps": [
            (label, whole.reached(s), link.url(**place, reached=s)) for s, label in REACHED_LABELS.items()
        ],
        "out_url": link.url(**place, review="1"),
        "visits": selectors.visits(actor, found),
        "to_visit": whole.count("listed"),
        "visits_url": link.url(**place, stage="listed"),
        "most": batches.MOST,
        "batches": [(b, BATCH_TONES[b.status]) for b in selectors.batches_of(actor, campaign.pk, found.pk)],
        "ready": selectors.ready_count(actor, campaign.pk, ready),
        "may_take": is_running and found.branch is None and may(actor, "campaign.zone"),
        "owner_form": OwnerForm(people, initial={"staff": found.owner_id or zones.likely_owner(found, today)})
        if leads and is_running
        else None,
        "of_others": selectors.of_others(actor, found),
        "members_url": link.url(**place),
        "would_sign": may(actor, "credit.decide"),
        "may_rate": is_running and (leads or manages(actor, campaign.kind)),
        "may_propose": is_running
        and may(actor, "credit.prepare")
        and (leads or found.owner_id == actor.staff_id is not None),
        "may_prepare": may(actor, "credit.prepare"),
        **more,
    }
    return render(request, "credit_rating/campaign_zone.html", context, status=status)


def _acted(request: Any, zone_id: int, act: Callable[[], object], said: str) -> HttpResponse:
    try:
        act()
    except DomainError as error:
        return _zone_page(request, _zone(zone_id), error.status, refused=error.message)
    messages.success(request, said)
    return redirect("credit_rating:campaign-zone", zone_id)


@allowed("campaign.zone")
@require_POST
def zone_take(request: Any, zone_id: int) -> HttpResponse:
    """My branch takes it."""
    _zone(zone_id)
    return _acted(
        request, zone_id, lambda: zones.take_zone(request.actor, zone_id=zone_id, now=timezone.now()),
        _("The zone is your branch's."),
    )  # fmt: skip


@allowed("campaign.zone")
@require_POST
def zone_give(request: Any, zone_id: int) -> HttpResponse:
    """Give it to one of the branch's relationship managers."""
    _zone(zone_id)
    given = request.POST.get("staff", "")
    staff_id = int(given) if given.isdecimal() and len(given) < 19 else None

    def give() -> object:
        return zones.give_zone(
            request.actor, zone_id=zone_id, staff_id=staff_id, now=timezone.now(), today=bank_today(request.bank)
        )  # fmt: skip

    return _acted(request, zone_id, give, _("It is recorded."))


@allowed("credit.prepare")
@require_POST
def zone_propose(request: Any, zone_id: int) -> HttpResponse:
    """Put what needs no second look forward for approval."""
    _zone(zone_id)
    try:
        batch, out = batches.propose_batch(
            request.actor, zone_id=zone_id, today=bank_today(request.bank), now=timezone.now()
        )
    except DomainError as error:
        return _zone_page(request, _zone(zone_id), error.status, refused=error.message)
    messages.success(request, _("Batch %s waits for approval.") % batch.number)
    if out:
        text = ngettext("%s member has become an exception.", "%s members have become exceptions.", len(out))
        messages.warning(request, text % len(out))
    return redirect("credit_rating:campaign-batch", batch.pk)


# -- batches --------------------------------------------------------------------------------------------------------


def _batch(request: Any, batch_id: int) -> CampaignBatch:
    """A batch of a zone of which the person sees customers."""
    try:
        found = selectors.batch(batch_id)
    except CampaignBatch.DoesNotExist:
        raise Http404 from None
    seen = selectors.members_of(request.actor, found.campaign_id)
    if not seen.filter(zone=found.zone_id).exists():
        raise Http404
    return found


@allowed("credit.read")
@require_GET
def batch(request: Any, batch_id: int) -> HttpResponse:
    """What a signature would approve, totals, and what falls out; afterwards what became of it."""
    return _batch_page(request, _batch(request, batch_id))


def _batch_page(
    request: Any, found: CampaignBatch, form: SignForm | None = None, status: int = 200, **more: Any
) -> HttpResponse:
    actor, today = request.actor, bank_today(request.bank)
    waits = found.status == BatchStatus.PROPOSED
    context: dict[str, Any] = {
        "batch": found, "zone": found.zone, "campaign": found.campaign, "tone": BATCH_TONES[found.status],
        "currency": bank_currency(), "waits": waits, "labels": EXCEPTION_LABELS, **more,
    }  # fmt: skip
    if waits:
        shown = lists.list_of(actor, found, today)
        is_approver = may(actor, "credit.decide") and lists.may_approve(actor, found, today)
        context |= {
            "list": shown, "rows": [r for r in shown.rows if r.member_id in _seen(request, found)],
            "fallen": [(r, EXCEPTION_LABELS.get(r.why, r.why)) for r in shown.fallen],
            "is_approver": is_approver, "signers": lists.signers(found, today), "form": form or SignForm(initial={"seen": shown.hash}), "hash": shown.hash,
        }  # fmt: skip
    else:
        context |= _outcome(request, found)
    return render(request, "credit_rating/campaign_batch.html", context, status=status)


def _seen(request: Any, found: CampaignBatch) -> set[int]:
    rows = selectors.members_of(request.actor, found.campaign_id).filter(zone=found.zone_id)
    return set(rows.values_list("pk", flat=True))


def _outcome(request: Any, found: CampaignBatch) -> dict[str, Any]:
    """What became of a signed batch, as far as the person sees its customers."""
    seen = _seen(request, found)
    done, left, gone = lists.done_rows(found)
    signed = (found.content or {}).get("rows", [])
    before = (found.content or {}).get("fallen", [])
    named = {row["member"] for row in (*gone, *before)} & seen
    members = {m.pk: m for m in CampaignMember.objects.filter(pk__in=named).select_related("customer")}
    run = selectors.newest_run(APPROVE_PIPELINE, str(found.pk))
    return {
        "done": [m for m in done if m.pk in seen],
        "left": len(left),
        "gone": [_gone(members[row["member"]]) for row in gone if row["member"] in members],
        "signed_count": len(signed),
        "signed_total": sum((lists.amount_of(row) for row in signed), lists.ZERO),
        "fallen_before": _not_signed(before, members),
        "run": run,
        "state": run_state(run) if run else None,
        "may_carry_on": bool(left)
        and found.decided_by_id == request.actor.staff_id
        and (run is None or run.is_finished),
    }


def _not_signed(
    fallen: Iterable[Mapping[str, Any]], members: Mapping[int, CampaignMember]
) -> list[tuple[CampaignMember, Any]]:
    """(member, why) of whom the signature left out, as far as they are among those that the person sees."""
    return [
        (members[row["member"]], EXCEPTION_LABELS.get(row["why"], row["why"]))
        for row in fallen
        if row["member"] in members
    ]


def _gone(m: CampaignMember) -> tuple[CampaignMember, list[Any]]:
    return m, [EXCEPTION_LABELS.get(c, c) for c in m.exceptions]


@allowed("credit.read")
@require_GET
def batch_run(request: Any, batch_id: int) -> HttpResponse:
    """How far a signed batch is carried out."""
    found = _batch(request, batch_id)
    if not is_partial(request):
        return redirect("credit_rating:campaign-batch", batch_id)
    run = selectors.newest_run(APPROVE_PIPELINE, str(found.pk))
    context = {"batch": found, "run": run, "state": run_state(run) if run else None}
    return drawn_anew(render(request, "credit_rating/_campaign_batch_run.html", context), run)


@allowed("credit.decide")
@require_POST
def batch_approve(request: Any, batch_id: int) -> HttpResponse:
    """Sign for the list as it was shown; the person proves first who he is."""
    found, form = _batch(request, batch_id), SignForm(request.POST)
    if found.status == BatchStatus.PROPOSED and not form.is_valid():
        return _batch_page(request, found, form, 422)
    if ask := confirm_identity(request):
        return ask
    today = bank_today(request.bank)
    try:
        batches.approve_batch(
            request.actor, batch_id=batch_id, seen=form.data.get("seen", ""), text=form.data.get("text", "") or found.note,
            today=today, now=timezone.now(),
        )  # fmt: skip
    except StaleBatch as error:
        fresh = _batch(request, batch_id)
        again = {"seen": lists.list_of(request.actor, fresh, today).hash, "text": form.data.get("text", "")}
        return _batch_page(
            request, fresh, SignForm(initial=again), error.status, stale=error, dropped=_dropped(error)
        )
    except DomainError as error:
        form.refuse(error) if form.is_valid() else None
        return _batch_page(request, _batch(request, batch_id), form, error.status)
    messages.success(request, _("Signed. The lines are being opened."))
    return redirect("credit_rating:campaign-batch", batch_id)


def _dropped(error: StaleBatch) -> list[tuple[CampaignMember, list[Any]]]:
    found = CampaignMember.objects.filter(pk__in=error.dropped).select_related("customer")
    return [(m, [EXCEPTION_LABELS.get(c, c) for c in error.dropped[m.pk]]) for m in found]


@allowed("credit.decide")
@require_POST
def batch_return(request: Any, batch_id: int) -> HttpResponse:
    """Send it back with a word."""
    found, form = _batch(request, batch_id), SignForm(request.POST)
    if not form.is_valid():
        return _batch_page(request, found, form, 422)
    try:
        batches.return_batch(
            request.actor, batch_id=batch_id, text=form.cleaned_data["text"], today=bank_today(request.bank),
            now=timezone.now(),
        )  # fmt: skip
    except DomainError as error:
        form.refuse(error)
        return _batch_page(request, _batch(request, batch_id), form, error.status)
    messages.success(request, _("The batch is returned."))
    return redirect("credit_rating:campaign-batch", batch_id)


@allowed("credit.decide")
@require_POST
def batch_out(request: Any, batch_id: int, member_id: int) -> HttpResponse:
    """Take one member out of the batch: it becomes an exception, decided by itself."""
    found = _batch(request, batch_id)
    if not CampaignMember.objects.filter(pk=member_id, zone=found.zone_id).exists():
        raise Http404
    try:
        members.take_out(
            request.actor, member_id=member_id, reason=request.POST.get("reason", "") or _("to be looked at by itself"),
            now=timezone.now(),
        )  # fmt: skip
    except DomainError as error:
        return _batch_page(request, found, None, error.status, refused=error.message)
    return redirect("credit_rating:campaign-batch", batch_id)


@allowed("credit.read")
@require_GET
def batch_print(request: Any, batch_id: int) -> HttpResponse:
    """The list on paper, with its hash and the boxes for signatures."""
    found = _batch(request, batch_id)
    currency, seen = bank_currency(), _seen(request, found)
    if found.content:
        rows = found.content["rows"]
    else:
        members = lists.batch_members(found)
        lines = lists.lines_of(found.campaign, members, currency)
        rows = [lists.signed_row(m, lines.get(m.customer_id)) for m in members]
    rows = [row | {"sum": lists.amount_of(row)} for row in rows if row["member"] in seen]
    before = (found.content or {}).get("fallen", [])
    named = CampaignMember.objects.filter(pk__in={row["member"] for row in before} & seen).select_related(
        "customer"
    )
    context = {
        "batch": found, "zone": found.zone, "campaign": found.campaign, "rows": rows, "currency": currency,
        "fallen_before": _not_signed(before, {m.pk: m for m in named}),
        "total": sum((row["sum"] for row in rows), lists.ZERO), "form_name": _("Batch approval of a campaign"),
        "form_number": found.number, "printed_by": request.actor.label, "printed_at": timezone.now(),
    }  # fmt: skip
    return render(request, "credit_rating/campaign_batch_print.html", context)
