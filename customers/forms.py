"""What people type, cleaned. No rule of the bank lives here."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor
from customers.conditions import ME, both, from_query
from customers.facts import KNOWN, Fact, visible_facts
from customers.models import Channel, CustomerKind, IdentifierScheme
from customers.models.interactions import Result
from customers.models.parties import CRM_OWNED, crm_owned

OPERATOR_WORDS = {
    "=": gettext_lazy("is"),
    "!=": gettext_lazy("is not"),
    "<": gettext_lazy("below"),
    "<=": gettext_lazy("at most"),
    ">": gettext_lazy("above"),
    ">=": gettext_lazy("at least"),
    "between": gettext_lazy("between"),
    "in": gettext_lazy("is one of"),
    "within": gettext_lazy("is or is below"),
    "starts_with": gettext_lazy("begins with"),
    "is_null": gettext_lazy("is not known"),
    "not_null": gettext_lazy("is known"),
}
MOST_PEOPLE = 500
# Channels a person logs; the others are reported by systems.
LOGGED_CHANNELS = (Channel.CALL, Channel.VISIT, Channel.MESSAGE, Channel.EMAIL, Channel.COUNTER)
LOGGED_RESULTS = (
    Result.INTERESTED, Result.FOLLOW_UP, Result.AGREED, Result.REFUSED, Result.NOT_REACHED, Result.COMPLAINT,
)  # fmt: skip


# --- filter ---


@dataclass(frozen=True, slots=True)
class FilterRow:
    """One comparison of a condition editor. `key` tells its fields apart; `values` are as typed.

    `prefix`: of the keys of one of several editors on a page; `dated`: it offers facts of any date alone.
    """

    key: str
    fact: Fact
    op: str
    values: Sequence[str]
    facts: Sequence[Fact]
    people: Sequence[tuple[str, str]] = ()
    prefix: str = ""
    dated: bool = False

    @classmethod
    def blank(
        cls, actor: Actor, name: str, key: str = "", *, prefix: str = "", dated: bool = False
    ) -> FilterRow:
        facts = offered_facts(actor, dated=dated)
        fact = next((fact for fact in facts if fact.name == name), facts[0])
        # A tier begins at a boundary; a list's filter with equality.
        op = ">=" if dated and ">=" in fact.operators else fact.operators[0]
        return cls.of(actor, fact, op, [], facts, key, prefix=prefix, dated=dated)

    @classmethod
    def of(
        cls, actor: Actor, fact: Fact, op: str, values: Sequence[str], facts: Sequence[Fact], key: str = "",
        *, prefix: str = "", dated: bool = False,
    ) -> FilterRow:  # fmt: skip
        start = prefix if prefix.isalnum() and len(prefix) <= 8 else ""
        is_clean = key.isalnum() and len(key) <= 16 and key.startswith(start)
        clean = key if is_clean else start + secrets.token_hex(4)
        return cls(clean, fact, op, values, facts, _people(actor, fact), start, dated)

    @property
    def scope(self) -> str:
        """What the address of a row's editor says besides its key."""
        return f"&prefix={self.prefix}{'&dated=1' if self.dated else ''}" if self.prefix else ""

    @property
    def operators(self) -> list[tuple[str, Any]]:
        return [(op, OPERATOR_WORDS[op]) for op in self.fact.operators]

    @property
    def choices(self) -> list[tuple[str, Any]]:
        """What may be chosen, where the value is a choice."""
        if self.fact.type == "choice":
            return list(self.fact.choices.items())
        if self.fact.type == "bool":
            return [("true", _("yes")), ("false", _("no"))]
        return list(self.people)

    @property
    def low(self) -> str:
        return self.values[0] if self.values else ""

    @property
    def high(self) -> str:
        return self.values[1] if len(self.values) > 1 else ""


def offered_facts(actor: Actor, *, dated: bool = False) -> list[Fact]:
    """The facts that an editor offers the actor; `dated`: those known for any business date (tier policies). A choice
    of the bank's own is offered where the bank has one."""
    facts = [fact for fact in visible_facts(actor) if fact.dated or not dated]
    return [fact for fact in facts if not callable(fact.options) or fact.choices]


