"""Ties that staff record or end while credit is being decided: a case sees them, and nobody dodges a cap by them."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating.models import CaseStatus, CreditCase, CreditLine, Delegation, Opinion, TieCorrection
from credit_rating.selectors import ties
from credit_rating.selectors.makers import hands_on
from credit_rating.services import cases
from credit_rating.services.cases import CaseFault
from crm_site.accounts.models import GrantStatus, RoleGrant
from crm_site.audit.models import Entry
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers import services
from customers.models import Customer, FxRate, RecordedTie, Relation
from tests.conftest import NOW, TODAY, Person, hire
from tests.credit_rating.desk import LATER, Desk, a_case, say
from tests.credit_rating.lines import a_line
from tests.customers.factories import make_customer

SignIn = Callable[[Person], Client]
MILLION = 1_000_000
# 200 million: 20 may be lent to one customer, and credit of 30 is enough for one or a group
pytestmark = pytest.mark.usefixtures("capital", "the_pages_day")


def sister(desk: Desk, name: str = "Sister Works", loans: int = 0, kind: str = "corporate") -> Customer:
    return make_customer(
        name, kind=kind, home_branch=desk.house.north, responsible=desk.rm.staff, loans=Decimal(loans)
    )


def tie(
    who: Person, one: Customer, other: Customer, kind: str = "common_control", **more: Any
) -> RecordedTie:
    return services.record_tie(
        who.actor, customer=one, other=other.number, kind=kind, is_from=True, evidence="register",
        submission=uuid.uuid4(), now=NOW, **more,
    )  # fmt: skip


def end(who: Person, record: RecordedTie) -> RecordedTie:
    return services.end_tie(who.actor, record=record, ended_date=TODAY, reason="over", now=NOW)


def test_a_tie_recorded_on_the_way_is_shown_as_moved_and_voids_what_it_makes_break(
    desk: Desk, client_for: SignIn
) -> None:
    with bank(desk.house.id):
        case = a_case(desk, 15 * MILLION)
        say(desk.manager, case)
        tie(desk.reviewer, sister(desk, loans=1 * MILLION), desk.customer)
    page = client_for(desk.reviewer).get(f"/credit/cases/{case.pk}/").content.decode()
    told = page[page.index("Since the opinion of") :]
    assert "Has come to the group or connected customers: Sister Works" in told
    assert "Common control" in told[: told.index("</section>")]
    with bank(desk.house.id):
        assert Opinion.objects.filter(voided_at=None).exists()  # no cap is broken: what was said stands
        tie(desk.rm, sister(desk, "Big Sister", loans=25 * MILLION), desk.customer)
        with pytest.raises(Conflict, match="begins again"):
            say(desk.reviewer, case)
        case.refresh_from_db()
        assert (case.status, case.route_why) == (CaseStatus.BRANCH, "breaks_cap")
        assert not Opinion.objects.filter(voided_at=None).exists()
    page = client_for(desk.manager).get(f"/credit/cases/{case.pk}/").content.decode()
    told = page[page.index('id="voided"') : page.index("<h2")]
    assert "The earlier opinions of this round are void since" in told
    assert "Approval route · Why: more than was calculated" not in told
    assert "→ <b>it breaks a regulator" in told  # in words
    assert "breaks_cap" not in told
    assert "Has come to the group or connected customers: Big Sister" in told


def test_no_tie_that_a_case_under_way_may_count_is_ended(desk: Desk) -> None:
    """Its own, one within its group, one of a relative, one of who depends on a member: none; another's is."""
    with bank(desk.house.id):
        mother, daughter, owner, wife, supplier = (
            sister(desk, f"N{n}", kind="personal" if n in (2, 3) else "corporate") for n in range(5)
        )
        own = tie(desk.rm, mother, desk.customer, "parent_company", share=Decimal("0.8"))
        within = tie(desk.rm, mother, daughter, "parent_company")
        by_owner = tie(desk.rm, owner, mother, "legal_representative")
        kin = tie(desk.rm, owner, wife, "family")
        trade = tie(desk.rm, supplier, daughter, "supplier", share=Decimal("0.7"))
        strangers = tie(desk.rm, sister(desk, "X1"), sister(desk, "X2"))
        case = a_case(desk, 15 * MILLION)
        for record in (own, within, by_owner, trade):
            with pytest.raises(Conflict, match=case.number):
                end(desk.reviewer, record)
        end(desk.rm, strangers)
        end(desk.rm, kin)  # whoever is kin of the wife is three steps away; and the owner controls nobody
        cases.withdraw_case(desk.rm.actor, case_id=case.pk, now=NOW, today=TODAY)
        for record in (own, within, by_owner, trade):
            end(desk.rm, record)
        assert not Relation.objects.exists()


