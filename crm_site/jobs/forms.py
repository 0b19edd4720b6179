"""Cleaning of the start form."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class StartForm(forms.Form):
    """A night run by hand. A date ahead of the calendar is refused: its balances cannot be there yet."""

    business_date = forms.DateField(label=_("Business date"), widget=DateInput())

    def __init__(self, *args: Any, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        self.fields["business_date"].widget.attrs["max"] = today.isoformat()

    def clean_business_date(self) -> dt.date:
        day: dt.date = self.cleaned_data["business_date"]
        if day > self.today:
            raise forms.ValidationError(_("This day is still to come."))
        return day
