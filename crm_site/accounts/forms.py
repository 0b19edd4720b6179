"""Cleaning of what is typed into the settings pages."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Grade, LineDepartment, OrgUnit, OrgUnitKind, Staff
from crm_site.accounts.services.grants import grantable
from crm_site.lib.api.scopes import SCOPES
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import ROLE_LABELS, Actor


def add_refusal(form: forms.Form, error: DomainError) -> None:
    """A service's no, beside the field it names."""
    for name, text in error.fields.items():
        form.add_error(name if name in form.fields else None, text)
    if not error.fields or error.code == "changed_meanwhile":
        form.add_error(None, error.message)


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class UnitField(forms.TypedChoiceField):
    """A choice among the bank's open units, indented by their place; its value is a unit id."""

    def __init__(self, **options: Any) -> None:
        super().__init__(coerce=int, empty_value=None, **options)

    def offer(self, *, kinds: tuple[str, ...] = ()) -> None:
        units = OrgUnit.objects.filter(is_open=True).order_by("lft")
        if kinds:
            units = units.filter(kind__in=kinds)
        indent = {OrgUnitKind.BRANCH: " ", OrgUnitKind.SUB_BRANCH: "  "}
        self.choices = [("", "–"), *((u.pk, f"{indent.get(OrgUnitKind(u.kind), '')}{u.name}") for u in units)]


def _offer(form: forms.Form, name: str, *, kinds: tuple[str, ...] = ()) -> None:
    field = form.fields[name]
    if isinstance(field, UnitField):
        field.offer(kinds=kinds)


class UnitForm(forms.Form):
    code = forms.SlugField(label=_("Code"), max_length=30)
    name = forms.CharField(label=_("Name"), max_length=120)
    kind = forms.ChoiceField(
        label=_("Kind"), choices=[c for c in OrgUnitKind.choices if c[0] != "head_office"]
    )
    parent = UnitField(label=_("Below"))
    region = forms.CharField(label=_("Region"), max_length=120, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, "parent", kinds=("head_office", "branch"))


class UnitChangeForm(forms.Form):
    """Carries what the page showed, so that a change by somebody else in between is noticed."""

    name = forms.CharField(label=_("Name"), max_length=120, show_hidden_initial=True)
    region = forms.CharField(label=_("Region"), max_length=120, required=False, show_hidden_initial=True)
    parent = UnitField(label=_("Below"), required=False, show_hidden_initial=True)

    def __init__(self, *args: Any, unit: OrgUnit, **kwargs: Any) -> None:
        kwargs["initial"] = {"name": unit.name, "region": unit.region, "parent": unit.parent_id}
        super().__init__(*args, **kwargs)
        if unit.parent_id is None:
            del self.fields["parent"]
        else:
            _offer(self, "parent", kinds=("head_office", "branch"))

    def seen(self, name: str) -> str:
        return self.data.get(self.add_initial_prefix(name), "")


class StaffForm(forms.Form):
    number = forms.CharField(label=_("Staff number"), max_length=30)
    name = forms.CharField(label=_("Full name"), max_length=80)
    email = forms.EmailField(label=_("E-mail"), required=False)
    unit = UnitField(label=_("Unit"))
    grade = forms.ChoiceField(label=_("Grade"), choices=[("", "–"), *Grade.choices], required=False)
    line_department = forms.ChoiceField(
        label=_("Line department"), choices=[("", "–"), *LineDepartment.choices], required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, "unit")


