"""Cleaning of what the rating and scorecard pages are told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from credit_rating.forms_case import RefusableForm
from credit_rating.models import Rating
from credit_rating.scorecards import in_language
from credit_rating.selectors.ratings import Line
from crm_site.lib.choices import offer

NO_ANSWER = ("", "–")


class AnswersForm(forms.Form):
    """What the card asks and no data give: a number, or one of its answers. Nothing is asked for twice."""

    def __init__(self, data: Any, *, asked: list[Line], **options: Any) -> None:
        super().__init__(data, **options)
        for line in asked:
            label = in_language(line.row, "label")
            if line.factor.is_number:
                field: forms.Field = forms.DecimalField(label=label, required=False, max_digits=18)
            else:
                listed = [v for b in line.factor.bins if b.kind in ("values", "special") for v in b.values]
                field = forms.ChoiceField(
                    label=label, required=False, choices=[NO_ANSWER, *((v, v) for v in listed)]
                )
            self.fields[f"answer-{line.factor.code}"] = field

    def answers(self) -> dict[str, str]:
        """Factor -> what was answered."""
        given = {name.removeprefix("answer-"): value for name, value in self.cleaned_data.items()}
        return {
            code: f"{value:f}" if isinstance(value, Decimal) else str(value)
            for code, value in given.items()
            if value not in (None, "")
        }


class SubmitRatingForm(RefusableForm):
    """The grade that the maker stands for. `seen`: the stamp of the rating on the page."""

    seen = forms.CharField(max_length=32, widget=forms.HiddenInput)
    grade = forms.ChoiceField(label=_("Grade"))
    reason = forms.CharField(
        label=_("Reason of another grade"),
        max_length=400,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, data: Any = None, *, rating: Rating) -> None:
        initial = {"seen": rating.stamp, "grade": rating.grade}
        super().__init__(data, initial=initial)
        rows = rating.grade_policy.body["tables"]["scale"]
        offer(self, "grade", [(r["grade"], r["grade"]) for r in rows])


class DecideRatingForm(RefusableForm):
    """A reviewer's decision."""

    seen = forms.CharField(max_length=32, widget=forms.HiddenInput)
    act = forms.ChoiceField(choices=[("approve", "approve"), ("return", "return")], required=True)
    note = forms.CharField(
        label=_("Opinion"), max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class CardNoteForm(forms.Form):
    """The line a card belongs to, and why it is drafted."""

    name = forms.CharField(
        label=_("Short name"), max_length=60, help_text=_("another name begins a line of its own")
    )
    note = forms.CharField(label=_("Reason"), max_length=400, widget=forms.Textarea(attrs={"rows": 2}))
