"""Rules of early warning: comparisons of facts, how grave, whose turn it is and by when (C10).

Rows of the table `conditions` that name the same rule are joined by "and"; those of them that name the same `either` are
alternatives, of which one must hold. Compiled to SQL by customers.conditions, as every condition of the site. What a
group's trouble does to its members is no comparison of facts: Contagion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, overload

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from credit_rating.engine.classes import Level
from credit_rating.policies.classes import CODES, WORSE
from credit_rating.policies.classes import LABELS as CLASS_LABELS
from credit_rating.policies.classes import LEVELS as LEVELS_BY_CODE
from credit_rating.policies.shapes import Body, Column, Shape, Table
from crm_site.accounts.banks import home_currency
from crm_site.lib.formats import amount_unit
from crm_site.lib.tenancy import require_bank
from customers import conditions
from customers.conditions import ConditionError
from customers.facts import FACTS, KNOWN
from customers.models.people import RECENT_DAYS

SUBJECT = "warnings"
LEVELS = (
    ("watch", pgettext_lazy("warning level", "Watch")),
    ("risk", pgettext_lazy("warning level", "Risk")),
)
OWNERS = (("manager", gettext_lazy("Relationship manager")), ("risk", gettext_lazy("Risk")))
# Rules and raised warnings that have a name in both languages; others bring theirs.
NAMES = {
    "overdue": gettext_lazy("Overdue beyond a technical delay"),
    "overdue_long": gettext_lazy("Overdue for more than 60 days"),
    "deposits_falling": gettext_lazy("Deposits are falling"),
    "line_use": gettext_lazy("Credit lines nearly used up"),
    "line_expiring": gettext_lazy("A credit line ends soon"),
    "line_ended": gettext_lazy("A credit line has ended and is still drawn"),
    "churn": gettext_lazy("Likely to leave the bank"),
    "class_worse": gettext_lazy("Five-level class got worse"),
    "grade_drop": gettext_lazy("Credit grade got worse"),
    "key_person": gettext_lazy("A key person came or left"),
    "excluded": gettext_lazy("On the exclusion list"),
    "guarantor": gettext_lazy("A guarantor is in trouble"),
    "group_member": gettext_lazy("A member of its group or a connected customer is in trouble"),
    "unusual_activity": gettext_lazy("Unusual activity on the accounts"),
}
OPERATORS = {
    "=": "=", "!=": "≠", ">": ">", ">=": "≥", "<": "<", "<=": "≤",
    "between": gettext_lazy("from … to … (a; b)"), "in": gettext_lazy("one of (a; b)"),
    "not_null": gettext_lazy("is known"), "is_null": gettext_lazy("is not known"),
}  # fmt: skip
LISTS = ("between", "in")
TYPES = ("money", "int", "percent", "days", "bool", "choice", "date")


class FactChoices(Sequence[tuple[str, Any]]):
    """The facts that a rule may ask for: asked anew each time, since higher rooms register theirs later."""

    def _facts(self) -> list[tuple[str, Any]]:
        return [(fact.name, fact.label) for fact in FACTS if fact.type in TYPES]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._facts())

    def __len__(self) -> int:
        return len(self._facts())

    @overload
    def __getitem__(self, index: int) -> tuple[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._facts()[index]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in force. `owner`: "manager" or "risk"; `days`: to deal with what it finds."""

    code: str
    name: str
    condition: Mapping[str, Any]
    level: str
    owner: str
    days: int

    @property
    def facts(self) -> list[str]:
        """The facts it compares, once each."""
        return list(dict.fromkeys(part["fact"] for part in self.parts))

    @property
    def parts(self) -> list[Mapping[str, Any]]:
        """Its comparisons, those of either-or groups one by one."""
        return [one for part in self.condition["all"] for one in part.get("any", [part])]


@dataclass(frozen=True, slots=True)
class Contagion:
    """When a member of a group is in trouble, so that the others are warned of: from so many days past due on (0: never
    by days), or from a five-level class on (None: never by class). `connected`: whom economic dependence connects with
    the group counts as a member."""

    days: int
    level: Level | None
    connected: bool = True


GROUP = "group_member"
GROUP_RULE = Rule(GROUP, "", {"all": []}, "watch", "manager", 7)
GROUP_DAYS, GROUP_CLASS, NEVER = 8, "special_mention", "never"
GROUP_ALONE, CONNECTED = "group", "connected"
REACHES = (
    (CONNECTED, gettext_lazy("the group and whom economic dependence connects with it")),
    (GROUP_ALONE, gettext_lazy("the group alone")),
)