class StaffChangeForm(StaffForm):
    """As StaffForm, without the number; carries what the page showed of each field."""

    def __init__(self, *args: Any, staff: Staff, **kwargs: Any) -> None:
        fields = ("name", "email", "grade", "line_department")
        kwargs["initial"] = {"unit": staff.unit_id, **{name: getattr(staff, name) for name in fields}}
        super().__init__(*args, **kwargs)
        del self.fields["number"]
        unit = self.fields["unit"]
        offered: list[Any] = list(getattr(unit, "choices", ()))
        if isinstance(unit, UnitField) and staff.unit_id not in {c[0] for c in offered}:  # a closed one
            unit.choices = [*offered, (staff.unit_id, staff.unit.name)]
        for name, field in self.fields.items():
            field.show_hidden_initial = True
            if staff.source_as_of is not None and name in ("name", "unit"):
                field.help_text = _("From the core system: change it there.")
                field.widget.attrs["readonly"] = True

    def before(self) -> dict[str, Any]:
        """The fields' values as the page showed them."""
        values = {name: self.data.get(self.add_initial_prefix(name), "") for name in self.fields}
        unit = values.pop("unit")
        return {**values, "unit_id": int(unit) if unit.isdigit() else None}

    def after(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        return {**values, "unit_id": values.pop("unit")}


class LeaveForm(forms.Form):
    left_date = forms.DateField(label=_("Last day"), widget=DateInput())


class GrantForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"))
    unit = UnitField(label=_("Place"))
    from_date = forms.DateField(label=_("From"), widget=DateInput())
    to_date = forms.DateField(
        label=_("To"), required=False, widget=DateInput(), help_text=_("Empty: until it is revoked.")
    )
    comment = forms.CharField(label=_("Why"), max_length=200, required=False)

    def __init__(
        self, *args: Any, actor: Actor, today: dt.date, unit_id: int | None = None, **kwargs: Any
    ) -> None:
        kwargs["initial"] = {"from_date": today, "unit": unit_id}
        super().__init__(*args, **kwargs)
        roles = [("", "–"), *((role.value, ROLE_LABELS[role]) for role in grantable(actor.bank_id))]
        cast("forms.ChoiceField", self.fields["role"]).choices = roles
        _offer(self, "unit")


class DecisionForm(forms.Form):
    comment = forms.CharField(label=_("Comment"), max_length=200, required=False)


class CapacityForm(forms.Form):
    max_customers = forms.IntegerField(label=_("Customers at most"), min_value=0, max_value=1_000_000)
    max_value = forms.DecimalField(label=_("Value at most"), min_value=0, max_digits=17, decimal_places=2)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # in a table, whose head is their label
            field.widget.attrs["aria-label"] = field.label


class PolicyForm(forms.Form):
    second_factor_required = forms.BooleanField(
        label=_("Administrators and operators must have a second factor"), required=False
    )


class ClientForm(forms.Form):
    name = forms.CharField(
        label=_("System"), max_length=100, help_text=_("For example: core banking, call centre.")
    )
    scopes = forms.MultipleChoiceField(label=_("Scopes"), widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scopes = [(name, f"{label} ({name})") for name, label in SCOPES.items()]
        cast("forms.MultipleChoiceField", self.fields["scopes"]).choices = scopes


class BankForm(forms.Form):
    code = forms.CharField(
        label=_("Code"), max_length=30, help_text=_("Lower-case letters, digits and hyphens.")
    )
    name = forms.CharField(label=_("Name"), max_length=120)
    host = forms.CharField(
        label=_("Host name"), max_length=190, required=False, help_text=_("Empty: code.localhost.")
    )
    currency = forms.CharField(label=_("Currency"), max_length=3, initial="CNY")
    timezone = forms.CharField(label=_("Time zone"), max_length=50, initial="Asia/Shanghai")
    language = forms.ChoiceField(label=_("Language"), choices=[("zh-hans", "中文"), ("en", "English")])


class ProposalForm(forms.Form):
    """From which day a version (crm_site.accounts.versions) is to be in force."""

    valid_from = forms.DateField(
        label=_("In force from"), widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )


class ReasonForm(forms.Form):
    """Why a version is published, or withdrawn; whether it must be said is the service's to judge."""

    reason = forms.CharField(
        label=_("Reason"), max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
