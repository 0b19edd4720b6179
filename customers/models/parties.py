"""Who the bank deals with: customers and prospects, how they are identified, reached and related (A1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm_site.accounts.models import OrgUnit, Staff
from crm_site.lib.permissions import OWN, SUBTREE, WHOLE_BANK, Actor, Role
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers import industries


class CustomerKind(models.TextChoices):
    PERSONAL = "personal", _("Personal")
    CORPORATE = "corporate", _("Corporate")
    HOUSEHOLD = "household", _("Rural household")


class CustomerStatus(models.TextChoices):
    ACTIVE = "active", _("Active")
    DORMANT = "dormant", _("Dormant")
    CLOSED = "closed", _("Closed")


SIZE_LABELS = {"large": _("Large"), "medium": _("Medium"), "small": _("Small"), "micro": _("Micro")}

# The customer kinds that a line department looks after.
LINE_KINDS = {
    "corporate": (CustomerKind.CORPORATE,),
    "personal": (CustomerKind.PERSONAL,),
    "rural": (CustomerKind.HOUSEHOLD,),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """The one rule of which customers an actor sees, as a filter of rows and of one customer that was read.

    Own customers and covered ones (`people`: whose); the subtree of a branch manager's unit (`places`: intervals of the
    tree); the line of a line department (`kinds`); the whole bank for headquarters and machine clients (`is_all`); none
    for administrator and operator.
    """

    is_all: bool
    kinds: Sequence[str]
    places: Sequence[tuple[int, int]]
    people: Sequence[int]

    def rows(self, prefix: str = "") -> Q:
        """The filter; `prefix` leads to the customer ("customer__")."""
        if self.is_all:
            return Q()
        seen = Q(pk__in=[])
        if self.kinds:
            seen |= Q(**{f"{prefix}kind__in": self.kinds})
        for lft, rgt in self.places:
            seen |= Q(**{f"{prefix}home_branch__lft__gte": lft, f"{prefix}home_branch__lft__lte": rgt})
        if self.people:
            seen |= Q(**{f"{prefix}responsible__in": self.people})
        return seen

    def holds(self, kind: str, branch_lft: int | None, responsible_id: int | None) -> bool:
        """Whether it reaches the customer of this kind, home branch (its place in the tree) and manager."""
        in_place = branch_lft is not None and any(lft <= branch_lft <= rgt for lft, rgt in self.places)
        return self.is_all or kind in self.kinds or in_place or responsible_id in self.people


def reach_of(actor: Actor) -> Reach:
    """Which customers an actor sees."""
    return Reach(
        is_all=actor.has(WHOLE_BANK) or actor.has({Role.API}),
        kinds=LINE_KINDS.get(actor.line_department, ()) if actor.has({Role.LINE_DEPARTMENT}) else (),
        places=actor.intervals(SUBTREE),
        people=actor.portfolio if actor.has(OWN) else (),
    )


def visible_rows(actor: Actor, prefix: str = "") -> Q:
    """The rows of customers that an actor sees; `prefix` leads to the customer ("customer__")."""
    return reach_of(actor).rows(prefix)


class CustomerQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> CustomerQuerySet:
        """The customers that the actor may see. The only door to customer rows."""
        return self.filter(visible_rows(actor))

    def customers(self) -> CustomerQuerySet:
        """Real customers, without prospects."""
        return self.filter(is_prospect=False)


class Customer(TenantModel):
    """A party. Core-owned fields are written by feeds (and single rows by their rules); CRM-owned fields never by them.

    `home_branch` and `responsible` are written by relationship's services alone
    (`customers.services.place_customers`). No responsible person = waiting in the home branch's queue.
    `name_sort`: pinyin sort key. `source_as_of`: when the core last said so; older never overwrites newer.
    `changed_at`: when anything but that as-of last changed here, contacts, identifiers and addresses included; a
    trigger sets it (migration 0022), by the database's clock, for readers of changes (lib.api.changes).
    """

    # core-owned
    number = models.CharField(max_length=32)
    kind = models.CharField(max_length=10, choices=CustomerKind)
    is_prospect = models.BooleanField(default=False)
    name = models.CharField(max_length=160)
    name_sort = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=8, choices=CustomerStatus, default=CustomerStatus.ACTIVE)
    birth_date = models.DateField(null=True, blank=True)
    founded_date = models.DateField(null=True, blank=True)
    gender = models.CharField(max_length=1, blank=True)
    industry = models.CharField(max_length=8, blank=True)  # GB/T 4754 class; customers/industries.py names it
    size = models.CharField(max_length=10, blank=True)  # large, medium, small, micro
    employees = models.PositiveIntegerField(null=True, blank=True)
    customer_since = models.DateField(null=True, blank=True)
    opening_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+")
    won_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    is_related_party = models.BooleanField(default=False)
    is_excluded = models.BooleanField(default=False)
    source = models.CharField(max_length=30, blank=True)
    source_as_of = models.DateTimeField(null=True)
    # placed by relationship
    home_branch = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="customers")
    responsible = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="customers")
    # CRM-owned
    occupation = models.CharField(max_length=80, blank=True)
    employer = models.CharField(max_length=120, blank=True)
    family_note = models.CharField(max_length=400, blank=True)
    experience_note = models.CharField(max_length=400, blank=True, db_default="")
    preference_note = models.CharField(max_length=400, blank=True)
    needs_note = models.CharField(max_length=400, blank=True)
    contact_language = models.CharField(max_length=10, blank=True)
    edited_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TenantManager.from_queryset(CustomerQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "number"], name="customer_number")
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "name_sort", "id"], name="customer_name_sort"),
            models.Index(fields=["bank_id", "id"], condition=Q(is_prospect=True), name="customer_prospects"),
            models.Index(
                fields=["bank_id", "id"], condition=Q(is_related_party=True), name="customer_related_parties"
            ),
            models.Index(fields=["bank_id", "changed_at", "id"], name="customer_changed"),
            # With the id: what a branch's customers are joined to is found without reading their wide rows.
            models.Index(
                fields=["bank_id", "home_branch", "id"], include=["responsible"], name="customer_branch"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def industry_label(self) -> str:
        """The industry by name, its code beside it."""
        return industries.label_of(self.industry)

    @property
    def size_label(self) -> str:
        """The company's size in the reader's words."""
        return str(SIZE_LABELS.get(self.size, self.size))


CORE_OWNED = (
    "kind", "name", "status", "birth_date", "founded_date", "gender", "industry", "size", "employees",
    "customer_since", "opening_branch", "won_by", "is_related_party", "is_excluded",
)  # fmt: skip
CRM_OWNED = (
    "occupation", "employer", "family_note", "experience_note", "preference_note", "needs_note", "contact_language",
)  # fmt: skip
PERSON_ONLY = frozenset({"occupation", "employer", "family_note"})


def crm_owned(kind: str) -> tuple[str, ...]:
    """The fields that people keep of a customer of this kind: a company has no occupation and no family."""
    return tuple(name for name in CRM_OWNED if kind != "corporate" or name not in PERSON_ONLY)


class CustomerOwnedQuerySet(TenantQuerySet):
    """Rows that hang on a customer are seen with the customer."""

    def visible_to(self, actor: Actor) -> CustomerOwnedQuerySet:
        return self.filter(visible_rows(actor, "customer__"))


CustomerOwnedManager = TenantManager.from_queryset(CustomerOwnedQuerySet)


class IdentifierScheme(models.TextChoices):
    RESIDENT_ID = "resident_id", _("Resident identity number")
    USCC = "uscc", _("Unified social credit code")
    LEI = "lei", _("Legal entity identifier")
    PASSPORT = "passport", _("Passport")
    OTHER = "other", _("Other document")


class Identifier(TenantModel):
    """A protected identifier: ciphertext (place "identifier.value", row "<customer number>|<scheme>"),
    blind index for exact search, and what may be shown of it."""

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="identifiers")
    scheme = models.CharField(max_length=12, choices=IdentifierScheme)
    value = models.BinaryField()
    blind_index = models.BinaryField(max_length=16)
    masked = models.CharField(max_length=40)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "customer", "scheme"], name="identifier_scheme")
        ]


class ContactPoint(TenantModel):
    """A phone or e-mail, protected like an identifier (place "contactpoint.value",
    row "<customer number>|<kind>|<position>")."""

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="contact_points")
    kind = models.CharField(max_length=8, choices=[("phone", _("Phone")), ("email", _("E-mail"))])
    position = models.PositiveSmallIntegerField(default=1)
    value = models.BinaryField()
    blind_index = models.BinaryField(max_length=16)
    masked = models.CharField(max_length=60)
    tail = models.CharField(max_length=4, blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "customer", "kind", "position"], name="contactpoint_position"
            )
        ]


class Address(TenantModel):
    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="addresses")
    kind = models.CharField(
        max_length=10,
        choices=[("home", _("Residence")), ("registered", _("Registered")), ("business", _("Business"))],
    )
    region = models.CharField(max_length=120, blank=True)  # province / city / county
    line = models.CharField(max_length=240, blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "customer", "kind"], name="address_kind")
        ]


class RelationKind(models.TextChoices):
    FAMILY = "family", pgettext_lazy("relation", "Family")
    PARENT_COMPANY = "parent_company", _("Parent company")
    COMMON_CONTROL = "common_control", _("Common control")
    SHAREHOLDER = "shareholder", _("Shareholder")
    BENEFICIAL_OWNER = "beneficial_owner", _("Beneficial owner")
    GUARANTOR = "guarantor", _("Guarantor")
    SUPPLIER = "supplier", _("Supplier")
    LEGAL_REPRESENTATIVE = "legal_representative", _("Legal representative")


class Relation(TenantModel):
    """`customer` is <kind> of `other` (e.g. shareholder of), with a share as a fraction where there is one.

    `record`: who recorded it, while it is staff's; None once core banking delivers it. What has ended is no row here.
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="relations_out")
    other = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="relations_in")
    kind = models.CharField(max_length=20, choices=RelationKind)
    share = models.DecimalField(max_digits=7, decimal_places=6, null=True, blank=True)
    note = models.CharField(max_length=120, blank=True)
    source_as_of = models.DateTimeField(null=True)
    record = BankForeignKey("customers.RecordedTie", null=True, on_delete=models.PROTECT, related_name="+")

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "customer", "other", "kind"], name="relation_once"),
            models.CheckConstraint(name="relation_to_another", condition=~Q(customer=F("other"))),
        ]


class SearchToken(TenantModel):
    """One thing a customer is found by (section 6 of the design): read with `=`, and by beginning (a range).

    Tokens are lower case: two-character shingles of the Chinese name, words, pinyin, pinyin initials,
    "#<number>", "t:<phone tail>", "x:<hex blind index>", "a:<account number>".
    """

    audited: ClassVar = False  # derived from audited columns

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="tokens")
    token = models.CharField(max_length=64)
    weight = models.SmallIntegerField(default=0)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "token", "customer"], name="searchtoken_once")
        ]
