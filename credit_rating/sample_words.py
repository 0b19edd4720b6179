"""Faults of samples and reasons of the engine in the reader's words: the engine names them, here they are said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

FAULTS = {
    "unreadable": _("The file cannot be read any more."),
    "empty": _("The file is empty."),
    "binary": _("The file is no text: it must be CSV or an Excel workbook (.xlsx)."),
    "no_workbook": _("The file is no Excel workbook (.xlsx)."),
    "no_table": _("The file is no table: %(why)s"),
    "no_header": _("The first line holds values, not column names."),
    "double": _("Two columns are called %(name)s."),
    "no_rows": _("The file has no rows."),
    "few_rows": _("%(rows)s rows with an outcome are too few; %(least)s are needed."),
    "many_columns": _("%(columns)s columns are too many; at most %(most)s can be developed from here."),
    "no_column": _("There is no column %(name)s; the file has %(there)s."),
    "no_outcome": _("%(target)s is empty."),
    "one_class": _("%(target)s is always %(label)s."),
    "many_classes": _("%(target)s has %(number)s different values: say which are bad and which are good."),
    "no_label": _("%(target)s is never %(label)s; it has %(there)s."),
    "no_factor": _("No column is left to predict from."),
    "no_information": _("No column of the sample says enough to be a factor."),
    "few_cases": _(
        "%(cases)s cases of the rarer outcome are too few for %(folds)s folds; %(least)s are needed."
    ),
    "no_outcomes": _("No outcome of a loan had been observed by that day."),
    "not_allowed": _("Whoever ordered this may not develop scorecards any more."),
    "cancelled": _("Its job was cancelled; those who watch over jobs can start it again."),
    "broke": _("The work broke off (%(why)s). Those who watch over jobs can start it again."),
    "refused": "%(text)s",
}
REASONS = {
    "left out by whoever developed it": _("left out by whoever developed it"),
    "named by --drop": _("left out by whoever developed it"),
    "dates: give an age or a duration instead": _("dates: give an age or a duration instead"),
    "text that differs from row to row": _("text that differs from row to row"),
    "an identifier by its name and values": _("an identifier by its name and values"),
    "a running number": _("a running number"),
    "empty": _("empty"),
    "one value only": _("one value only"),
    "adds nothing beside the others": _("adds nothing beside the others"),
    "too little information": _("too little information"),
}
SAME_AS = "says the same as "


def fault_text(code: str, params: Mapping[str, Any]) -> str:
    """Why a file is no sample, or why nothing was developed from it, in a sentence."""
    return str(FAULTS[code]) % params


def reason_text(reason: str) -> str:
    """Why a column is no factor, as engine.samples and engine.scorecard say it; "" for one that is."""
    if reason.startswith(SAME_AS):
        return str(_("says the same as %s")) % reason.removeprefix(SAME_AS)
    return str(REASONS.get(reason, reason))
