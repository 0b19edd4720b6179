"""What people type of the people at a company. No rule of the bank lives here."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from customers.forms import ServiceForm, SubmissionForm
from customers.models import BuyingRole, LeftReason, Post
from customers.services import EditConflict


def _day() -> forms.DateInput:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class _Known(ServiceForm):
    """What is known of somebody and may change while they are there."""

    title = forms.CharField(
        label=_("Title"), max_length=60, required=False, help_text=_("what the company calls the post")
    )
    from_date = forms.DateField(
        label=_("In post since"),
        required=False,
        widget=_day(),
        help_text=_("empty where it is not known"),
    )
    roles = forms.MultipleChoiceField(
        label=_("Buying roles"),
        choices=BuyingRole,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    phone = forms.CharField(
        label=_("Phone"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off"}),
    )
    party = forms.CharField(
        label=_("Own customer number"),
        max_length=32,
        required=False,
        help_text=_("where the person banks with us too"),
    )
    note = forms.CharField(label=_("Note"), max_length=200, required=False)  # fmt: skip


class PersonForm(_Known, SubmissionForm):
    """Somebody who has come, or has become known."""

    name = forms.CharField(label=_("Person's name"), max_length=80)
    post = forms.ChoiceField(label=_("Post held"), choices=[("", "–"), *Post.choices])
    field_order = ("name", "post")


class PersonChangeForm(_Known):
    """What has become known of somebody since; `base` carries what the form was opened with."""

    base = forms.JSONField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, masked: str, may_link: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if masked:
            self.fields["phone"].help_text = _("leave empty to keep %s") % masked
        if not may_link:  # it leads to a customer that the reader does not see
            del self.fields["party"]

    def clean_base(self) -> dict[str, str]:
        given = self.cleaned_data["base"]
        return {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}

    def seen(self, conflict: EditConflict, data: QueryDict) -> None:
        """Show what another person saved meanwhile under each field; sending `data`, a copy of what was sent, again means:
        I have seen theirs."""
        data["base"] = json.dumps(conflict.theirs)
        self.data = data
        roles = {role.value: str(role.label) for role in BuyingRole}
        for one in conflict.conflicts:
            theirs = one.theirs
            if one.field == "roles":
                theirs = " · ".join(roles[role] for role in theirs.split(",") if role)
            self.add_error(one.field, gettext("Changed meanwhile to: %s") % (theirs or "–"))

    def typed(self) -> dict[str, str]:
        """The fields as the service compares them."""
        found = {
            name: value for name, value in self.cleaned_data.items() if name in self.fields and name != "base"
        }
        since: dt.date | None = found["from_date"]
        return {
            **{name: value.strip() for name, value in found.items() if isinstance(value, str)},
            "roles": ",".join(role for role in BuyingRole.values if role in found["roles"]),
            "from_date": since.isoformat() if since else "",
        }


class PersonLeftForm(ServiceForm):
    """When somebody's time in a post ended, and why."""

    left_date = forms.DateField(label=_("Left on"), widget=_day())
    reason = forms.ChoiceField(
        label=_("Why"), choices=LeftReason, initial=LeftReason.LEFT, widget=forms.RadioSelect
    )
