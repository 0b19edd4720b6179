"""Ways to cheat an approval, through the page, over HTTP and by calling services and tables directly: none succeeds.

`CHEATS` is the table: what somebody tries, and the attempt. An attempt has failed to cheat when it raises what the
rules raise or answers with a refusal, and the case stands as before: no approval, no line, no opinion that counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import IntegrityError, connection, transaction

from credit_rating.models import (
    CaseCondition,
    CaseSeat,
    CaseStatus,
    CreditCase,
    CreditLine,
    Delegation,
    Opinion,
    StaffRelation,
)
from credit_rating.services import cases, lines
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import desk as tables
from tests.credit_rating.desk import LATER, Desk, a_case, say, to_committee, to_president

D = Decimal
Cheat = Callable[[Desk], object]
REFUSALS = (DomainError, PermissionDenied, IntegrityError, ObjectDoesNotExist)


def _opinion(desk: Desk, case: CreditCase, person: Person, **changed: object) -> Opinion:
    """Straight into the table, past every service."""
    given = {
        "case": case, "round": case.round, "stage": case.status, "part": "decision", "staff": person.staff,
        "verdict": "approve", "text": "x", "dossier_hash": case.dossier_hash, "at": LATER, "day": TODAY, **changed,
    }  # fmt: skip
    with transaction.atomic():
        return Opinion.objects.create(**given)


def own_case(desk: Desk) -> object:
    """The branch manager makes a case and decides it."""
    asked = tables.terms()
    case = cases.create_case(desk.manager.actor, customer=desk.customer, terms=asked, now=NOW)
    cases.edit_case(desk.manager.actor, case_id=case.pk, terms=asked, investigation="Fine.", now=NOW)
    cases.submit_case(desk.manager.actor, case_id=case.pk, now=NOW, today=TODAY)
    return say(desk.manager, case)


def maker_in_the_table(desk: Desk) -> object:
    """The maker writes the branch's decision into the table."""
    return _opinion(desk, a_case(desk), desk.rm)


def maker_as_delegate(desk: Desk) -> object:
    """The branch manager, away, names somebody who made the case."""
    maker = hire_twice(desk, Role.BRANCH_MANAGER)
    asked = tables.terms()
    case = cases.create_case(maker.actor, customer=desk.customer, terms=asked, now=NOW)
    cases.edit_case(maker.actor, case_id=case.pk, terms=asked, investigation="Fine.", now=NOW)
    cases.submit_case(maker.actor, case_id=case.pk, now=NOW, today=TODAY)
    cases.delegate(
        desk.manager.actor, to_id=maker.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY
    )
    return say(maker, case)


def hire_twice(desk: Desk, role: Role) -> Person:
    """One more of a role at the head office's or the branch's place."""
    place = desk.house.north if role == Role.BRANCH_MANAGER else desk.house.head_office
    number = f"second_{role}"
    from crm_site.accounts.models import GrantStatus, RoleGrant, Staff

    staff = Staff.objects.create(number=number, name=number, unit=place)
    RoleGrant.objects.create(
        staff=staff, role=role, unit=place, from_date=dt.date(2020, 1, 1), status=GrantStatus.EFFECTIVE,
        founding=True, proposed_at=NOW, decided_at=NOW,
    )  # fmt: skip
    return Person(staff, desk.house.bank)


def away_maker(desk: Desk) -> object:
    """Somebody decides in the place of the maker, who is away."""
    maker = hire_twice(desk, Role.BRANCH_MANAGER)
    asked = tables.terms()
    case = cases.create_case(maker.actor, customer=desk.customer, terms=asked, now=NOW)
    cases.edit_case(maker.actor, case_id=case.pk, terms=asked, investigation="Fine.", now=NOW)
    cases.submit_case(maker.actor, case_id=case.pk, now=NOW, today=TODAY)
    cases.delegate(
        maker.actor, to_id=desk.reviewer.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY
    )
    return say(desk.reviewer, case)


