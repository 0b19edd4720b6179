"""Reasons in words: why the rules propose somebody, why a customer waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_site.accounts.models import Grade
from crm_site.lib import formats
from customers.models.standing import TIER_LABELS, VALUE_TIERS, WEALTH_LEVELS


def reason(rule: str, params: Mapping[str, Any]) -> str:
    """One line: the rule, and what decided between several people."""
    why = params.get("why")
    if why == "no_room":
        return _("%s; no manager of the branch has room left") % _first(rule, params)
    if why == "nobody":
        return _("%s; the branch has nobody to propose") % _first(rule, params)
    return ("；" if formats.is_chinese() else "; ").join(
        part for part in (_first(rule, params), _second(params), _third(params)) if part
    )


def _first(rule: str, params: Mapping[str, Any]) -> str:
    if rule == "chosen":
        instead = params.get("instead_of")
        return (
            _("Branch manager's choice instead of %s") % instead if instead else _("Branch manager's choice")
        )
    if rule == "won_by":
        return _("Won the customer and keeps it")
    if rule == "borrower":
        return _("Borrowers belong to a customer manager")
    if rule == "depositor":
        tier = TIER_LABELS.get(VALUE_TIERS.get(params.get("tier", 0), ""), "")
        return _("%s-tier depositor") % tier
    if rule == "general":
        if params.get("instead") == "no_teller":
            return _("General depositor; the branch has no teller, lightest load")
        return _("General depositors belong to the tellers of the home branch")
    return _("Came with this manager in the bank's data")


def _second(params: Mapping[str, Any]) -> str:
    asked = params.get("asked")
    if not asked:
        return ""
    names = {
        "level": TIER_LABELS.get(WEALTH_LEVELS.get(params.get("wealth", 0), ""), ""),
        "asked": Grade(asked).label,
        "grade": Grade(params["grade"]).label if params.get("grade") else "",
    }
    if params.get("below"):
        return _("%(level)s asks for %(asked)s, nobody of it has room: nearest grade %(grade)s") % names
    if params.get("grade") == asked:
        return _("%(level)s asks for %(asked)s") % names
    return _("%(level)s asks for %(asked)s or better: %(grade)s") % names


def _third(params: Mapping[str, Any]) -> str:
    if params.get("known") == "contact":
        return _("knows the customer from contacts")
    if params.get("known") == "relative":
        return _("looks after a related customer")
    return ""


def say_assignment(params: Mapping[str, Any]) -> str:
    """The notification of a new owner."""
    count, day = int(params["customers"]), date.fromisoformat(str(params["from"]))
    text = ngettext("%(n)d customer is yours from %(day)s", "%(n)d customers are yours from %(day)s", count)
    return text % {"n": count, "day": formats.day(day, day)}