def test_the_database_keeps_a_tie_of_who_has_a_case(desk: Desk) -> None:
    with bank(desk.house.id):
        record = tie(desk.rm, sister(desk), desk.customer)
        a_case(desk, 15 * MILLION)
        ended = {"ended_at": NOW, "ended_date": TODAY, "ended_by": desk.rm.staff, "end_reason": "over"}
        RecordedTie.objects.filter(pk=record.pk).update(**ended)
        with pytest.raises(IntegrityError, match="a case that counts this tie"), transaction.atomic():
            Relation.objects.filter(record=record).delete()


def test_kin_is_asked_as_far_as_a_case_was_computed_with(desk: Desk) -> None:
    """The policy went four steps when the case was submitted and goes two today: the fourth still counts."""
    with bank(desk.house.id):
        wife, cousin, aunt = (sister(desk, f"N{n}", kind="personal") for n in range(3))
        tie(desk.rm, wife, desk.customer, "legal_representative")
        for one, other in ((wife, cousin), (cousin, aunt)):
            tie(desk.rm, one, other, "family")
        farthest = tie(desk.rm, aunt, sister(desk, "Registered", kind="personal"), "family")
        case = a_case(desk, 15 * MILLION)
        CreditCase.objects.filter(pk=case.pk).update(kin_steps=4)
        with pytest.raises(Conflict, match=case.number):
            end(desk.reviewer, farthest)
        CreditCase.objects.filter(pk=case.pk).update(kin_steps=3)
        end(desk.reviewer, farthest)


def test_a_tie_of_a_related_party_is_kept_while_another_is_decided_on(desk: Desk) -> None:
    """One cap counts all related parties and their groups together."""
    with bank(desk.house.id):
        other, daughter = sister(desk, "Another insider"), sister(desk, "Its daughter", loans=5 * MILLION)
        record = tie(desk.rm, other, daughter, "parent_company")
        Customer.objects.filter(pk__in=(other.pk, desk.customer.pk)).update(is_related_party=True)
        case = a_case(desk, 15 * MILLION)
        with pytest.raises(Conflict, match=case.number):
            end(desk.reviewer, record)


def test_the_forms_say_what_holds_a_tie_and_until_when(desk: Desk, client_for: SignIn) -> None:
    """Before it is recorded and when it is to end; a case is named to who sees it."""
    stranger = hire(desk.house, "stranger", Role.RELATIONSHIP_MANAGER, desk.house.north)
    with bank(desk.house.id):
        mother = sister(desk, "Mother")
        theirs = make_customer(
            "Theirs", kind="corporate", home_branch=desk.house.north, responsible=stranger.staff
        )
        case = a_case(desk, 15 * MILLION)
    asked = f"/customers/{desk.customer.pk}/ties/new/?other={mother.number}"
    page = client_for(desk.rm).get(asked).content.decode()
    assert f"/credit/cases/{case.pk}/" in page
    assert "until 18 Feb 2027 at the latest" in page
    assert "cannot be ended, not even when it was recorded by mistake" in page
    unseen = f"/customers/{theirs.pk}/ties/new/?other={desk.customer.number}"
    page = client_for(stranger).get(unseen).content.decode()
    assert case.number not in page
    assert "1 case that you do not see" in page
    with bank(desk.house.id):
        record = tie(desk.rm, mother, desk.customer, "parent_company")
    address = f"/customers/{desk.customer.pk}/ties/{record.pk}/end/"
    client = client_for(desk.rm)
    page = client.get(address).content.decode()
    assert case.number in page
    assert "until 18 Feb 2027 at the latest" in page
    assert "btn-danger" not in page  # nothing to press
    sent = {"ended_date": "2026-11-20", "reason": "over"}
    assert client.post(address, sent).status_code == 422
    with bank(desk.house.id):
        assert Relation.objects.filter(record=record).exists()