def decides_twice(desk: Desk) -> object:
    """One person with two roles decides two stages."""
    case = a_case(desk)
    say(desk.manager, case)
    return grant_and_say(desk, desk.manager, Role.CREDIT_REVIEWER, case)


def grant_and_say(desk: Desk, person: Person, role: Role, case: CreditCase) -> object:
    from crm_site.accounts.models import GrantStatus, RoleGrant

    RoleGrant.objects.create(
        staff=person.staff, role=role, unit=desk.house.head_office, from_date=dt.date(2020, 1, 1),
        status=GrantStatus.EFFECTIVE, founding=True, proposed_at=NOW, decided_at=NOW,
    )  # fmt: skip
    return say(person, case)


def votes_twice(desk: Desk) -> object:
    """A member votes again, for a member who is away."""
    case = to_committee(desk, a_case(desk))
    first, second, *_rest = desk.members
    cases.delegate(second.actor, to_id=first.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY)
    say(first, case)
    return say(first, case)


def votes_after_the_stand_in(desk: Desk) -> object:
    """A member comes back and votes although the stand-in has: two votes on one seat."""
    case = to_committee(desk, a_case(desk))
    first, second = desk.members[0], hire_twice(desk, Role.COMMITTEE_MEMBER)
    cases.delegate(first.actor, to_id=second.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY)
    say(second, case)
    return say(first, case)


def own_customer(desk: Desk) -> object:
    """The branch manager decides on a customer he looks after himself."""
    hire_twice(desk, Role.BRANCH_MANAGER)  # so that the branch still has somebody who may
    case = a_case(desk)
    type(desk.customer).objects.filter(pk=desk.customer.pk).update(responsible=desk.manager.staff)
    return say(desk.manager, case)


def relative(desk: Desk) -> object:
    """The reviewer decides on his brother's company."""
    case = a_case(desk)
    say(desk.manager, case)
    StaffRelation.objects.create(
        staff=desk.reviewer.staff, customer=desk.customer, basis="brother", from_date=TODAY, entered_at=NOW
    )
    return say(desk.reviewer, case)


def relative_in_the_table(desk: Desk) -> object:
    """The same past the services."""
    case = a_case(desk)
    StaffRelation.objects.create(
        staff=desk.manager.staff, customer=desk.customer, basis="brother", from_date=TODAY, entered_at=NOW
    )
    return _opinion(desk, case, desk.manager)


def relative_by_a_stand_in(desk: Desk) -> object:
    """Who must not decide for a relative names a friend."""
    hire_twice(desk, Role.BRANCH_MANAGER)  # so that the branch still has somebody who may
    case = a_case(desk)
    StaffRelation.objects.create(
        staff=desk.manager.staff, customer=desk.customer, basis="brother", from_date=TODAY, entered_at=NOW
    )
    cases.delegate(
        desk.manager.actor, to_id=desk.reviewer.staff.pk, from_date=TODAY, to_date=TODAY, now=NOW, today=TODAY
    )
    return say(desk.reviewer, case)


def jumps_a_stage(desk: Desk) -> object:
    """The president signs at once, before branch, headquarters and committee."""
    return say(desk.president, a_case(desk))


def status_by_hand(desk: Desk) -> object:
    """The status is set to approved in the table."""
    case = a_case(desk)
    with transaction.atomic():
        return CreditCase.objects.filter(pk=case.pk).update(status="approved")


def shorter_route_by_hand(desk: Desk) -> object:
    """The route is cut to the branch in the table."""
    case = a_case(desk)
    with transaction.atomic():
        return CreditCase.objects.filter(pk=case.pk).update(route=["branch"])


def smaller_quorum_by_hand(desk: Desk) -> object:
    """The quorum is lowered in the table, after one vote."""
    case = to_committee(desk, a_case(desk))
    say(desk.members[0], case)
    with transaction.atomic():
        CreditCase.objects.filter(pk=case.pk).update(quorum=1)
    return None


def president_over_the_committee(desk: Desk) -> object:
    """The president approves what the committee has rejected."""
    case = to_committee(desk, a_case(desk))
    for member in desk.members:
        say(member, case, "reject")
    return say(desk.president, case)


