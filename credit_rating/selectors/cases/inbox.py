"""A person's cases: those that wait for him, that he decided, made, or has copies of (C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, Subquery

from credit_rating.models import (
    CaseCopy,
    CaseDossier,
    CaseMaker,
    CaseSeat,
    CaseStatus,
    CreditCase,
    Delegation,
    Guarantee,
    Opinion,
    SeatKind,
)
from credit_rating.models.cases import ENDED, STAGES
from credit_rating.models.guarantees import LIVE
from credit_rating.selectors.cases.people import STAGE_ROLES, delegations_to, kin_of
from crm_site.accounts.models import RoleGrant
from crm_site.lib.permissions import Actor, Role

TABS = ("todo", "decided", "mine", "copied", "ended")
INBOX_PAGE = 200
MOST_COUNTED = 10_000
# What a row of a list of cases shows and what it weighs asks; names as values of the case's own row.
LISTED = (
    "year", "serial", "kind", "currency", "amount", "status", "round", "prepared_at", "stage_since", "deadline", "closed_at",
    "dossier_hash", "calculation_id", "line_id", "as_of", "customer_id",
)  # fmt: skip
NAMED = {
    "customer_name": F("customer__name"),
    "customer_number": F("customer__number"),
    "customer_is_excluded": F("customer__is_excluded"),
    "product_name": F("product__name"),
    "maker_name": F("prepared_by__name"),
}


@dataclass(frozen=True, slots=True)
class InboxPage:
    """A page of cases `as_listed`. `count`: of all pages, MOST_COUNTED + 1 for more than are counted; `following`: the key
    of the next page (0 at the end). `instead`: by case, for whom he decides that has named him while away."""

    rows: list[CreditCase]
    count: int
    following: int
    instead: Mapping[int, Delegation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case stands in a list: its place (None: it has left the list), of how many, and its neighbours (of one that
    has left: the first that is left)."""

    place: int | None
    count: int
    earlier: CreditCase | None
    later: CreditCase | None


def inbox(
    actor: Actor, tab: str, *, day: dt.date, after: int = 0, most: int = 0, away: Mapping[int, Delegation] | None = None,
    whose: int | None = None,
) -> InboxPage:  # fmt: skip
    """A person's cases: those that wait for him (soonest deadline first), that he has decided, made, or has copies of;
    and `ended`: all that he sees and that came to an end, whoever had a part in them (an examiner's way in).

    At most `most` (0: INBOX_PAGE) after the case `after` (0: the first). `todo` leaves out what he must not decide;
    `away`: whom he stands in for, where `delegations_to` has been asked already; `whose` leaves of it what is his own (0) or somebody's that he stands in for (that one's id).
    """
    most = most or INBOX_PAGE
    seen = as_listed(CreditCase.objects.visible_to(actor))
    if tab == "todo":
        if away is None:
            away = delegations_to(actor.staff_id or 0, day)
        todo = _todo(actor, day, away)
        ids = [key for key, person in todo.items() if whose is None or person == whose]
        start = ids.index(after) + 1 if after in ids else 0
        page = ids[start : start + most]
        rows = sorted(seen.filter(pk__in=page), key=lambda case: page.index(case.pk))
        instead = {key: away[todo[key]] for key in page if todo[key] in away}
        return InboxPage(rows, len(ids), page[-1] if start + most < len(ids) else 0, instead)
    found = _of_tab(seen, tab, actor.staff_id or 0)
    rows = list((found.filter(pk__lt=after) if after else found).order_by("-id")[: most + 1])
    following = rows[most - 1].pk if len(rows) > most else 0
    return InboxPage(rows[:most], len(rows) if not after and not following else counted(found), following)


def as_listed(found: Any) -> Any:
    """Cases with their LISTED fields and NAMED names, for a list."""
    return found.only(*LISTED).annotate(**NAMED)