def test_risk_declares_a_tie_mistaken_and_the_cases_that_counted_it_begin_again(
    desk: Desk, hq_risk: Person, auditor: Person, client_for: SignIn
) -> None:
    with bank(desk.house.id):
        far = sister(desk, "Far")
        mother = sister(desk, "Mother", loans=25 * MILLION)
        tie(desk.rm, mother, desk.customer, "parent_company")
        wrong = tie(desk.rm, mother, far, "parent_company")
        case = a_case(desk, 15 * MILLION)
        say(desk.manager, case)
        seal = case.dossier_hash
        address = f"/customers/{mother.pk}/ties/{wrong.pk}/end/"
    sent = {"ended_date": "2026-11-20", "reason": "mistake", "note": "Another Far Works"}
    assert client_for(desk.reviewer).post(address, sent).status_code == 422  # nobody else may
    client = client_for(hq_risk)
    assert "Declare it mistaken" in client.get(address).content.decode()
    assert client.post(address, {**sent, "note": ""}).status_code == 422
    assert client.post(address, {**sent, "reason": "over"}).status_code == 422
    assert client.post(address, sent).status_code == 302
    with bank(desk.house.id):
        case.refresh_from_db()
        assert not Relation.objects.filter(record=wrong).exists()
        assert (case.status, case.opinions.filter(voided_at=None).count()) == (CaseStatus.BRANCH, 0)
        assert case.dossier_hash != seal
        assert case.makers.filter(staff=hq_risk.staff, part="tie").exists()
        with pytest.raises(IntegrityError), transaction.atomic():
            TieCorrection.objects.update(why="nothing")
    page = client_for(desk.reviewer).get(f"/credit/cases/{case.pk}/").content.decode()
    told = page[page.index('id="voided"') : page.index("<h2")]
    assert "a tie (Parent company) was declared mistaken on" in told
    assert "Another Far Works" in told
    with bank(desk.house.id):
        of_correction = Entry.objects.filter(object_table="credit_rating_tiecorrection")
        assert [row.reason for row in of_correction] == ["Another Far Works"]
        other = tie(desk.rm, sister(desk, "New"), desk.customer)
        stranger = tie(desk.rm, sister(desk, "X1"), sister(desk, "X2"))
    rows = client_for(auditor).get("/audit/", {"case": case.number}).context["rows"]
    ties = {row.entry.object_id for row in rows if row.entry.object_table == "customers_recordedtie"}
    assert {wrong.pk, other.pk} <= ties and stranger.pk not in ties


