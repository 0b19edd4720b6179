"""Money: bigint minor units in the database, Decimal in Python; two decimals everywhere.

Currencies with three decimals (KWD, BHD, ...) are refused where they come in (ingest), see
docs/decisions/0003-two-decimals.md.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import forms
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import Combinable, register_combinable_fields

CENT = Decimal("0.01")
# ISO 4217 codes in circulation; those with three decimals are refused (docs/decisions/0003-two-decimals.md).
CURRENCIES = frozenset(
    [
        "AED",
        "AFN",
        "ALL",
        "AMD",
        "ANG",
        "AOA",
        "ARS",
        "AUD",
        "AWG",
        "AZN",
        "BAM",
        "BBD",
        "BDT",
        "BGN",
        "BHD",
        "BIF",
        "BMD",
        "BND",
        "BOB",
        "BRL",
        "BSD",
        "BTN",
        "BWP",
        "BYN",
        "BZD",
        "CAD",
        "CDF",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CRC",
        "CUP",
        "CVE",
        "CZK",
        "DJF",
        "DKK",
        "DOP",
        "DZD",
        "EGP",
        "ERN",
        "ETB",
        "EUR",
        "FJD",
        "FKP",
        "GBP",
        "GEL",
        "GHS",
        "GIP",
        "GMD",
        "GNF",
        "GTQ",
        "GYD",
        "HKD",
        "HNL",
        "HTG",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "IQD",
        "IRR",
        "ISK",
        "JMD",
        "JOD",
        "JPY",
        "KES",
        "KGS",
        "KHR",
        "KMF",
        "KPW",
        "KRW",
        "KWD",
        "KYD",
        "KZT",
        "LAK",
        "LBP",
        "LKR",
        "LRD",
        "LSL",
        "LYD",
        "MAD",
        "MDL",
        "MGA",
        "MKD",
        "MMK",
        "MNT",
        "MOP",
        "MRU",
        "MUR",
        "MVR",
        "MWK",
        "MXN",
        "MYR",
        "MZN",
        "NAD",
        "NGN",
        "NIO",
        "NOK",
        "NPR",
        "NZD",
        "OMR",
        "PAB",
        "PEN",
        "PGK",
        "PHP",
        "PKR",
        "PLN",
        "PYG",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "RWF",
        "SAR",
        "SBD",
        "SCR",
        "SDG",
        "SEK",
        "SGD",
        "SHP",
        "SLE",
        "SOS",
        "SRD",
        "SSP",
        "STN",
        "SVC",
        "SYP",
        "SZL",
        "THB",
        "TJS",
        "TMT",
        "TND",
        "TOP",
        "TRY",
        "TTD",
        "TWD",
        "TZS",
        "UAH",
        "UGX",
        "USD",
        "UYU",
        "UZS",
        "VED",
        "VES",
        "VND",
        "VUV",
        "WST",
        "XAF",
        "XCD",
        "XOF",
        "XPF",
        "YER",
        "ZAR",
        "ZMW",
        "ZWG",
    ]
)
# Their decimals where these are not two.
DECIMALS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
    "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip


def to_minor(amount: Decimal) -> int:
    """Exact minor units of an amount; raises ValueError when it has more than two decimals."""
    minor = amount.scaleb(2)
    if minor != minor.to_integral_value():
        raise ValueError(f"{amount}: more than 2 decimals")
    return int(minor)


def from_minor(minor: int | Decimal) -> Decimal:
    """Amount of so many minor units, with two decimals."""
    return Decimal(minor).scaleb(-2)


def round_cents(amount: Decimal) -> Decimal:
    """Half-up to cents: the one rounding at the end of an exact sum."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def round_to(amount: Decimal, currency: str) -> Decimal:
    """Half-up to the decimals of a currency."""
    return amount.quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)), ROUND_HALF_UP)


# What people and spreadsheets set thousands apart with.
_APART = dict.fromkeys(map(ord, ",，\u00a0\u202f "))


class AmountField(forms.DecimalField):
    """An amount as a form asks for it. Its box names the unit: the form's own `currency`, else the bank's.

    A text box: a number box would change the amount under a turning mouse wheel and refuse 1,500,000.00.
    """

    is_amount = True

    def __init__(self, **options: Any) -> None:
        box = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(**{"max_digits": 17, "decimal_places": 2, "widget": box, **options})

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.translate(_APART) if isinstance(value, str) else value)


class PercentField(forms.DecimalField):
    """A rate as people write it: 4.35 for 4.35%."""

    unit = "%"


class MoneyField(models.Field):
    """An amount in the row's (or the bank's) currency.

    Not an integer field: Django would combine integers with Decimal unscaled (F("balance") + Decimal("0.50")
    stored 10.51 for 10.50). Comparisons and sums accept money expressions only (`money("0.50")`).
    """

    def get_internal_type(self) -> str:
        return "BigIntegerField"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else from_minor(value)

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        return Decimal(str(value))

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return to_minor(Decimal(str(value)))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if prepared else self.get_prep_value(value)

    def check_unit(self, value: Any) -> None:
        """Raise FieldError when an expression that is not money meets money."""
        if hasattr(value, "resolve_expression") and not isinstance(value.output_field, MoneyField):
            raise FieldError(f"{value!r} is not money")

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        self.check_unit(value)
        return "%s"

    def get_lookup(self, lookup_name: str) -> Any:
        base = super().get_lookup(lookup_name)
        if base is None or lookup_name in ("isnull", "in"):
            return base
        field = self

        class MoneyLookup(base):  # type: ignore[misc,valid-type]
            def __init__(self, lhs: Any, rhs: Any) -> None:
                field.check_unit(rhs)
                super().__init__(lhs, rhs)

        return MoneyLookup

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": AmountField, **kwargs})


for _op in (Combinable.ADD, Combinable.SUB):
    register_combinable_fields(MoneyField, _op, MoneyField, MoneyField)
register_combinable_fields(MoneyField, Combinable.MUL, models.IntegerField, MoneyField)


def money(amount: Decimal | str | int) -> models.Value:
    """A money literal for queries."""
    return models.Value(Decimal(amount), output_field=MoneyField())
