"""Rating-and-credit campaigns: the list, one campaign's coverage, its members, its making (C9)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from credit_rating.forms_campaigns import (
    REACHED_LABELS,
    CampaignForm,
    CutForm,
    ListForm,
    MemberFilter,
    MemberForm,
    ZoneForm,
)
from credit_rating.models import Campaign, CampaignMember, CampaignStatus
from credit_rating.models.campaigns import PHASES, SETTLED
from credit_rating.policies.campaign import EXCEPTION_LABELS, SUBJECT
from credit_rating.selectors import campaigns as selectors
from credit_rating.selectors.campaign_batches import batches_to_sign
from credit_rating.selectors.campaigns import GROUPS, RATE_PIPELINE, Coverage
from credit_rating.selectors.policies import policy_versions
from credit_rating.services.campaigns import members, opening, rating, zones
from credit_rating.services.campaigns.opening import Plan
from credit_rating.services.campaigns.rules import manages
from credit_rating.views.case import drawn_anew, is_partial
from crm_site.accounts.selectors import bank_today
from crm_site.jobs.models import Run
from crm_site.jobs.selectors import run_state
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.conditions import sentence

TONES = {"open": "tag-ok", "draft": "tag-watch", "closed": ""}
STAGE_TONES = {"approved": "tag-ok", "declined": "", "exempt": "", "calculated": "tag-act"}


def _campaign(campaign_id: int) -> Campaign:
    try:
        return selectors.campaign(campaign_id)
    except Campaign.DoesNotExist:
        raise Http404 from None


@allowed("credit.read")
@require_GET
def campaign_list(request: Any) -> HttpResponse:
    """Running campaigns first, each with how far it is; those of which one sees nobody are counted, not listed."""
    found, today = selectors.campaigns(), bank_today(request.bank)
    seen = selectors.coverages(request.actor, [c.pk for c in found])
    leads = may(request.actor, "campaign.manage")
    shown = [c for c in found if c.pk in seen or (leads and manages(request.actor, c.kind))]
    rows = []
    for one in shown:
        coverage = seen.get(one.pk, Coverage(""))
        counts = {
            "collected": coverage.reached("collected"),
            "calculated": coverage.reached("calculated"),
            "approved": coverage.count("approved"),
        }
        rows.append(
            {
                "campaign": one,
                "tone": TONES[one.status],
                "coverage": coverage,
                "phase": _phase(one, today),
                **counts,
            }
        )
    context = {"rows": rows, "may_manage": leads, "today": today, "unseen": len(found) - len(shown)}
    return render(request, "credit_rating/campaign_list.html", context)


def _phase(found: Campaign, today: Any) -> dict[str, Any]:
    """The phase that the day falls in, for one that runs."""
    name = found.phase_on(today)
    return {"label": dict(PHASES)[name], "until": found.last_day(name), "is_late": today > found.approve_by}


@allowed("credit.read")
@require_GET
def campaign(request: Any, campaign_id: int) -> HttpResponse:
    """Coverage towards 100% by zone, branch and relationship manager; every number opens its list."""
    return _page(request, _campaign(campaign_id))


def _page(request: Any, found: Campaign, status: int = 200, **more: Any) -> HttpResponse:
    today, actor = bank_today(request.bank), request.actor
    whole = selectors.coverage(actor, found.pk)
    codes = selectors.exception_counts(actor, found.pk)
    link = MemberFilter(found.pk, {})
    context = {
        "campaign": found,
        "tone": TONES[found.status],
        "phases": _phases(found, today, whole, link),
        "whole": whole,
        "steps": [
            (label, whole.reached(step), link.url(reached=step)) for step, label in REACHED_LABELS.items()
        ],
        "groups": [(by, _by(request, found, by)) for by in GROUPS],
        "cut_form": CutForm(),
        "exceptions": [(EXCEPTION_LABELS.get(c, c), n, link.url(review=c)) for c, n in codes.items()],
        "settled": [(s.label, whole.count(s), link.url(stage=s.value)) for s in SETTLED if whole.count(s)],
        "condition": sentence(found.condition) if found.condition else "",
        "unzoned": selectors.unzoned_branches(actor, found.pk),
        "members_url": link.url(),
        "review_url": link.url(review="1"),
        "batches": selectors.batches_of(actor, found.pk),
        "may_manage": may(actor, "campaign.manage") and manages(actor, found.kind),
        **_own_zones(request, found),
        "to_sign": {b.pk for b in batches_to_sign(actor, today) if b.campaign_id == found.pk},
        "policy": next(iter(policy_versions(SUBJECT)), None),
        **_run(request, found),
        **more,
    }
    return render(request, "credit_rating/campaign.html", context, status=status)


def _own_zones(request: Any, found: Campaign) -> dict[str, int]:
    """For who leads a branch: zones of its customers that nobody has taken, zones of it that nobody has been given."""
    actor = request.actor
    if found.status != CampaignStatus.OPEN or not may(actor, "campaign.zone"):
        return {"free_zones": 0, "ungiven_zones": 0}
    return {
        "free_zones": len(zones.free_zones(actor, found.pk)),
        "ungiven_zones": len(zones.ungiven_zones(actor, found.pk)),
    }


def _phases(found: Campaign, today: dt.date, whole: Coverage, link: MemberFilter) -> list[dict[str, Any]]:
    """Each phase with who is left and the list of them: done when nobody is, late past its last day."""
    now, is_running = found.phase_on(today), found.status == CampaignStatus.OPEN
    rows = []
    for name, label in PHASES:
        left, until = whole.left(name), found.last_day(name)
        is_late = is_running and today > until and left > 0
        is_done = whole.total > 0 and not whole.left("collect") and not left
        state = (
            "failed" if is_late else "done" if is_done else "current" if is_running and name == now else ""
        )
        rows.append(
            {"label": label, "until": until, "state": state, "left": left, "url": link.url(left=name)}
        )
    return rows


def _by(request: Any, found: Campaign, by: str) -> list[dict[str, Any]]:
    link = MemberFilter(found.pk, {})
    named = {z.pk: z for z in selectors.zones_of(found.pk)} if by == "zone" else {}
    return [
        {
            "row": row,
            "zone": named.get(int(row.key)),
            "url": link.url(**{by: row.key}),
            "cells": [
                (label, row.reached(step), link.url(**{by: row.key, "reached": step}))
                for step, label in REACHED_LABELS.items()
            ],
            "out_url": link.url(**{by: row.key, "review": "1"}),
        }
        for row in selectors.coverage_by(request.actor, found.pk, by)
    ]


def _run(request: Any, found: Campaign) -> dict[str, Any]:
    run = selectors.newest_run(RATE_PIPELINE, str(found.pk))
    may_stop = (
        run is not None and not run.is_finished and rating.may_rate(request.actor, found, run.params["zone"])
    )
    return {"run": run, "state": run_state(run) if run else None, "may_stop": may_stop}


@allowed("credit.read")
@require_GET
def campaign_run(request: Any, campaign_id: int) -> HttpResponse:
    """How far the job is; the campaign's page asks again until it has ended."""
    found = _campaign(campaign_id)
    if not is_partial(request):
        return redirect("credit_rating:campaign", campaign_id)
    context = {"campaign": found, **_run(request, found)}
    return drawn_anew(render(request, "credit_rating/_campaign_run.html", context), context["run"])