def default(kind: str) -> Mapping[str, Any]:
    """What a new bank begins with."""
    rules = (
        ("overdue", "risk", "manager", 3, [("days_past_due", ">", "7")]),
        ("overdue_long", "risk", "risk", 5, [("days_past_due", ">", "60")]),
        ("class_worse", "risk", "risk", 5, [("loan_class_worse_days", "<=", "30")]),
        ("grade_drop", "risk", "manager", 7, [("grade_drop", ">=", "1")]),
        ("guarantor", "watch", "manager", 7, [("guarantor_class", ">=", "special_mention")]),
        ("deposits_falling", "watch", "manager", 10, [("adb_change_pct", "<", "-50"), ("loans", ">", "0")]),
        ("line_use", "watch", "manager", 10, [("lines_utilisation_pct", ">", "90")]),
        ("line_expiring", "watch", "manager", 15, [("line_expires_days", "<=", "30")]),
        ("line_ended", "risk", "manager", 5, [("lines_ended_used", ">", "0")]),
        ("key_person", "watch", "manager", 10, [("key_person_change_days", "<=", str(RECENT_DAYS))]),
        ("excluded", "risk", "manager", 7, [("is_excluded", "=", "true")]),
        ("churn", "watch", "manager", 10, [("churn", ">=", "60"), ("loans", ">", "0")]),
    )
    return {
        "params": {"group_days": str(GROUP_DAYS), "group_class": GROUP_CLASS, "group_reach": CONNECTED},
        "tables": {
            "rules": [
                {"code": code, "name": "", "level": level, "owner": owner, "days": str(days)}
                for code, level, owner, days, _parts in rules
            ],
            "conditions": [
                {"rule": code, "fact": fact, "op": op, "value": value, "either": ""}
                for code, _level, _owner, _days, parts in rules
                for fact, op, value in parts
            ],
        },
    }


def _codes(body: Mapping[str, Any]) -> set[str]:
    return {row.get("code", "") for row in (body.get("tables") or {}).get("rules") or ()}


def newer_rules(body: Mapping[str, Any], published: Iterable[Mapping[str, Any]]) -> list[str]:
    """Codes of the rules that a new bank begins with and a version lacks, though no published one ever had them: the
    program has learned them since. What a bank once had and dropped is its own decision."""
    known = _codes(body).union(*(_codes(one) for one in published))
    return [row["code"] for row in default("")["tables"]["rules"] if row["code"] not in known]


def with_rules(body: Mapping[str, Any], codes: Iterable[str]) -> dict[str, Any]:
    """A version with some of the rules that a new bank begins with, after its own."""
    wanted, tables, given = set(codes), dict(body.get("tables") or {}), default("")["tables"]
    for name, key in (("rules", "code"), ("conditions", "rule")):
        tables[name] = [*(tables.get(name) or ()), *(row for row in given[name] if row[key] in wanted)]
    return {**body, "tables": tables}


def name_of(code: str, name: str = "") -> str:
    """What people call a rule: its own name, else the one that comes with its code."""
    return name or str(NAMES.get(code, code))


def value_words(value: str) -> str:
    """What a condition compares with, classes by their names, yes and no in words."""
    labels = {**CLASS_LABELS, "true": gettext_lazy("yes"), "false": gettext_lazy("no")}
    return "; ".join(str(labels.get(one.strip(), one.strip())) for one in value.split(";"))


def compared_with(row: Mapping[str, Any]) -> str:
    """What a condition compares with, in the unit of its fact: 50,000 元, −50%, 7 days. As it is typed where that is nothing
    to compare the fact with."""
    value, fact = str(row.get("value") or ""), FACTS.get(str(row.get("fact")))
    if fact is None or fact.type in ("bool", "choice") or not value:
        return value_words(value)
    try:
        told = "; ".join(conditions.say_value(fact, one.strip()) for one in value.split(";"))
    except ConditionError:
        return value
    return f"{told} {amount_unit(home_currency(require_bank()))}" if fact.type == "money" else told


