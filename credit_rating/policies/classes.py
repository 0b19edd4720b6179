"""By what claims are put into the five classes; the 2023 rule is the default (商业银行金融资产风险分类办法)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from credit_rating.engine.classes import (
    ALL_BANKS,
    BAD_DEBT,
    CONTAGION,
    CURE,
    LOSS_SHARE,
    NONE,
    OVERDUE,
    Level,
    Rules,
)
from credit_rating.policies.shapes import Body, Column, Shape, Table
from crm_site.lib.formats import percent

SUBJECT = "classes"
# As badges and filters name them; the stored value is the Level.
CODES = {
    Level.NORMAL: "normal",
    Level.SPECIAL_MENTION: "special_mention",
    Level.SUBSTANDARD: "substandard",
    Level.DOUBTFUL: "doubtful",
    Level.LOSS: "loss",
}
LABELS = {
    "normal": pgettext_lazy("five-level", "Normal"),
    "special_mention": gettext_lazy("Special mention"),
    "substandard": gettext_lazy("Substandard"),
    "doubtful": gettext_lazy("Doubtful"),
    "loss": gettext_lazy("Loss"),
}
LEVELS = {code: level for level, code in CODES.items()}
BAD = "non_performing"  # the classes from engine.classes.NON_PERFORMING on, together
WORSE = tuple((code, label) for code, label in LABELS.items() if code != "normal")
ASSETS = (("loan", gettext_lazy("Loan")), ("card", gettext_lazy("Card")))
KINDS = (
    ("corporate", gettext_lazy("Corporate")),
    ("sme", gettext_lazy("Small business")),
    ("personal", gettext_lazy("Personal")),
    ("household", gettext_lazy("Rural household")),
)
BY_HAND = (
    ("loss_50", gettext_lazy("Expected loss of half the claim or more")),
    ("loss_90", gettext_lazy("Expected loss of nine tenths of the claim or more")),
    ("restructured", gettext_lazy("Restructured because of financial difficulty")),
    ("restructured_again", gettext_lazy("Restructured a second time within the observation period")),
    ("other_banks", gettext_lazy("Over 20% of its debts at all banks overdue by more than 90 days")),
    ("impaired", gettext_lazy("Credit-impaired by the accounting standard")),
    ("evades", gettext_lazy("The debtor evades its debts")),
)
NEVER = "never"
# What the data tell of expected loss and of other banks, by the 2023 rule: a policy of before the question says the same.
BY_DATA = {
    "doubtful_loss_pct": "50", "loss_loss_pct": "90", "impaired_class": "substandard", "all_banks_pct": "20",
    "all_banks_days": "90", "bad_debt_class": "special_mention",
}  # fmt: skip


def default(kind: str) -> Mapping[str, Any]:
    """What a new bank begins with."""
    days = {
        "loan": {"special_mention": 7, "substandard": 90, "doubtful": 270, "loss": 360},
        "card": {"special_mention": 7, "substandard": 90, "doubtful": 120, "loss": 180},
    }
    hand = {
        "loss_50": "doubtful", "loss_90": "loss", "restructured": "special_mention",
        "restructured_again": "substandard", "other_banks": "substandard", "impaired": "substandard",
        "evades": "doubtful",
    }  # fmt: skip
    return {
        "params": {"share_pct": "10", "cure_months": "6", "non_retail": ["corporate"], **BY_DATA},
        "tables": {
            "overdue": [
                {"asset": asset, "level": level, "days": str(n)}
                for asset, ladder in days.items()
                for level, n in ladder.items()
            ],
            "by_hand": [{"rule": rule, "level": level} for rule, level in hand.items()],
        },
    }


def rules_of(body: Body) -> Rules:
    """The policy as the engine takes it."""
    ladders: dict[str, dict[Level, int]] = {asset: {} for asset, _label in ASSETS}
    for row in body.tables["overdue"]:
        ladders[row["asset"]][LEVELS[row["level"]]] = row["days"]
    params = body.params
    return Rules(
        ladders, params["share_pct"], params["cure_months"],
        losses={
            Level.DOUBTFUL: params["doubtful_loss_pct"], Level.LOSS: params["loss_loss_pct"],
        },
        impaired=LEVELS.get(params["impaired_class"]), late_share=params["all_banks_pct"],
        late_days=params["all_banks_days"], bad_debt=LEVELS.get(params["bad_debt_class"]),
    )  # fmt: skip


def say_rule(body: Body, level: Level, reason: str, *, is_card: bool) -> str:
    """The threshold of the policy that put a claim into its class; "" where a person did."""
    rules = rules_of(body)
    ladder = rules.ladders["card" if is_card else "loan"]
    if reason == OVERDUE and level in ladder:
        return _("overdue for more than %s days") % ladder[level]
    if reason == CURE:
        return _("free of arrears for less than %s months") % rules.cure_months
    if reason == CONTAGION:
        return _("more than %s of the claims on the debtor") % percent(rules.share, 0)
    if reason == LOSS_SHARE and level in rules.losses:
        return _("expected loss of %s of the balance or more") % percent(rules.losses[level], 0)
    if reason == ALL_BANKS:
        told = {"share": percent(rules.late_share, 0), "days": rules.late_days}
        return _("over %(share)s of all debts overdue for more than %(days)s days") % told
    if reason == BAD_DEBT:
        return _("a debt of this debtor, here or at another bank, is non-performing")
    if reason == NONE:
        return _("not overdue for more than %s days") % min(ladder.values())
    return ""


def check(body: Body) -> Mapping[str, str]:
    """Each ladder has all four steps, and a worse class needs more days."""
    rules = rules_of(body)
    if rules.losses[Level.DOUBTFUL] >= rules.losses[Level.LOSS]:
        return {"loss_loss_pct": _("The class “Loss” needs a greater expected loss than “Doubtful”.")}
    for ladder in rules.ladders.values():
        days = [ladder[level] for level in sorted(ladder)]
        if len(days) != len(WORSE) or days != sorted(set(days)):
            text = _("Loans and cards need each class once, the worse with more days.")
            return {"overdue": text}
    return {}


SHAPE = Shape(
    subject=SUBJECT,
    label=gettext_lazy("Five-level classification"),
    description=gettext_lazy(
        "From which days overdue a claim stands in which class, when one claim takes the others along, and what risk decides by hand"
    ),
    default=default,
    check=check,
    params=(
        Column("share_pct", gettext_lazy("All claims are non-performing above a share of, %"), "percent",
               minimum=Decimal(0), maximum=Decimal(100)),
        Column("non_retail", gettext_lazy("Holds for these debtors"), "choices", KINDS),
        Column("cure_months", gettext_lazy("A non-performing claim stays so until free of arrears for"), "whole",
               minimum=Decimal(0), maximum=Decimal(60), unit=gettext_lazy("months")),
        Column("doubtful_loss_pct", gettext_lazy("At least doubtful from an expected loss of the balance of"), "percent",
               minimum=Decimal(1), maximum=Decimal(100), unit="%", fallback=BY_DATA["doubtful_loss_pct"]),
        Column("loss_loss_pct", gettext_lazy("Loss from an expected loss of the balance of"), "percent",
               minimum=Decimal(1), maximum=Decimal(100), unit="%", fallback=BY_DATA["loss_loss_pct"]),
        Column("impaired_class", gettext_lazy("A credit-impaired claim (stage 3) is at least"), "choice",
               ((NEVER, gettext_lazy("Never")), *WORSE), fallback=BY_DATA["impaired_class"]),
        Column("all_banks_pct", gettext_lazy("All claims are non-performing when of the debts at all banks is overdue more than"),
               "percent", minimum=Decimal(1), maximum=Decimal(100), unit="%", fallback=BY_DATA["all_banks_pct"]),
        Column("all_banks_days", gettext_lazy("… that is, overdue for more than"), "whole",
               minimum=Decimal(1), maximum=Decimal(3650), unit=gettext_lazy("days"), fallback=BY_DATA["all_banks_days"]),
        Column("bad_debt_class", gettext_lazy("Beside a non-performing debt here or at another bank, a claim is at least"),
               "choice", ((NEVER, gettext_lazy("Never")), *WORSE), fallback=BY_DATA["bad_debt_class"]),
    ),
    tables=(
        Table(
            "overdue", gettext_lazy("By days overdue"),
            (
                Column("asset", gettext_lazy("Claim"), "choice", ASSETS),
                Column("level", gettext_lazy("At least"), "choice", WORSE),
                Column("days", gettext_lazy("Overdue for more than"), "whole", minimum=Decimal(0),
                       maximum=Decimal(3650), unit=gettext_lazy("days")),
            ),
            key=("asset", "level"),
            help=gettext_lazy("the first step is the technical delay that changes nothing"),
        ),
        Table(
            "by_hand", gettext_lazy("Decided by hand"),
            (
                Column("rule", gettext_lazy("When"), "choice", BY_HAND),
                Column("level", gettext_lazy("At least"), "choice", WORSE),
            ),
            key=("rule",),
            minimum=0,
            help=gettext_lazy(
                "where the bank's data do not tell it; risk lowers the class of such a claim with a reason"
            ),
        ),
    ),
)  # fmt: skip