@allowed("campaign.manage")
@require_http_methods(["GET", "POST"])
def campaign_new(request: Any) -> HttpResponse:
    """Make a draft; then its customers are listed."""
    form = CampaignForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = opening.create_campaign(request.actor, plan=form.plan(), now=timezone.now())
            return redirect("credit_rating:campaign-listing", made.pk)
        except DomainError as error:
            form.refuse(error)
    return _form(request, form, _("New campaign"), None)


@allowed("campaign.manage")
@require_http_methods(["GET", "POST"])
def campaign_edit(request: Any, campaign_id: int) -> HttpResponse:
    """Change a draft, or put off the last days of a running one."""
    found = _campaign(campaign_id)
    form = CampaignForm(request.POST or None, initial={name: getattr(found, name) for name in Plan.__slots__})
    form.fix(opening.fixed_of(found))
    if request.method == "POST" and form.is_valid():
        try:
            opening.change_campaign(request.actor, campaign_id=campaign_id, plan=form.plan())
            return redirect("credit_rating:campaign", campaign_id)
        except DomainError as error:
            form.refuse(error)
    return _form(request, form, _("Change the campaign"), found)


def _form(request: Any, form: Any, title: str, found: Campaign | None, **more: Any) -> HttpResponse:
    context = {"form": form, "title": title, "campaign": found, **more}
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "credit_rating/campaign_form.html", context, status=status)


