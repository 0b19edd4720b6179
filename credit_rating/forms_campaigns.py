"""Cleaning of what the pages of campaigns are told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from credit_rating.forms import FilterMenu, FilterOption
from credit_rating.forms_case import RefusableForm, _money, day_field
from credit_rating.models import CampaignZone, CreditKind, MemberStage, customer_kind
from credit_rating.models.campaigns import PHASES, SET_ASIDE
from credit_rating.policies.campaign import EXCEPTION_LABELS
from credit_rating.selectors.campaigns import LEFT, REACHED, MemberQuery
from credit_rating.services.campaigns.opening import Plan
from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.choices import offer
from crm_site.lib.encodings import read_text
from crm_site.lib.permissions import Actor
from customers.models import Product, SavedView

MOST_BYTES = 4_000_000
REACHED_LABELS = {
    "listed": _("Listed"), "collected": pgettext_lazy("member", "Collected"), "rated": _("Rated"), "calculated": _("Line calculated"),
    "settled": _("Through"),
}  # fmt: skip


class CampaignForm(RefusableForm):
    """What a campaign is to be."""

    name = forms.CharField(label=_("Name"), max_length=80)
    kind = forms.ChoiceField(label=_("Kind of customers"), choices=CreditKind.choices, initial="household")
    product: Any = forms.ModelChoiceField(Product.objects.none(), label=_("Product"))
    ceiling = _money(_("Most for one line"))
    term_months = forms.IntegerField(label=_("Term, months"), min_value=1, max_value=360, initial=12)
    purpose = forms.CharField(label=_("Purpose"), max_length=200)
    collect_by = day_field(_("Collected by"))
    rate_by = day_field(_("Rated and calculated by"))
    review_by = day_field(_("Reviewed by"))
    approve_by = day_field(_("Approved until"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        found: Any = self.fields["product"]
        found.queryset = Product.objects.filter(family="loan").order_by("code")
        found.label_from_instance = lambda product: " · ".join([product.name, *product.kind_labels])

    def fix(self, names: Iterable[str]) -> None:
        """These can no longer be changed."""
        for name in names:
            self.fields[name].disabled = True

    def plan(self) -> Plan:
        return Plan(**self.cleaned_data)


class NumbersMixin(forms.Form):
    """Customer numbers, pasted or in a file: whatever stands between spaces, commas and line ends."""

    numbers = forms.CharField(
        label=_("Customer numbers"), required=False, widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("one a line, or pasted from a sheet"),
    )  # fmt: skip
    file = forms.FileField(label=_("Or a file of customer numbers"), required=False)

    def clean_file(self) -> str:
        given = self.cleaned_data.get("file")
        if given is None:
            return ""
        if given.size > MOST_BYTES:
            raise ValidationError(gettext("The file is too large."))
        try:
            return read_text(given.read())
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def given_numbers(self) -> list[str]:
        text = f"{self.cleaned_data.get('numbers', '')}\n{self.cleaned_data.get('file', '')}"
        return [word.strip('"') for word in re.split(r"[\s,;，；]+", text) if word.strip('"')]


class ListForm(NumbersMixin, RefusableForm):
    """Whom a campaign lists: by one of the person's own views of the customer list, or by numbers."""

    view = forms.ChoiceField(
        label=_("Customers of"), required=False, help_text=_("filters of the customer list that you have saved")
    )  # fmt: skip
    field_order = ("view", "numbers", "file")

    def __init__(self, actor: Actor, kind: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.views = {str(v.pk): v for v in SavedView.objects.filter(staff_id=actor.staff_id)}
        self.kind = kind
        label = gettext("all: %s") % CreditKind(kind).label
        mine = [(key, view.name) for key, view in self.views.items()]
        offer(self, "view", [("", ""), ("all", label), *mine])

    def condition(self) -> Mapping[str, Any] | None:
        chosen = self.cleaned_data.get("view", "")
        if chosen == "all":
            return {"fact": "kind", "op": "=", "value": customer_kind(self.kind).value}
        return self.views[chosen].condition if chosen else None

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors and not given.get("view") and not self.given_numbers():
            self.add_error("view", gettext("Choose a view, or give customer numbers."))
        return given


class ZoneForm(NumbersMixin, RefusableForm):
    """A piece of the list."""

    name = forms.CharField(label=_("Name of the zone"), max_length=80)
    home_branch: Any = forms.ModelChoiceField(
        OrgUnit.objects.none(), label=_("Home branch"), required=False, empty_label=_("any")
    )
    region = forms.CharField(
        label=_("Address holds"), max_length=120, required=False, help_text=_("such as the name of a village")
    )
    field_order = ("name", "home_branch", "region", "numbers", "file")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        found: Any = self.fields["home_branch"]
        found.queryset = OrgUnit.objects.order_by("lft")
        found.label_from_instance = lambda unit: unit.name


CUT_LABELS = {
    "manager": _("one for each relationship manager"),
    "branch": _("one for each home branch"),
    "town": _("one for each town of the addresses"),
    "village": _("one for each village of the addresses"),
}


class CutForm(RefusableForm):
    """How everybody without a zone is put into one."""

    by = forms.ChoiceField(label=_("Cut the list into zones"), choices=list(CUT_LABELS.items()))


class OwnerForm(RefusableForm):
    """To whom a zone is given; nobody takes it back."""

    staff: Any = forms.ModelChoiceField(
        Staff.objects.none(), label=_("Relationship manager"), required=False, empty_label=_("nobody"),
        widget=forms.Select(attrs={"class": "input"}),
    )  # fmt: skip

    def __init__(self, people: list[Staff], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        found: Any = self.fields["staff"]
        found.queryset = Staff.objects.filter(pk__in=[p.pk for p in people]).order_by("number")
        found.label_from_instance = lambda person: person.name


class MemberForm(RefusableForm):
    """What is done with one member."""

    act = forms.ChoiceField(
        choices=[*((s.value, s.label) for s in SET_ASIDE), ("back", ""), ("out", ""), ("case", "")],
        widget=forms.HiddenInput,
    )  # fmt: skip
    reason = forms.CharField(label=_("Reason"), max_length=200, required=False)


class SignForm(RefusableForm):
    """The word of who approves or returns a batch, bound to what he was shown."""

    seen = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    text = forms.CharField(label=_("Your word"), max_length=400, widget=forms.Textarea(attrs={"rows": 3}))


class MemberFilter:
    """The filters of the list of members, from its address and back. What is no filter is passed over."""

    def __init__(self, campaign_id: int, given: Mapping[str, str]) -> None:
        self.campaign_id = campaign_id
        self.stage = given.get("stage", "") if given.get("stage") in MemberStage.values else ""
        self.reached = given.get("reached", "") if given.get("reached") in REACHED else ""
        codes = {"1", *EXCEPTION_LABELS}
        self.review = given.get("review", "") if given.get("review") in codes else ""
        self.left = given.get("left", "") if given.get("left") in LEFT else ""
        self.text = given.get("q", "").strip()[:60]
        self.places = {
            name: given.get(name, "") if re.fullmatch(r"\d{1,18}", given.get(name, "")) else ""
            for name in ("zone", "branch", "owner")
        }

    def query(self) -> MemberQuery:
        return MemberQuery(
            self.stage, self.reached, review=self.review, left=self.left, text=self.text, **self.places
        )

    def params(self) -> dict[str, str]:
        """What the address carries."""
        given = {
            "stage": self.stage, "reached": self.reached, "left": self.left, "review": self.review, "q": self.text,
            **self.places,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value}

    @property
    def kept(self) -> dict[str, str]:
        """The filters that a search by name goes on with."""
        return {name: value for name, value in self.params().items() if name != "q"}

    def url(self, **change: str) -> str:
        """The address with some filters changed; "" drops one."""
        params = {k: v for k, v in (self.params() | change).items() if v}
        address = reverse("credit_rating:campaign-members", args=[self.campaign_id])
        return f"{address}?{urlencode(params)}" if params else address

    def menus(self, zones: list[CampaignZone], codes: Mapping[str, int]) -> list[FilterMenu]:
        """Menus of what can be chosen. `codes`: exceptions that there are."""
        names = [(str(z.pk), z.name) for z in zones]
        branches = {str(z.branch_id): z.branch.name for z in zones if z.branch}
        owners = {str(z.owner_id): z.owner.name for z in zones if z.owner}
        reasons = [("1", gettext("all exceptions")), *((c, str(EXCEPTION_LABELS.get(c, c))) for c in codes)]
        found = [
            self._menu("stage", _("Stage"), list(MemberStage.choices), self.stage),
            self._menu("zone", _("Zone"), [("0", gettext("in no zone")), *names], self.places["zone"]),
            self._menu("branch", _("Branch"), [("0", gettext("taken by no branch")), *branches.items()], self.places["branch"]),
            self._menu("owner", _("Relationship manager"), [("0", gettext("given to nobody")), *owners.items()], self.places["owner"]),
            self._menu("review", _("Exceptions"), reasons, self.review),
        ]  # fmt: skip
        if self.left:
            phases = [(name, gettext("not done: %s") % label) for name, label in PHASES]
            found.append(self._menu("left", _("Phase"), phases, self.left))
        if self.reached:
            found.append(
                self._menu("reached", _("Stage reached"), list(REACHED_LABELS.items()), self.reached)
            )
        return found

    def _menu(self, name: str, text: Any, choices: list[tuple[Any, Any]], chosen: str) -> FilterMenu:
        options = [FilterOption(gettext("all"), self.url(**{name: ""}), not chosen)]
        options += [
            FilterOption(str(label), self.url(**{name: code}), code == chosen) for code, label in choices
        ]
        return FilterMenu(str(text), options, next((o.text for o in options[1:] if o.is_on), ""))
