"""What a cell of a delivery may hold: one parser per type, from text to the value that lands.

A parser takes the cell's text (stripped, never empty) and returns text for COPY, or raises Bad with a
stable code (docs/feeds.md lists them). Pure: knows no Django model and no bank.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import phonenumbers
from stdnum import lei as stdnum_lei
from stdnum.cn import uscc as stdnum_uscc

from crm_site.lib.money import CURRENCIES, DECIMALS

REGION_OF_CURRENCY = {
    "CNY": "CN", "CZK": "CZ", "HKD": "HK", "MOP": "MO", "TWD": "TW", "SGD": "SG", "JPY": "JP", "KRW": "KR",
    "GBP": "GB", "USD": "US", "PLN": "PL", "HUF": "HU", "CHF": "CH", "VND": "VN", "THB": "TH", "INR": "IN",
}  # fmt: skip
FIRST_YEAR, LAST_YEAR = 1900, 2199
MOST_MINOR = 10**14  # a trillion with cents: a bigint carries minor units x days of it for 250 years

Parser = Callable[[str], str]


class Bad(ValueError):
    """A cell that cannot land: stable code and the parameters of its message."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


@dataclass(frozen=True)
class Column:
    """One column of a feed: drives validation, the OpenAPI schema, the docs and the upload's mapping."""

    name: str
    type: str
    description: str
    example: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    most: int = 0  # characters
    reference: str = ""  # what the bank's own number names: customer, account, branch, staff, product, loan
    protected: bool = False  # encrypted where it lands, and in kept error rows
    positive: bool = False
    synonyms: tuple[str, ...] = ()  # headers of banks' files that mean this column
    to: str = ""  # column of the feed's table where it lands; "-" = the feed's landing places it itself
    default: str = ""  # SQL of what stands for "empty"; by type when not said

    @property
    def target(self) -> str:
        """Column of the feed's table that holds it ("" when the landing places it itself)."""
        if self.to == "-":
            return ""
        return self.to or (f"{self.name}_id" if self.reference else self.name)

    @property
    def empty_sql(self) -> str:
        """SQL literal that stands for an empty cell."""
        if self.default:
            return self.default
        if self.reference or self.type in ("date", "datetime", "rate", "integer", "money"):
            return "NULL"
        return "false" if self.type == "boolean" else "''"

    @property
    def chinese(self) -> str:
        """Its name for a Chinese reader: the first Chinese header that means it."""
        return next((word for word in self.synonyms if not word.isascii()), self.name)

    @property
    def sql_type(self) -> str:
        return SQL_TYPES.get(self.type, "text")

    @property
    def check(self) -> str:
        """The check in words, for the documents."""
        parts = [CHECKS.get(self.type, "")]
        if self.choices:
            parts.append(("any of " if self.type == "choices" else "one of ") + ", ".join(self.choices))
        if self.most:
            parts.append(f"at most {self.most} characters")
        if self.reference:
            parts.append(f"an existing {self.reference}")
        if self.positive:
            parts.append("not negative")
        return "; ".join(part for part in parts if part)


SQL_TYPES = {
    "date": "date",
    "datetime": "timestamptz",
    "money": "bigint",
    "rate": "numeric",
    "integer": "integer",
    "boolean": "boolean",
}
CHECKS = {
    "date": "YYYY-MM-DD",
    "datetime": "ISO 8601 with offset",
    "money": "at most two decimals",
    "rate": "decimal fraction",
    "integer": "whole number",
    "boolean": "true or false (also 1/0, yes/no, 是/否)",
    "currency": "ISO 4217, at most two decimals",
    "resident_id": "GB 11643 check digit",
    "uscc": "GB 32100 check digit",
    "lei": "ISO 17442 check digits",
    "phone": "E.164 or the bank's national form",
    "email": "an e-mail address",
    "code": "no spaces",
    "schedule": "date:amount pairs separated by ;",
    "choices": "separated by ;",
}


@dataclass(frozen=True)
class Place:
    """What parsing needs to know of the bank: default telephone region and its time zone's offset rules."""

    region: str | None = "CN"
    tz: dt.tzinfo = field(default_factory=lambda: dt.UTC)


def text_parser(column: Column) -> Parser:
    most = column.most or 4000

    def parse(value: str) -> str:
        if len(value) > most:
            raise Bad("too_long", most=most)
        if value[0] == "=":
            raise Bad("formula")
        if not value.isprintable():
            return _printable(value)
        return value.replace("\\", "\\\\") if "\\" in value else value

    return parse


def _printable(value: str) -> str:
    """Text with line breaks and tabs kept for COPY; other control characters are refused."""
    for character in value:
        if (character < " " and character not in "\n\r\t") or "\ud800" <= character <= "\udfff":
            raise Bad("bad_text")
    escaped = value.replace("\\", "\\\\").replace("\r\n", "\n").replace("\r", "\n")
    return escaped.replace("\n", "\\n").replace("\t", "\\t")