def place_of(actor: Actor, tab: str, case_id: int, *, day: dt.date) -> Place:
    """Where a case stands in a tab, reading its neighbours alone."""
    seen = CreditCase.objects.visible_to(actor)
    if tab == "todo":
        ids = list(_todo(actor, day, delegations_to(actor.staff_id or 0, day)))
        at = ids.index(case_id) if case_id in ids else None
        following = ids[:1] if at is None else ids[at + 1 : at + 2]
        near = [*(ids[at - 1 : at] if at else []), *following]
        cases = {one.pk: one for one in _named(seen.filter(pk__in=near))}
        earlier = cases.get(ids[at - 1]) if at else None
        return Place(
            None if at is None else at + 1, len(ids), earlier, cases.get(following[0]) if following else None
        )
    found = _of_tab(seen, tab, actor.staff_id or 0).order_by("-id")
    count = counted(found)
    if not found.filter(pk=case_id).exists():
        return Place(None, count, None, _named(found).first())
    newer = found.filter(pk__gt=case_id)
    return Place(
        counted(newer) + 1,
        count,
        _named(newer).reverse().first(),
        _named(found.filter(pk__lt=case_id)).first(),
    )


def _named(found: Any) -> Any:
    return found.select_related("customer").only("customer__name")


def counted(found: Any) -> int:
    """How many cases a query finds; MOST_COUNTED + 1 for more than are counted."""
    return int(found.order_by().values("pk")[: MOST_COUNTED + 1].count())


def filled_tab(actor: Actor) -> str:
    """The first tab beside `todo` that holds a case; "" when none does."""
    seen, staff_id = CreditCase.objects.visible_to(actor), actor.staff_id or 0
    tabs = ("mine", "copied", "decided")
    return next((tab for tab in tabs if _of_tab(seen, tab, staff_id).exists()), "")


def _of_tab(seen: Any, tab: str, staff_id: int) -> Any:
    of_case = {"case_id": OuterRef("pk"), "staff_id": staff_id}
    return seen.filter(
        {
            "decided": Q(Exists(Opinion.objects.filter(**of_case))),
            "mine": Q(prepared_by_id=staff_id),
            "copied": Q(Exists(CaseCopy.objects.filter(**of_case))),
            "ended": Q(status__in=ENDED),
        }[tab]
    )


def todo_count(actor: Actor, day: dt.date) -> int:
    """How many cases `inbox` of `todo` holds, without reading them."""
    return len(_todo(actor, day, delegations_to(actor.staff_id or 0, day)))


def _todo(actor: Actor, day: dt.date, delegators: Iterable[int]) -> dict[int, int]:
    """case -> for whom one decides it, 0 for oneself (who goes before all others). In their order: soonest deadline first,
    those that were returned last; at most MOST_COUNTED + 1.

    Set-based for oneself and for each person one stands in for; `capacity` says the same of one case.
    Who may decide is asked here, what is shown is read apart: one statement of a dozen tables is dear to plan.
    """
    if actor.staff_id is None:
        return {}
    own = actor.staff_id
    seen = CreditCase.objects.visible_to(actor)
    at_stage = _free(seen.filter(status__in=STAGES), own, day)
    asked = {0: _asked_of(at_stage, own, day)}
    for away in delegators:
        signer = CaseSeat.objects.filter(
            case_id=OuterRef("pk"), round=OuterRef("round"), staff_id=away, kind=SeatKind.SIGNER
        )
        asked[away] = _free(_asked_of(at_stage, away, day), away, day).filter(~Exists(signer))
    keys: dict[tuple[dt.date | None, int], int] = {}
    for person, cases in asked.items():
        for key in cases.order_by().values_list("deadline", "pk")[: MOST_COUNTED + 1]:
            keys.setdefault(key, person)
    waiting = sorted(keys, key=lambda key: (key[0] or dt.date.max, key[1]))
    returned = seen.filter(status=CaseStatus.RETURNED, prepared_by_id=own).order_by("deadline", "id")
    found = {key[1]: keys[key] for key in waiting}
    found |= dict.fromkeys(returned.values_list("pk", flat=True), 0)
    return dict(islice(found.items(), MOST_COUNTED + 1))