def president_revives(desk: Desk) -> object:
    """A rejected case is put before the president in the table."""
    case = to_committee(desk, a_case(desk))
    for member in desk.members:
        say(member, case, "reject")
    with transaction.atomic():
        return CreditCase.objects.filter(pk=case.pk).update(status="president")


def president_returns_twice(desk: Desk) -> object:
    """The president sends a case back a second time."""
    case = to_president(desk, a_case(desk))
    say(desk.president, case, "return")
    cases.submit_case(desk.rm.actor, case_id=case.pk, now=LATER, today=TODAY)
    to_president(desk, case)
    return say(desk.president, case, "return")


def stale(desk: Desk) -> object:
    """A decision on a dossier that is not the one that was shown."""
    return say(desk.manager, a_case(desk), dossier_hash="0" * 64)


def changed_after_the_committee(desk: Desk) -> object:
    """The amount is raised in the table after the committee has voted; the president signs."""
    case = to_president(desk, a_case(desk))
    CreditCase.objects.filter(pk=case.pk).update(amount=D(49_000_000))
    return say(desk.president, case)


def edits_under_way(desk: Desk) -> object:
    """The maker changes a case that others are deciding."""
    case = a_case(desk)
    return cases.edit_case(
        desk.rm.actor, case_id=case.pk, terms=tables.terms(1), investigation="x", now=LATER
    )


def another_branch(desk: Desk) -> object:
    """The manager of another branch decides."""
    place = desk.house.south
    from crm_site.accounts.models import GrantStatus, RoleGrant, Staff

    staff = Staff.objects.create(number="southern", name="southern", unit=place)
    RoleGrant.objects.create(
        staff=staff, role=Role.BRANCH_MANAGER, unit=place, from_date=dt.date(2020, 1, 1),
        status=GrantStatus.EFFECTIVE, founding=True, proposed_at=NOW, decided_at=NOW,
    )  # fmt: skip
    return say(Person(staff, desk.house.bank), a_case(desk))


def past_the_deadline(desk: Desk) -> object:
    """A decision on the day after the last one; the night has not run."""
    case = a_case(desk)
    assert case.deadline is not None
    return say(desk.manager, case, today=case.deadline + dt.timedelta(days=1))


def machine(desk: Desk) -> object:
    """A job or a machine client decides."""
    case = a_case(desk)
    return cases.decide(
        system_actor(desk.house.id, "job"), case_id=case.pk, verdict="approve", text="x",
        dossier_hash=case.dossier_hash, now=LATER, today=TODAY,
    )  # fmt: skip


def delegation_that_is_over(desk: Desk) -> object:
    """A stand-in decides after the other is back."""
    case = a_case(desk)
    Delegation.objects.create(
        staff=desk.manager.staff, to=desk.reviewer.staff, from_date=TODAY - dt.timedelta(days=9),
        to_date=TODAY - dt.timedelta(days=1), at=NOW,
    )  # fmt: skip
    return say(desk.reviewer, case)


def friend_on_the_committee(desk: Desk) -> object:
    """A member without a seat (a recused one is struck from the table's list) votes."""
    case = a_case(desk)
    cases.recuse(desk.members[0].actor, case_id=case.pk, reason="friend", now=LATER, today=TODAY)
    to_committee(desk, case)
    return say(desk.members[0], case)


def rewrites_an_opinion(desk: Desk) -> object:
    """A rejection is turned into an agreement in the table."""
    case = to_committee(desk, a_case(desk))
    said = say(desk.members[0], case, "reject")
    with transaction.atomic():
        return Opinion.objects.filter(pk=said.pk).update(verdict="approve")


def deletes_an_opinion(desk: Desk) -> object:
    """A rejection is deleted, so that it may be voted anew."""
    case = to_committee(desk, a_case(desk))
    said = say(desk.members[0], case, "reject")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "delete from credit_rating_opinion where bank_id = %s and id = %s", [desk.house.id, said.pk]
        )
    return None


