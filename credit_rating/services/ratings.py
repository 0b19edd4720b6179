"""What is done to ratings: reckoned from the data, confirmed or overridden by one person, decided by another (C2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating.models import OPEN_RATINGS, Rating, RatingStatus
from credit_rating.models.calculations import content_hash
from credit_rating.policies import grades as grade_scale
from credit_rating.policies.grades import GRADES, notches, pd_of
from credit_rating.policies.shapes import read
from credit_rating.scorecards import in_language
from credit_rating.selectors.rating_people import objections_of, rating_objections
from credit_rating.selectors.ratings import as_content, assess, content_changes
from credit_rating.services.rating_work import end_work, sync_tasks, task_key, tell_makers
from credit_rating.services.scorecards import ensure_default_scorecards
from crm_site.lib import formats
from crm_site.lib.dates import add_months
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require, require_person
from crm_site.lib.postgres.bulk import update_rows
from crm_site.work.services import finish_cause
from customers.models import Customer

PREPARE, DECIDE = "credit.prepare", "rating.decide"


class RatingFault(DomainError):
    """A rating that cannot be made, confirmed or decided like this."""


def objection_words() -> dict[str, str]:
    """Why somebody must not decide a rating, in the reader's words."""
    return {
        "maker": _("Who made a rating or typed what it rests on does not decide it."),
        "own": _("Nobody decides on his own customer."),
        "relative": _("Nobody decides on a relative or a company of his."),
    }


def rank_of(grade: str) -> int:
    """10 for AAA … 1 for D."""
    return len(GRADES) - GRADES.index(grade)


def generate_rating(
    actor: Actor, *, customer: Customer, answers: Mapping[str, str], day: dt.date, now: dt.datetime
) -> Rating:
    """Reckon a rating from what is on record now. An open draft is followed by the new one.

    The same again (a double click) is the draft that stands. Raises Conflict while one waits for review, NoScorecard.
    """
    require(actor, PREPARE)
    with transaction.atomic():
        # One at a time for a customer: numbers follow one another, and one draft is open.
        seen = Customer.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=customer.pk)
        ensure_default_scorecards(now)
        found = assess(actor, seen, answers, day=day)
        content = as_content(found)
        digest = content_hash(content)
        opened = Rating.objects.filter(customer=seen, status__in=OPEN_RATINGS).first()
        if opened is not None and opened.status == RatingStatus.SUBMITTED:
            raise Conflict(
                _("Rating %s waits for its reviewer; it must be decided or returned first.") % opened.number,
                code="rating_waits",
            )
        if opened is not None and opened.content_hash == digest and opened.generated_by_id == actor.staff_id:
            return opened
        if opened is not None:
            opened.status = RatingStatus.REPLACED
            opened.save(update_fields=["status"])
        count = Rating.objects.filter(customer=seen).count() + 1
        made = Rating.objects.create(
            customer=seen, kind=found.kind, number=f"PJ-{seen.pk}-{count}", scorecard=found.scorecard,
            grade_policy=found.grade_policy.version, as_of=day, score=found.score, score_grade=found.score_grade,
            model_grade=found.grade, grade=found.grade, grade_rank=rank_of(found.grade), pd=found.pd,
            deposits=found.deposits, content=content, content_hash=digest, generated_by_id=actor.staff_id,
            generated_at=now,
        )  # fmt: skip
        sync_tasks(made, day=day, now=now)
        return made


