"""A case that breaks a cap of the regulator: whoever agrees says why it may, on record, up to the president."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from credit_rating.engine.exposure import CapUse
from credit_rating.models import BankCapital, CaseStatus, CreditCase, Opinion
from credit_rating.services import cases
from credit_rating.services.cases import CaseFault
from crm_site.audit.models import Entry
from crm_site.lib.tenancy import bank
from tests.conftest import NOW, PASSWORD, TODAY, Person
from tests.credit_rating.desk import Desk, a_case, say, to_committee

SignIn = Callable[[Person], Client]
GROUND = "Its own deposits secure the part above the cap."
MILLION = 1_000_000
# 200 million: 20 may be lent to one customer, and credit of 30 is enough for one or a group
pytestmark = pytest.mark.usefixtures("capital", "the_pages_day")


@pytest.mark.parametrize(
    ("amount", "broken"),
    [
        (20 * MILLION, set()),  # 10% of net capital, and a cap is kept when the amount equals it
        (Decimal("20000000.01"), {"single_loan"}),
        (Decimal("30000000.01"), {"single_loan", "single_group", "single_exposure"}),
    ],
)
def test_who_agrees_with_what_breaks_a_cap_says_why(
    desk: Desk, amount: int | Decimal, broken: set[str]
) -> None:
    with bank(desk.house.id):
        case = a_case(desk, amount)
        assert (case.route_why == "breaks_cap") is bool(broken)
        if broken:
            for ground in ("", "  \n "):
                with pytest.raises(CaseFault) as fault:
                    say(desk.manager, case, cap_ground=ground)
                assert set(fault.value.fields) == {"cap_ground"}
            assert not Opinion.objects.exists()
        said = say(desk.manager, case, cap_ground=GROUND)
    assert {told["code"] for told in said.broken_caps} == broken
    assert said.cap_ground == (GROUND if broken else "")  # nobody is on record with a ground for nothing
    if broken:
        loan = CapUse.from_json(said.broken_caps[0])
        assert (loan.amount, loan.cap, loan.pct) == (Decimal(amount), 20 * MILLION, Decimal("0.1"))


@pytest.mark.parametrize("verdict", ["reject", "return"])
def test_who_does_not_agree_needs_no_ground(desk: Desk, verdict: str) -> None:
    with bank(desk.house.id):
        said = say(desk.manager, a_case(desk, 21 * MILLION), verdict)
    assert (said.broken_caps, said.cap_ground) == ([], "")


def test_every_vote_and_the_last_signature_have_a_ground_of_their_own(desk: Desk) -> None:
    with bank(desk.house.id):
        case = a_case(desk, 21 * MILLION)
        assert case.route[-1] == "president"
        for person in (desk.manager, desk.reviewer):
            say(person, case, cap_ground=GROUND)
        with pytest.raises(CaseFault, match="regulator's cap"):
            say(desk.members[0], case, cap_ground="")
        say(desk.members[0], case, "abstain")
        for member in desk.members[1:]:
            say(member, case, "conditional", cap_ground=GROUND)
        with pytest.raises(CaseFault, match="regulator's cap"):
            say(desk.president, case, cap_ground="")
        say(desk.president, case, cap_ground=GROUND)
        assert case.status == CaseStatus.APPROVED
        grounds = dict(Opinion.objects.values_list("verdict", "cap_ground"))
    assert grounds == {"approve": GROUND, "conditional": GROUND, "abstain": ""}


def test_a_cap_that_breaks_on_the_way_voids_what_was_said_without_a_ground(
    desk: Desk, client_for: SignIn
) -> None:
    with bank(desk.house.id):
        case = to_committee(desk, a_case(desk, 15 * MILLION))
        BankCapital.objects.update(net_capital=100 * MILLION)
    member = client_for(desk.members[0])
    member.post("/accounts/reauthenticate/", {"password": PASSWORD})
    given = {"verdict": "approve", "text": "Yes.", "dossier_hash": case.dossier_hash, "cap_ground": GROUND}
    page = f"/credit/cases/{case.pk}/"
    answer = member.post(f"{page}decide/", given)
    assert (answer.status_code, answer.headers["Location"]) == (302, page)
    told = member.get(page).content.decode()  # the case is back at the branch: no form of his, but why
    assert "earlier opinions of this round are void" in told
    assert "You had written:</b><div>Yes." in told
    assert "Approval route · Breaks a regulator&#x27;s cap: – → <b>yes</b>" in told
    with bank(desk.house.id):
        case.refresh_from_db()
        assert (case.status, case.route_why) == (CaseStatus.BRANCH, "breaks_cap")
        assert not Opinion.objects.filter(voided_at=None).exists()


def test_several_at_once_leave_it_to_be_decided_by_itself(desk: Desk) -> None:
    with bank(desk.house.id):
        case = a_case(desk, 21 * MILLION)
        batch = cases.decide_batch(
            desk.manager.actor, items=[(case.pk, case.dossier_hash)], verdict="approve", text="Seen.", now=NOW,
            today=TODAY,
        )  # fmt: skip
        case.refresh_from_db()
    assert batch.done == []
    assert [number for number, why in batch.exceptions if "cap" in why] == [case.number]
    assert case.status == CaseStatus.BRANCH


def test_the_database_keeps_no_broken_cap_without_its_ground(desk: Desk) -> None:
    with bank(desk.house.id):
        case = a_case(desk, 21 * MILLION)
        said = Opinion(
            case=case, round=1, stage="branch", part="decision", staff=desk.manager.staff, verdict="approve", text="Yes.",
            dossier_hash=case.dossier_hash, at=NOW, day=TODAY, broken_caps=[{"code": "single_loan"}],
        )  # fmt: skip
        with pytest.raises(IntegrityError, match="opinion_cap_ground"), transaction.atomic():
            said.save()


def test_page_and_paper_ask_for_the_ground_and_keep_it(desk: Desk, client_for: SignIn) -> None:
    with bank(desk.house.id):
        case = a_case(desk, 21 * MILLION)
    page = f"/credit/cases/{case.pk}/"
    client = client_for(desk.manager)
    shown = client.get(page).content.decode()
    assert "Why the cap may be exceeded" in shown
    assert "it breaks a regulator&#x27;s cap, so the president decides" in shown
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    given = {"verdict": "approve", "text": "Seen.", "conditions": "", "dossier_hash": case.dossier_hash}
    refused = client.post(f"{page}decide/", given)
    assert refused.status_code == 422
    box = refused.content.decode().partition('name="cap_ground"')[2].partition("</div>\n<p")[0]
    assert "say why it may be exceeded" in box.partition('class="checks"')[0]
    assert client.post(f"{page}decide/", given | {"cap_ground": GROUND}).status_code == 302
    for url in (page, f"{page}print/"):
        told = client.get(url).content.decode()
        assert GROUND in told
        assert "105.0%" in told
    with bank(desk.house.id):
        assert CreditCase.objects.get().status == CaseStatus.HEADQUARTERS
        kept = Entry.objects.get(object_table="credit_rating_opinion")
    assert (kept.reason, kept.changes["cap_ground"]) == (case.number, GROUND)
