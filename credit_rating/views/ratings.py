"""Ratings: what a customer would get today, the form (客户信用等级评估表), its confirmation and its review."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from credit_rating.forms_rating import AnswersForm, DecideRatingForm, SubmitRatingForm
from credit_rating.models import Rating, RatingStatus
from credit_rating.policies.grades import GRADES
from credit_rating.policies.rating_rules import MEASURES
from credit_rating.selectors import ratings as selectors
from credit_rating.selectors import scorecards as cards
from credit_rating.selectors.rating_people import rating_objections
from credit_rating.services import ratings as services
from credit_rating.views.case import case_customer, is_partial, page
from credit_rating.views.rating_rows import factor_rows, history_chart
from crm_site.accounts.selectors import bank_today, business_date
from crm_site.lib import formats
from crm_site.lib.dates import add_months
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may, require
from customers.models import Customer

TONES = {"submitted": "tag-watch", "approved": "tag-ok", "returned": "tag-risk"}


def _rating(request: Any, rating_id: int) -> Rating:
    try:
        return selectors.rating(request.actor, rating_id)
    except Rating.DoesNotExist:
        raise Http404 from None


def _key(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


@allowed("credit.read")
@require_GET
def rating_list(request: Any) -> HttpResponse:
    """What waits for a reviewer, what I have begun, what is due, and everything in force."""
    which = request.GET.get("list", "todo" if may(request.actor, services.DECIDE) else "waiting")
    if which == selectors.MOVED:
        return _moved(request)
    if which not in selectors.LISTS:
        raise Http404
    grade, card = request.GET.get("grade", ""), _key(request.GET.get("card", ""))
    after = _key(request.GET.get("after", ""))
    found = selectors.rating_list(request.actor, which, day=bank_today(request.bank), grade=grade, card=card)
    rows = selectors.rating_page(found, after)
    shown = rows[: selectors.PAGE]
    following = (
        f"?list={which}&grade={grade}&card={card}&after={shown[-1].pk}" if len(rows) > selectors.PAGE else ""
    )
    count = None if after else selectors.rating_count(found)
    return _list_page(request, which, shown, following, count=count, card=cards.version_or_none(card))


def _list_page(request: Any, which: str, shown: list[Rating], following: str, **more: Any) -> HttpResponse:
    mine = [("todo", _("To decide"))] if may(request.actor, services.DECIDE) else []
    lists = [
        *mine, ("waiting", _("Waiting for review")), ("mine", _("Begun by me")), ("due", _("Due for review")), ("all", _("In force")),
        ("decided", pgettext("ratings", "Decided")),
    ]  # fmt: skip
    context = {
        "lists": lists, "which": which, "next_url": following,
        "rows": [(r, TONES.get(r.status, "")) for r in shown], **more,
    }  # fmt: skip
    return render(request, "credit_rating/rating_list.html", context)


def _moved(request: Any) -> HttpResponse:
    """Customers by their grade a year before the newest business date and their grade now."""
    known = (*GRADES, selectors.UNRATED)
    before, now, after = (request.GET.get(name, "") for name in ("before", "now", "after"))
    if before not in known or now not in known:
        raise Http404
    day = business_date(request.bank)
    move = selectors.Move(before, now, add_months(day, -12), day)
    key = _key(after)
    rows = selectors.moved(request.actor, move, key=key)
    shown = rows[: selectors.PAGE]
    following = (
        f"?list=moved&before={before}&now={now}&after={shown[-1].pk}" if len(rows) > selectors.PAGE else ""
    )
    words = {selectors.UNRATED: _("not rated")}
    moved = _("%(before)s a year ago, %(now)s now") % {
        "before": words.get(before, before), "now": words.get(now, now),
    }  # fmt: skip
    # Later pages go on without the count; of one page alone its rows are the count.
    count = None if key else len(rows) if not following else selectors.moved_count(request.actor, move)
    more = {"moved": moved, "count": count, "most_counted": selectors.MOST_COUNTED}
    return _list_page(request, selectors.MOVED, shown, following, **more)


@allowed("credit.read")
@require_http_methods(["GET", "POST"])
def rating_form(request: Any, customer_id: int) -> HttpResponse:
    """What the customer would be rated on today's data (GET: nothing is saved); reckon it (POST)."""
    if request.method == "POST":
        require(request.actor, services.PREPARE)
    customer = case_customer(request, customer_id)
    day = bank_today(request.bank)
    try:
        blank = selectors.assess(request.actor, customer, {}, day=day)
    except selectors.NoScorecard as error:
        return _form_page(request, customer, {"refused": error.message}, error.status)
    form = AnswersForm(
        request.POST if request.method == "POST" else None, asked=selectors.asked_factors(blank)
    )
    if request.method == "POST" and form.is_valid():
        try:
            made = services.generate_rating(
                request.actor, customer=customer, answers=form.answers(), day=day, now=timezone.now()
            )
        except DomainError as error:
            return _form_page(request, customer, {"refused": error.message, "form": form}, error.status)
        return redirect("credit_rating:rating", made.pk)
    context: dict[str, Any] = {"form": form, "found": blank}
    context |= {"groups": factor_rows(selectors.as_content(blank)["factors"])}
    return _form_page(request, customer, context, 422 if request.method == "POST" else 200)


