"""Cells: what each type takes, against the libraries and standards behind it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import lei
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_2

from customers.ingest import columns
from customers.ingest.columns import Bad, Column, Place, parser_of
from tests.properties import rule

PLACE = Place(region="CN", tz=dt.timezone(dt.timedelta(hours=8)))


def parse(kind: str, value: str, **options: object) -> str:
    return parser_of(Column("x", kind, "", **options), PLACE)(value)


def code_of(kind: str, value: str, **options: object) -> str:
    with pytest.raises(Bad) as bad:
        parse(kind, value, **options)
    return bad.value.code


@rule("money", many=20_000)
@given(st.decimals(min_value="-999999999999.99", max_value="999999999999.99", places=2))
def test_money_is_exact_minor_units(amount: Decimal) -> None:
    assert int(parse("money", str(amount))) == int(amount * 100)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1.005", "bad_money"),
        ("1,000.00", "bad_number"),
        ("NaN", "bad_number"),
        ("1e20", "bad_number"),
        ("１２", ""),
    ],
)
def test_money_that_is_none(value: str, code: str) -> None:
    if code:
        assert code_of("money", value) == code
    else:  # full-width digits are digits
        assert parse("money", value) == "1200"


@given(
    st.dates(dt.date(1930, 1, 1), dt.date(2020, 12, 31)), st.integers(0, 999), st.sampled_from("0123456789X")
)
def test_resident_ids_by_their_check_digit(born: dt.date, serial: int, last: str) -> None:
    number = f"110105{born:%Y%m%d}{serial:03}{last}"
    if mod_11_2.is_valid(number):
        assert columns.resident_id(number.lower()) == number
    else:
        assert code_of("resident_id", number) == "bad_check_digit"


def test_resident_ids_need_a_real_date() -> None:
    assert code_of("resident_id", "11010519490230002X") == "bad_identifier"


@given(st.integers(0, 10**8 - 1), st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"))
def test_credit_codes_by_their_check_digit(serial: int, last: str) -> None:
    number = f"911100006{serial:08}{last}"
    try:
        assert columns.uscc(number) == number
        accepted = True
    except Bad:
        accepted = False
    assert accepted == (uscc.calc_check_digit(number[:-1]) == number[-1])


def test_legal_entity_identifiers() -> None:
    good = "213800KUD8LAJWSQ9D15"
    assert lei.is_valid(good)
    assert columns.lei(good) == good
    assert code_of("lei", good[:-1] + "6") == "bad_check_digit"


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(["", "86", "+86"]))
def test_mobile_numbers_read_as_the_library_reads_them(number: str, prefix: str) -> None:
    parsed = phonenumbers.parse("+86" + number)
    expected = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    assert columns.phone(prefix + number, "CN") == expected


def test_other_numbers() -> None:
    assert columns.phone("0571-88886666", "CN") == "+8657188886666"
    assert columns.phone("+420 601 123 456", "CN") == "+420601123456"
    assert code_of("phone", "123") == "bad_phone"


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("date", "2026-02-30", "bad_date"),
        ("date", "20260101", "bad_date"),
        ("date", "1492-10-12", "date_range"),
        ("datetime", "yesterday", "bad_datetime"),
        ("boolean", "maybe", "bad_boolean"),
        ("currency", "XXX", "bad_currency"),
        ("currency", "KWD", "currency_decimals"),
        ("integer", "12.5", "bad_number"),
        ("rate", "inf", "bad_number"),
        ("email", "nobody", "bad_email"),
        ("code", "a b", "bad_text"),
        ("text", "bell\x07", "bad_text"),
        ("text", "\ud800", "bad_text"),
        ("text", "=cmd|' /C calc'!A0", "formula"),
        ("schedule", "2026-01-01", "bad_schedule"),
        ("schedule", "2026-01-01:5;2026-01-01:6", "bad_schedule"),
    ],
)
def test_refused(kind: str, value: str, code: str) -> None:
    assert code_of(kind, value) == code


def test_times_without_offset_are_the_banks() -> None:
    assert parse("datetime", "2026-01-01T08:00:00") == "2026-01-01T00:00:00+00:00"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=50))
def test_text_survives_the_copy_format(text: str) -> None:
    """What COPY would read back is what came."""
    if text.startswith("="):
        return
    copied = parse("text", text)
    assert "\t" not in copied
    assert copied.replace("\\\\", "\\") == text