def _people(actor: Actor, fact: Fact) -> Sequence[tuple[str, str]]:
    if fact.type == "unit":
        return [(str(pk), name) for pk, name in OrgUnit.objects.order_by("lft").values_list("pk", "name")]
    if fact.type == "staff":
        people = (
            Staff.objects.active().order_by("unit__lft", "number").values_list("pk", "name", "unit__name")
        )
        return [(ME, _("me")), *((str(pk), f"{name} · {unit}") for pk, name, unit in people[:MOST_PEOPLE])]
    return ()


class FilterForm:
    """The filter dialog: rows of comparisons that must all hold, beside a part that only reads as a sentence."""

    def __init__(
        self,
        actor: Actor,
        data: Any = None,
        *,
        rows: Sequence[Mapping[str, Any]] = (),
        kept: Mapping[str, Any] | None = None,
        prefix: str = "",
        dated: bool = False,
    ) -> None:
        self.problem = ""
        self.facts = offered_facts(actor, dated=dated)
        scope: dict[str, Any] = {"prefix": prefix, "dated": dated}
        self.kept: Mapping[str, Any] = kept or {}
        by_name = {fact.name: fact for fact in self.facts}
        if data is None:
            self.rows = [
                FilterRow.of(
                    actor, by_name[row["fact"]], row["op"], _as_typed(row.get("value")), self.facts, **scope
                )
                for row in rows
                if row["fact"] in by_name
            ] or [FilterRow.blank(actor, "deposits_adb", **scope)]
            return
        self.kept = {} if prefix else from_query(data.get("kept", ""), actor=actor)
        self.rows = []
        for key in [key for key in data.getlist("row") if key.startswith(prefix)][:50]:
            fact = by_name.get(data.get(f"fact-{key}", ""))
            if fact is not None:
                values = data.getlist(f"value-{key}")
                self.rows.append(
                    FilterRow.of(actor, fact, data.get(f"op-{key}", ""), values, self.facts, key, **scope)
                )

    def condition(self) -> dict[str, Any]:
        """The condition the rows say together."""
        return both(self.kept, *self.said())

    def said(self) -> list[dict[str, Any]]:
        """What each row says; rows without a value are left out."""
        said: list[dict[str, Any]] = []
        for row in self.rows:
            values = [value.strip() for value in row.values if value.strip()]
            if row.op in KNOWN:
                said.append({"fact": row.fact.name, "op": row.op})
            elif values:
                many = row.op in ("in", "between")
                said.append({"fact": row.fact.name, "op": row.op, "value": values if many else values[0]})
        return said


def _as_typed(value: Any) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, list | tuple) else [value]
    return [("true" if one else "false") if isinstance(one, bool) else str(one) for one in values]


# --- records ---


class ServiceForm(forms.Form):
    """A form whose service may refuse: its words go beside the field they belong to."""

    def refuse(self, error: DomainError) -> None:
        """Show what the service said no to."""
        placed = {name: text for name, text in error.fields.items() if name in self.fields}
        for name, text in placed.items():
            self.add_error(name, text)
        if not placed:
            self.add_error(None, error.message)


