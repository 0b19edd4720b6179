"""Homes and dashboards: figures agree with the lists behind them, within the budget, for whoever may see them."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credit_rating.models import Signal
from crm_site.accounts.models import OrgUnit
from crm_site.jobs.models import Run
from crm_site.lib.permissions import Role
from crm_site.lib.registry import STEPS, RunContext
from crm_site.lib.tenancy import bank
from customers.models import Customer, PortfolioMonth, Standing
from relationship import placement
from relationship.selectors import dashboards
from relationship.selectors.dashboards import Scope
from relationship.services import propose_for_branch
from segmentation.models import ChurnModel, MigrationMonth, ModelStatus
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.relationship.factories import DAY, customer

SignIn = Callable[[Person], Client]
BEFORE = dt.date(2026, 10, 31)


def count_summaries(house: House) -> None:
    """The summaries of the night, as the steps write them."""
    ctx = RunContext(house.id, 1, 1, DAY, True)
    for name in ("nightly:summaries", "nightly:statistics"):
        STEPS[name].work(ctx, {})
    placement.refresh_loads(house.id, DAY)


def record_month_end(house: House, tiers: dict[int, int]) -> None:
    """customer id -> tier at the last month-end."""
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('customers_monthend', %s)", [BEFORE])
        for customer_id, tier in tiers.items():
            cursor.execute(
                "insert into customers_monthend (bank_id, month_end, customer_id, deposits_adb, deposits_balance, loans,"
                " aum, open_accounts, transactions, inflow, outflow, days_past_due, value_tier, wealth_level)"
                " values (%s, %s, %s, 0, 0, 0, 0, 1, 0, 0, 0, 0, %s, 1)",
                [house.id, BEFORE, customer_id, tier],
            )


@pytest.fixture
def book(house: House, rm: Person, teller: Person, branch_manager: Person) -> House:
    """Customers of two branches in every state a dashboard counts."""
    house.bank.business_date = DAY
    house.bank.save(update_fields=["business_date"])
    with bank(house.id):
        made = [
            customer(house.north, rm.staff, tier=3, deposits="1500000.01", standing={"churn_bp": 5000}),
            customer(house.north, rm.staff, tier=2, deposits="200000.00", loans="90000.00", kind="corporate"),
            customer(
                house.north_sub, rm.staff, tier=2, deposits="150000.00", loans="30.00",
                standing={"overdue_amount": Decimal("12.50"), "days_past_due": 40, "churn_bp": 3000},
            ),
            customer(house.north, teller.staff, tier=1, deposits="500.00", standing={"churn_bp": 2999}),
            customer(
                house.south, None, tier=1, deposits="700.00", kind="household", standing={"churn_bp": 4000}
            ),
            customer(house.north, None, tier=2, deposits="100000.00"),
        ]  # fmt: skip
        customer(house.north, rm.staff, tier=0, is_prospect=True, deposits="0.00")
        ids = [one.pk for one in made]
        record_month_end(house, {ids[0]: 2, ids[1]: 2, ids[2]: 3, ids[3]: 1, ids[4]: 1})
        count_summaries(house)
        propose_for_branch(branch_manager.actor, unit=house.north, working_day=TODAY)
    return house


def list_count(client: Client, url: str) -> int:
    """How many rows the list behind a figure has."""
    page = client.get(url)
    assert page.status_code == 200, url
    return page.content.decode().count("data-row ") + page.content.decode().count("data-row>")


def test_the_branch_manager_is_told_of_grave_warnings_of_the_branch(
    book: House, rm: Person, branch_manager: Person, client_for: SignIn
) -> None:
    with bank(book.id):
        north = Customer.objects.filter(home_branch=book.north, is_prospect=False)[:2]
        south = Customer.objects.filter(home_branch=book.south)[:1]
        for one, level in zip([*north, *south], ("risk", "watch", "risk"), strict=True):
            Signal.objects.create(
                customer=one, code="overdue", level=level, owner_kind="manager", opened_on=DAY, due_on=TODAY
            )
    client = client_for(branch_manager)
    page = client.get("/").content.decode()
    assert (counts := "/credit/desk-counts/") in page
    assert 'href="/credit/warnings/?level=risk"><b>1</b>' in client.get(counts).content.decode()
    assert list_count(client, "/credit/warnings/?level=risk") == 1


def test_every_figure_of_the_branch_opens_a_list_of_that_length(
    book: House, branch_manager: Person, client_for: SignIn
) -> None:
    client = client_for(branch_manager)
    page = client.get("/").content.decode()
    risks = f"/relationship/branches/{book.north.pk}/risks/"
    assert risks in page
    page += client.get(risks).content.decode()
    figures = re.findall(r'<a class="figure" href="(/customers/[^"]+)">([\d,]+)</a>', page)
    assert len(figures) > 10
    for url, text in figures:
        assert list_count(client, html.unescape(url)) == int(text.replace(",", "")), url


def test_sums_are_kept_between_two_nights_and_no_longer(book: House, branch_manager: Person) -> None:
    def customers() -> int:
        return dashboards.summary(Scope(branch_manager.actor, book.north))[0][-1].total.customers

    def ends(run: Run, second: int) -> None:
        run.finished_at = dt.datetime(2026, 11, 16, 20, 0, second, tzinfo=dt.UTC)
        run.save(update_fields=["finished_at"])

    with bank(book.id):
        cells = PortfolioMonth.objects.filter(
            home_branch__lft__gte=book.north.lft, home_branch__lft__lte=book.north.rgt
        )
        run = Run.objects.create(
            pipeline="nightly",
            business_date=DAY,
            requested_as="beat",
            requested_at=dt.datetime(2026, 11, 16, 19, tzinfo=dt.UTC),
        )
        first = customers()
        cells.update(customers=F("customers") + 1)
        assert (while_it_runs := customers()) > first
        ends(run, 1)
        assert customers() == while_it_runs
        cells.update(customers=F("customers") + 1)
        assert customers() == while_it_runs  # only a night writes them
        ends(run, 2)  # went on after a failure, under the number it had
        assert (after := customers()) > while_it_runs
        OrgUnit.objects.filter(pk=book.north_sub.pk).update(lft=book.south.lft, rgt=book.south.rgt)
        assert customers() < after  # a unit was moved


def test_a_drawing_is_kept_for_its_figures_and_no_others(
    book: House, rm: Person, branch_manager: Person, client_for: SignIn
) -> None:
    client = client_for(branch_manager)

    def drawn(language: str = "en") -> str:
        page = client.get("/relationship/branch/", HTTP_ACCEPT_LANGUAGE=language).content.decode()
        return page[page.index("data-chart=") : page.index("</figure>")]

    first = drawn()
    assert drawn() == first
    assert drawn("zh-hans") != first
    with bank(book.id):
        customer(book.north, rm.staff, tier=3, deposits="2000000.00")
        count_summaries(book)
    assert drawn() not in {first, ""}


def test_branch_figures(book: House, branch_manager: Person) -> None:
    with bank(book.id):
        scope = Scope(branch_manager.actor, book.north)
        month = dashboards.months(scope, [DAY])[0]
        assert (month.total.customers, month.total.deposits_adb) == (5, Decimal("1950500.01"))
        assert month.total.overdue_amount == Decimal("12.50")
        moved = dashboards.moves(scope, DAY)
        assert moved is not None
        assert (moved.up[0], moved.down[0], moved.count(0, 2)) == (1, 1, 1)
        assert [row.tier for row in dashboards.likely_to_leave(scope, "CNY")] == ["high", "mid"]
        assert dashboards.overdue(scope).count == 1
        assert Standing.objects.filter(home_branch=book.south).count() == 1


def test_headquarters_compare_all_branches_and_the_lines_add_up(
    book: House, president: Person, client_for: SignIn
) -> None:
    with bank(book.id):
        scope = Scope(president.actor, book.head_office)
        lines = dashboards.branch_lines(scope, DAY, None, "-deposits")
        total = dashboards.months(scope, [DAY])[0].total
    assert [line.unit and line.unit.name for line in lines] == ["North", "South"]
    assert sum(line.sums.customers for line in lines) == total.customers == 6
    assert sum(line.sums.deposits_adb for line in lines) == total.deposits_adb
    assert [line.waiting for line in lines] == [1, 0]
    client = client_for(president)
    page = client.get("/").content.decode()
    for url, text in re.findall(r'<a class="figure" href="(/customers/[^"]+)">([\d,]+)</a>', page):
        assert list_count(client, html.unescape(url)) == int(text.replace(",", "")), url
    for sort in dashboards.SORTS:
        assert client.get(f"/relationship/bank/?sort={sort}&measure=loans").status_code == 200


def test_who_answers_for_a_model_sees_whether_it_drifts(
    book: House, president: Person, hq_risk: Person, marketing: Person, client_for: SignIn
) -> None:
    with bank(book.id):
        model = ChurnModel.objects.create(
            kind="", version=1, status=ModelStatus.CHAMPION, train_months=[], validation_month=BEFORE, train_rows=1,
            train_leavers=1, validation_rows=1, validation_leavers=1, trained_at=NOW, proposed_by=hq_risk.staff,
            decided_by=president.staff, drift=0.3, drift_date=DAY,
        )  # fmt: skip
    drifts = f'is-watch" href="/segmentation/churn/{model.pk}/"><b>PSI 0.30</b> drift of the churn model'
    assert drifts in client_for(hq_risk).get("/").content.decode()
    assert drifts not in client_for(marketing).get("/").content.decode()


def test_the_branches_are_sorted_either_way_and_the_total_stays_last(
    book: House, president: Person, client_for: SignIn
) -> None:
    client = client_for(president)

    def table(sort: str) -> str:
        page = client.get(f"/relationship/bank/?sort={sort}").content.decode()
        return page[page.index('id="branch-table"') :]

    down, up = table("-deposits"), table("deposits")
    assert down.index(">North<") < down.index(">South<") < down.index('<tr class="total">')
    assert up.index(">South<") < up.index(">North<") < up.index('<tr class="total">')
    assert 'aria-sort="descending"><a href="?measure=deposits&amp;sort=deposits#' in down and "↓" in down
    assert 'aria-sort="ascending"><a href="?measure=deposits&amp;sort=-deposits#' in up and "↑" in up
    assert 'aria-sort="ascending"' in table("growth") and 'aria-sort="ascending"' in table("nonsense")


def test_who_belongs_to_no_branch_has_a_line_and_a_list(
    house: House, president: Person, client_for: SignIn
) -> None:
    house.bank.business_date = DAY
    house.bank.save(update_fields=["business_date"])
    with bank(house.id):
        for home in (None, house.head_office, house.north):
            customer(home, None, tier=3, deposits="100.00")
        count_summaries(house)
        lines = dashboards.branch_lines(Scope(president.actor, house.head_office), DAY, None, "deposits")
    nowhere = lines[-1]
    assert (nowhere.unit, nowhere.sums.customers, nowhere.high) == (None, 2, 2)
    client = client_for(president)
    assert "Without a home branch" in client.get("/").content.decode()
    assert [list_count(client, nowhere.urls[which]) for which in ("all", "high", "loans")] == [2, 2, 0]


def test_a_line_department_sees_its_kinds_only(
    book: House, line_department: Person, client_for: SignIn
) -> None:
    with bank(book.id):
        scope = Scope(line_department.actor, book.head_office)
        assert dashboards.months(scope, [DAY])[0].total.customers == 1
        assert MigrationMonth.objects.count() > len(dashboards.moves(scope, DAY).cells)
    client = client_for(line_department)
    assert (
        '<span class="sub">Corporate · ' in client.get("/").content.decode()
    )  # the figures are not the bank's
    page = client.get(f"/relationship/branches/{book.north.pk}/").content.decode()
    assert "Relationship managers" not in page


@pytest.mark.parametrize(
    ("who", "url", "status"),
    [
        ("branch_manager", "/relationship/branches/{north}/", 200),
        ("branch_manager", "/relationship/branches/{sub}/", 200),
        ("branch_manager", "/relationship/branches/{south}/", 404),
        ("branch_manager", "/relationship/bank/", 403),
        ("rm", "/relationship/branches/{north}/", 403),
        ("rm", "/relationship/home/", 200),
        ("teller", "/", 200),
        ("hq_risk", "/relationship/branches/{south}/", 200),
        ("auditor", "/", 200),
        ("outsider", "/relationship/branches/{north}/", 404),
        ("administrator", "/relationship/bank/", 403),
    ],
)
def test_who_sees_which_dashboard(
    book: House, client_for: SignIn, request: pytest.FixtureRequest, who: str, url: str, status: int
) -> None:
    path = url.format(north=book.north.pk, sub=book.north_sub.pk, south=book.south.pk)
    assert client_for(request.getfixturevalue(who)).get(path).status_code == status


def test_statements_stay_within_the_budget(
    book: House, rm: Person, branch_manager: Person, president: Person, client_for: SignIn
) -> None:
    used = {}
    for person in (rm, branch_manager, president):
        client = client_for(person)
        client.get("/")
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get("/").status_code == 200
        used[person.staff.number] = len([q for q in captured if "SAVEPOINT" not in q["sql"]])
    assert used["rm"] <= 19, used
    # What waits in credit for those who decide: roles, kin, cases, who stands in, ratings with kin and hands, warnings.
    assert max(used.values()) <= 25, used


def test_the_home_says_what_it_hides(house: House, rm: Person, client_for: SignIn) -> None:
    from relationship import nightly

    house.bank.business_date = DAY
    house.bank.save(update_fields=["business_date"])
    with bank(house.id):
        for _ in range(10):
            customer(house.north, rm.staff, tier=2, deposits="1000.00", standing={"churn_bp": 5000})
        ctx = RunContext(house.id, 1, 1, DAY, True)
        for chunk in nightly.id_ranges(house.id):
            nightly.fill_worklists(ctx, chunk)
    page = client_for(rm).get("/").content.decode()
    assert page.count("data-row-done") == 8
    assert "2 more not listed, CNY 2,000.00 at stake" in page  # customers: what each lacks stands in its row
    assert "Churn risk 2" in page
    assert page.count("worklist-also") == 8


def test_nobody_likely_to_leave_is_said_only_where_somebody_is_scored(
    house: House, rm: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        customer(house.north, rm.staff)
    assert "No churn model is approved" in client_for(rm).get("/").content.decode()
    with bank(house.id):
        customer(house.north, rm.staff, standing={"churn_bp": 9000})
    assert "No churn model is approved" not in client_for(rm).get("/").content.decode()


def test_a_person_with_two_roles_gets_the_wider_home(house: House, rm: Person, client_for: SignIn) -> None:
    both = hire(house, "both", Role.BRANCH_MANAGER, house.north)
    page = client_for(both).get("/").content.decode()
    assert "The figures come with the first night run" in page
