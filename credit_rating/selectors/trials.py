"""Trials as the pages of their versions show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credit_rating.models import CreditPolicy, Scorecard, Trial, WorkStatus
from credit_rating.policies.warnings import name_of
from credit_rating.scorecards import in_language
from credit_rating.selectors.samples import Work, work_of
from credit_rating.services.trials import is_triable, said_by
from crm_site.accounts.versions import OPEN
from crm_site.lib.permissions import HEADQUARTERS, Actor
from customers.models import Customer


@dataclass(frozen=True, slots=True)
class Tried:
    """The newest trial of a version (None: never tried), how far its job is, and whether it is of what the version says."""

    trial: Trial | None
    work: Work | None
    is_current: bool

    @property
    def result(self) -> Mapping[str, Any] | None:
        return self.trial.result if self.trial is not None and self.trial.status == WorkStatus.DONE else None


def tried(actor: Actor, version: CreditPolicy | Scorecard) -> Tried | None:
    """How a version stands with its trial; None for those that are not tried, and outside headquarters.

    A version that is published shows the trial that was made before, and none where there was none.
    """
    if not actor.has(HEADQUARTERS) or not is_triable(version):
        return None
    trials = version.trials.select_related("ordered_by")
    newest = trials.first()
    if version.status not in OPEN:
        newest = trials.filter(status=WorkStatus.DONE).first()
        if newest is None:
            return None
    work = work_of(newest) if newest else None
    return Tried(newest, work, newest is not None and newest.content_hash == said_by(version))


def warning_rows(actor: Actor, result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The rules of a trial with their names, and of the customers they name those whom the actor sees: (id, name)."""
    keys = {key for row in result["rules"] for key in (*row["new_names"], *row["gone_names"])}
    names = dict(Customer.objects.visible_to(actor).filter(pk__in=keys).values_list("pk", "name"))
    return [
        {
            **row,
            "label": name_of(row["code"], row["name"]),
            "new_customers": [(key, names[key]) for key in row["new_names"] if key in names],
            "gone_customers": [(key, names[key]) for key in row["gone_names"] if key in names],
        }
        for row in result["rules"]
    ]


def known_rows(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The factors of a card's trial by name, with the share of the ratings that keep a value of each."""
    rows = result["rows"]
    return [
        {"label": in_language(row, "label"), "share": row["known"] / rows if rows else None}
        for row in result["known"]
    ]
