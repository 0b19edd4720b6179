"""Facts of the condition language about changes of tier: what the lists behind "who moved" ask for."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from customers.facts import Fact, add_fact
from customers.models.standing import TIER_LABELS, VALUE_TIERS

_MOVED = (
    "(SELECT h.from_date FROM segmentation_tierhistory h WHERE h.bank_id = {{s}}.bank_id"
    " AND h.customer_id = {{s}}.customer_id AND h.scheme = 'value' AND h.to_date IS NULL"
    " AND h.rank {sign} (SELECT p.rank FROM segmentation_tierhistory p WHERE p.bank_id = h.bank_id"
    " AND p.customer_id = h.customer_id AND p.scheme = 'value' AND p.from_date < h.from_date AND p.rank > 0"
    " ORDER BY p.from_date DESC LIMIT 1))"
)
# As at the last month-end before the month of the date; 0: was not there.
_BEFORE = (
    "coalesce((SELECT m.value_tier FROM customers_monthend m WHERE m.bank_id = {s}.bank_id"
    " AND m.customer_id = {s}.customer_id AND m.month_end = (date_trunc('month', {as_of}::date) - interval '1 day')::date),"
    " 0)"
)


def _moved(name: str, label: Any, sign: str) -> Fact:
    sql = _MOVED.format(sign=sign)
    return Fact(name, "date", label, sql, known=f"{sql} IS NOT NULL")


def register() -> None:
    """The day on which the present value tier began, where the tier before it was lower or higher; and the tier
    at the last month-end."""
    add_fact(_moved("tier_rose", _("Value tier rose on"), ">"))
    add_fact(_moved("tier_fell", _("Value tier fell on"), "<"))
    codes = {code: rank for rank, code in VALUE_TIERS.items()}
    labels = {code: TIER_LABELS[code] for code in codes}
    add_fact(
        Fact(
            "tier_before", "choice", _("Value tier at the last month-end"), _BEFORE,
            options={**labels, "none": _("None yet")}, stored={**codes, "none": 0}, ordered=True,
        )
    )  # fmt: skip