def _asked_of(cases: Any, staff_id: int, day: dt.date) -> Any:
    """Cases at a stage where a person speaks: by seat, or by a role whose place reaches the customer."""
    seat = CaseSeat.objects.filter(
        case_id=OuterRef("pk"), round=OuterRef("round"), stage=OuterRef("status"), staff_id=staff_id
    )
    asked = Q(Exists(seat))
    held = RoleGrant.objects.in_force(day).filter(staff_id=staff_id, staff__is_active=True)
    for role, lft, rgt in held.values_list("role", "unit__lft", "unit__rgt"):
        if role == Role.BRANCH_MANAGER:
            asked |= Q(
                status=CaseStatus.BRANCH,
                customer__home_branch__lft__gte=lft,
                customer__home_branch__rgt__lte=rgt,
            )
        elif role in (Role.CREDIT_REVIEWER, Role.PRESIDENT):
            asked |= Q(status=next(stage for stage, r in STAGE_ROLES.items() if r == role))
    return cases.filter(asked)


def _free(cases: Any, staff_id: int, day: dt.date) -> Any:
    """Cases that a person may decide as far as the four eyes go; `objections` says the same of one case."""
    of_case = {"case_id": OuterRef("pk")}
    of_round = {**of_case, "round": OuterRef("round")}
    spoken = Opinion.objects.filter(
        Q(staff_id=staff_id) | Q(on_behalf_of_id=staff_id), voided_at__isnull=True, **of_round
    )
    recused = CaseSeat.objects.filter(staff_id=staff_id, **of_round).exclude(recused="")
    return cases.exclude(prepared_by_id=staff_id).filter(
        ~Exists(CaseMaker.objects.filter(staff_id=staff_id, **of_case)),
        ~_of_kin(staff_id, day),
        ~Exists(spoken),
        ~Exists(recused),
        Q(customer__responsible__isnull=True) | ~Q(customer__responsible_id=staff_id),
    )


def _of_kin(staff_id: int, day: dt.date) -> Q:
    """Cases whose customer or guarantor is kin of a person, as far as each case's policy reaches."""
    found = Q(pk__in=[])
    if not kin_of(staff_id, day, 0):
        return found
    reaches = CreditCase.objects.filter(status__in=STAGES).order_by().values_list("kin_steps", flat=True)
    for steps in reaches.distinct():
        kin = kin_of(staff_id, day, steps)
        promised = Guarantee.objects.filter(
            customer_id=OuterRef("customer_id"), status__in=LIVE, guarantor_id__in=kin
        )
        found |= Q(kin_steps=steps) & (Q(customer_id__in=kin) | Q(Exists(promised)))
    return found


def seen_case(actor: Actor, case_id: int) -> CreditCase:
    """A case that the actor may see. Raises CreditCase.DoesNotExist."""
    related = ("customer__home_branch", "customer__responsible", "product", "prepared_by", "line")
    shown = CaseDossier.objects.filter(case=OuterRef("pk"), hash=OuterRef("dossier_hash"))
    covered = Subquery(shown.values("content__authority__covered_pct")[:1])
    told = Subquery(shown.values("content__authority__amount")[:1])
    seen = CreditCase.objects.visible_to(actor).select_related(*related)
    found: CreditCase = seen.annotate(covered_pct=covered, asked_told=told).get(pk=case_id)
    return found


def numbered_case(actor: Actor, number: str) -> CreditCase | None:
    """The case of a number as people write it (SX-2026-0012, 2026-12), if the actor may see it."""
    parts = number.strip().upper().removeprefix("SX-").split("-")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    seen = CreditCase.objects.visible_to(actor)
    return seen.filter(year=min(int(parts[0]), 9999), serial=int(parts[1])).first()


def covered_pct(case: CreditCase) -> int | None:
    """How much of the amount asked guarantees cover that by the dossier do not cover it all, of a `seen_case`."""
    found: int | None = getattr(case, "covered_pct", None)
    return found
