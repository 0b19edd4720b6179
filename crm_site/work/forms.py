"""Cleaning of what is typed into task forms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from crm_site.lib.permissions import Actor
from crm_site.work import selectors
from crm_site.work.models import Task


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class StaffField(forms.TypedChoiceField):
    """A choice among the people whom the actor may give work to; its value is a staff id. `names`: theirs, by id."""

    names: Mapping[int, str]

    def __init__(self, **options: Any) -> None:
        super().__init__(coerce=int, **options)

    def offer(
        self, actor: Actor, *, but: int = 0, customer_id: int | None = None, day: dt.date | None = None
    ) -> None:
        """Those who may see the customer first, when it is about one; the others are said to see the task alone."""
        people = list(selectors.possible_owners(actor).select_related("unit").exclude(pk=but)[:500])
        rows = [(person.pk, f"{person.name} · {person.unit.name}") for person in people]
        self.names = {person.pk: person.name for person in people}
        if customer_id is None or day is None:
            self.choices = [("", "–"), *rows]
            return
        seeing = selectors.who_may_see(people, customer_id, day)
        groups = (
            (_("May see the customer"), [row for row in rows if row[0] in seeing]),
            (_("See the task, not the customer"), [row for row in rows if row[0] not in seeing]),
        )
        self.choices = [("", "–"), *(group for group in groups if group[1])]


class ResultForm(forms.Form):
    result = forms.CharField(
        label=_("Result"), max_length=200, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, needed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["result"].required = needed


class LaterForm(forms.Form):
    """Until when; `choices`: the days that a click chooses, (day, its name)."""

    until = forms.DateField(label=_("Show again on"), widget=DateInput())

    def __init__(self, *args: Any, as_of: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"].widget.attrs["min"] = (as_of + dt.timedelta(days=1)).isoformat()
        self.initial.setdefault("until", as_of + dt.timedelta(days=1))
        self.choices = (
            (as_of + dt.timedelta(days=1), _("Tomorrow")),
            (as_of + dt.timedelta(days=3), _("In 3 days")),
            (as_of + dt.timedelta(days=7), _("In a week")),
        )


class HandOverForm(forms.Form):
    to = StaffField(label=_("Hand over to"), error_messages={"required": _("Choose a colleague.")})
    note = forms.CharField(label=_("Note"), max_length=200, required=False)

    def __init__(self, *args: Any, actor: Actor, task: Task, as_of: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        to = cast("StaffField", self.fields["to"])
        to.offer(actor, but=task.owner_id or 0, customer_id=task.customer_id, day=as_of)
        self.names = to.names


class TaskForm(forms.Form):
    text = forms.CharField(label=_("What is to be done"), max_length=200)
    due_date = forms.DateField(label=_("Until"), widget=DateInput())
    owner = StaffField(label=_("Responsible person"), required=False, empty_value=None)
    customer = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput()
    )

    def __init__(self, *args: Any, actor: Actor, as_of: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor, self.as_of = actor, as_of
        cast("StaffField", self.fields["owner"]).offer(actor)
        self.initial.setdefault("due_date", as_of)
        self.initial.setdefault("owner", actor.staff_id)

    def clean_due_date(self) -> dt.date:
        due: dt.date = self.cleaned_data["due_date"]
        if due < self.as_of:
            raise forms.ValidationError(_("This day has passed."))
        return due

    def clean_customer(self) -> int | None:
        """A customer that the actor may not see is nobody's business here."""
        number: int | None = self.cleaned_data["customer"]
        if number is not None and number not in selectors.subjects_of(self.actor, [number]):
            raise forms.ValidationError(_("There is no such customer."))
        return number