def submit_rating(
    actor: Actor, *, rating_id: int, seen: str, grade: str, reason: str, day: dt.date, now: dt.datetime
) -> Rating:
    """Confirm the grade, or override it within policy, and hand it to a reviewer.

    `seen`: the stamp of what the person looked at. Raises RatingFault for a grade beyond policy or without its reason,
    Conflict when the rating or the data beneath it have changed since (it says what).
    """
    require(actor, PREPARE)
    with transaction.atomic():
        found = _locked(actor, rating_id)
        if found.status == RatingStatus.SUBMITTED and (found.submitted_by_id, found.grade) == (
            actor.staff_id,
            grade,
        ):
            return found  # a double click
        _expect(found, RatingStatus.DRAFT, seen)
        _check_override(found, grade, reason)
        _check_fresh(actor, found, day)
        found.status, found.grade, found.grade_rank = RatingStatus.SUBMITTED, grade, rank_of(grade)
        found.pd = pd_of(read(grade_scale.SHAPE, found.grade_policy.body), grade)
        found.reason = reason.strip() if grade != found.model_grade else ""
        found.submitted_by_id, found.submitted_at = actor.staff_id, now
        found.save(
            update_fields=["status", "grade", "grade_rank", "pd", "reason", "submitted_by", "submitted_at"]
        )
        sync_tasks(found, day=day, now=now)
        return found


def _check_override(found: Rating, grade: str, reason: str) -> None:
    scale = [row["grade"] for row in found.grade_policy.body["tables"]["scale"]]
    if grade not in scale:
        message = _("The scale has no such grade.")
        raise RatingFault(message, code="grade", fields={"grade": message})
    up = notches(found.model_grade, grade)
    if up > 0 and found.content["cap"]:
        message = _("A rule caps this grade: it cannot be raised.")
        raise RatingFault(message, code="grade_capped", fields={"grade": message})
    if up > int(found.content["notches_up"]):
        message = _("The policy allows at most %s up.") % found.content["notches_up"]
        raise RatingFault(message, code="grade_up", fields={"grade": message})
    if up and not reason.strip():
        message = _("Another grade than the reckoned one needs a reason.")
        raise RatingFault(message, code="reason", fields={"reason": message})


def _check_fresh(actor: Actor, found: Rating, day: dt.date) -> None:
    answers = {f["code"]: f["value"] or "" for f in found.content["factors"] if f["source"] == "answer"}
    today = as_content(assess(actor, found.customer, answers, day=day))
    changed = content_changes(found.content, today)
    if changed:
        raise Conflict(
            _("The data have changed since: %s. Reckon it again.") % _named(changed, found.content, today),
            code="rating_stale",
        )


