"""The customer list: who sees whom, filters, sorts, pages by key."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from crm_site.lib.tenancy import bank
from customers.models import Standing
from customers.models.standing import deposit_trend
from customers.selectors import lists
from customers.selectors.lists import SORTS, CustomerQuery, customer_list, list_totals, neighbours
from tests.customers import factories
from tests.customers.factories import AS_OF
from tests.properties import rule

SQL_BUDGET = 5  # what the list itself asks; who is asking costs every page the same
SHELL = (
    "SAVEPOINT",
    "RELEASE",
    "set_config",
    "django_session",
    "accounts_staff",
    "accounts_rolegrant",
    "usersession",
    "work_notification",
    "accounts_bank",
)


def own_statements(captured: CaptureQueriesContext) -> list[str]:
    """The statements of a page without those that find out who is asking."""
    statements = (query["sql"] for query in captured.captured_queries)
    return [
        sql
        for sql in statements
        if not any(word in sql.split(" WHERE ")[0] for word in SHELL) or "customers_" in sql
    ]


def names(html: str, portfolio: dict[str, Any]) -> set[str]:
    return {key for key, customer in portfolio.items() if f">{customer.name}</a>" in html}


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("rm", {"lu", "acme"}),
        ("rm_other_branch", {"far"}),
        ("teller", set()),
        ("branch_manager", {"lu", "acme", "queue"}),
        ("line_department", {"acme"}),
        ("hq_risk", {"lu", "acme", "far", "queue"}),
        ("auditor", {"lu", "acme", "far", "queue"}),
        ("marketing", {"lu", "acme", "far", "queue"}),
    ],
)
def test_everybody_sees_their_own_rows(
    who: str, seen: set[str], request: pytest.FixtureRequest, portfolio: Any, client_for: Any
) -> None:
    answer = client_for(request.getfixturevalue(who)).get("/customers/")
    assert answer.status_code == 200
    assert names(answer.content.decode(), portfolio) == seen


def test_administrator_and_other_bank_see_nothing(
    portfolio: Any, administrator: Any, outsider: Any, client_for: Any
) -> None:
    assert client_for(administrator).get("/customers/").status_code == 403
    html = client_for(outsider).get("/customers/").content.decode()
    assert names(html, portfolio) == set()
    lu = portfolio["lu"].pk
    assert client_for(outsider).get(f"/customers/{lu}/").status_code == 404


@pytest.mark.parametrize(
    ("condition", "seen"),
    [
        ({"fact": "value_tier", "op": "in", "value": ["high"]}, {"lu"}),
        ({"fact": "without_manager", "op": "=", "value": True}, {"queue"}),
        ({"fact": "is_prospect", "op": "=", "value": True}, {"prospect"}),
        ({"fact": "churn", "op": ">=", "value": "42"}, {"lu"}),
        ({"all": [{"fact": "kind", "op": "=", "value": "corporate"}, {"fact": "loans", "op": ">", "value": "0"}]}, {"acme"}),
        ({"fact": "days_past_due", "op": ">", "value": 0}, {"acme"}),
    ],
)  # fmt: skip
def test_a_condition_filters(
    condition: Any, seen: set[str], portfolio: Any, branch_manager: Any, client_for: Any
) -> None:
    html = client_for(branch_manager).get("/customers/", {"c": json.dumps(condition)}).content.decode()
    assert names(html, portfolio) == seen


@pytest.mark.parametrize(
    "bad", ["{", '{"fact":"no such fact","op":"=","value":1}', "[1]", "null", '{"all":7}']
)
def test_a_broken_condition_says_so_and_shows_the_plain_list(
    bad: str, portfolio: Any, rm: Any, client_for: Any
) -> None:
    answer = client_for(rm).get("/customers/", {"c": bad})
    assert answer.status_code == 200
    assert names(answer.content.decode(), portfolio) >= {"lu", "acme"}


@pytest.mark.parametrize("garbage", ["x", "e30", "////", "WyJuIiwiLWxvYW5zIiwxLDJd", "%00", "9" * 400])
def test_a_foreign_cursor_is_the_first_page(garbage: str, portfolio: Any, rm: Any, client_for: Any) -> None:
    html = client_for(rm).get("/customers/", {"cursor": garbage, "sort": "nonsense"}).content.decode()
    assert names(html, portfolio) == {"lu", "acme"}


def test_sql_does_not_grow_with_rows(house: Any, rm: Any, client_for: Any) -> None:
    client = client_for(rm)
    with bank(house.id):
        factories.make_customer(responsible=rm.staff)
    with CaptureQueriesContext(connection) as few:
        client.get("/customers/")
    with bank(house.id):
        for _n in range(60):
            factories.make_customer(responsible=rm.staff)
    with CaptureQueriesContext(connection) as many:
        client.get("/customers/")
    assert len(many) <= len(few)
    assert len(own_statements(many)) <= SQL_BUDGET, own_statements(many)


def test_the_table_alone_for_htmx(portfolio: Any, rm: Any, client_for: Any) -> None:
    html = client_for(rm).get("/customers/", headers={"HX-Request": "true"}).content.decode()
    assert html.lstrip().startswith('<div id="customer-table"')
    assert "<html" not in html


def test_totals_add_up_to_the_rows(portfolio: Any, branch_manager: Any, house: Any) -> None:
    with bank(house.id):
        totals = list_totals(branch_manager.actor, CustomerQuery({}), as_of=AS_OF)
    assert (totals.count, totals.is_estimate) == (4, False)
    assert totals.deposits_adb == Decimal(1_650_000)
    assert totals.loans == Decimal(80_000)


@pytest.fixture
def walked(house: Any, rm: Any) -> Any:
    with bank(house.id):
        yield rm.actor


@rule("pages of a list", few=12, many=300)
@given(
    amounts=st.lists(st.integers(0, 3), min_size=0, max_size=23),
    sort=st.sampled_from([f"{sign}{name}" for name in SORTS for sign in ("", "-")]),
    size=st.integers(1, 6),
    extra=st.integers(0, 3),
)
def test_walking_shows_each_row_once(
    walked: Any, rm: Any, amounts: list[int], sort: str, size: int, extra: int
) -> None:
    """Forward and backward, with ties, and while a row is added behind and before the reader."""
    Standing.objects.all().delete()
    made = [
        factories.make_customer(f"n{amount}", responsible=rm.staff, deposits_adb=Decimal(amount), loans=Decimal(amount),
                                aum=Decimal(amount), churn_bp=amount)
        for amount in amounts
    ]  # fmt: skip
    query, seen, cursor, pages = CustomerQuery({}, sort), [], "", 0
    while True:
        page = customer_list(walked, query, as_of=AS_OF, cursor=cursor, size=size)
        seen.extend(row.id for row in page.rows)
        pages += 1
        if pages == 1:
            factories.make_customer("m", responsible=rm.staff, deposits_adb=Decimal(extra), loans=Decimal(extra),
                                    aum=Decimal(extra), churn_bp=extra)  # fmt: skip
        if not page.next:
            break
        cursor = page.next
    assert len(seen) == len(set(seen))
    assert {customer.pk for customer in made} <= set(seen)
    back, cursor = [row.id for row in page.rows], page.previous
    while cursor:
        page = customer_list(walked, query, as_of=AS_OF, cursor=cursor, size=size)
        back = [row.id for row in page.rows] + back
        cursor = page.previous
    assert len(back) == len(set(back))
    assert {customer.pk for customer in made} <= set(back)


@pytest.mark.parametrize("sort", ["-deposits_adb", "deposits_adb", "name", "-churn"])
def test_next_and_previous_follow_the_list(
    sort: str, portfolio: Any, branch_manager: Any, house: Any
) -> None:
    query = CustomerQuery({}, sort)
    with bank(house.id):
        actor = branch_manager.actor
        order = [row.id for row in customer_list(actor, query, as_of=AS_OF).rows]
        for position, customer_id in enumerate(order):
            standing = Standing.objects.select_related("customer").get(customer_id=customer_id)
            before, after = neighbours(actor, query, standing, as_of=AS_OF)
            assert (before.pk if before else None) == (order[position - 1] if position else None)
            assert (after.pk if after else None) == (
                order[position + 1] if position + 1 < len(order) else None
            )


def test_a_view_is_kept_renamed_and_removed(
    portfolio: Any, rm: Any, branch_manager: Any, client_for: Any
) -> None:
    client, condition = client_for(rm), json.dumps({"fact": "kind", "op": "in", "value": ["corporate"]})
    client.post("/customers/views/save/", {"name": "Firms", "c": condition, "sort": "-loans"})
    assert "Firms" in client.get("/customers/").content.decode()
    assert "Firms" not in client_for(branch_manager).get("/customers/").content.decode()
    html = client.get("/customers/views/").content.decode()
    view_id = html.split('action="/customers/views/')[1].split("/")[0]
    assert client_for(branch_manager).post(f"/customers/views/{view_id}/", {"remove": "1"}).status_code == 404
    client.post(f"/customers/views/{view_id}/", {"name": "Companies"})
    assert "Companies" in client.get("/customers/").content.decode()
    client.post(f"/customers/views/{view_id}/", {"remove": "1"})
    client.get("/customers/")  # says that it was removed
    assert "Companies" not in client.get("/customers/").content.decode()


def test_a_view_saves_the_list_as_it_was_filtered_last(portfolio: Any, rm: Any, client_for: Any) -> None:
    """A filter swaps the table alone: what the dialog would save goes with it."""
    client, condition = client_for(rm), json.dumps({"fact": "value_tier", "op": "=", "value": "high"})
    asked = {"c": condition, "sort": "-loans"}
    swapped = client.get("/customers/", asked, headers={"HX-Request": "true"}).content.decode()
    kept = dict(re.findall(r'name="(c|sort)" value="([^"]*)" form="view-form"', swapped))
    assert (json.loads(unescape(kept["c"])), kept["sort"]) == (json.loads(condition), "-loans")
    dialog = client.get("/customers/").content.decode().split('id="view-form"')[1].split("</form>")[0]
    assert 'name="c"' not in dialog


def test_an_empty_list_says_what_the_reader_can_do(
    house: Any, rm: Any, branch_manager: Any, client_for: Any
) -> None:
    own = client_for(rm).get("/customers/").content.decode()
    assert "your branch manager assigns them" in own
    seen = client_for(branch_manager).get("/customers/").content.decode()
    assert "core banking delivers them" in seen
    assert "your branch manager" not in seen


def test_the_filter_dialog_makes_the_condition(portfolio: Any, rm: Any, client_for: Any) -> None:
    client = client_for(rm)
    assert client.get("/customers/filter/", headers={"HX-Request": "true"}).status_code == 200
    assert (
        "value-k1" in client.get("/customers/filter/row/", {"key": "k1", "fact-k1": "churn"}).content.decode()
    )
    answer = client.post(
        "/customers/filter/",
        {"row": ["a", "b"], "fact-a": "deposits_adb", "op-a": ">=", "value-a": ["1000000", ""],
         "fact-b": "value_tier", "op-b": "in", "value-b": ["high", "mid"]},
    )  # fmt: skip
    assert answer.status_code == 302
    assert names(client.get(answer["Location"]).content.decode(), portfolio) == {"lu"}
    wrong = client.post(
        "/customers/filter/", {"row": "a", "fact-a": "deposits_adb", "op-a": ">=", "value-a": "much"}
    )
    assert wrong.status_code == 422
    assert "much" in wrong.content.decode()


def test_columns_are_remembered(portfolio: Any, rm: Any, client_for: Any) -> None:
    client = client_for(rm)
    answer = client.get("/customers/columns/", {"column": ["number", "branch"]}, follow=True)
    assert portfolio["lu"].number in answer.content.decode()
    assert portfolio["lu"].number in client.get("/customers/").content.decode()


def test_a_table_with_more_columns_than_fit_scrolls_in_its_own_box(
    portfolio: Any, rm: Any, client_for: Any
) -> None:
    client = client_for(rm)
    assert "list-scroll" not in client.get("/customers/").content.decode()
    assert "list-scroll" not in client.get("/customers/?columns=tier.loans").content.decode()
    assert "list-scroll" in client.get("/customers/?columns=tier.loans.industry.number.kind").content.decode()


def test_names_are_text_not_markup(house: Any, rm: Any, client_for: Any) -> None:
    with bank(house.id):
        nasty = factories.make_customer("<script>alert(1)</script>", responsible=rm.staff)
    client = client_for(rm)
    for url in ("/customers/", f"/customers/{nasty.pk}/", "/search/?q=<script>alert(1)</script>"):
        assert "<script>alert" not in client.get(url).content.decode()


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ({"fact": "overdue_amount", "op": ">", "value": "0"}, "standing_overdue"),
        ({"fact": "without_manager", "op": "=", "value": True}, "standing_queue"),
        ({"fact": "is_prospect", "op": "=", "value": True}, "customer_prospects"),
    ],
)
def test_the_few_among_many_have_an_index(
    house: Any, branch_manager: Any, condition: dict[str, Any], index: str
) -> None:
    """A branch's overdue, its queue and the prospects are not looked for among all its customers."""
    with bank(house.id):
        for n in range(400):
            factories.make_customer(
                f"c{n}", responsible=branch_manager.staff, home_branch=house.north, value_tier=1
            )
        with connection.cursor() as cursor:
            for table in ("customers_standing", "customers_customer"):
                cursor.execute("select banyan_analyze(%s)", [table])
        query = CustomerQuery(condition, "-loans" if index == "standing_overdue" else "-deposits_adb")
        found = lists._ordered(lists._listed(branch_manager.actor, query, as_of=AS_OF), query, forward=True)
        assert index in found.values("id")[:51].explain()


@pytest.mark.parametrize(
    ("month_ends", "newest", "drawn"),
    [
        ((), 5, ()),
        ((3, 5), 5, (3, 5)),
        ((3, 5), 9, (3, 5, 9)),
        (tuple(range(13)), 20, (*range(1, 13), 20)),
    ],
)
def test_the_line_of_deposits_ends_with_the_figure_beside_it(
    month_ends: tuple[int, ...], newest: int, drawn: tuple[int, ...]
) -> None:
    amounts = [Decimal(amount) for amount in month_ends]
    assert deposit_trend(amounts, Decimal(newest)) == tuple(Decimal(amount) for amount in drawn)
