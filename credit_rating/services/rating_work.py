"""The work that a rating makes: who may decide it has it on his worklist, who made it hears what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.models import Rating, RatingStatus
from credit_rating.selectors.cases import authority_policy, role_holders
from credit_rating.selectors.rating_people import free_to_decide
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.registry import NoticeKind, WorkReason, add_notice, add_work_reason
from crm_site.lib.tenancy import require_bank
from crm_site.work.models import Task
from crm_site.work.services import TaskRow, finish_cause, notify, put_tasks
from crm_site.work.urgency import pressing

DECIDE, RETURNED, DECIDED = "rating_decide", "rating_returned", "rating.decided"


def deciders(found: Rating, day: dt.date) -> list[int]:
    """Who is asked to decide: the managers of the customer's branch, or the reviewers where none of them may.

    Never whom the four eyes keep from it (`rating_objections`). Reviewers find it on the list as well.
    """
    for holders in (
        role_holders(Role.BRANCH_MANAGER, day, found.customer), role_holders(Role.CREDIT_REVIEWER, day),
    ):  # fmt: skip
        if people := free_to_decide(found, holders, day):
            return people
    return []


def sync_tasks(found: Rating, *, day: dt.date, now: dt.datetime) -> None:
    """Whoever can move the customer's newest rating has it on his worklist, nobody else.

    The branch has as long to decide as the authority policy gives it for a case.
    """
    source, rows = f"rating:{found.customer_id}:", []
    due = day + dt.timedelta(days=int(authority_policy(day)[1].params["branch_days"]))
    if found.status == RatingStatus.SUBMITTED:
        rows = [_task(found, source, DECIDE, staff_id, due, day) for staff_id in deciders(found, day)]
    elif found.status == RatingStatus.RETURNED and found.submitted_by_id is not None:
        rows = [_task(found, source, RETURNED, found.submitted_by_id, due, day)]
    of = (found.customer_id, found.customer_id)
    put_tasks(require_bank(), rows, sources=[source], as_of=day, now=now, customers=of)


def end_work(actor: Actor, ratings: Sequence[Rating], result: str, *, day: dt.date, now: dt.datetime) -> None:
    """Of ratings of different customers that the actor has decided: whose was somebody's work, it is done."""
    asked = Task.objects.open().filter(
        customer_id__in=[one.customer_id for one in ratings], reason__in=(DECIDE, RETURNED)
    )
    waiting = set(asked.order_by().values_list("customer_id", flat=True))
    for one in ratings:
        if one.customer_id in waiting and actor.staff_id is not None:
            finish_cause(actor, source_key=task_key(one, actor.staff_id), now=now, result=result)
            sync_tasks(one, day=day, now=now)


def task_key(found: Rating, staff_id: int) -> str:
    """The cause of a decider's task."""
    return f"rating:{found.customer_id}:{found.pk}:{DECIDE}:{staff_id}"


def _task(found: Rating, source: str, reason: str, staff_id: int, due: dt.date, day: dt.date) -> TaskRow:
    return TaskRow(
        reason=reason, source_key=f"{source}{found.pk}:{reason}:{staff_id}", due_date=due,
        customer_id=found.customer_id, owner_id=staff_id,
        params={"grade": found.grade, "rating": found.number, "rating_id": found.pk},
        urgency=pressing(due, day, 65),
    )  # fmt: skip


def tell_makers(found: Rating, *, now: dt.datetime) -> None:
    """Who made it, and who looks after the customer, hear of the decision; not who decided."""
    people = {found.generated_by_id, found.submitted_by_id, found.customer.responsible_id}
    params = {"grade": found.grade, "rating": found.number, "status": str(found.status)}
    told = sorted(staff_id for staff_id in people if staff_id is not None and staff_id != found.decided_by_id)
    notify(told, DECIDED, params, f"/credit/ratings/{found.pk}/", now=now)


def _say_decide(params: Mapping[str, Any]) -> str:
    return _("Decide rating %(rating)s, grade %(grade)s") % params


def _say_returned(params: Mapping[str, Any]) -> str:
    return _("Rating %(rating)s came back to be reckoned again") % params


def _say_decided(params: Mapping[str, Any]) -> str:
    if params["status"] == RatingStatus.APPROVED:
        return _("Rating %(rating)s is approved: grade %(grade)s") % params
    return _("Rating %(rating)s came back to be reckoned again") % params


def register() -> None:
    """Make the reasons and the notice known (AppConfig.ready)."""
    add_work_reason(
        WorkReason(
            DECIDE, gettext_lazy("Rating to decide"), "clipboard-check", _say_decide, "watch", is_dated=True
        )
    )
    add_work_reason(
        WorkReason(
            RETURNED, gettext_lazy("Rating returned"), "arrow-back-up", _say_returned, "watch", is_dated=True
        )
    )
    add_notice(NoticeKind(DECIDED, "clipboard-check", _say_decided))