class SubmissionForm(ServiceForm):
    """A form that may be sent twice (double click, lost answer) and then counts once."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class ContactForm(SubmissionForm):
    """A contact in under twenty seconds: channel, result, save; the rest is optional."""

    channel = forms.ChoiceField(
        label=gettext_lazy("How"),
        choices=[(channel.value, channel.label) for channel in LOGGED_CHANNELS],
        widget=forms.RadioSelect(attrs={"autofocus": True}),
    )
    result = forms.ChoiceField(
        label=gettext_lazy("What came of it"),
        choices=[(result.value, result.label) for result in LOGGED_RESULTS],
        widget=forms.RadioSelect,
        required=False,
    )
    note = forms.CharField(
        label=gettext_lazy("What was said"),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=4000,
        required=False,
    )
    promise = forms.CharField(label=gettext_lazy("What was promised"), max_length=200, required=False)
    promise_when = forms.ChoiceField(
        choices=[
            ("1", gettext_lazy("Tomorrow")),
            ("3", gettext_lazy("In three days")),
            ("7", gettext_lazy("In a week")),
        ],
        widget=forms.RadioSelect,
        required=False,
    )
    promise_date = forms.DateField(
        label=gettext_lazy("Until"),
        widget=forms.DateInput(
            format="%Y-%m-%d", attrs={"type": "date", "class": "input", "aria-label": gettext_lazy("Until")}
        ),
        required=False,
    )

    def __init__(self, *args: Any, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today

    def clean(self) -> dict[str, Any]:
        """A date typed says when; else the chip does."""
        cleaned = super().clean() or self.cleaned_data
        days = cleaned.pop("promise_when", "")
        if days and not cleaned.get("promise_date") and cleaned.get("promise"):
            cleaned["promise_date"] = self.today + dt.timedelta(days=int(days))
        return cleaned


class CorrectionForm(ServiceForm):
    """Result and note of one's own contact."""

    result = forms.ChoiceField(
        label=gettext_lazy("What came of it"),
        choices=[("", "–"), *((result.value, result.label) for result in LOGGED_RESULTS)],
        required=False,
    )
    note = forms.CharField(
        label=gettext_lazy("What was said"),
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=4000,
        required=False,
    )


class TaskForm(SubmissionForm):
    """A task about one customer or several."""

    title = forms.CharField(label=gettext_lazy("What is to be done"), max_length=200)
    due_date = forms.DateField(
        label=gettext_lazy("Until"), widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )


class RevealForm(ServiceForm):
    """Why a protected value is to be shown."""

    reason = forms.CharField(
        label=gettext_lazy("What you need it for"),
        max_length=200,
        widget=forms.TextInput(attrs={"list": "reveal-reasons", "autocomplete": "off"}),
    )


class ExportForm(ServiceForm):
    """What an export is for, and how it comes."""

    purpose = forms.CharField(label=gettext_lazy("What it is for"), max_length=200)
    format = forms.ChoiceField(
        label=gettext_lazy("Format"), choices=[("csv", "CSV"), ("xlsx", "Excel (XLSX)")], initial="csv"
    )


class ProfileForm(ServiceForm):
    """The CRM-owned fields of a customer; `base` carries what the form was opened with."""

    occupation = forms.CharField(label=gettext_lazy("Occupation"), max_length=80, required=False)
    employer = forms.CharField(label=gettext_lazy("Employer"), max_length=120, required=False)
    contact_language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=[("", "–"), ("zh-hans", "中文"), ("en", "English")],
        required=False,
    )
    family_note = forms.CharField(
        label=gettext_lazy("Family"), max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    experience_note = forms.CharField(
        label=gettext_lazy("Experience"),
        max_length=400,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("career, trade, investments; of a company: of who runs it"),
    )
    preference_note = forms.CharField(
        label=gettext_lazy("Preferences"),
        max_length=400,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    needs_note = forms.CharField(
        label=gettext_lazy("Needs"), max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    base = forms.JSONField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in set(CRM_OWNED) - set(crm_owned(kind)):
            del self.fields[name]

    def clean_base(self) -> dict[str, str]:
        given = self.cleaned_data["base"]
        return {k: str(v) for k, v in given.items() if k in CRM_OWNED} if isinstance(given, dict) else {}


class ProspectForm(SubmissionForm):
    """A target customer: name and kind are enough to begin with."""

    name = forms.CharField(label=gettext_lazy("Customer name"), max_length=160)
    kind = forms.ChoiceField(label=gettext_lazy("Customer kind"), choices=CustomerKind.choices)
    phone = forms.CharField(
        label=gettext_lazy("Phone"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "tel"}),
    )
    scheme = forms.ChoiceField(
        label=gettext_lazy("Document"), choices=[("", "–"), *IdentifierScheme.choices], required=False
    )
    identifier = forms.CharField(
        label=gettext_lazy("Number of the document"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    address = forms.CharField(label=gettext_lazy("Address"), max_length=240, required=False)
    occupation = forms.CharField(label=gettext_lazy("Occupation"), max_length=80, required=False)
    employer = forms.CharField(label=gettext_lazy("Employer"), max_length=120, required=False)
    needs_note = forms.CharField(
        label=gettext_lazy("Needs"), max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
