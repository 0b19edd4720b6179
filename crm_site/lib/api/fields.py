"""Strict input and exact output: unknown fields are errors, money is a string."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from rest_framework import serializers
from rest_framework.fields import get_attribute

from crm_site.lib.money import round_to

FIRST_YEAR, LAST_YEAR = 1900, 2199


def unknown_field() -> serializers.ErrorDetail:
    return serializers.ErrorDetail("Unknown field.", code="unknown_field")


class StrictSerializer(serializers.Serializer):
    """Refuses members it does not know, so that a typing error is never silently dropped; all faults at once."""

    def to_internal_value(self, data: Any) -> Any:
        known = {name for name, field in self.fields.items() if not field.read_only}
        extra = sorted(str(name) for name in set(data) - known) if isinstance(data, dict) else []
        faults: dict[str, Any] = {name: [unknown_field()] for name in extra}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not extra or not isinstance(error.detail, dict):
                raise
            faults = {**error.detail, **faults}
        if faults:
            raise serializers.ValidationError(faults)
        return value


class MoneyString(serializers.Field):
    """An amount as a string with its currency's decimals ("1234.50", "1235" of yen); a JSON number is refused.

    `currency` is the path to the row's currency; without it, that of the serializer's own field `currency`.
    """

    default_error_messages = {
        "not_string": 'Money is a string such as "1234.50".',
        "invalid": "Not an amount with at most two decimals.",
    }

    def __init__(self, *, currency: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.currency = currency

    def get_attribute(self, instance: Any) -> Decimal | None:
        amount = super().get_attribute(instance)
        if amount is None:
            return None
        path = self.currency.split(".") if self.currency else self.parent.fields["currency"].source_attrs
        return round_to(Decimal(amount), get_attribute(instance, path))

    def to_representation(self, value: Decimal) -> str:
        return f"{value:f}"

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str):
            self.fail("not_string")
        try:
            amount = Decimal(data)
        except InvalidOperation:
            self.fail("invalid")
        exponent = amount.as_tuple().exponent
        if not amount.is_finite() or not isinstance(exponent, int) or exponent < -2 or abs(amount) >= 10**15:
            self.fail("invalid")
        return amount


class Text(serializers.CharField):
    """A JSON string; a number is refused, not written out."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


def _check_year(day: dt.date) -> None:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        message = f"The year must lie between {FIRST_YEAR} and {LAST_YEAR}."
        raise serializers.ValidationError(message, code="date_range")


class Day(serializers.DateField):
    """A date a bank can mean (the feeds' rule)."""

    def to_internal_value(self, value: Any) -> dt.date:
        day = super().to_internal_value(value)
        _check_year(day)
        return day


class Moment(serializers.DateTimeField):
    """A moment a bank can mean, ISO 8601; without an offset it is the bank's time."""

    def to_internal_value(self, value: Any) -> dt.datetime:
        moment = super().to_internal_value(value)
        _check_year(moment)
        return moment


_LOST_PLUS = re.compile(r"^(.+[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d(?::?\d\d)?)$")


class AskedMoment(Moment):
    """A moment in an address, where an unescaped "+" arrives as a blank: 2026-11-23T09:00:00 08:00 means +08:00."""

    def to_internal_value(self, value: Any) -> dt.datetime:
        return super().to_internal_value(_LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value)
