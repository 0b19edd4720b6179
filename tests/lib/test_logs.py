"""What a log never says: who a customer is, and what he has told the bank."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from crm_site.lib.logs import JsonFormatter
from crm_site.lib.tenancy import bank
from tests.conftest import House
from tests.customers.factories import make_customer

NAME, CARD, PHONE = "Zhang Sanfeng", "330102199003078888", "13800138000"


def line(message: str, *args: Any, error: BaseException | None = None) -> str:
    """What the formatter writes of a record."""
    found = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("banyan", logging.ERROR, "x.py", 1, message, args, found)
    return JsonFormatter().format(record)


def refused(statement: str, *given: str) -> DatabaseError:
    """What the database says of a statement; the transaction goes on."""
    with connection.cursor() as cursor, pytest.raises(DatabaseError) as caught, transaction.atomic():
        cursor.execute(statement, given)
    return caught.value


def test_an_error_of_the_database_names_no_value(house: House) -> None:
    with bank(house.id):
        make_customer(NAME, number=CARD)
        taken = refused(
            "insert into customers_customer select * from customers_customer where number = %s", CARD
        )
        no_date = refused("select %s::date", f"{NAME} {PHONE}")
    assert NAME in str(no_date), "the database does tell it"
    for error in (taken, no_date):
        context = {"name": "task", "exc": repr(error), "traceback": str(error)}  # as Celery does
        for text in (
            line("failed", error=error), line("failed: %s", error), line("run %s", {"exc": error}),
            line("%(name)s: %(exc)s", context, error=error),
        ):  # fmt: skip
            assert not any(secret in text for secret in (NAME, CARD, PHONE)), text
    told = json.loads(line("failed", error=taken))["error"]
    assert "IntegrityError 23505 customer" in told and "test_logs.py" in told  # which rule, and where


def test_long_numbers_are_masked_wherever_they_stand() -> None:
    try:
        int(f"{PHONE} of a row")
    except ValueError:
        written = line("line 17: %s is no date, %s", CARD, "2026-11-22", error=sys.exc_info()[1])
    assert PHONE not in written and CARD not in written
    assert "2026-11-22" in written and "ValueError" in written and "line 17" in written


def test_the_line_of_a_request_says_neither_what_was_asked_nor_sent(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(HTTP_HOST=house.bank.host)
    with caplog.at_level(logging.INFO, "banyan"):
        client.get("/customers/", {"q": NAME, "phone": PHONE})
        client.post("/accounts/login/", {"login": PHONE, "password": CARD})
    written = [JsonFormatter().format(record) for record in caplog.records]
    assert [json.loads(text)["status"] for text in written if '"route"' in text], "requests are logged"
    assert not any(secret in text for text in written for secret in (NAME, PHONE, CARD, "q="))
