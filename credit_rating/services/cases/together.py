"""Cases of many customers made, submitted and approved by their branch at once: what a campaign's signature covers (C9).

Each becomes the ordinary case that `making`, `flow` and `deciding` would make of it, by the same rules and under every
guard of the database; only the reading and the writing is of many. Nobody is asked and nobody is told of one: the
signature over all of them was that. Whatever is not as plain as this is for those three: `Apart` names whose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from credit_rating.models import (
    CaseDossier,
    CaseSeen,
    CaseStatus,
    CreditCase,
    Opinion,
    OpinionPart,
    Verdict,
)
from credit_rating.models.calculations import content_hash
from credit_rating.policies import Body
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.cases import Branches, Dossier
from credit_rating.selectors.exposure import counting_each_other
from credit_rating.services.cases import flow, making
from credit_rating.services.cases.making import Terms
from credit_rating.services.cases.rules import DECIDE, PREPARE, CaseFault
from credit_rating.services.lines import open_lines
from crm_site.lib.permissions import Actor, require_person
from crm_site.lib.postgres.bulk import update_rows
from crm_site.lib.tenancy import act_as
from customers.models import Customer

Order = tuple[Customer, Terms]
_BOUND = (
    "status", "round", "submitted_at", "stage_since", "deadline", "expires_on", "as_of", "dossier_hash", "rating_id",
    "route", "route_why", "quorum", "majority_pct", "kin_steps",
)  # fmt: skip
_ENDED = ("status", "seen_hash", "closed_at", "line")


class Apart(Exception):
    """Cases of these customers have to go the way of one; nothing may be kept of what was done to all."""

    def __init__(self, customers: Iterable[int]) -> None:
        super().__init__()
        self.customers = frozenset(customers)


def approve_together(
    maker: Actor,
    approver: Actor,
    orders: Sequence[Order],
    *,
    investigation: str,
    text: str,
    now: dt.datetime,
    today: dt.date,
) -> list[CreditCase]:
    """Make, submit and approve a case for each order, in this order, and open or change its line. The orders are of
    different customers, and the maker's and the approver's word was given to all of them: `investigation`, `text`.

    Call in a transaction that is rolled back when anything is raised: Apart for cases that are not plain (one is refused,
    has not the branch alone to decide it, counts against the caps of another), DomainError or IntegrityError for anything
    that concerns who knows which.
    """
    prepared_by, decided_by = require_person(maker, PREPARE), require_person(approver, DECIDE)
    _fit(maker, approver, orders)
    act_as(maker)
    first = making.next_serial(now.year)
    cases = [
        making.draft(customer, terms, prepared_by, first + place, now, investigation)
        for place, (customer, terms) in enumerate(orders)
    ]
    CreditCase.objects.bulk_create(cases)
    branches = Branches(today)
    dossiers = _submit(cases, branches, selectors.authority_policy(today)[1], now, today)
    _may_decide(cases, dossiers, branches, decided_by)
    act_as(approver)
    _decide(cases, decided_by, text, now, today)
    _carry_out(approver, cases, dossiers, now, today)
    return cases


def _fit(maker: Actor, approver: Actor, orders: Sequence[Order]) -> None:
    """Raise Apart for whom the two do not see, who is excluded, and terms that cannot be asked for."""
    ids = [customer.pk for customer, _terms in orders]
    seen = Customer.objects.visible_to(maker).filter(pk__in=ids)
    both = set(seen.values_list("pk", flat=True)) & set(
        Customer.objects.visible_to(approver).filter(pk__in=ids).values_list("pk", flat=True)
    )
    apart = set(ids) - both
    for customer, terms in orders:
        try:
            making.check_terms(customer, terms)
        except CaseFault:
            apart.add(customer.pk)
        if customer.is_excluded:
            apart.add(customer.pk)
    if apart:
        raise Apart(apart)


def _submit(
    cases: Sequence[CreditCase], branches: Branches, policy: Body, now: dt.datetime, today: dt.date
) -> dict[int, Dossier]:
    """Bind each case to its dossier and hand it to its branch; customer -> dossier."""
    for case in cases:
        making.begin_round(case, policy, now, today)
    dossiers = selectors.dossiers_of(cases, today, branches)
    for case in cases:
        flow.take(case, dossiers[case.customer_id], today)
        flow.hand_to(case, CaseStatus.BRANCH, policy, now, today)
    apart = {case.customer_id for case in cases if case.route != [CaseStatus.BRANCH.value]}
    # Whose line counts against another's caps is approved before that other is asked about.
    wanted = {one: Decimal(dossier.content["authority"]["amount"]) for one, dossier in dossiers.items()}
    if apart := apart | counting_each_other(wanted, today):
        raise Apart(apart)
    bound = [(case, dossiers[case.customer_id]) for case in cases]
    CaseDossier.objects.bulk_create(
        CaseDossier(case=case, hash=case.dossier_hash, content=dossier.content, at=now)
        for case, dossier in bound
    )
    flow.keep_makers(bound)
    update_rows(cases, _BOUND)
    return dossiers


def _may_decide(
    cases: Sequence[CreditCase], dossiers: Mapping[int, Dossier], branches: Branches, staff_id: int
) -> None:
    """Raise Apart for cases that the approver does not decide at their branch by himself, or must not, and for those
    whose caps ask for a ground. Of a case that was made just now nobody has spoken and nobody is recused."""
    debtors = selectors.debtors_of([case.customer_id for case in cases])
    apart = set()
    for case in cases:
        dossier = dossiers[case.customer_id]
        makers = {case.prepared_by_id, *(who for who, _part in dossier.makers)}
        against = selectors.against(
            staff_id, makers, case.customer.responsible_id, debtors[case.customer_id],
            branches.kin(staff_id, case.kin_steps),
        )  # fmt: skip
        decides = staff_id in branches.deciding(case.customer)
        if against or not decides or dossier.content["authority"].get("breaks_cap"):
            apart.add(case.customer_id)
    if apart:
        raise Apart(apart)


def _decide(cases: Sequence[CreditCase], staff_id: int, text: str, now: dt.datetime, today: dt.date) -> None:
    """The branch agrees: its opinion on each, with what stood beside the dossier."""
    seen = selectors.seen_contents(cases, today)
    for case in cases:
        case.seen_hash = content_hash(seen[case.customer_id])
    CaseSeen.objects.bulk_create(
        CaseSeen(case=case, hash=case.seen_hash, content=seen[case.customer_id], at=now) for case in cases
    )
    Opinion.objects.bulk_create(
        Opinion(
            case=case, round=case.round, stage=case.status, part=OpinionPart.DECISION, staff_id=staff_id,
            dossier_hash=case.dossier_hash, at=now, day=today, verdict=Verdict.APPROVE, text=text.strip(),
            seen_hash=case.seen_hash,
        )
        for case in cases
    )  # fmt: skip


def _carry_out(
    approver: Actor, cases: Sequence[CreditCase], dossiers: Mapping[int, Dossier], now: dt.datetime, today: dt.date
) -> None:  # fmt: skip
    """End the cases as approved and open their lines; what has a line or guarantees is carried out one by one."""
    plain = [c for c in cases if c.line is None and not dossiers[c.customer_id].content["guarantees"]]
    openings = [flow.opening_of(case, today, waits=False) for case in plain]
    opened = open_lines(approver, openings=openings, starts_on=today, now=now) if plain else []
    for case, line in zip(plain, opened, strict=True):
        case.line = line
    for case in cases:
        case.status, case.closed_at = CaseStatus.APPROVED, now
    update_rows(cases, _ENDED)
    done = {case.pk for case in plain}
    for case in cases:
        if case.pk not in done:
            flow.carry_out(approver, case, now, today)