def code_parser(column: Column) -> Parser:
    most = column.most or 40

    def parse(value: str) -> str:
        if len(value) > most:
            raise Bad("too_long", most=most)
        if not value.isprintable() or " " in value or "\\" in value:
            raise Bad("bad_text")
        if value[0] == "=":
            raise Bad("formula")
        return value

    return parse


class _ChoiceParser(dict):
    def __missing__(self, value: str) -> str:
        raise Bad("bad_choice", choices=", ".join(self))


def choice_parser(column: Column) -> Parser:
    return _ChoiceParser({choice: choice for choice in column.choices}).__getitem__


def choices_parser(column: Column) -> Parser:
    """Several of the choices, in the column's order, each once."""
    one = choice_parser(column)

    def parse(value: str) -> str:
        given = {one(part.strip()) for part in value.split(";") if part.strip()}
        return ";".join(choice for choice in column.choices if choice in given)

    return parse


class _DateParser(dict):
    """Remembers dates seen: a delivery holds few distinct ones."""

    def __missing__(self, value: str) -> str:
        try:
            if len(value) != 10:
                raise ValueError
            day = dt.date.fromisoformat(value)
        except ValueError:
            raise Bad("bad_date") from None
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise Bad("date_range")
        if len(self) < 200_000:
            self[value] = value
        return value


def date_parser(column: Column) -> Parser:
    return _DateParser().__getitem__


class _DatetimeParser(dict):
    def __init__(self, tz: dt.tzinfo) -> None:
        super().__init__()
        self.tz = tz

    def __missing__(self, value: str) -> str:
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise Bad("bad_datetime") from None
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise Bad("date_range")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.tz)
        text = moment.astimezone(dt.UTC).isoformat()
        if len(self) < 50_000:
            self[value] = text
        return text


_PLAIN_MONEY = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,2})?$", re.ASCII)


def minor_units(value: str) -> int:
    """Minor units of an amount as text; raises Bad."""
    if _PLAIN_MONEY.match(value):
        whole, _point, cents = value.partition(".")
        return int(whole + (cents + "00")[:2])
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise Bad("bad_number") from None
    if not amount.is_finite() or abs(amount) >= Decimal(MOST_MINOR).scaleb(-2):
        raise Bad("bad_number")
    minor = amount.scaleb(2)
    if minor != minor.to_integral_value():
        raise Bad("bad_money")
    return int(minor)


def money_parser(column: Column) -> Parser:
    positive = column.positive

    def parse(value: str) -> str:
        minor = minor_units(value)
        if positive and minor < 0:
            raise Bad("negative")
        return str(minor)

    return parse


def rate_parser(column: Column) -> Parser:
    def parse(value: str) -> str:
        try:
            rate = Decimal(value)
        except InvalidOperation:
            raise Bad("bad_number") from None
        if not rate.is_finite() or abs(rate) >= 10**9:
            raise Bad("bad_number")
        if column.positive and rate < 0:
            raise Bad("negative")
        return format(rate, "f")

    return parse


def integer_parser(column: Column) -> Parser:
    def parse(value: str) -> str:
        if not re.fullmatch(r"-?[0-9]{1,9}", value, re.ASCII):
            raise Bad("bad_number")
        if column.positive and value[0] == "-":
            raise Bad("negative")
        return value

    return parse


_BOOLEANS = {
    "true": "t", "false": "f", "1": "t", "0": "f", "yes": "t", "no": "f", "y": "t", "n": "f", "t": "t", "f": "f",
    "是": "t", "否": "f",
}  # fmt: skip


def boolean_parser(column: Column) -> Parser:
    def parse(value: str) -> str:
        try:
            return _BOOLEANS[value.lower()]
        except KeyError:
            raise Bad("bad_boolean") from None

    return parse


def currency_parser(column: Column) -> Parser:
    def parse(value: str) -> str:
        if value not in CURRENCIES:
            raise Bad("bad_currency")
        if DECIMALS.get(value, 2) > 2:
            raise Bad("currency_decimals")
        return value

    return parse


class _Weighed(dict):
    """Sums of a piece's digits by their GB 11643 weights, remembered: regions, dates of birth and serial numbers come
    again and again. A piece that cannot stand there raises Bad."""

    def __init__(self, pattern: str, weights: tuple[int, ...], *, is_date: bool = False) -> None:
        super().__init__()
        self.match, self.weights, self.is_date = re.compile(pattern, re.ASCII).fullmatch, weights, is_date

    def __missing__(self, piece: str) -> int:
        if not self.match(piece):
            raise Bad("bad_identifier")
        if self.is_date:
            try:
                dt.date(int(piece[:4]), int(piece[4:6]), int(piece[6:]))
            except ValueError:
                raise Bad("bad_identifier") from None
        total = sum(int(digit) * weight for digit, weight in zip(piece, self.weights, strict=True))
        if len(self) < 100_000:
            self[piece] = total
        return total