def _part(row: Mapping[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = {"fact": row["fact"], "op": row["op"]}
    if row["op"] in LISTS:
        part["value"] = [one.strip() for one in row["value"].split(";") if one.strip()]
    elif row["op"] not in KNOWN:
        part["value"] = row["value"]
    return part


def _condition(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All rows without `either`, and of those that share one any. In the order of the rows."""
    found: list[dict[str, Any]] = []
    choices: dict[str, list[Any]] = {}
    for row in rows:
        part = conditions.validate(_part(row))
        if not row["either"]:
            found.append(part)
        elif row["either"] in choices:
            choices[row["either"]].append(part)
        else:
            choices[row["either"]] = [part]
            found.append({"any": choices[row["either"]]})
    return {"all": found}


def rules_of(body: Body) -> list[Rule]:
    """The policy's rules in their order, their conditions in canonical form. Raises ConditionError."""
    return [
        Rule(
            row["code"], row["name"],
            _condition(c for c in body.tables["conditions"] if c["rule"] == row["code"]),
            row["level"], row["owner"], row["days"],
        )
        for row in body.tables["rules"]
    ]  # fmt: skip


def contagion_of(body: Body) -> Contagion:
    """What counts as trouble in a group; the defaults where the policy is older than the question."""
    days, code = body.params["group_days"], body.params["group_class"] or GROUP_CLASS
    level = None if code == NEVER else LEVELS_BY_CODE[code]
    return Contagion(
        GROUP_DAYS if days is None else days, level, connected=body.params["group_reach"] != GROUP_ALONE
    )


def say_contagion(body: Body) -> str:
    """The same in words; "" where groups never warn."""
    found = contagion_of(body)
    told = {
        "who": _("A member of its group or a connected customer")
        if found.connected
        else _("A member of its group"),
        "days": found.days,
        "class": CLASS_LABELS[CODES[found.level]] if found.level is not None else "",
    }
    if found.days and found.level is not None:
        return _("%(who)s is at least %(days)s days past due or in the class “%(class)s” or worse.") % told
    if found.days:
        return _("%(who)s is at least %(days)s days past due.") % told
    return _("%(who)s is in the class “%(class)s” or worse.") % told if told["class"] else ""


def check(body: Body) -> Mapping[str, str]:
    """Every rule has a condition and every condition a rule, and each comparison can be understood."""
    faults: dict[str, str] = {}
    codes = {row["code"] for row in body.tables["rules"]}
    for number, row in enumerate(body.tables["conditions"]):
        if row["rule"] not in codes:
            faults[f"conditions-{number}-rule"] = _("There is no such rule.")
            continue
        try:
            conditions.validate(_part(row))
        except ConditionError as error:
            faults[f"conditions-{number}-value"] = error.message
    used = {row["rule"] for row in body.tables["conditions"]}
    for number, row in enumerate(body.tables["rules"]):
        if len(row["code"]) > CODE_LENGTH:
            faults[f"rules-{number}-code"] = _("At most %s characters.") % CODE_LENGTH
        elif row["code"] == GROUP:
            faults[f"rules-{number}-code"] = _("This code is taken by the warning about groups.")
        elif row["code"] not in used:
            faults[f"rules-{number}-code"] = _("This rule has no condition.")
    return faults


CODE_LENGTH = 40
SHAPE = Shape(
    subject=SUBJECT,
    label=gettext_lazy("Early warning"),
    description=gettext_lazy("What is a warning about a debtor, how grave it is, whose turn it is and by when"),
    default=default,
    check=check,
    params=(
        Column("group_days", gettext_lazy("Warn of a group when a member is past due for (0: never)"), "whole",
               required=False, minimum=Decimal(0), maximum=Decimal(3650), unit=gettext_lazy("days")),
        Column("group_class", gettext_lazy("… or when a member's five-level class is at least"), "choice",
               ((NEVER, gettext_lazy("Never")), *WORSE),
               required=False),
        Column("group_reach", gettext_lazy("Who is warned of whom"), "choice", REACHES, fallback=CONNECTED,
               help=gettext_lazy("who depends on whom is the policy of caps' to say")),
    ),
    tables=(
        Table(
            "rules", gettext_lazy("Warnings"),
            (
                Column("code", gettext_lazy("Rule"), "text", words=name_of),
                Column("name", gettext_lazy("Name"), "text", required=False),
                Column("level", gettext_lazy("Level"), "choice", LEVELS),
                Column("owner", gettext_lazy("Whose turn"), "choice", OWNERS),
                Column("days", gettext_lazy("To be dealt with within"), "whole", minimum=Decimal(1),
                       maximum=Decimal(180), unit=gettext_lazy("days")),
            ),
            key=("code",),
            help=gettext_lazy("about customers with a loan, a credit line or a guarantee given"),
        ),
        Table(
            "conditions", gettext_lazy("Their conditions"),
            (
                Column("rule", gettext_lazy("Rule"), "text", words=name_of),
                Column("fact", gettext_lazy("Fact"), "choice", FactChoices()),
                Column("op", gettext_lazy("Comparison"), "choice", tuple(OPERATORS.items())),
                Column("value", gettext_lazy("Value"), "text", required=False, words_in=compared_with),
                Column("either", gettext_lazy("Either"), "text", required=False),
            ),
            named_by=("rule", "fact"),
            help=gettext_lazy("all of a rule's lines must hold; of those with the same mark under “Either” one must"),
        ),
    ),
)  # fmt: skip