@allowed("campaign.manage")
@require_http_methods(["GET", "POST"])
def campaign_listing(request: Any, campaign_id: int) -> HttpResponse:
    """Add customers by a condition or by their numbers."""
    found = _campaign(campaign_id)
    form = ListForm(request.actor, found.kind, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            listed = opening.list_members(
                request.actor, campaign_id=campaign_id, condition=form.condition(), numbers=form.given_numbers(),
                day=bank_today(request.bank),
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _told(listed))
            if listed.unknown:
                more = ", ".join(listed.unknown[:10])
                messages.warning(request, _("Nobody has these numbers: %s") % more)
            return redirect("credit_rating:campaign", campaign_id)
    return _form(request, form, _("List customers"), found)


def _told(listed: opening.Listed) -> str:
    return _("%(added)s listed; %(known)s were on the list, %(elsewhere)s are in another campaign, %(other)s of another kind.") % {
        "added": listed.added, "known": listed.known, "elsewhere": listed.elsewhere, "other": listed.other_kind,
    }  # fmt: skip


@allowed("campaign.manage")
@require_http_methods(["GET", "POST"])
def zone_new(request: Any, campaign_id: int) -> HttpResponse:
    """Cut a zone out of the list."""
    found = _campaign(campaign_id)
    form = ZoneForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            zone, count = zones.add_zone(
                request.actor, campaign_id=campaign_id, name=given["name"], home_branch=given["home_branch"],
                region=given["region"], numbers=form.given_numbers(),
            )  # fmt: skip
            messages.success(
                request, _("Zone %(zone)s: %(count)s customers.") % {"zone": zone.name, "count": count}
            )
            return redirect("credit_rating:campaign", campaign_id)
        except DomainError as error:
            form.refuse(error)
    return _form(request, form, _("New zone"), found)


@allowed("campaign.manage")
@require_POST
def campaign_cut(request: Any, campaign_id: int) -> HttpResponse:
    """Put everybody without a zone into one, all at once."""
    found, form = _campaign(campaign_id), CutForm(request.POST)
    if not form.is_valid():
        return _page(request, found, 422, refused=_("Choose one."))
    try:
        made, count = zones.cut_zones(request.actor, campaign_id=campaign_id, by=form.cleaned_data["by"])
    except DomainError as error:
        return _page(request, found, error.status, refused=error.message)
    told = {"zones": made, "count": count}
    messages.success(request, _("%(zones)s new zones, %(count)s customers are in a zone now.") % told)
    return redirect("credit_rating:campaign", campaign_id)


@allowed("campaign.zone")
@require_POST
def campaign_take(request: Any, campaign_id: int) -> HttpResponse:
    """My branch takes every free zone of its own customers."""
    _campaign(campaign_id)
    taken = zones.take_zones(request.actor, campaign_id=campaign_id, now=timezone.now())
    text = ngettext("%s zone is your branch's.", "%s zones are your branch's.", taken)
    messages.success(request, text % taken)
    return redirect("credit_rating:campaign", campaign_id)


@allowed("campaign.zone")
@require_POST
def campaign_give(request: Any, campaign_id: int) -> HttpResponse:
    """Give my branch's zones to the managers who look after most of their customers."""
    _campaign(campaign_id)
    given, left = zones.give_zones(
        request.actor, campaign_id=campaign_id, now=timezone.now(), today=bank_today(request.bank)
    )
    messages.success(request, ngettext("%s zone is given.", "%s zones are given.", given) % given)
    if left:
        text = ngettext(
            "%s zone has no customer of a manager of the branch: give it by hand.",
            "%s zones have no customer of a manager of the branch: give them by hand.", left,
        )  # fmt: skip
        messages.warning(request, text % left)
    return redirect("credit_rating:campaign", campaign_id)


def _acted(request: Any, campaign_id: int, act: Callable[[], object], said: str) -> HttpResponse:
    """Do it and go back to the campaign; what is refused is said there."""
    found = _campaign(campaign_id)
    try:
        act()
    except DomainError as error:
        return _page(request, found, error.status, refused=error.message)
    messages.success(request, said)
    return redirect("credit_rating:campaign", campaign_id)


@allowed("campaign.manage")
@require_POST
def campaign_open(request: Any, campaign_id: int) -> HttpResponse:
    """Let branches take its zones."""
    return _acted(
        request, campaign_id,
        lambda: opening.open_campaign(request.actor, campaign_id=campaign_id, now=timezone.now()),
        _("The campaign runs: branches may take its zones."),
    )  # fmt: skip


@allowed("campaign.manage")
@require_POST
def campaign_close(request: Any, campaign_id: int) -> HttpResponse:
    """End it."""
    return _acted(
        request, campaign_id,
        lambda: opening.close_campaign(request.actor, campaign_id=campaign_id, now=timezone.now()),
        _("The campaign is closed."),
    )  # fmt: skip


@allowed("campaign.rate")
@require_POST
def campaign_rate(request: Any, campaign_id: int) -> HttpResponse:
    """Start the job that rates and calculates; with `zone`, for that one."""
    zone_id = int(request.POST["zone"]) if request.POST.get("zone", "").isdecimal() else None

    def start() -> Run:
        return rating.start_rating(
            request.actor, campaign_id=campaign_id, zone_id=zone_id, day=bank_today(request.bank), now=timezone.now()
        )  # fmt: skip

    return _acted(request, campaign_id, start, _("Rating and calculating have begun."))


@allowed("campaign.rate")
@require_POST
def campaign_stop(request: Any, campaign_id: int) -> HttpResponse:
    """Stop the job after the part in hand."""
    given = request.POST.get("run", "")
    run_id = int(given) if given.isdecimal() and len(given) < 19 else 0

    def stop() -> Run:
        return rating.stop_rating(request.actor, campaign_id=campaign_id, run_id=run_id, now=timezone.now())

    return _acted(
        request, campaign_id, stop, _("Rating stops after the part in hand; starting it again goes through the rest.")
    )  # fmt: skip


@allowed("credit.read")
@require_GET
def campaign_members(request: Any, campaign_id: int) -> HttpResponse:
    """The members that the person sees, filtered as the address says; htmx gets the table alone."""
    found, form = _campaign(campaign_id), MemberFilter(campaign_id, request.GET)
    after = request.GET.get("after", "")
    start = int(after) if after.isdecimal() and len(after) < 19 else 0
    rows, following = selectors.member_page(request.actor, campaign_id, form.query(), after=start)
    codes = selectors.exception_counts(request.actor, campaign_id)
    context = {
        "campaign": found,
        "form": form,
        "rows": [_row(m) for m in rows],
        "count": selectors.member_count(request.actor, campaign_id, form.query()),
        "filters": form.menus(selectors.zones_of(campaign_id), codes),
        "next_url": form.url(after=str(following)) if following else "",
        "first_url": form.url(),
        "is_first": not start,
    }
    template = "_campaign_member_table.html" if is_partial(request) else "campaign_members.html"
    return render(request, f"credit_rating/{template}", context)


def _row(m: CampaignMember) -> dict[str, Any]:
    return {
        "member": m,
        "tone": "tag-watch" if m.is_exception and m.stage not in SETTLED else STAGE_TONES.get(m.stage, ""),
        "why": [] if m.stage in ("listed", *SETTLED) else [EXCEPTION_LABELS.get(c, c) for c in m.exceptions],
    }


@allowed("credit.read")
@require_GET
def member(request: Any, member_id: int) -> HttpResponse:
    """One member: how far it is, why it is an exception, and the whole trail."""
    return _member_page(request, _member(request, member_id), MemberForm())


def _member(request: Any, member_id: int) -> CampaignMember:
    try:
        return selectors.member(request.actor, member_id)
    except CampaignMember.DoesNotExist:
        raise Http404 from None


def _member_page(request: Any, found: CampaignMember, form: MemberForm, status: int = 200) -> HttpResponse:
    context = {
        **_row(found),
        "campaign": found.campaign,
        "customer": found.customer,
        "run": Run.objects.filter(pk=found.run_id or 0).select_related("requested_by").first(),
        "form": form,
        "is_running": found.campaign.status == CampaignStatus.OPEN,
        "is_settled": found.stage in SETTLED,
        "is_aside": found.stage in ("declined", "exempt"),
        "in_batch": found.batch is not None and found.batch.status != "returned",
        "may_prepare": may(request.actor, "credit.prepare"),
    }
    return render(request, "credit_rating/campaign_member.html", context, status=status)


@allowed("credit.prepare")
@require_POST
def member_act(request: Any, member_id: int) -> HttpResponse:
    """Set aside, take back, take out of the batches, or make an ordinary case of it."""
    found, form = _member(request, member_id), MemberForm(request.POST)
    if not form.is_valid():
        return _member_page(request, found, form, 422)
    try:
        case = _do(request, member_id, form)
    except DomainError as error:
        form.refuse(error)
        return _member_page(request, _member(request, member_id), form, error.status)
    if case is not None:
        return redirect("credit_rating:case", case)
    messages.success(request, _("It is recorded."))
    return redirect("credit_rating:campaign-member", member_id)


def _do(request: Any, member_id: int, form: MemberForm) -> int | None:
    """The case that was made, if one was."""
    act, reason, now = form.cleaned_data["act"], form.cleaned_data["reason"], timezone.now()
    if act == "case":
        return members.make_case(request.actor, member_id=member_id, now=now).pk
    if act == "back":
        members.take_back(request.actor, member_id=member_id, day=bank_today(request.bank))
    elif act == "out":
        members.take_out(request.actor, member_id=member_id, reason=reason, now=now)
    else:
        members.set_aside(request.actor, member_id=member_id, stage=act, reason=reason, now=now)
    return None