def test_the_circle_of_a_case_in_the_record_counts_what_ended_lines_carry_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As among the loans, like the caps: beside its limit it would draw in who is not connected."""
    asked: list[Decimal | None] = []

    def noted(limits: Any, day: dt.date, undone: dt.datetime) -> Any:
        asked.extend(limits.values())
        return dict.fromkeys(limits, ())

    monkeypatch.setattr(ties, "circles_of", noted)
    with bank(desk.house.id):
        line = a_line(desk.house, customer=desk.customer, limit=5_000_000)
        CreditLine.objects.filter(pk=line.pk).update(status="expired", utilised=3_000_000)
        case = a_case(desk, 20_000_000)
        ties.ties_counted(case, TODAY)
        FxRate.objects.all().delete()
        CreditCase.objects.filter(pk=case.pk).update(currency="USD")
        ties.ties_counted(CreditCase.objects.get(pk=case.pk), TODAY)
    assert asked == [Decimal(20_000_000), None]


def test_a_form_that_was_opened_before_a_case_began_says_so_and_goes_on(
    desk: Desk, hq_risk: Person, client_for: SignIn
) -> None:
    """That it is over was meant before the case: it is refused in words, and what is offered then is the mistake."""
    with bank(desk.house.id):
        record = tie(desk.rm, sister(desk), desk.customer)
        case = a_case(desk, 15 * MILLION)
    address, sent = f"/customers/{desk.customer.pk}/ties/{record.pk}/end/", {"ended_date": "2026-11-20"}
    client = client_for(hq_risk)
    answer = client.post(address, {**sent, "reason": "over", "note": "Sold"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f"Under way, and may count this tie: {case.number}" in page
    [offered] = re.findall(r'name="reason" value="(\w+)"', page)
    assert (
        client.post(address, {**sent, "reason": offered, "note": "Another of that name"}).status_code == 302
    )


def test_nobody_declares_a_tie_mistaken_in_whose_place_somebody_has_spoken(desk: Desk) -> None:
    """In a round before this one too: by the service's own words, before the database says no."""
    both = hire(desk.house, "both", Role.CREDIT_REVIEWER, desk.house.head_office)
    with bank(desk.house.id):
        RoleGrant.objects.create(
            staff=both.staff, role=Role.RISK, unit=desk.house.head_office, from_date=dt.date(2020, 1, 1),
            status=GrantStatus.EFFECTIVE, founding=True, proposed_at=NOW, decided_at=NOW,
        )  # fmt: skip
        wrong = tie(desk.rm, sister(desk), desk.customer)
        case = a_case(desk, 15 * MILLION)
        Delegation.objects.create(
            staff=both.staff, to=desk.manager.staff, from_date=TODAY, to_date=TODAY, at=NOW
        )
        Opinion.objects.create(
            case=case, round=1, stage="branch", part="decision", staff=desk.manager.staff, on_behalf_of=both.staff,
            verdict="approve", text="x", dossier_hash=case.dossier_hash, at=LATER, day=TODAY, voided_at=LATER,
        )  # fmt: skip
        with pytest.raises(DomainError) as refused:
            mistaken(both, wrong)
        assert refused.value.code == "four_eyes_tie"


def test_nobody_declares_a_tie_mistaken_who_has_a_hand_in_what_counts_it(desk: Desk, hq_risk: Person) -> None:
    """Who recorded it, who made the case, who has spoken: through the service and past it."""
    both = hire(desk.house, "both", Role.CREDIT_REVIEWER, desk.house.head_office)
    with bank(desk.house.id):
        RoleGrant.objects.create(
            staff=both.staff, role=Role.RISK, unit=desk.house.head_office, from_date=dt.date(2020, 1, 1),
            status=GrantStatus.EFFECTIVE, founding=True, proposed_at=NOW, decided_at=NOW,
        )  # fmt: skip
        wrong = tie(hq_risk, sister(desk), desk.customer)
        case = a_case(desk, 15 * MILLION)
        say(desk.manager, case)
        say(both, case)
        for who, code in ((hq_risk, "own_tie"), (both, "four_eyes_tie")):
            with pytest.raises(DomainError) as refused:
                mistaken(who, wrong)
            assert refused.value.code == code
            with pytest.raises(IntegrityError, match="declares no tie"), transaction.atomic():
                TieCorrection.objects.create(case=case, record=wrong, why="x", by=who.staff, at=NOW)
        assert Relation.objects.filter(record=wrong).exists()


def mistaken(who: Person, record: RecordedTie) -> RecordedTie:
    return services.end_tie(
        who.actor, record=record, ended_date=TODAY, reason="mistake", note="Another of that name", now=NOW
    )


def ties_makers(desk: Desk, day: dt.date = TODAY) -> set[int]:
    return {
        staff for staff, part in hands_on({desk.customer.pk: None}, day)[desk.customer.pk] if part == "tie"
    }


