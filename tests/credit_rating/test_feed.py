"""The feed `financials`: what lands, again, older, wrong."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from credit_rating.models import Statement
from tests.conftest import House
from tests.credit_rating import book
from tests.customers.factories import make_customer
from tests.customers.ingest.conftest import Deliver, counts, deliver, errors

__all__ = ["deliver"]  # the fixture
AS_OF = "2026-03-31T18:00:00+08:00"


def _csv(*rows: tuple[str, int, str, dict[str, str]]) -> str:
    names = list(book.figures())
    head = ",".join(["customer", "year", "report_date", "source_as_of", *names])
    lines = [
        ",".join([number, str(year), f"{year}-12-31", as_of, *[figures.get(n, "") for n in names]])
        for number, year, as_of, figures in rows
    ]
    return "\n".join([head, *lines]) + "\n"


def test_statements_land_again_changes_nothing_and_older_loses(inside: House, deliver: Deliver) -> None:
    company = make_customer(number="C1", kind="corporate", home_branch=inside.north)
    delivery = _csv(("C1", 2025, AS_OF, book.figures()))
    assert counts(deliver("financials", delivery)) == (1, 1, 0, 0, 0)
    stands = Statement.objects.get(customer=company)
    assert (stands.source, stands.report_date) == ("feed", dt.date(2025, 12, 31))
    assert stands.amounts == {item: Decimal(text) for item, text in book.figures().items()}
    assert counts(deliver("financials", delivery)) == (1, 0, 0, 1, 0)
    newer = _csv(("C1", 2025, "2026-04-30T18:00:00+08:00", book.figures(sales=4000)))
    assert counts(deliver("financials", newer)) == (1, 0, 1, 0, 0)
    assert counts(deliver("financials", delivery)) == (1, 0, 0, 1, 0)
    stands.refresh_from_db()
    assert stands.amounts["sales"] == 40_000_000


def test_what_does_not_add_up_or_is_no_companys_is_refused(inside: House, deliver: Deliver) -> None:
    make_customer(number="C1", kind="corporate", home_branch=inside.north)
    make_customer(number="P1", kind="personal", home_branch=inside.north)
    wrong = {**book.figures(), "equity": "1.00"}
    batch = deliver(
        "financials",
        _csv(("C1", 2025, AS_OF, wrong), ("P1", 2025, AS_OF, book.figures()), ("C9", 2025, AS_OF, book.figures()),
             ("C1", 2024, AS_OF, book.figures())),
    )  # fmt: skip
    assert counts(batch) == (4, 1, 0, 0, 3)
    assert {code for _line, _field, code in errors(batch)} == {
        "does_not_add_up",
        "no_statement",
        "unknown_reference",
    }