def _form_page(request: Any, customer: Customer, context: dict[str, Any], status: int) -> HttpResponse:
    past = selectors.ratings_of(request.actor, customer)
    today = bank_today(request.bank)
    current = selectors.in_force(request.actor, customer, today)
    shared = {
        "past": [(r, TONES.get(r.status, "")) for r in past],
        "chart": history_chart(past),
        "current": current,
        "review_due": selectors.review_due(current, today),
    }
    return page(
        request,
        "credit_rating/rating_form.html",
        customer,
        {**shared, **context},
        tab="rating",
        status=status,
    )


def drawn_rating(found: Rating) -> dict[str, Any]:
    content = found.content
    cap = content["cap"]
    return {
        "rating": found,
        "customer": found.customer,
        "tone": TONES.get(found.status, ""),
        "groups": factor_rows(found.factors),
        "most": content["most"],
        "is_points": content["score_pd"] is not None,
        "cap": {**cap, "label": MEASURES[cap["measure"]]} if cap else None,
        "is_overridden": found.grade != found.model_grade,
    }


def _page(
    request: Any,
    found: Rating,
    status: int = 200,
    *,
    submit: SubmitRatingForm | None = None,
    decide: DecideRatingForm | None = None,
) -> HttpResponse:
    waits = found.status == RatingStatus.SUBMITTED
    decides = waits and may(request.actor, services.DECIDE, found.customer.home_branch)
    against = _against(request, found) if decides else []
    context = {
        **drawn_rating(found),
        "before": selectors.rating_before(request.actor, found),
        "submit_form": submit or SubmitRatingForm(rating=found),
        "decide_form": decide or DecideRatingForm(initial={"seen": found.stamp}),
        "may_submit": found.status == RatingStatus.DRAFT and may(request.actor, services.PREPARE),
        "may_decide": decides and not against,
        "against": against,
        "is_maker": waits and request.actor.staff_id in (found.generated_by_id, found.submitted_by_id),
        "notches_up": found.content["notches_up"],
        "review_due": selectors.review_due(found, bank_today(request.bank)),
    }  # fmt: skip
    return page(request, "credit_rating/rating.html", found.customer, context, tab="rating", status=status)


def _against(request: Any, found: Rating) -> list[str]:
    """Why the reader, who decides on ratings, must not decide this one."""
    words = services.objection_words()
    codes = rating_objections(found, request.actor.staff_id or 0, bank_today(request.bank))
    return [words[code] for code in codes]


@allowed("credit.read")
@require_GET
def rating(request: Any, rating_id: int) -> HttpResponse:
    """A rating as it was reckoned, who stands for it, and what may be done."""
    return _page(request, _rating(request, rating_id))


@allowed("credit.prepare")
@require_POST
def rating_submit(request: Any, rating_id: int) -> HttpResponse:
    """Confirm or override the grade, and hand it to a reviewer."""
    found = _rating(request, rating_id)
    form = SubmitRatingForm(request.POST, rating=found)
    if not form.is_valid():
        return _page(request, found, 422, submit=form)
    try:
        services.submit_rating(
            request.actor,
            rating_id=rating_id,
            day=bank_today(request.bank),
            now=timezone.now(),
            **form.cleaned_data,
        )
    except DomainError as error:
        form.refuse(error)
        return _page(request, _rating(request, rating_id), error.status, submit=form)
    messages.success(request, _("It waits for its reviewer now."))
    return redirect("credit_rating:rating", rating_id)


@allowed("rating.decide")
@require_POST
def rating_decide(request: Any, rating_id: int) -> HttpResponse:
    """Approve or return."""
    found = _rating(request, rating_id)
    form = DecideRatingForm(request.POST)
    if not form.is_valid():
        return _page(request, found, 422, decide=form)
    given = form.cleaned_data
    try:
        done = services.decide_rating(
            request.actor, rating_id=rating_id, seen=given["seen"], approve=given["act"] == "approve",
            note=given["note"], day=bank_today(request.bank), now=timezone.now(),
        )  # fmt: skip
    except DomainError as error:
        form.refuse(error)
        return _page(request, _rating(request, rating_id), error.status, decide=form)
    messages.success(request, _("Approved.") if done.status == RatingStatus.APPROVED else _("Returned."))
    return redirect("credit_rating:rating", rating_id)


@allowed("credit.read")
@require_GET
def rating_print(request: Any, rating_id: int) -> HttpResponse:
    """The paper form 客户信用等级评估表."""
    found = _rating(request, rating_id)
    context = drawn_rating(found) | {
        "form_name": _("Credit rating form"), "form_number": found.number, "printed_by": request.actor.label,
        "printed_at": timezone.now(), "as_of_line": _("As of %s") % formats.day(found.as_of),
    }  # fmt: skip
    return render(request, "credit_rating/rating_print.html", context)


@allowed("credit.read")
@require_GET
def rating_panel(request: Any, customer_id: int) -> HttpResponse:
    """The customer's rating, on the customer's page."""
    customer = case_customer(request, customer_id)
    past = selectors.ratings_of(request.actor, customer)
    today = bank_today(request.bank)
    current = selectors.in_force(request.actor, customer, today)
    context = {
        "customer": customer,
        "current": current,
        "review_due": selectors.review_due(current, today),
        "opened": next((r for r in past if r.status in ("draft", "submitted")), None),
        "decided": [r for r in past if r.expires_on][:5],
        "may_prepare": may(request.actor, services.PREPARE),
    }
    if is_partial(request):
        return render(request, "credit_rating/_rating_panel.html", context)
    return render(
        request,
        "customers/panel_page.html",
        {**context, "panel_template": "credit_rating/_rating_panel.html"},
    )