def _named(codes: list[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The names of what changed, in the reader's language."""
    factors = {f["code"]: in_language(f, "label") for f in (*before["factors"], *after["factors"])}
    named = {
        "scorecard": _("Scorecard"), "grade_policy": _("Grade scale"), "rules": _("Rating rules"), "cap": _("Caps"),
    }  # fmt: skip
    return _(", ").join(str(named.get(code) or factors[code]) for code in codes)


def confirm_drafts(actor: Actor, *, ratings: Sequence[int], now: dt.datetime) -> int:
    """Confirm drafts with the grades they were reckoned with and hand them to a reviewer: what `submit_rating` does for
    one. The caller has looked whether the data still say the same. Returns how many changed."""
    require(actor, PREPARE)
    drafts = Rating.objects.visible_to(actor).filter(pk__in=ratings, status=RatingStatus.DRAFT)
    return drafts.update(status=RatingStatus.SUBMITTED, submitted_by=actor.staff_id, submitted_at=now)


def decide_rating(
    actor: Actor, *, rating_id: int, seen: str, approve: bool, note: str, day: dt.date, now: dt.datetime
) -> Rating:
    """Approve a rating, which then holds for the policy's months and ends the one before, or return it with a word.

    Never by who reckoned or confirmed it or typed what it rests on, nor of his own customer or a relative. The same decision again by the same person changes nothing. Raises
    RatingFault, Conflict when it was decided or changed meanwhile.
    """
    require(actor, DECIDE)
    with transaction.atomic():
        found = _locked(actor, rating_id)
        require(actor, DECIDE, found.customer.home_branch)
        staff_id = require_person(actor, DECIDE)
        wanted = RatingStatus.APPROVED if approve else RatingStatus.RETURNED
        if found.status == wanted and found.decided_by_id == staff_id:
            return found  # a double click
        _check_decision(actor, found, seen, rating_objections(found, staff_id, day))
        if not approve and not note.strip():
            message = _("Say what is to be done again.")
            raise RatingFault(message, code="note", fields={"note": message})
        if approve:
            standing = Rating.objects.filter(customer_id=found.customer_id, status=RatingStatus.APPROVED)
            standing.update(status=RatingStatus.SUPERSEDED)
            found.expires_on = add_months(day, int(found.content["valid_months"]))
        found.status, found.decision_note = wanted, note.strip()
        found.decided_by_id, found.decided_at = staff_id, now
        found.save(update_fields=["status", "decision_note", "decided_by", "decided_at", "expires_on"])
        finish_cause(
            actor, source_key=task_key(found, staff_id), now=now, result=str(RatingStatus(wanted).label)
        )
        sync_tasks(found, day=day, now=now)
        tell_makers(found, now=now)
        return found


def approve_ratings(
    actor: Actor, *, seen: Mapping[int, str], note: str, day: dt.date, now: dt.datetime
) -> set[int]:
    """Approve ratings of different customers together: what `decide_rating` does to one, but that nobody is told of each.

    `seen`: rating -> the stamp of what was looked at. Returns those that may not be approved like this; with any, nothing
    is done to any.
    """
    staff_id = require_person(actor, DECIDE)
    with transaction.atomic():
        found = list(_lockable(actor).filter(pk__in=list(seen)).order_by("pk"))
        against = objections_of(found, staff_id, day)
        refused = set(seen) - {one.pk for one in found}
        for one in found:
            try:
                _check_decision(actor, one, seen[one.pk], against[one.pk])
            except (DomainError, PermissionDenied):
                refused.add(one.pk)
        if refused:
            return refused
        customers = [one.customer_id for one in found]
        standing = Rating.objects.filter(customer_id__in=customers, status=RatingStatus.APPROVED)
        standing.update(status=RatingStatus.SUPERSEDED)
        for one in found:
            one.status, one.decision_note = RatingStatus.APPROVED, note.strip()
            one.decided_by_id, one.decided_at = staff_id, now
            one.expires_on = add_months(day, int(one.content["valid_months"]))
        update_rows(found, ["status", "decision_note", "decided_by", "decided_at", "expires_on"])
        end_work(actor, found, str(RatingStatus.APPROVED.label), day=day, now=now)
    return set()


def _check_decision(actor: Actor, found: Rating, seen: str, against: Sequence[str]) -> None:
    """Raise what keeps the actor from deciding a rating as he saw it. `against`: of rating_objections."""
    require(actor, DECIDE, found.customer.home_branch)
    _expect(found, RatingStatus.SUBMITTED, seen)
    if against:
        raise RatingFault(objection_words()[against[0]], code=f"four_eyes_{against[0]}")


def _locked(actor: Actor, rating_id: int) -> Rating:
    """A rating that the actor sees, locked. Raises Rating.DoesNotExist."""
    return _lockable(actor).get(pk=rating_id)


def _lockable(actor: Actor) -> Any:
    rows = Rating.objects.visible_to(actor).select_for_update(of=("self",))
    return rows.select_related("customer__home_branch", "grade_policy", "decided_by")


def _expect(found: Rating, status: RatingStatus, seen: str) -> None:
    if found.status != status:
        state = RatingStatus(found.status).label
        who = f" ({found.decided_by.name})" if found.decided_by else ""
        raise Conflict(_("Meanwhile the rating's state is: %s.") % f"{state}{who}", code="rating_changed")
    if found.stamp != seen:
        raise Conflict(
            _("The rating is no longer what you looked at: it stands at %(grade)s, %(score)s points.")
            % {"grade": found.grade, "score": formats.number(found.score, 0)},
            code="rating_changed",
        )
