"""Facts of the condition language about credit: lines (what they allow, their use, the next end) and the rating in force."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from credit_rating.policies.grades import GRADES
from customers.facts import Fact, add_fact

_LINES = (
    " FROM credit_rating_creditline l JOIN accounts_bank b ON b.id = l.bank_id"
    " WHERE l.bank_id = {c}.bank_id AND l.customer_id = {c}.id AND l.status IN ('active', 'frozen')"
    " AND l.expires_on >= {as_of})"
)
# Minor units of the bank's currency; null without a rate, so that nothing is added up that is not known.
_HOME = (
    "CASE WHEN l.currency = b.currency THEN {amount} ELSE round({amount} * (SELECT r.rate FROM customers_fxrate r"
    " WHERE r.bank_id = l.bank_id AND r.currency = l.currency AND r.rate_date <= {{as_of}}"
    " ORDER BY r.rate_date DESC LIMIT 1)) END"
)
_LIMIT = _HOME.format(amount="l.limit_amount")
_USED = _HOME.format(amount="(l.reserved + l.utilised)")
_NEXT = f"(SELECT min(l.expires_on){_LINES}"

_RATING = (
    " FROM credit_rating_rating r WHERE r.bank_id = {c}.bank_id AND r.customer_id = {c}.id AND r.status = 'approved'"
    " AND r.expires_on >= {as_of})"
)
_RANKS = {grade: len(GRADES) - place for place, grade in enumerate(GRADES)} | {"none": 0}


def register() -> None:
    """Make the facts known (AppConfig.ready)."""
    _lines()
    _ratings()


def _ratings() -> None:
    """Of the rating that holds: grade, probability of default, days to its end."""
    add_fact(
        Fact(
            "grade", "choice", _("Credit grade"), f"coalesce((SELECT r.grade_rank{_RATING}, 0)",
            options={grade: grade for grade in GRADES} | {"none": _("None yet")}, stored=_RANKS, ordered=True,
            permission="credit.read",
        )
    )  # fmt: skip
    pd = f"(SELECT round(r.pd * 10000)::int{_RATING}"
    add_fact(
        Fact("pd", "percent", _("Probability of default"), pd, known=f"{pd} IS NOT NULL", unit="%", permission="credit.read")
    )  # fmt: skip
    left = f"(SELECT r.expires_on - {{as_of}}{_RATING}"
    add_fact(
        Fact(
            "rating_expires_days", "days", _("Days until the rating expires"), left, known=f"{left} IS NOT NULL",
            unit=_("days"), permission="credit.read",
        )
    )  # fmt: skip


def _lines() -> None:
    """Of the lines that are active or frozen: their limits, their use, the days to the first end."""
    add_fact(
        Fact(
            "lines_limit", "money", _("Credit lines, limit"), f"(SELECT coalesce(sum({_LIMIT}), 0)::bigint{_LINES}",
            permission="credit.read",
        )
    )  # fmt: skip
    share = f"(SELECT round(sum({_USED}) * 10000 / nullif(sum({_LIMIT}), 0)){_LINES}"
    add_fact(
        Fact(
            "lines_utilisation_pct", "percent", _("Credit lines, use in per cent"), share,
            known=f"{share} IS NOT NULL", unit="%", permission="credit.read",
        )
    )  # fmt: skip
    add_fact(
        Fact(
            "line_expires_days", "days", _("Days until a credit line expires"), f"({_NEXT} - {{as_of}})",
            known=f"{_NEXT} IS NOT NULL", unit=_("days"), permission="credit.read",
        )
    )  # fmt: skip
