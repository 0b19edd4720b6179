"""Cleaning of what the pages of development samples are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from credit_rating.factors import ANSWER, ORIGINS, SOURCES
from credit_rating.forms_case import RefusableForm
from credit_rating.models import CreditKind
from credit_rating.sample_words import reason_text
from credit_rating.services.developing import Order, own_source
from crm_site.lib.choices import offer
from crm_site.lib.errors import DomainError

BAD, GOOD, NEITHER = "bad", "good", ""


class SampleUploadForm(RefusableForm):
    """A file that scorecards are to be developed from."""

    file = forms.FileField(
        label=_("File"),
        help_text=_(
            "CSV or an Excel workbook (.xlsx), at most 200 MB: one row an applicant, one column of outcomes."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.dat,.xlsx"}),
        max_length=200,
        allow_empty_file=True,  # the service says what is wrong with one
    )
    has_header = forms.BooleanField(label=_("The first line holds the names"), initial=True, required=False)


class OutcomesForm(RefusableForm):
    """A sample of the bank's own loans: which outcomes count as known."""

    as_of = forms.DateField(
        label=_("Outcomes observed by"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, data: Any = None, *, today: dt.date) -> None:
        super().__init__(data, initial={"as_of": today})


class TargetForm(forms.Form):
    """Which column is the outcome, and whom the card is for."""

    target = forms.ChoiceField(label=_("Outcome"))
    kind = forms.ChoiceField(label=_("For"), choices=CreditKind, initial=CreditKind.PERSONAL)

    def __init__(self, data: Any = None, *, targets: Sequence[str]) -> None:
        super().__init__(data)
        offer(self, "target", [(name, name) for name in targets])


class PurposeForm(RefusableForm):
    """What a download is for."""

    purpose = forms.CharField(label=_("What for"), max_length=200)


class DevelopmentForm(RefusableForm):
    """How a card is developed: values of the outcome, columns with their sources, limits. Rows have numbered fields."""

    name = forms.CharField(
        label=_("Short name"), max_length=60, help_text=_("the next draft of the same name follows it")
    )
    window = forms.CharField(
        label=_("Data window"), max_length=120, help_text=_("which time the sample is of, in words")
    )
    max_factors = forms.IntegerField(
        label=_("At most so many factors"), min_value=1, max_value=100, required=False
    )
    monotonic = forms.BooleanField(label=_("One trend for every number"), required=False)

    def __init__(
        self,
        data: Any = None,
        *,
        kind: str,
        target: str,
        columns: Sequence[Mapping[str, Any]],
        window: str = "",
        bad: Sequence[str] = (),
    ) -> None:
        super().__init__(data, initial={"window": window, "max_factors": 12})
        self.kind, self.target = kind, target
        self.beside: dict[str, str] = {}  # faults of the two tables, by "target" and "columns"
        self.others = [column for column in columns if column["name"] != target]
        self.labels = next(column["labels"] for column in columns if column["name"] == target)
        self._add_labels(bad)
        self._add_columns()

    def _add_labels(self, bad: Sequence[str]) -> None:
        """Those of `bad` are, where one occurs; else the rarer of two. Of more, everybody says himself."""
        usual = [label for label, _cases in self.labels if label in bad]
        if not usual and len(self.labels) == 2:
            usual = [min(self.labels, key=lambda label: label[1])[0]]
        for number, (label, _cases) in enumerate(self.labels):
            side = "" if not usual else BAD if label in usual else GOOD
            choices = [(BAD, _("bad")), (GOOD, _("good")), (NEITHER, _("left out"))]
            self.fields[f"label-{number}"] = forms.ChoiceField(
                label=label, choices=choices, required=False, initial=side
            )

    def _add_columns(self) -> None:
        sources = [
            (s.code, s.label if s.code == ANSWER else f"{ORIGINS[s.origin]}: {s.label}")
            for s in SOURCES.values()
            if self.kind in s.kinds
        ]
        for number, column in enumerate(self.others):
            if column["left_out"]:
                continue
            self.fields[f"use-{number}"] = forms.BooleanField(
                label=column["name"], required=False, initial=True
            )
            self.fields[f"source-{number}"] = forms.ChoiceField(
                label=column["name"], choices=sources, initial=self._own(column)
            )

    def _own(self, column: Mapping[str, Any]) -> str:
        labels = [label for label, _cases in column["labels"]]
        return own_source(self.kind, column["name"], is_number=column["kind"] == "number", labels=labels)

    def refuse(self, error: DomainError) -> None:
        """Faults of the tables stand above them, the others beside their fields."""
        self.beside = {name: text for name, text in error.fields.items() if name in ("target", "columns")}
        if not self.beside or set(error.fields) & set(self.fields):
            super().refuse(error)

    def label_rows(self) -> Iterator[tuple[str, int, Any]]:
        """(label, cases, field)"""
        for number, (label, cases) in enumerate(self.labels):
            yield label, cases, self[f"label-{number}"]

    def column_rows(self) -> Iterator[dict[str, Any]]:
        """Each column with its fields, or why it cannot be used."""
        for number, column in enumerate(self.others):
            fit = f"use-{number}" in self.fields
            yield {
                "column": column,
                "use": self[f"use-{number}"] if fit else None,
                "source": self[f"source-{number}"] if fit else None,
                "why": reason_text(column["left_out"]),
            }

    def order(self) -> Order:
        """What is ordered, of a valid form."""
        given = self.cleaned_data
        sides = {label: given[f"label-{n}"] for n, (label, _cases) in enumerate(self.labels)}
        fit = [(n, c["name"]) for n, c in enumerate(self.others) if f"use-{n}" in self.fields]
        return Order(
            kind=self.kind,
            name=given["name"],
            target=self.target,
            bad=tuple(label for label, side in sides.items() if side == BAD),
            good=tuple(label for label, side in sides.items() if side == GOOD),
            drop=tuple(name for n, name in fit if not given[f"use-{n}"]),
            window=given["window"],
            sources={name: given[f"source-{n}"] for n, name in fit if given[f"use-{n}"]},
            max_factors=given["max_factors"],
            monotonic=given["monotonic"],
        )
