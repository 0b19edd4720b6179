"""Facts of the condition language about credit: lines and their use, the rating in force, five-level classes, warnings."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from credit_rating.policies.classes import LABELS, LEVELS
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
_CLASSES = " FROM credit_rating_loanclass k WHERE k.bank_id = {c}.bank_id AND k.customer_id = {c}.id AND k.until IS NULL"
_WORSE = f"(SELECT max(k.from_date){_CLASSES} AND k.before > 0 AND k.level > k.before)"
_GUARANTORS = (
    " FROM credit_rating_guarantee g JOIN credit_rating_loanclass k ON k.bank_id = g.bank_id"
    " AND k.customer_id = g.guarantor_id AND k.until IS NULL WHERE g.bank_id = {c}.bank_id AND g.customer_id = {c}.id"
    " AND g.status = 'active'"
)
_ENDED = (
    " FROM credit_rating_creditline l JOIN accounts_bank b ON b.id = l.bank_id"
    " WHERE l.bank_id = {c}.bank_id AND l.customer_id = {c}.id AND l.reserved + l.utilised > 0"
    " AND (l.status = 'expired' OR l.status IN ('active', 'frozen') AND l.expires_on < {as_of}))"
)
_NEXT = f"(SELECT min(l.expires_on){_LINES}"

_RATING = (
    " FROM credit_rating_rating r WHERE r.bank_id = {c}.bank_id AND r.customer_id = {c}.id AND r.status = 'approved'"
    " AND r.expires_on >= {as_of})"
)
_DROP = (
    "(SELECT (SELECT p.grade_rank FROM credit_rating_rating p WHERE p.bank_id = r.bank_id"
    " AND p.customer_id = r.customer_id AND p.status IN ('superseded', 'expired') AND p.id < r.id"
    f" ORDER BY p.id DESC LIMIT 1) - r.grade_rank{_RATING}"
)
_RANKS = {grade: len(GRADES) - place for place, grade in enumerate(GRADES)} | {"none": 0}


def register() -> None:
    """Make the facts known (AppConfig.ready)."""
    _lines()
    _ratings()
    _warnings()


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
    add_fact(
        Fact(
            "rating_state", "choice", _("Rating, state"),
            f"CASE WHEN EXISTS (SELECT{_RATING} THEN 1 WHEN EXISTS (SELECT FROM credit_rating_rating r"
            " WHERE r.bank_id = {c}.bank_id AND r.customer_id = {c}.id AND r.status IN ('superseded', 'expired',"
            " 'approved')) THEN 2 ELSE 3 END",
            options={"in_force": _("In force"), "expired": _("Expired"), "never": _("never rated")},
            stored={"in_force": 1, "expired": 2, "never": 3}, permission="credit.read",
        )
    )  # fmt: skip
    left = f"(SELECT r.expires_on - {{as_of}}{_RATING}"
    add_fact(
        Fact(
            "grade_drop", "int", _("Grades below the rating before"), _DROP, known=f"{_DROP} IS NOT NULL",
            unit=_("grades"), permission="credit.read",
        )
    )  # fmt: skip
    add_fact(
        Fact(
            "rating_expires_days", "days", _("Days until the rating expires"), left, known=f"{left} IS NOT NULL",
            unit=_("days"), permission="credit.read",
        )
    )  # fmt: skip


def _lines() -> None:
    """Of the lines that are active or frozen: their limits, their use, the days to the first end. Of ended ones what is
    still drawn."""
    add_fact(
        Fact(
            "lines_limit", "money", _("Credit lines, limit"), f"(SELECT coalesce(sum({_LIMIT}), 0)::bigint{_LINES}",
            permission="credit.read",
        )
    )  # fmt: skip
    ended = f"(SELECT coalesce(sum({_USED}), 0)::bigint{_ENDED}"
    add_fact(
        Fact(
            "lines_ended_used", "money", _("Drawn under credit lines that have ended"), ended, permission="credit.read"
        )
    )  # fmt: skip
    share = f"(SELECT round(sum({_USED}) * 10000 / nullif(sum({_LIMIT}), 0)){_LINES}"
    add_fact(
        Fact(
            "lines_utilisation_pct", "percent", _("Use of credit lines"), share,
            known=f"{share} IS NOT NULL", unit="%", permission="credit.read",
        )
    )  # fmt: skip
    add_fact(
        Fact(
            "line_expires_days", "days", _("Days until a credit line expires"), f"({_NEXT} - {{as_of}})",
            known=f"{_NEXT} IS NOT NULL", unit=_("days"), permission="credit.read",
        )
    )  # fmt: skip


def _warnings() -> None:
    """Of the worst five-level class, of guarantors' classes, and of the early warnings that are open."""
    codes = {code: int(level) for code, level in LEVELS.items()}
    add_fact(
        Fact(
            "loan_class", "choice", _("Five-level class, worst"), f"(SELECT max(k.level){_CLASSES})", options=LABELS,
            stored=codes, ordered=True, known=f"EXISTS (SELECT{_CLASSES})", permission="credit.read",
        )
    )  # fmt: skip
    add_fact(
        Fact(
            "loan_class_worse_days", "days", _("Days since the five-level class got worse"), f"({{as_of}} - {_WORSE})",
            known=f"{_WORSE} IS NOT NULL", unit=_("days"), permission="credit.read",
        )
    )  # fmt: skip
    add_fact(
        Fact(
            "guarantor_class", "choice", _("Five-level class of a guarantor, worst"),
            f"(SELECT max(k.level){_GUARANTORS})", options=LABELS, stored=codes, ordered=True,
            known=f"EXISTS (SELECT{_GUARANTORS})", permission="credit.read",
        )
    )  # fmt: skip
    add_fact(
        Fact(
            "warnings_open", "int", _("Open early warnings"),
            "(SELECT count(*)::int FROM credit_rating_signal w WHERE w.bank_id = {c}.bank_id"
            " AND w.customer_id = {c}.id AND w.state = 'open' AND w.ended_on IS NULL)", permission="credit.read",
        )
    )  # fmt: skip