def test_who_recorded_or_ended_a_tie_does_not_decide_for_a_year(desk: Desk) -> None:
    with bank(desk.house.id):
        end(desk.manager, tie(desk.rm, sister(desk, loans=25 * MILLION), desk.customer))
        assert ties_makers(desk) == {desk.manager.staff.pk, desk.rm.staff.pk}
        assert not ties_makers(desk, TODAY + dt.timedelta(days=400))
        case = a_case(desk, 15 * MILLION)
        assert case.status == CaseStatus.HEADQUARTERS  # nobody else may decide at the branch


def _deep(desk: Desk) -> None:
    """Of the mother's other daughter: two ties away."""
    mother = sister(desk, "Mother")
    tie(desk.rm, mother, desk.customer, "parent_company")
    tie(desk.manager, mother, sister(desk, "Other daughter"), "parent_company")


def _too_small(desk: Desk) -> None:
    """What he holds of the mother is said to be less than control."""
    mother = sister(desk, "Mother")
    tie(desk.rm, mother, desk.customer, "parent_company")
    tie(desk.manager, sister(desk, "Grandmother"), mother, "shareholder", share=Decimal("0.1"))


def _ended_deep(desk: Desk) -> None:
    """Two ties in a row have ended: who ended the farther one touched no member that is left."""
    mother, aunt = sister(desk, "Mother"), sister(desk, "Aunt")
    near = tie(desk.rm, mother, desk.customer, "parent_company")
    far = tie(desk.rm, mother, aunt)
    end(desk.manager, far)
    end(desk.rm, near)


def _no_controller(desk: Desk) -> None:
    """The owner's husband belonged to the group while he held a company of his own."""
    wife, husband = (sister(desk, name, kind="personal") for name in ("Wife", "Husband"))
    tie(desk.rm, wife, desk.customer, "shareholder", share=Decimal("0.8"))
    tie(desk.rm, wife, husband, "family")
    end(desk.manager, tie(desk.rm, husband, sister(desk, "His"), "shareholder", share=Decimal("0.9")))


def _dependent(desk: Desk) -> None:
    """A supplier that lives off the customer, once the customer has what it asks for."""
    supplier = sister(desk, "Supplier")
    tie(desk.rm, supplier, desk.customer, "supplier", share=Decimal("0.9"))
    tie(desk.manager, sister(desk, "Its mother"), supplier, "parent_company")


@pytest.mark.parametrize("made", [_deep, _too_small, _ended_deep, _no_controller, _dependent])
def test_nobody_decides_on_a_group_that_he_has_drawn(desk: Desk, made: Callable[[Desk], None]) -> None:
    """Ties deeper in the group than the customer's own, through the services and past them."""
    hire(desk.house, "second", Role.BRANCH_MANAGER, desk.house.north)  # so that the case stays at the branch
    with bank(desk.house.id):
        made(desk)
        case = a_case(desk, 15 * MILLION)
        assert case.status == CaseStatus.BRANCH
        with pytest.raises(CaseFault) as refused:
            say(desk.manager, case)
        assert refused.value.code == "four_eyes_maker"
        with pytest.raises(IntegrityError, match="a maker is never the checker"), transaction.atomic():
            _past_the_services(desk, case)


def test_a_tie_recorded_on_the_way_makes_a_maker_at_the_next_act_and_in_the_database_at_once(
    desk: Desk,
) -> None:
    hire(desk.house, "second", Role.BRANCH_MANAGER, desk.house.north)
    with bank(desk.house.id):
        case = a_case(desk, 15 * MILLION)
        tie(desk.manager, sister(desk), desk.customer)
        assert not case.makers.filter(staff=desk.manager.staff).exists()
        with pytest.raises(IntegrityError, match="recorded or ended a tie"), transaction.atomic():
            _past_the_services(desk, case)
        with pytest.raises(CaseFault, match="does not decide"):
            say(desk.manager, case)
        assert case.makers.filter(staff=desk.manager.staff, part="tie").exists()


def _past_the_services(desk: Desk, case: CreditCase) -> None:
    Opinion.objects.create(
        case=case, round=1, stage="branch", part="decision", staff=desk.manager.staff, verdict="approve", text="x",
        dossier_hash=case.dossier_hash, at=LATER, day=TODAY,
    )  # fmt: skip
