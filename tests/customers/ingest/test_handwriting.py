"""Spreadsheets as Chinese banks write them: read kindly by the upload, strictly by the API."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from crm_site.lib.permissions import system_actor
from customers.ingest import handwriting
from customers.ingest.columns import Bad, Place, parser_of
from customers.ingest.feeds import FEEDS
from customers.ingest.services import process_batch, receive
from customers.models import Customer, Relation
from tests.customers.ingest.conftest import NOW, counts
from tests.customers.ingest.test_uploads import imported


@pytest.mark.parametrize(
    "text",
    ["2026-01-05", "2026-1-5", "2026/1/5", "2026.01.05", "2026年1月5日", "2026年01月05", "20260105", "２０２６／１／５",
     "2026-01-05 00:00:00", "2026/1/5 0:00"],
)  # fmt: skip
def test_dates(text: str) -> None:
    assert handwriting.date(text) == "2026-01-05"


@pytest.mark.parametrize("text", ["01/02/2026", "5-1-2026", "5.1.26", "25/12/2026"])
def test_a_date_that_may_be_day_or_month_first_is_refused(text: str) -> None:
    with pytest.raises(Bad) as refused:
        handwriting.date(text)
    assert refused.value.code == "ambiguous_date"


@pytest.mark.parametrize("text", ["2026-13-01", "2026/2/30", "20261301", "next week", "46027", "2026/1-5"])
def test_what_is_no_date_stays_for_the_shared_rule_to_refuse(text: str) -> None:
    column = FEEDS["customers"].column("birth_date")
    with pytest.raises(Bad):
        parser_of(column, Place())(handwriting.date(text))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026/1/30 10:15", "2026-01-30T10:15"),
        ("2026年1月30日 9:05:00", "2026-01-30T09:05:00"),
        ("2026-01-30T10:15:00+08:00", "2026-01-30T10:15:00+08:00"),
    ],
)
def test_times(text: str, read: str) -> None:
    assert handwriting.moment(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1234.5", "1234.5"), ("1,234,567.89", "1234567.89"), ("１，２３４．５０", "1234.50"), ("￥1,234.50", "1234.50"),
        ("1234.50元", "1234.50"), ("(1,234.50)", "-1234.50"), ("－５", "-5"),
        ("1,23", "1,23"), ("12,34,567", "12,34,567"), ("1.234,56", "1.234,56"), ("12万", "12万"),
    ],
)  # fmt: skip
def test_numbers_lose_their_separators_but_are_never_guessed(text: str, read: str) -> None:
    assert handwriting.number(text) == read


def test_rates_in_percent() -> None:
    assert handwriting.rate("4.35%") == "0.0435"
    assert handwriting.rate("0.0435") == "0.0435"


def test_every_word_means_one_code_of_its_column() -> None:
    choices = [column for feed in FEEDS for column in feed.columns if column.choices]
    assert {code for column in choices for code in column.choices} == set(handwriting.WORDS)
    for column in choices:
        words = [word for code in column.choices for word in handwriting.WORDS[code]]
        assert len(words) == len(set(words)), column.name


def test_a_chinese_workbook_lands(inside: Any, marketing: Any) -> None:
    book = openpyxl.Workbook()
    book.active.append(["客户号", "姓名", "客户类型", "性别", "出生日期", "手机号"])
    book.active.append(["１００１", "张 伟明", "个人", "男", dt.date(1982, 5, 17), 13812345678])
    book.active.append([1002, "澄湖机械", "公司", None, None, None])
    book.active.append([1003, "李娜", "PERSONAL", "女", "1990年2月3日", "１３９１２３４５６７８"])
    book.active.append([1004, "王强", "personal", "M", "03/02/1990", None])
    saved = io.BytesIO()
    book.save(saved)
    batch = imported(marketing.actor, saved.getvalue(), name="客户.xlsx")
    assert counts(batch) == (4, 3, 0, 0, 1)
    one, three = Customer.objects.get(number="1001"), Customer.objects.get(number="1003")
    assert (one.name, one.kind, one.gender, one.birth_date) == (
        "张 伟明",
        "personal",
        "M",
        dt.date(1982, 5, 17),
    )
    assert (three.kind, three.gender, three.birth_date) == ("personal", "F", dt.date(1990, 2, 3))
    refused = batch.errors.get()
    assert (refused.field, refused.code) == ("birth_date", "ambiguous_date")
    assert "Write 2026-01-31" in refused.message


def test_shares_and_boundaries_as_people_write_them(inside: Any, marketing: Any) -> None:
    imported(marketing.actor, "客户号,姓名,客户类型,成立日期\n1,张伟明,个人,\n7,澄湖,对公,2001.3.9\n")
    assert Customer.objects.get(number="7").founded_date == dt.date(2001, 3, 9)
    batch = imported(marketing.actor, "客户号,对方客户号,关系,持股比例\n1,7,股东,３５％\n", "relations")
    assert counts(batch) == (1, 1, 0, 0, 0)
    assert Relation.objects.get().share == Decimal("0.35")


def test_the_api_stays_strict(inside: Any) -> None:
    batch = receive(
        actor=system_actor(inside.id, "test"),
        feed=FEEDS["customers"],
        chunks=["number,name,kind,birth_date\n1,One,个人,1990-02-03\n2,Two,personal,1990/2/3\n".encode()],
        source="api",
        now=NOW,
    )
    process_batch(batch.pk)
    assert set(batch.errors.values_list("field", "code")) == {
        ("kind", "bad_choice"),
        ("birth_date", "bad_date"),
    }
