"""Numbers and dates as a banker reads them, in both languages."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from crm_site.lib import formats
from tests.properties import rule

TODAY = dt.date(2026, 11, 20)


@pytest.mark.parametrize(
    ("value", "chinese", "english"),
    [
        ("0", "0.00 元", "CNY 0.00"),
        ("8650", "8,650.00 元", "CNY 8,650.00"),
        ("9999.994", "9,999.99 元", "CNY 9,999.99"),
        ("10000", "1.0 万", "CNY 10.0 K"),
        ("33421000", "3,342.1 万", "CNY 33.4 M"),
        ("999949", "100.0 万", "CNY 999.9 K"),
        ("999950", "100.0 万", "CNY 1.0 M"),
        ("99600000", "9,960.0 万", "CNY 99.6 M"),
        ("99999950", "1.00 亿", "CNY 100.0 M"),
        ("266000000", "2.66 亿", "CNY 266.0 M"),
        ("1556000000", "15.56 亿", "CNY 1.56 B"),
        ("-1234500", "−123.5 万", "CNY −1.2 M"),
        ("-0.001", "0.00 元", "CNY 0.00"),
    ],
)
def test_short_money(value: str, chinese: str, english: str) -> None:
    assert str(formats.money(Decimal(value), "CNY", language="zh-hans")) == chinese
    assert str(formats.money(Decimal(value), "CNY", language="en")) == english


def test_full_money_keeps_every_digit() -> None:
    assert formats.money_full(Decimal("33421000.5"), "CNY", language="zh-hans") == "33,421,000.50 元"
    assert formats.money_full(Decimal("33421000.5"), "CNY", language="en") == "CNY 33,421,000.50"
    assert formats.money(Decimal(33421000), "CNY", language="en").full == "CNY 33,421,000.00"


def test_chinese_names_a_currency_only_when_it_is_not_the_banks_own() -> None:
    assert str(formats.money(Decimal(20000), "CZK", home="CZK", language="zh-hans")) == "2.0 万"
    assert formats.money_full(Decimal(20), "CZK", home="CZK", language="zh-hans") == "20.00"
    assert str(formats.money(Decimal(20000), "USD", home="CNY", language="zh-hans")) == "USD 2.0 万"
    assert formats.money_full(Decimal(20), "USD", home="CNY", language="zh-hans") == "USD 20.00"


def test_a_currency_without_minor_unit_shows_none() -> None:
    assert formats.money_full(Decimal(1500), "JPY", language="en") == "JPY 1,500"


def test_unknown_and_zero_differ() -> None:
    assert str(formats.money(None, "CNY", language="en")) == "–"
    assert formats.money_in(None, formats.WAN) == "–"
    assert formats.money_in(Decimal(0), formats.WAN) == "0.0"
    assert formats.percent(None) == "–"
    assert formats.percent(0) == "0.0%"


def test_a_column_has_one_unit_by_its_largest_amount() -> None:
    amounts = [Decimal(8650), None, Decimal(-33421000)]
    assert formats.column_unit(amounts, language="zh-hans") is formats.WAN
    assert formats.column_unit(amounts, language="en") is formats.MILLION
    assert formats.money_in(Decimal(8650), formats.WAN) == "0.9"
    assert formats.money_in(Decimal(300), formats.WAN) == "<0.1"  # overdue, and not nothing
    assert formats.money_in(Decimal(-300), formats.WAN) == ">−0.1"
    assert formats.money_in(Decimal(500), formats.WAN) == "0.1"
    # A branch's table stays in 万 and M, however large.
    assert formats.column_unit([Decimal(10) ** 10], language="zh-hans") is formats.WAN
    assert formats.column_unit([Decimal(10) ** 10], language="en") is formats.MILLION
    assert formats.column_unit([], language="en").label == ""


@pytest.mark.parametrize(
    ("rate", "text", "arrow"),
    [("0.018", "+1.8%", "▲ 1.8%"), ("-0.042", "−4.2%", "▼ 4.2%"), ("0.0004", "0.0%", "unchanged")],
)
def test_changes(rate: str, text: str, arrow: str) -> None:
    assert formats.percent_signed(Decimal(rate)) == text
    assert formats.delta(Decimal(rate), language="en") == arrow


def test_a_comparison_reads_in_the_order_of_its_language() -> None:
    assert formats.delta(Decimal("0.018"), "since 31 Oct", language="en") == "▲ 1.8% since 31 Oct"
    assert formats.delta(Decimal("0.018"), "较 10-31", language="zh-hans") == "较 10-31 ▲ 1.8%"
    assert formats.delta(Decimal(0), "较 10-31", language="zh-hans") == "较 10-31 持平"


def test_percent_of_a_float_rounds_half_up() -> None:
    assert formats.percent(0.6785) == "67.9%"
    assert formats.percent(0.758, 0) == "76%"


def test_a_model_never_says_never() -> None:
    assert [formats.chance(p) for p in (None, 0.0, 0.0049, 0.005, 0.714)] == ["–", "<1%", "<1%", "1%", "71%"]


def test_phones_read_as_people_here_write_them() -> None:
    assert formats.phone("+86183••••1878") == "183••••1878"
    assert formats.phone("+85291••••23") == "+85291••••23"


def test_dates() -> None:
    this_year, last_year = dt.date(2026, 11, 7), dt.date(2025, 11, 27)
    assert formats.day(this_year, TODAY, language="zh-hans") == "11-07"
    assert formats.day(last_year, TODAY, language="zh-hans") == "2025-11-27"
    assert formats.day(this_year, TODAY, language="en") == "7 Nov"
    assert formats.day(last_year, TODAY, language="en") == "27 Nov 2025"
    assert formats.day(this_year, language="zh-hans") == "2026-11-07"
    assert formats.day_with_weekday(dt.date(2026, 11, 24), TODAY, language="zh-hans") == "11-24 周二"
    assert formats.day_with_weekday(dt.date(2026, 11, 24), TODAY, language="en") == "Tue 24 Nov"
    assert formats.day_long(TODAY, language="zh-hans") == "11 月 20 日 星期五"
    assert formats.day_long(TODAY, language="en") == "Friday 20 Nov 2026"
    assert formats.month(TODAY, language="zh-hans") == "2026-11"
    assert (
        formats.moment(dt.datetime(2026, 11, 19, 22, 40, tzinfo=dt.UTC), TODAY, language="en")
        == "19 Nov 22:40"
    )


@pytest.mark.parametrize(
    ("days", "chinese", "english"),
    [
        (0, "今天", "today"),
        (1, "明天", "tomorrow"),
        (7, "还有 7 天", "in 7 days"),
        (-1, "逾期 1 天", "1 day overdue"),
        (-3, "逾期 3 天", "3 days overdue"),
    ],
)
def test_deadlines_say_how_far(days: int, chinese: str, english: str) -> None:
    due = TODAY + dt.timedelta(days)
    assert formats.deadline(due, TODAY, language="zh-hans") == chinese
    assert formats.deadline(due, TODAY, language="en") == english
    assert formats.deadline_full(due, TODAY, language="en").endswith(english)


def test_the_readers_language_decides() -> None:
    with translation.override("zh-hans"):
        assert str(formats.money(Decimal(20000), "CNY")) == "2.0 万"
    with translation.override("en"):
        assert str(formats.money(Decimal(20000), "CNY")) == "CNY 20.0 K"


def test_initials() -> None:
    assert formats.initials("陆思远") == "陆"
    assert formats.initials("Gu Wenqing") == "GW"
    assert formats.initials("Cher") == "C"
    assert formats.initials("") == ""


def test_durations_and_sizes() -> None:
    assert formats.duration(1.94, language="en") == "1.9 s"
    assert formats.duration(252, language="en") == "4 min 12 s"
    assert formats.duration(7500, language="zh-hans") == "2 小时 05 分"
    assert formats.file_size(900) == "900 B"
    assert formats.file_size(1536) == "1.5 KB"


@given(st.text(max_size=30), st.integers(0, 6), st.integers(0, 6))
def test_masking_never_shows_more_than_both_ends(text: str, head: int, tail: int) -> None:
    masked = formats.masked(text, head, tail)
    assert len(masked) == len(text)
    hidden = len(text) - head - tail
    if hidden <= 0:
        assert masked == formats.DOT * len(text)
    else:
        assert masked[head : head + hidden] == formats.DOT * hidden


@rule("money", many=20_000)
@given(st.decimals(min_value=-(10**14), max_value=10**14, places=2), st.sampled_from(["en", "zh-hans"]))
def test_short_money_is_within_half_of_its_last_digit(value: Decimal, language: str) -> None:
    amount = formats.money(value, "CNY", language=language)
    shown = Decimal(amount.number.replace(",", "").replace("−", "-"))
    scale = {
        "": Decimal(1),
        "元": Decimal(1),
        "万": Decimal(10**4),
        "亿": Decimal(10**8),
        "K": Decimal(10**3),
        "M": Decimal(10**6),
        "B": Decimal(10**9),
    }
    last_digit = Decimal(1).scaleb(-len(amount.number.partition(".")[2])) * scale[amount.after]
    assert abs(shown * scale[amount.after] - value) <= last_digit / 2
