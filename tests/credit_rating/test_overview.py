"""The credit overview: what the night counts, that every figure opens a list that agrees, and who sees what."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credit_rating import overview_night
from credit_rating.models import (
    BankCapital,
    BigStake,
    CreditCase,
    CreditCell,
    CreditLine,
    Guarantee,
    GuarantorCapacity,
    LoanClass,
    Rating,
    RelatedParty,
    Signal,
)
from credit_rating.selectors import overview as selectors
from credit_rating.selectors import ratings, waiting
from credit_rating.selectors.policies import policy_on
from crm_site.accounts.models import Bank
from crm_site.lib import formats
from crm_site.lib.registry import RunContext
from customers.models import Customer, Loan, Relation, Standing
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.credit_rating.desk import a_case, staffed, with_customer
from tests.credit_rating.lines import a_line
from tests.credit_rating.test_ratings import company, decide, make, owe, submit
from tests.customers.factories import make_customer

D = Decimal
SignIn = Callable[[Person], Client]
SQL_BUDGET = 22  # five for the caps of related parties; the dashboard's own statements, whatever there is; who is asking costs every page the same


def night(house: House, day: dt.date = TODAY, *, is_newest: bool = True) -> int:
    return overview_night.overview(RunContext(house.id, 1, 1, day, is_newest), {}).rows_changed


def cells(section: str, day: dt.date = TODAY) -> dict[tuple[str, str], tuple[int, Decimal]]:
    found: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for c in CreditCell.objects.filter(section=section, as_of=day):
        n, amount = found.get((c.key, c.other), (0, D(0)))
        found[c.key, c.other] = (n + c.count, amount + c.amount)
    return found


def classed(customer: Customer, level: int, amount: str, number: str) -> LoanClass:
    loan = Loan.objects.create(
        number=number, customer=customer, currency="CNY", amount=D(amount), outstanding=D(amount),
        granted_date=TODAY, maturity_date=TODAY + dt.timedelta(days=900),
    )  # fmt: skip
    return LoanClass.objects.create(
        loan=loan, customer=customer, level=level, reason="overdue", from_date=TODAY,
        policy=policy_on("classes", TODAY).version,
    )  # fmt: skip


def warn(customer: Customer, level: str, code: str) -> Signal:
    return Signal.objects.create(
        customer=customer, code=code, name=code, level=level, owner_kind="risk", opened_on=TODAY, due_on=TODAY
    )


@pytest.fixture
def credit(inside: House, rm: Person, branch_manager: Person, hq_credit: Person) -> House:
    """North: a rated company with a line half in use and a bad loan; south: one that was never rated, and owes."""
    north = company(inside, rm)
    book.add_statements(north)
    owe(north, 0, loans="900")
    rated = decide(branch_manager, submit(rm, make(rm, north)))
    line = a_line(inside, customer=north, expires_on=dt.date(2027, 3, 20))
    CreditLine.objects.filter(pk=line.pk).update(utilised=D(500))
    south = make_customer("Dongjing Feed", kind="corporate", size="small", home_branch=inside.south)
    owe(south, 0, loans="4000")
    a_line(inside, customer=south, limit=D(3000), expires_on=dt.date(2029, 1, 1))
    classed(north, 3, "900", "L-1")
    classed(south, 1, "4000", "L-2")
    warn(north, "risk", "one")
    warn(south, "watch", "two")
    Relation.objects.create(customer=north, other=south, kind="common_control")
    assert rated.grade
    return inside


def test_the_night_counts_lines_ratings_classes_and_warnings(credit: House) -> None:
    assert night(credit) > 0
    grade = Rating.objects.get(status="approved").grade
    assert cells("grade") == {(grade, ""): (1, D(1000)), ("none", ""): (1, D(3000))}
    assert cells("expiry") == {("2027-03", ""): (1, D(1000)), ("later", ""): (1, D(3000))}
    assert cells("use") == {("mid", ""): (1, D(1000)), ("unused", ""): (1, D(3000))}
    assert cells("coverage") == {("in_force", ""): (1, D(900)), ("never", ""): (1, D(4000))}
    assert cells("class") == {("3", ""): (1, D(900)), ("1", ""): (1, D(4000))}
    assert cells("warning") == {("risk", ""): (1, D(0)), ("watch", ""): (1, D(0))}
    assert cells("migration") == {("none", grade): (1, D(0))}
    assert CreditCell.objects.get(section="use", key="mid").used == D(500)
    assert night(credit) == 0  # a second night of the same day changes nothing
    assert night(credit, TODAY - dt.timedelta(days=40), is_newest=False) == 0


def test_a_group_is_one_exposure_and_what_a_line_carries_is_not_added(credit: House) -> None:
    night(credit)
    alone = {s.customer.name: (s.credit, s.lent) for s in BigStake.objects.filter(is_group=False)}
    assert alone == {"Silian": (D(1400), D(900)), "Dongjing Feed": (D(7000), D(4000))}
    group = BigStake.objects.get(is_group=True)
    assert (group.members, group.credit, group.customer.name) == (2, D(8400), "Dongjing Feed")
    assert group.core_credit == D(8400)


def test_who_depends_is_counted_with_the_group_and_apart_from_it(credit: House) -> None:
    """Dongjing Feed and Silian are one group of 8,400; a guarantor of Dongjing with 77 falls with it."""
    guarantor = make_customer("Guarantor", kind="corporate", size="small", home_branch=credit.south)
    owe(guarantor, 0, loans="77")
    debtor = Customer.objects.get(name="Dongjing Feed")
    GuarantorCapacity.objects.create(
        guarantor=guarantor, capacity=D(100), assessed_on=TODAY, basis="2025", entered_at=NOW
    )
    Guarantee.objects.create(
        customer=debtor, kind="guarantor", guarantor=guarantor, amount=D(50), from_date=TODAY, entered_at=NOW,
        status="active",
    )  # fmt: skip
    BankCapital.objects.create(
        as_of=TODAY, net_capital=D(150_000), tier1_net_capital=D(140_000), source="x", entered_at=NOW
    )
    night(credit)  # 5% of 140,000 is 7,000: not more
    group = BigStake.objects.get(is_group=True)
    assert (group.members, group.credit, group.core_credit) == (2, D(8400), D(8400))
    BankCapital.objects.update(tier1_net_capital=D("139999.80"))
    night(credit)
    group = BigStake.objects.get(is_group=True)
    assert (group.members, group.credit, group.core_credit) == (3, D(8477), D(8400))


def test_without_capital_it_says_so_and_with_it_names_the_room(credit: House, president: Person) -> None:
    night(credit)
    bare = selectors.biggest(president.actor, TODAY)
    assert bare.capital is None and all(one.use is None for one in bare.customers)
    book.add_capital(net=60_000, tier1=50_000)
    first = selectors.biggest(president.actor, TODAY).customers[0]
    assert first.use is not None
    # 10% of 60,000 for loans leaves 2,000; 15% of 50,000 for exposure leaves 500: the latter is the nearer.
    assert (first.use.code, first.use.room, first.use.level) == ("single_exposure", D(500), "warn")
    group = selectors.biggest(president.actor, TODAY).groups[0]
    assert group.use is not None and (group.use.code, group.use.room) == ("single_group", D(600))


def test_a_line_without_an_exchange_rate_is_named_and_in_no_sum(credit: House, president: Person) -> None:
    CreditLine.objects.filter(limit=D(3000)).update(currency="XYZ")
    night(credit)
    now = selectors.counted(president.actor)[-1]
    assert now.keys("unpriced") == ["XYZ"]
    assert now.total("use").amount == D(1000)


def test_month_ends_and_the_newest_date_are_kept(credit: House, president: Person) -> None:
    for day in (dt.date(2026, 10, 30), dt.date(2026, 10, 31), dt.date(2026, 11, 19), TODAY):
        night(credit, day)
    assert sorted(set(CreditCell.objects.values_list("as_of", flat=True))) == [dt.date(2026, 10, 31), TODAY]
    assert set(BigStake.objects.values_list("as_of", flat=True)) == {TODAY}
    assert [month.day for month in selectors.counted(president.actor)] == [dt.date(2026, 10, 31), TODAY]


def test_each_sees_the_figures_of_those_whom_he_sees(
    credit: House, president: Person, branch_manager: Person, line_department: Person
) -> None:
    night(credit)

    def lines(person: Person) -> Decimal:
        return selectors.counted(person.actor)[-1].total("use").amount

    assert lines(president) == D(4000)
    assert lines(branch_manager) == D(1000)
    assert [one.row.customer.name for one in selectors.biggest(branch_manager.actor, TODAY).customers] == [
        "Silian"
    ]
    assert lines(line_department) in (D(0), D(4000))


def test_grades_a_year_ago_and_now_agree_with_the_list(
    credit: House, rm: Person, branch_manager: Person, president: Person
) -> None:
    now = Rating.objects.get(status="approved")
    old = make_customer(
        "Old Mill", kind="corporate", size="medium", home_branch=credit.north, responsible=rm.staff
    )
    book.add_statements(old, (2022, 2023, 2024))
    long_ago = TODAY - dt.timedelta(days=400)
    past = NOW - dt.timedelta(days=400)
    for customer in (old, now.customer):
        lapsed = Rating.objects.get(pk=now.pk)
        lapsed.pk, lapsed.number, lapsed.customer, lapsed.status = (
            None,
            f"PJ-{customer.pk}-0",
            customer,
            "expired",
        )
        lapsed.grade, lapsed.reason, lapsed.decided_at, lapsed.as_of = "CC", "then", past, long_ago
        lapsed.expires_on = TODAY - dt.timedelta(days=35)
        lapsed.save(force_insert=True)
    # The same customer's newest decision of then counts, so the copy must be the older row.
    Rating.objects.filter(pk=now.pk).update(decided_at=NOW)
    night(credit)
    found = cells("migration")
    assert found == {("CC", now.grade): (1, D(0)), ("CC", "none"): (1, D(0))}
    then = selectors.a_year_before(TODAY)
    for (before, after), (n, _amount) in found.items():
        move = ratings.Move(before, after, then, TODAY)
        assert len(ratings.moved(president.actor, move)) == n == ratings.moved_count(president.actor, move)
    assert ratings.moved(president.actor, ratings.Move("none", now.grade, then, TODAY)) == []


# -- the page ---------------------------------------------------------------------------------------------------------


def opened(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_every_figure_opens_its_list(credit: House, president: Person, client_for: SignIn) -> None:
    night(credit)
    Bank.objects.filter(pk=credit.id).update(business_date=TODAY)
    book.add_capital()
    grade = Rating.objects.get(status="approved").grade

    client = client_for(president)
    page = opened(client, "/credit/dashboard/")
    addresses = {unescape(a) for a in re.findall(r'href="(/(?:credit|customers)/[^"]*)"', page)}
    addresses |= set(re.findall(r'"href":"([^"]+)"', unescape(page)))
    for address in addresses:
        opened(client, address)
    for query, names in (
        (f"lines/?grade={grade}", {"Silian"}), ("lines/?grade=none", {"Dongjing Feed"}),
        ("lines/?ends=2027-03", {"Silian"}), ("lines/?ends=later", {"Dongjing Feed"}),
        ("lines/?status=lives&use=mid", {"Silian"}), ("lines/?status=lives", {"Silian", "Dongjing Feed"}),
        ("classes/?level=substandard", {"Silian"}), ("classes/?level=normal", {"Dongjing Feed"}),
        ("classes/", {"Silian"}), ("classes/?level=non_performing", {"Silian"}), ("warnings/?level=risk", {"Silian"}),
        (f"ratings/?list=moved&before=none&now={grade}", {"Silian"}),
    ):  # fmt: skip
        text = opened(client, f"/credit/{query}")
        assert {n for n in ("Silian", "Dongjing Feed") if n in text} == names, query
    # The greatest stakes hold loans outside every line too: Dongjing owes 4,000 of its 7,000 there, its group has 8,400.
    for stake in BigStake.objects.all():
        text = opened(client, f"/credit/customers/{stake.customer_id}/exposure/")
        assert f"/credit/customers/{stake.customer_id}/exposure/" in addresses
        assert {f">{D(amount):,.2f}<" in text for amount in (1400, 7000, 8400)} == {True}
    borrowers = next(a for a in addresses if a.startswith("/customers/?") and "never" in a)
    text = opened(client, borrowers)
    assert "Dongjing Feed" in text and "Silian" not in text


def test_homes_that_answer_for_credit_say_where_the_bank_is_exposed(
    credit: House, president: Person, marketing: Person, client_for: SignIn
) -> None:
    """The cap used most leads; its figure and the others open what they count."""
    book.add_capital(net=20_000, tier1=20_000)
    glance = "/credit/glance/"
    assert client_for(president).get(glance).content == b""  # before the first night
    night(credit)
    assert glance not in client_for(marketing).get("/").content.decode()
    client = client_for(president)
    assert glance in client.get("/").content.decode()
    shown = client.get(glance).content.decode()
    found = selectors.biggest(president.actor, TODAY)
    worst = max(one.use.share for one in (*found.customers, *found.groups) if one.use)
    assert 'is-risk"><a class="figure" href="/credit/customers/' in shown and "near or over a cap" in shown
    assert f">{formats.percent(worst, 0)}</a>" in shown
    for address in re.findall(r'href="([^"#]+)', shown):
        assert client.get(unescape(address)).status_code == 200, address


def test_before_the_first_night_the_inbox_stands_alone(
    house: House, president: Person, client_for: SignIn
) -> None:
    page = opened(client_for(president), "/credit/dashboard/")
    assert "first night" in page and "Cases by stage and age" in page


def test_cases_are_counted_by_stage_and_age_overdue_ones_apart(inside: House) -> None:
    desk = with_customer(staffed(inside))
    case = a_case(desk)
    chief = desk.president.actor

    def ages() -> dict[tuple[str, str], int]:
        return waiting.stage_ages(chief, TODAY)

    for days, age in (
        (0, "new"),
        (2, "new"),
        (3, "days"),
        (5, "days"),
        (6, "week"),
        (10, "week"),
        (11, "long"),
    ):
        CreditCase.objects.update(stage_since=NOW - dt.timedelta(days=days), deadline=TODAY)
        assert ages() == {("branch", age): 1}, days
        listed = waiting.waiting_cases(chief, stage="branch", age=age, today=TODAY)
        assert [c.pk for c in listed.rows] == [case.pk]
    CreditCase.objects.update(deadline=TODAY - dt.timedelta(days=1))
    assert ages() == {("branch", "late"): 1}
    assert waiting.waiting_cases(chief, stage="", age="long", today=TODAY).rows == []
    assert waiting.waiting_cases(chief, stage="president", age="", today=TODAY).rows == []


def statements(client: Client) -> list[str]:
    with CaptureQueriesContext(connection) as caught:
        assert client.get("/credit/dashboard/").status_code == 200
    tables = ("credit_rating_", "customers_")
    return [q["sql"] for q in caught.captured_queries if any(t in q["sql"] for t in tables)]


def test_statements_do_not_grow_with_the_book(credit: House, president: Person, client_for: SignIn) -> None:
    night(credit)
    book.add_capital()
    client = client_for(president)
    few = statements(client)
    for n in range(12):
        more = make_customer(f"Mill {n}", kind="corporate", size="small", home_branch=credit.south)
        owe(more, 0, loans=f"{n + 1}000")
        classed(more, 2, "100", f"L-{n + 10}")
    night(credit)
    many = statements(client)
    assert len(many) == len(few) <= SQL_BUDGET, "\n".join(many)


def test_what_is_owed_and_not_classed_is_named(credit: House, president: Person, client_for: SignIn) -> None:
    """Total by class and total by borrower differ by overdrawn accounts; the page says by how much."""
    Standing.objects.filter(customer__name="Dongjing Feed").update(loans=D(4150))
    night(credit)
    page = client_for(president).get("/credit/dashboard/").content.decode()
    assert (
        "Not classed: CNY 150.00 by which deposit accounts are overdrawn; with it borrowers owe CNY 5,050.00."
        in page
    )


def test_all_related_parties_stand_against_their_cap(
    credit: House, president: Person, hq_risk: Person, client_for: SignIn
) -> None:
    """Half of last quarter's net capital at most; each party with its nearest cap on the register."""
    south = Customer.objects.get(name="Dongjing Feed")
    RelatedParty.objects.create(
        customer=south, kind="institution", basis="a director owns it", from_date=TODAY, entered_by=hq_risk.staff,
        entered_at=NOW,
    )  # fmt: skip
    night(credit)
    lacking = client_for(president).get("/credit/registers/").content.decode()
    assert "the caps of related parties could not be checked" in lacking
    book.add_capital(net=20_000, tier1=20_000)
    # A line of 3,000 and 4,000 of loans that it does not carry: 7,000 of 2,000 for one. Its group has 1,400 more: 8,400 of
    # 10,000 for all.
    for page in ("/credit/dashboard/", "/credit/registers/"):
        shown = client_for(president).get(page).content.decode()
        assert (
            "1 related party of the whole bank with its group: credit CNY 8,400.00, 84% of the cap of CNY 10.0 K"
            in shown
        ), page
    assert "350%" in shown.replace("350.0%", "350%")
    assert "over by 5,000.00" in shown  # the head says the unit, once
