"""Choosing a feed and a file."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from customers.ingest.feeds import FEEDS


def feed_choices() -> list[tuple[str, object]]:
    return [(feed.name, feed.title) for feed in FEEDS if feed.is_uploadable]


class UploadForm(forms.Form):
    feed = forms.ChoiceField(label=_("What is in the file"), choices=feed_choices, initial="customers")
    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV (UTF-8 or GB18030) or Excel workbook (.xlsx), with a header line."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.xlsx"}),
        max_length=200,
    )
