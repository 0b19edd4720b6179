"""What the page of a case says of a change, of what follows an opinion, and of the dates its sources are of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from credit_rating import words
from credit_rating.factors import SOURCES
from credit_rating.models import (
    CaseKind,
    CaseStatus,
    CreditCase,
    CreditKind,
    ExposureKind,
    GuaranteeKind,
    LineStatus,
    Verdict,
)
from credit_rating.policies.authority import STAGE_LABELS
from credit_rating.policies.classes import LABELS as CLASS_LABELS
from credit_rating.selectors.cases import Capacity, changes_since, voided_opinion
from credit_rating.selectors.guarantees import GuaranteeRow
from credit_rating.services.cases import objection_words
from crm_site.lib import formats
from customers.models import Product

Change = tuple[str, str, str]

MISTAKEN = "mistaken_ties"
# What the codes of a dossier are called, by part and field.
CODES: dict[str, Mapping[str, Any]] = {
    "case.kind": dict(CaseKind.choices), "customer.kind": dict(CreditKind.choices),
    "authority.route": STAGE_LABELS, "authority.why": words.ROUTE_REASONS,
    "authority.guarantees": dict(GuaranteeKind.choices), "guarantees.kind": dict(GuaranteeKind.choices),
    "lines.status": dict(LineStatus.choices), "other_banks.kind": dict(ExposureKind.choices),
    "other_banks.source": words.SOURCES, "other_banks.level": CLASS_LABELS,
}  # fmt: skip


def told_changes(changed: Sequence[Change]) -> list[Change]:
    """Changes of a dossier in words. Keys and seals, which nobody reads, are told only when nothing else moved."""
    names = _product_names(changed)
    told = [
        (_named(place), _worded(place, old, names), _worded(place, new, names))
        for place, old, new in changed
        if _leaf(place) in words.DOSSIER_FIELDS
    ]
    return list(dict.fromkeys(told)) or [(_named(place), old, new) for place, old, new in changed]


def _product_names(changed: Sequence[Change]) -> dict[str, str]:
    codes = [code for place, *codes in changed if place == "case.product" for code in codes]
    return dict(Product.objects.filter(code__in=codes).values_list("code", "name")) if codes else {}


def _worded(place: str, value: str, products: Mapping[str, str]) -> str:
    if place == "case.product":
        return products.get(value, value)
    part = place.partition(".")[0].partition(" ")[0]
    return str(CODES.get(f"{part}.{_leaf(place)}", {}).get(value, value))


def _leaf(place: str) -> str:
    """The field of a place: "value" of "guarantees 2.value", "route" of "authority.route 3"."""
    return place.rpartition(".")[2].partition(" ")[0]


def _named(place: str) -> str:
    part, _dot, rest = place.partition(".")
    name, _space, number = part.partition(" ")
    leaf, _blank, inner = rest.partition(" ")
    label = str(words.DOSSIER_PARTS.get(name, name)) + (f" {number}" if number else "")
    if leaf not in words.DOSSIER_FIELDS:
        return label
    return f"{label} · {words.DOSSIER_FIELDS[leaf]}" + (f" {inner}" if inner else "")


def begun_again(case: CreditCase) -> dict[str, Any]:
    """Why what was said in this round is void, of a case read `with_record`: the ties that were declared mistaken since
    (`corrected`), or what else has changed; nothing once somebody has spoken anew."""
    last = voided_opinion(case)
    if last is None:
        return {}
    changed = changes_since(case, last.dossier_hash)
    moved = [one for one in changed if not one[0].startswith(MISTAKEN)]
    ties = {new for place, _old, new in changed if place.startswith(MISTAKEN) and _leaf(place) == "tie"}
    corrected = [one for one in case.corrections.all() if str(one.record_id) in ties]
    return {"voided": last, "corrected": corrected, "voided_by": told_changes(moved)}


def told_against(case: CreditCase, stands: Capacity, staff_id: int) -> list[tuple[str, str]]:
    """(icon, why) the reader must not decide a case read `with_record`; of a maker also in what he had a hand, of who has
    spoken what he said."""
    told, people = objection_words(), (staff_id, stands.on_behalf_of)
    parts = dict.fromkeys(str(m.get_part_display()) for m in case.makers.all() if m.staff_id in people)
    if parts:
        told["maker"] += " " + _("Here: %s.") % _(", ").join(parts)
    given = [o for o in case.opinions.all() if o.round == case.round and o.voided_at is None]
    if own := next((o for o in given if o.staff_id == staff_id), None):
        told["decided"] = _("You have said on %(day)s: %(verdict)s.") % {
            "day": formats.day(own.day), "verdict": own.get_verdict_display(),
        }  # fmt: skip
    return [("check" if own and code == "decided" else "ban", told[code]) for code in stands.objections]


def followed(case: CreditCase) -> str:
    """What became of a case by the opinion that was just given."""
    if case.status == CaseStatus.APPROVED and case.line and case.line.waiting_case_id == case.pk:
        return (
            _("The case is approved; the change of credit line %s waits for its conditions.")
            % case.line.number
        )
    if case.status == CaseStatus.APPROVED and case.line:
        return _("The case is approved; credit line %(line)s is %(state)s.") % {
            "line": case.line.number, "state": case.line.get_status_display(),
        }  # fmt: skip
    if case.status == CaseStatus.RETURNED:
        return _("The case is back with %s, who completes and submits it again.") % case.prepared_by.name
    if case.is_waiting:
        return _("The case is with: %s.") % case.get_status_display()
    return _("The case has ended: %s.") % case.get_status_display()


def choices_of(case: CreditCase, *, is_vote: bool, may_return: bool) -> list[tuple[str, Any, Any]]:
    """(verdict, label, what it brings) of the opinions that somebody may give at the case's stage."""
    brings = {
        Verdict.APPROVE: "",
        Verdict.CONDITIONAL: _("Nothing of it may be drawn until each condition is met."),
        Verdict.REJECT: "" if is_vote else _("The case ends."),
        Verdict.RETURN: "" if is_vote else _("Its maker completes it; a new round begins."),
        Verdict.ABSTAIN: _("Counts as a vote cast."),
    }
    offered = [
        v for v in Verdict if (v != Verdict.ABSTAIN or is_vote) and (v != Verdict.RETURN or may_return)
    ]
    labels: dict[Verdict, Any] = {v: v.label for v in Verdict}
    if case.status == CaseStatus.PRESIDENT:
        labels[Verdict.REJECT] = _("Veto")
        brings[Verdict.RETURN] = _(
            "Once in the life of a case; its maker completes it and a new round begins."
        )
    return [(v.value, labels[v], brings[v]) for v in offered]


def sources_of(
    saved: dict[str, Any] | None, rated: dict[str, Any] | None, report: Any, rows: Iterable[GuaranteeRow]
) -> list[tuple[Any, dt.date, dt.date]]:
    """(source, oldest date, newest date) of what the case rests on: statements, answers, report, valuations, rating."""
    found: list[tuple[Any, dt.date, dt.date]] = []
    read = [(i["source"], i["as_of"]) for i in saved["content"]["inputs"]] if saved else []
    if rated:
        read += [(SOURCES[f["source"]].origin, f["as_of"]) for f in rated["rating"].factors if f["as_of"]]
    for label, codes in ((_("Statements"), ("statement", "ratio")), (_("Collection forms"), ("collected",))):
        if days := [dt.date.fromisoformat(as_of) for source, as_of in read if source in codes]:
            found.append((label, min(days), max(days)))
    if report is not None:
        found.append((words.SOURCES[report.source], report.report_date, report.report_date))
    if valued := [row.valued_on for row in rows if row.valued_on]:
        found.append((_("Valuations"), min(valued), max(valued)))
    if rated:
        found.append((_("Credit rating"), rated["rating"].as_of, rated["rating"].as_of))
    return found
