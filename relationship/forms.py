"""Cleaning of what the queue's page sends."""

from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from crm_site.lib.choices import offer


class DecisionForm(forms.Form):
    """Which proposals: the ticked ones, or everything that the filter shows (`everything` = the filter's count)."""

    selected = forms.TypedMultipleChoiceField(coerce=int, required=False, choices=())
    everything = forms.BooleanField(required=False)
    effective_date = forms.DateField(label=_("Effective from"), required=False)
    comment = forms.CharField(label=_("Reason"), required=False, max_length=200)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        ticked = data.getlist("selected")
        offer(self, "selected", [(x, x) for x in ticked if x.isdigit() and len(x) < 19])
