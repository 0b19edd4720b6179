"""Cleaning of the start form."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from crm_site.jobs.services import refuse_day_to_come
from crm_site.lib.errors import DomainError


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class StartForm(forms.Form):
    """A night run by hand."""

    business_date = forms.DateField(label=_("Business date"), widget=DateInput())

    def __init__(self, *args: Any, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.fields["business_date"].widget.attrs["max"] = today.isoformat()

    def clean_business_date(self) -> dt.date:
        day: dt.date = self.cleaned_data["business_date"]
        try:
            refuse_day_to_come(day, self.today)
        except DomainError as refused:
            raise forms.ValidationError(refused.message) from refused
        return day