def accepts_own_evidence(desk: Desk) -> object:
    """Who gives the evidence of a condition accepts it, past the services."""
    case = to_committee(desk, a_case(desk))
    say(desk.members[0], case, "conditional")
    with transaction.atomic():
        return CaseCondition.objects.update(
            evidence="x", evidenced_by=desk.rm.staff, accepted_by=desk.rm.staff, accepted_at=LATER
        )


def draws_before_the_conditions(desk: Desk) -> object:
    """The line of a conditional approval is freed while its condition is open."""
    case = a_case(desk)
    say(desk.manager, case, "conditional")
    to_president_from_headquarters(desk, case)
    say(desk.president, case)
    line = CreditLine.objects.get()
    assert line.status == "pending"
    try:
        return lines.activate_line(desk.reviewer.actor, line_id=line.pk, reason="x", now=LATER)
    finally:
        assert CreditLine.objects.get().status == "pending"


def to_president_from_headquarters(desk: Desk, case: CreditCase) -> None:
    say(desk.reviewer, case)
    for member in desk.members:
        say(member, case)


def seats_himself(desk: Desk) -> object:
    """A manager adds himself as a signer in the table."""
    case = a_case(desk)
    with transaction.atomic():
        return CaseSeat.objects.create(
            case=case, round=1, stage="branch", staff=desk.rm.staff, kind="signer", added_by=desk.rm.staff, at=NOW
        )  # fmt: skip


def rm_opens_a_line(desk: Desk) -> object:
    """The manager opens the line without any approval."""
    return lines.open_line(
        desk.rm.actor, customer=desk.customer, product=tables.a_product(), currency="CNY", limit=D(1),
        starts_on=TODAY, expires_on=TODAY, now=NOW,
    )  # fmt: skip


# what is tried -> by what it is refused: the code of the rule, or the words of the database
CHEATS: dict[Cheat, str] = {
    own_case: "four_eyes_maker",
    maker_in_the_table: "a maker is never the checker",
    maker_as_delegate: "four_eyes_maker",
    away_maker: "four_eyes_maker",
    decides_twice: "four_eyes_decided",
    votes_twice: "four_eyes_decided",
    votes_after_the_stand_in: "four_eyes_decided",
    own_customer: "four_eyes_own",
    relative: "four_eyes_relative",
    relative_in_the_table: "nobody decides on a relative",
    relative_by_a_stand_in: "four_eyes_relative",
    jumps_a_stage: "credit.decide",
    status_by_hand: "stage branch has not approved",
    shorter_route_by_hand: "the route changes with the dossier alone",
    smaller_quorum_by_hand: "the route changes with the dossier alone",
    president_over_the_committee: "case_status",
    president_revives: "an ended case never changes",
    president_returns_twice: "opinion",
    stale: "stale_dossier",
    changed_after_the_committee: "stale_dossier",
    edits_under_way: "case_status",
    another_branch: "matching query does not exist",
    past_the_deadline: "deadline_passed",
    machine: "credit.decide",
    delegation_that_is_over: "credit.decide",
    friend_on_the_committee: "four_eyes_recused",
    rewrites_an_opinion: "an opinion is never changed",
    deletes_an_opinion: "an opinion is never deleted",
    accepts_own_evidence: "casecondition_second_person",
    draws_before_the_conditions: "conditions_open",
    seats_himself: "caseseat_added",
    rm_opens_a_line: "credit.decide",
}


@pytest.mark.parametrize(("cheat", "refusal"), CHEATS.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_a_cheat_is_refused_and_nothing_comes_of_it(house: House, cheat: Cheat, refusal: str) -> None:
    people = tables.staffed(house)
    with bank(house.id):
        desk = tables.with_customer(people)
        with pytest.raises(REFUSALS) as refused:
            cheat(desk)
        assert refusal in f"{getattr(refused.value, 'code', '')} {refused.value}"
        if cheat is not draws_before_the_conditions:
            assert not CreditCase.objects.filter(status=CaseStatus.APPROVED).exists()
            assert not CreditLine.objects.exists()
        assert not CreditLine.objects.filter(status="active").exists()
