"""From what is on record to a limit: gathered, tried, saved for good."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from credit_rating.models import Guarantee, GuaranteeStatus, LineCalculation, Statement
from credit_rating.revaluations import revaluations, say
from credit_rating.selectors.calculations import Terms, WhatIf, moved_from, reckon
from credit_rating.selectors.guarantees import guarantees_of, known_thing
from credit_rating.services import calculations, collection, guarantees, statements
from credit_rating.services.calculations import CalculationFault
from credit_rating.services.guarantees import GuaranteeFault, Thing
from credit_rating.services.statements import StatementFault
from crm_site.lib.errors import Conflict
from crm_site.lib.registry import RunContext
from crm_site.work.models import Task
from customers.models import Customer
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.customers.factories import make_customer

D = Decimal
ASKED = Terms("A", 12, D(3_000_000))


@pytest.fixture
def company(inside: House, rm: Person) -> Customer:
    return make_customer(
        "Silian", kind="corporate", size="medium", home_branch=inside.north, responsible=rm.staff
    )


def test_a_company_is_reckoned_from_statements_form_and_guarantees(company: Customer, rm: Person) -> None:
    book.add_statements(company)
    book.collect(rm.actor, company)
    book.mortgage(rm.actor, company)
    found = reckon(rm.actor, company, ASKED, day=TODAY)
    steps = {s.code: s.amount for s in found.steps}
    assert steps["net_assets_method"] == (10_000_000 - 1_000_000) * D("0.6")
    assert steps["cash_flow_method"] == 2_500_000 * D("3.2")
    # 4,000,000 × 60% = 2,400,000 usable, a fifth of it is added
    assert (found.usable, steps["guarantees"]) == (2_400_000, 480_000)
    assert steps["other_banks"] == -500_000
    # 45 + 50 − 37.5 + 5 − 5 days; 36,000,000 × 0.9167 × 1.1 / (360 / 57.5) − 1,000,000
    assert (steps["operating_cycle"], steps["working_capital_method"]) == (D("57.5"), D("4798127.10"))
    assert found.limit == 4_770_000  # 4,798,127.10 − 500,000 + 480,000, down to 10,000
    assert {i.code: i.source for i in found.inputs}["own_funds"] == "collected"
    assert found.covered == D("0.8")
    assert found.price is not None
    assert found.price.rate > 0


def test_what_is_missing_is_named_and_nothing_is_guessed(company: Customer, rm: Person) -> None:
    found = reckon(rm.actor, company, ASKED, day=TODAY)
    assert found.limit is None
    assert {"equity", "sales", "own_funds", "other_banks", "operating_cash_flow"} <= set(found.missing)
    with pytest.raises(CalculationFault):
        calculations.save_calculation(rm.actor, customer=company, terms=ASKED, day=TODAY, now=NOW)


def test_a_grade_without_a_row_gets_no_line(company: Customer, rm: Person) -> None:
    book.add_statements(company)
    book.collect(rm.actor, company)
    found = reckon(rm.actor, company, replace(ASKED, grade="CCC"), day=TODAY)
    assert (found.limit, found.refused) == (None, "grade")


def test_what_if_moves_the_limit_and_leaves_no_trace(company: Customer, rm: Person) -> None:
    book.add_statements(company)
    book.collect(rm.actor, company)
    before = reckon(rm.actor, company, ASKED, day=TODAY).limit
    tried = reckon(rm.actor, company, ASKED, day=TODAY, what_if=WhatIf("residence", D(1_000_000)))
    assert before is not None
    assert tried.limit == before + 140_000  # 1,000,000 × 70% × 20%
    assert moved_from(rm.actor, tried) == before
    lower = WhatIf(coefficients={"net_asset_coefficient": D("0.3")})
    assert reckon(rm.actor, company, ASKED, day=TODAY, what_if=lower).limit == 2_200_000
    longer = reckon(rm.actor, company, replace(ASKED, term_months=36), day=TODAY)
    assert longer.limit is not None
    assert longer.limit < before
    assert not LineCalculation.objects.exists()


@pytest.mark.parametrize("kind", ["sme", "personal", "household"])
def test_every_other_kind_has_its_method(inside: House, rm: Person, kind: str) -> None:
    values = {
        "sme": {"other_banks": "0"},
        "personal": {"monthly_income": "20000", "monthly_debt_service": "3000", "other_banks": "0"},
        "household": {"household_income": "180000", "household_costs": "70000", "household_wages": "50000",
                      "household_members": "4", "household_assets": "500000", "household_debts": "100000",
                      "other_banks": "0"},
    }[kind]  # fmt: skip
    base, size = ("corporate", "small") if kind == "sme" else (kind, "")
    customer = make_customer(kind=base, size=size, home_branch=inside.north, responsible=rm.staff)
    if kind == "sme":
        book.add_statements(customer)
    book.collect(rm.actor, customer, values)
    found = reckon(rm.actor, customer, replace(ASKED, requested=D(100_000)), day=TODAY)
    assert found.kind == kind
    assert found.limit is not None
    assert found.limit > 0
    expected = {"sme": 5_400_000, "household": 160_000}.get(kind)
    assert expected is None or found.limit == expected


def test_a_saved_calculation_is_whole_and_stays(company: Customer, rm: Person) -> None:
    book.add_statements(company)
    book.collect(rm.actor, company)
    saved = calculations.save_calculation(rm.actor, customer=company, terms=ASKED, day=TODAY, now=NOW)
    again = calculations.save_calculation(rm.actor, customer=company, terms=ASKED, day=TODAY, now=NOW)
    assert saved.pk == again.pk
    stored = LineCalculation.objects.get(pk=saved.pk)
    assert stored.is_whole
    assert set(stored.content["policies"]) == {"methods", "haircuts", "caps", "pricing", "grades"}
    Statement.objects.filter(customer=company, year=2025).delete()
    stored.refresh_from_db()
    assert stored.is_whole
    with pytest.raises(IntegrityError), transaction.atomic():
        LineCalculation.objects.filter(pk=saved.pk).update(limit=D(9_000_000))
    with pytest.raises(IntegrityError), transaction.atomic():
        LineCalculation.objects.filter(pk=saved.pk).delete()


def test_only_who_prepares_may_save(company: Customer, hq_credit: Person, rm_other_branch: Person) -> None:
    with pytest.raises(PermissionDenied):
        calculations.save_calculation(hq_credit.actor, customer=company, terms=ASKED, day=TODAY, now=NOW)
    with pytest.raises(Customer.DoesNotExist):
        calculations.save_calculation(
            rm_other_branch.actor, customer=company, terms=ASKED, day=TODAY, now=NOW
        )


# -- collection ---------------------------------------------------------------------------------------------------


def test_two_people_see_what_they_both_changed_and_lose_nothing(
    company: Customer, rm: Person, branch_manager: Person
) -> None:
    def save(who: Person, typed: dict[str, str], base: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        saved = collection.save_draft(
            who.actor, customer=company, typed=typed, base=base, source="seen", now=NOW, today=TODAY
        )
        return saved.changed, saved.theirs

    assert save(rm, {"own_funds": "100", "purpose": "cloth"}, {}) == (["own_funds", "purpose"], {})
    # another field of the same form: both stand
    assert save(branch_manager, {"own_funds": "", "growth": "12.5"}, {}) == (["growth"], {})
    # the phone repeats what it does not know to have arrived: nothing changes
    assert save(rm, {"own_funds": "100"}, {}) == ([], {})
    # both changed one field: theirs stands and is told, the rest is saved
    both = save(branch_manager, {"own_funds": "200", "needs": "leasing"}, {})
    assert both == (["needs"], {"own_funds": "100"})
    # having seen theirs
    assert save(branch_manager, {"own_funds": "200"}, {"own_funds": "100"}) == (["own_funds"], {})
    form = collection.submit_form(rm.actor, customer=company, now=NOW)
    assert form.values["growth"]["value"] == "0.125"
    assert form.values["own_funds"]["by"] == branch_manager.staff.pk
    with pytest.raises(Conflict):
        collection.submit_form(rm.actor, customer=company, now=NOW)


def test_the_next_form_begins_with_what_the_last_said(company: Customer, rm: Person) -> None:
    book.collect(rm.actor, company)
    saved = collection.save_draft(
        rm.actor, customer=company, typed={"own_funds": "7"}, base={"own_funds": "1000000"}, source="seen", now=NOW,
        today=TODAY,
    )  # fmt: skip
    assert saved.changed == ["own_funds"]
    assert saved.form.values["other_banks"]["value"] == "500000"
    assert saved.form.values["other_banks"]["source"] == "document"


@pytest.mark.parametrize(
    ("code", "given"),
    [("own_funds", "-1"), ("own_funds", "1.234"), ("growth", "many"), ("manager_years", "2.5"), ("record", "perfect"),
     ("own_funds", "1e30"), ("own_funds", "NaN")],
)  # fmt: skip
def test_what_is_no_value_is_refused_beside_its_field(
    company: Customer, rm: Person, code: str, given: str
) -> None:
    saved = collection.save_draft(
        rm.actor,
        customer=company,
        typed={code: given, "needs": "leasing"},
        base={},
        source="seen",
        now=NOW,
        today=TODAY,
    )
    assert list(saved.faults) == [code]
    assert saved.changed == ["needs"]


# -- statements ---------------------------------------------------------------------------------------------------


def _save(
    rm: Person, company: Customer, year: int, base: dt.datetime | None = None, **changed: str
) -> Statement:
    figures = {item: D(text) for item, text in {**book.figures(), **changed}.items()}
    return statements.save_statement(
        rm.actor, customer=company, year=year, report_date=dt.date(year, 12, 31), figures=figures,
        explanation=changed.pop("why", ""), is_audited=True, auditor="Lixin", source="typed", base=base, today=TODAY,
        now=NOW,
    )  # fmt: skip


def test_a_statement_that_does_not_add_up_is_not_kept(company: Customer, rm: Person) -> None:
    with pytest.raises(StatementFault) as fault:
        _save(rm, company, 2025, equity="5")
    assert {"equity", "total_assets"} == set(fault.value.fields)
    assert not Statement.objects.exists()
    _save(rm, company, 2025)
    with pytest.raises(Conflict):  # somebody else had none open
        _save(rm, company, 2025)
    assert _save(rm, company, 2025, base=NOW).year == 2025


def test_a_jump_needs_a_word(company: Customer, rm: Person) -> None:
    _save(rm, company, 2024)
    grown = {item: D(text) for item, text in book.figures(sales=9000).items()}
    grown["operating_expenses"] += (9000 - 3600) * 0 * book.WAN
    given = {
        "customer": company, "year": 2025, "report_date": dt.date(2025, 12, 31), "figures": grown, "is_audited": False,
        "auditor": "", "source": "typed", "base": None, "today": TODAY, "now": NOW,
    }  # fmt: skip
    with pytest.raises(StatementFault) as fault:
        statements.save_statement(rm.actor, explanation="", **given)
    assert "explanation" in fault.value.fields
    statements.save_statement(rm.actor, explanation="A new plant began in May.", **given)


# -- guarantees ---------------------------------------------------------------------------------------------------


def test_the_same_thing_is_never_pledged_twice_at_one_rank(
    company: Customer, inside: House, rm: Person
) -> None:
    other = make_customer(kind="corporate", size="large", home_branch=inside.north, responsible=rm.staff)
    first = book.mortgage(rm.actor, company)
    written_otherwise = Thing("factory", "沪（2021）松字 第 012345 号", "The same house")
    with pytest.raises(Conflict) as conflict:
        book.mortgage(rm.actor, other, thing=written_otherwise)
    assert conflict.value.code == "double_pledge"
    second = book.mortgage(rm.actor, other, thing=written_otherwise, lien_order=2)
    assert second.collateral_id == first.collateral_id
    # 4,000,000 × 60% − 3,000,000 before it leaves nothing for the second rank
    row = guarantees_of(rm.actor, other, day=TODAY)[0]
    assert (row.before, row.usable.amount) == (3_000_000, 0)
    known = known_thing("沪2021松字第012345号")
    assert known is not None
    assert known.next_order == 3
    guarantees.withdraw(rm.actor, guarantee=first, now=NOW)
    assert guarantees_of(rm.actor, other, day=TODAY)[0].usable.amount == 2_400_000


def test_the_database_refuses_a_second_claim_of_the_same_rank(company: Customer, rm: Person) -> None:
    first = book.mortgage(rm.actor, company)
    first.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        first.save()


def test_a_guarantors_promises_are_added_up_against_its_capacity(
    company: Customer, inside: House, rm: Person
) -> None:
    parent = make_customer(
        kind="corporate", size="large", home_branch=inside.south
    )  # not seen by the manager
    book.add_statements(parent)
    other = make_customer(kind="corporate", size="large", home_branch=inside.north, responsible=rm.staff)

    def promise(customer: Customer, amount: int) -> None:
        guarantees.promise(
            rm.actor, customer=customer, guarantor_number=parent.number, amount=D(amount), is_joint=True,
            from_date=TODAY, to_date=None, note="", now=NOW,
        )  # fmt: skip

    promise(other, 4_000_000)
    promise(company, 3_000_000)
    row = guarantees_of(rm.actor, company, day=TODAY)[0]
    # net assets 9,000,000 × 70% = 6,300,000; 4,000,000 are promised elsewhere
    assert row.valued == 6_300_000
    assert row.usable.amount == 2_300_000
    assert row.commitment is not None
    assert (row.commitment.over, row.level, row.name) == (700_000, "breach", "")
    with pytest.raises(Conflict):
        promise(company, 1)
    with pytest.raises(GuaranteeFault):
        guarantees.promise(
            rm.actor, customer=company, guarantor_number=company.number, amount=D(1), is_joint=True, from_date=TODAY,
            to_date=None, note="", now=NOW,
        )  # fmt: skip


def test_a_guarantee_is_put_in_force_by_those_who_manage_lines(
    company: Customer, rm: Person, hq_credit: Person
) -> None:
    made = book.mortgage(rm.actor, company)
    with pytest.raises(PermissionDenied):
        book.put_in_force(rm.actor, made)
    made.entered_by = hq_credit.staff
    made.save(update_fields=["entered_by"])
    with pytest.raises(GuaranteeFault, match="second person"):
        book.put_in_force(hq_credit.actor, made)
    made.entered_by = rm.staff
    made.save(update_fields=["entered_by"])
    for field, wrong in (
        ("proof_number", {"number": " — "}),
        ("proof_on", {"on": TODAY + dt.timedelta(days=1)}),
    ):
        with pytest.raises(GuaranteeFault) as refused:
            book.put_in_force(hq_credit.actor, made, **wrong)
        assert list(refused.value.fields) == [field]
    with pytest.raises(IntegrityError, match="guarantee_proof_whole"), transaction.atomic():
        Guarantee.objects.filter(pk=made.pk).update(status="active", proof_number="1")
    now = book.put_in_force(hq_credit.actor, made, number=" 他项(2026)第98号 ", note="land register")
    assert now.status == GuaranteeStatus.ACTIVE
    now.refresh_from_db()
    assert (now.proof_number, now.proof_on, now.proof_note) == ("他项(2026)第98号", TODAY, "land register")
    with pytest.raises(PermissionDenied):
        guarantees.release(rm.actor, guarantee=made, now=NOW)
    with pytest.raises(Conflict):
        guarantees.withdraw(rm.actor, guarantee=made, now=NOW)
    assert guarantees.release(hq_credit.actor, guarantee=made, now=NOW).status == GuaranteeStatus.RELEASED


def test_a_guarantee_that_came_into_force_without_proof_gets_it_later_once(
    company: Customer, rm: Person, hq_credit: Person
) -> None:
    made = book.mortgage(rm.actor, company)
    proof = guarantees.Proof("T-98", TODAY, "land register")

    def add(person: Person, given: guarantees.Proof = proof) -> Guarantee:
        return guarantees.add_proof(person.actor, guarantee=made, proof=given, today=TODAY)

    with pytest.raises(Conflict, match="not in force"):
        add(hq_credit)
    Guarantee.objects.filter(pk=made.pk).update(status="active", entered_by=hq_credit.staff)  # as before 0111
    with pytest.raises(PermissionDenied):
        add(rm)
    with pytest.raises(GuaranteeFault, match="second person"):
        add(hq_credit)
    Guarantee.objects.filter(pk=made.pk).update(entered_by=rm.staff)
    with pytest.raises(GuaranteeFault) as refused:
        add(hq_credit, guarantees.Proof("T-98", TODAY + dt.timedelta(days=1)))
    assert list(refused.value.fields) == ["proof_on"]
    add(hq_credit)
    with pytest.raises(Conflict, match="on record already"):
        add(hq_credit, guarantees.Proof("T-99", TODAY))
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        Guarantee.objects.filter(pk=made.pk).update(proof_number="T-99")
    made.refresh_from_db()
    assert (made.status, made.proof_number, made.proof_on) == (GuaranteeStatus.ACTIVE, "T-98", TODAY)


def test_valuing_again_brings_an_overdue_thing_back(company: Customer, rm: Person) -> None:
    made = book.mortgage(rm.actor, company, valued_on=dt.date(2025, 1, 10))
    row = guarantees_of(rm.actor, company, day=TODAY)[0]
    assert (row.usable.amount, row.level) == (0, "breach")
    guarantees.value_again(
        rm.actor,
        guarantee=made,
        value=D(3_000_000),
        valued_on=TODAY,
        valuer="Zhongjing",
        today=TODAY,
        now=NOW,
    )
    row = guarantees_of(rm.actor, company, day=TODAY)[0]
    assert (row.usable.amount, row.level) == (1_800_000, "ok")


def test_the_night_reminds_of_valuations_and_forgets_what_is_valued_again(
    company: Customer, rm: Person
) -> None:
    due = book.mortgage(rm.actor, company, valued_on=dt.date(2025, 12, 1))
    book.mortgage(rm.actor, company, thing=Thing("residence", "A-2", "House"), valued_on=dt.date(2026, 9, 1))

    def night() -> tuple[int, int]:
        counts = revaluations(RunContext(company.bank_id, 1, 1, TODAY, True), {})
        return counts.rows_in, counts.rows_changed

    assert night() == (1, 1)
    task = Task.objects.get(reason="revaluation")
    assert (task.owner_id, task.customer_id, task.due_date) == (rm.staff.pk, company.pk, dt.date(2026, 12, 1))
    assert "388" in say(task.params)
    assert night() == (1, 0)
    revaluations(RunContext(company.bank_id, 1, 2, dt.date(2026, 12, 20), True), {})
    task.refresh_from_db()
    assert (task.due_date, task.params["overdue"]) == (
        dt.date(2026, 12, 1),
        True,
    )  # late since then, not since last night
    guarantees.value_again(
        rm.actor, guarantee=due, value=D(1), valued_on=TODAY, valuer="Zhongjing", today=TODAY, now=NOW
    )
    assert night() == (0, 1)
    task.refresh_from_db()
    assert task.status == "cancelled"
