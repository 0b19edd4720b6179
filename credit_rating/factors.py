"""What a scorecard may ask of a customer: sources of factors, as data. selectors.factors reads them.

A source has a code, a name, a style (money, percent as a fraction, number, days, years, choice), and the kinds of
customers that have it. `origin`: ratio (of statements), collected (the information form), core (the bank's own data),
computed (from collected values) or answer (asked on the rating form). `unit`: of a number that has one (years, mu).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from credit_rating import collection, words
from credit_rating.engine.ratios import RATIOS
from credit_rating.models.kinds import CreditKind

ANSWER = "answer"
COMPANY, EVERYBODY = collection.COMPANY, collection.EVERYBODY
PERSONAL, HOUSEHOLD = (CreditKind.PERSONAL,), (CreditKind.HOUSEHOLD,)


@dataclass(frozen=True, slots=True)
class Source:
    code: str
    label: Any
    style: str
    kinds: Sequence[str]
    origin: str
    choices: Sequence[tuple[str, Any]] = ()
    unit: Any = ""

    @property
    def is_number(self) -> bool:
        return self.style != "choice"


_STYLES = {"times": "number", "whole": "number"}


def _style(kind: str) -> str:
    return _STYLES.get(kind, kind)


_COLLECTED = [
    Source(f.code, f.label, _style(f.type), f.kinds, "collected", f.choices, f.unit)
    for section in collection.SECTIONS
    for f in section.fields
    if f.type != "text"
]
_CORE = (
    Source("tenure_years", _("Years with this bank"), "years", EVERYBODY, "core"),
    Source("age_years", _("Age"), "years", collection.PEOPLE, "core"),
    Source("company_years", _("Years since founding"), "years", COMPANY, "core"),
    Source("deposits_adb", _("Deposits (30-day average)"), "money", EVERYBODY, "core"),
    Source("days_past_due", _("Days past due"), "days", EVERYBODY, "core"),
    Source("worst_arrears", _("Worst arrears in 12 months"), "days", EVERYBODY, "core"),
)
_COMPUTED = (
    Source("debt_service_share", _("Debt payments / income"), "percent", PERSONAL, "computed"),
    Source("household_net_income", _("Net income of the household"), "money", HOUSEHOLD, "computed"),
    Source("household_debt_share", _("Debts / assets of the household"), "percent", HOUSEHOLD, "computed"),
)
SOURCES: dict[str, Source] = {
    source.code: source
    for source in (
        *(Source(r.code, words.RATIOS[r.code], _style(r.kind), COMPANY, "ratio") for r in RATIOS),
        *_COLLECTED,
        *_CORE,
        *_COMPUTED,
        Source(ANSWER, _("Asked on the rating form"), "number", EVERYBODY, ANSWER),
    )
}
ORIGINS = {
    "ratio": words.SOURCES["ratio"], "collected": words.SOURCES["collected"], "core": words.SOURCES["core"],
    "computed": _("Computed from what was collected"), ANSWER: words.SOURCES["typed"],
}  # fmt: skip
GROUPS = (("quantitative", _("Quantitative")), ("qualitative", _("Qualitative")))