_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_REGION = _Weighed("[1-9][0-9]{5}", _WEIGHTS[:6])
_BORN = _Weighed("(19|20)[0-9]{6}", _WEIGHTS[6:14], is_date=True)
_SERIAL = _Weighed("[0-9]{3}", _WEIGHTS[14:])
_CHECK_DIGITS = "10X98765432"  # ISO 7064 MOD 11-2, by the weighted sum's remainder


def resident_id(value: str) -> str:
    """A citizen identification number by GB 11643-1999: date of birth and ISO 7064 MOD 11-2 check digit."""
    number = value.replace(" ", "").upper()
    if len(number) != 18:
        raise Bad("bad_identifier")
    total, digit = _REGION[number[:6]] + _BORN[number[6:14]] + _SERIAL[number[14:17]], number[17]
    if digit != _CHECK_DIGITS[total % 11]:
        raise Bad("bad_check_digit" if digit in _CHECK_DIGITS else "bad_identifier")
    return number


def uscc(value: str) -> str:
    """A unified social credit code by GB 32100-2015 (mod 31)."""
    number = value.replace(" ", "").upper()
    if not re.fullmatch(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}", number, re.ASCII):
        raise Bad("bad_identifier")
    if stdnum_uscc.calc_check_digit(number[:-1]) != number[-1]:
        raise Bad("bad_check_digit")
    return number


def lei(value: str) -> str:
    """A legal entity identifier by ISO 17442 (mod 97-10)."""
    number = value.replace(" ", "").upper()
    if not re.fullmatch(r"[0-9A-Z]{18}[0-9]{2}", number, re.ASCII):
        raise Bad("bad_identifier")
    if not stdnum_lei.is_valid(number):
        raise Bad("bad_check_digit")
    return number


def document(value: str) -> str:
    number = value.replace(" ", "").upper()
    if not re.fullmatch(r"[0-9A-Z/().-]{4,40}", number, re.ASCII):
        raise Bad("bad_identifier")
    return number


_CHINESE_MOBILE = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})$", re.ASCII)


def phone(value: str, region: str | None) -> str:
    """A telephone number as E.164; a number without country code is read in the bank's region."""
    if region == "CN" and (match := _CHINESE_MOBILE.match(value)):
        return "+86" + match[1]  # the commonest case without the library's 30 microseconds; a test compares
    try:
        parsed = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        raise Bad("bad_phone") from None
    if not phonenumbers.is_possible_number(parsed):
        raise Bad("bad_phone")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


_EMAIL = re.compile(r"[^\s@,;<>\"\\]{1,64}@[^\s@,;<>\"\\]+\.[^\s@,;<>\"\\]{2,}$")


def email(value: str) -> str:
    if len(value) > 190 or not _EMAIL.match(value) or not value.isprintable():
        raise Bad("bad_email")
    return value.lower()


def schedule(value: str) -> str:
    """Instalments "2026-01-12:1500.00;2026-02-12:1500.00" as "2026-01-12:150000;..." in minor units."""
    parsed = []
    for part in value.split(";"):
        day, colon, amount = part.strip().partition(":")
        if not colon:
            raise Bad("bad_schedule")
        minor = minor_units(amount.strip())
        if minor < 0:
            raise Bad("negative")
        parsed.append(f"{_DateParser()[day.strip()]}:{minor}")
    if len({part[:10] for part in parsed}) != len(parsed):
        raise Bad("bad_schedule")
    return ";".join(sorted(parsed))


_SIMPLE: Mapping[str, Callable[[Column], Parser]] = {
    "text": text_parser,
    "code": code_parser,
    "choice": choice_parser,
    "choices": choices_parser,
    "date": date_parser,
    "money": money_parser,
    "rate": rate_parser,
    "integer": integer_parser,
    "boolean": boolean_parser,
    "currency": currency_parser,
}
_FUNCTIONS: Mapping[str, Parser] = {
    "resident_id": resident_id,
    "uscc": uscc,
    "lei": lei,
    "document": document,
    "email": email,
    "schedule": schedule,
}


def parser_of(column: Column, place: Place) -> Parser:
    """The parser of a column at a bank. KeyError for an unknown type."""
    if column.type == "phone":
        region = place.region
        return lambda value: phone(value, region)
    if column.type == "datetime":
        return _DatetimeParser(place.tz).__getitem__
    if column.type in _FUNCTIONS:
        return _FUNCTIONS[column.type]
    return _SIMPLE[column.type](column)
