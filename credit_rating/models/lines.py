"""Credit lines: how far a customer may draw, what is reserved and drawn of it, and everything that happened to it.

`limit = reserved + utilised + available` holds at every moment and none of the four is below zero: the database says
so. Terms change together with a LineEvent, the two counters together with a LineEntry, in one transaction each.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm_site.accounts.models import Staff
from crm_site.lib.money import MoneyField, money
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models import Customer, Product
from customers.models.parties import CustomerOwnedQuerySet, visible_rows


class LineStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    ACTIVE = "active", _("Active")
    FROZEN = "frozen", _("Frozen")
    EXPIRED = "expired", _("Expired")
    CLOSED = "closed", pgettext_lazy("line", "Closed")


# What may still be drawn on, now or later, while its last day has not passed.
LIVING = (LineStatus.PENDING, LineStatus.ACTIVE, LineStatus.FROZEN)


def counter_constraints(prefix: str) -> list[models.CheckConstraint]:
    """What the database holds of a limit and its two counters."""
    return [
        models.CheckConstraint(name=f"{prefix}_reserved", condition=Q(reserved__gte=money(0))),
        models.CheckConstraint(name=f"{prefix}_utilised", condition=Q(utilised__gte=money(0))),
        models.CheckConstraint(name=f"{prefix}_room", condition=Q(limit__gte=F("reserved") + F("utilised"))),
    ]


class Room(TenantModel):
    """A limit with what is reserved and drawn of it."""

    limit = MoneyField(db_column="limit_amount")
    reserved = MoneyField(default=0)
    utilised = MoneyField(default=0)

    class Meta(TenantModel.Meta):
        abstract = True

    @property
    def used(self) -> Decimal:
        return Decimal(self.reserved) + Decimal(self.utilised)

    @property
    def available(self) -> Decimal:
        return Decimal(self.limit) - self.used

    @property
    def use_share(self) -> Decimal:
        """Reserved and drawn as a fraction of the limit."""
        return self.used / Decimal(self.limit) if self.limit else Decimal(0)


# What a customer has or has been promised: also a line that has ended and whose renewal waits for its conditions.
PROMISED = Q(status__in=LIVING) | Q(waiting_case_id__isnull=False)
# All that he has to carry: also a line that has ended while something is drawn on it.
HELD = PROMISED | Q(utilised__gt=money(0))


def standing(status: str, day: dt.date) -> Q:
    """Which lines stand so on a day (CreditLine.status_on says the same of one)."""
    living = Q(expires_on__gte=day)
    conditions = {
        LineStatus.PENDING: living
        & (Q(status=LineStatus.PENDING) | Q(status=LineStatus.ACTIVE, starts_on__gt=day)),
        LineStatus.ACTIVE: living & Q(status=LineStatus.ACTIVE, starts_on__lte=day),
        LineStatus.FROZEN: living & Q(status=LineStatus.FROZEN),
        LineStatus.EXPIRED: Q(status=LineStatus.EXPIRED) | Q(status__in=LIVING, expires_on__lt=day),
        LineStatus.CLOSED: Q(status=LineStatus.CLOSED),
    }
    return conditions[LineStatus(status)]


class LineQuerySet(CustomerOwnedQuerySet):
    def in_status(self, status: str, day: dt.date) -> LineQuerySet:
        return self.filter(standing(status, day))


class CreditLine(Room):
    """A line of one customer for one product in one currency. All lines revolve: what is repaid may be drawn again.

    `status` is what people and the night have decided; on a day it stands as `status_on` says. Pending: approved, but
    its conditions are open. `expires_on` is its last day. `case_id`: the approval that opened it, where there is one.
    `changed_at`: any change, of its terms or its use.

    `terms_case_id`: the approval that its present limit and end come from. `waiting_*`: a raise or an extension that an
    approval has decided and whose conditions are open: the line stands as it is until it is put into effect. Trigger
    `creditline_terms` (migration 0085) holds the database to both.
    """

    # Its terms change with an audited LineEvent; a trigger on its counters would cost every reservation a record
    # that its LineEntry already is.
    audited: ClassVar = False

    year = models.SmallIntegerField()
    serial = models.IntegerField()
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="credit_lines")
    product = BankForeignKey(Product, on_delete=models.PROTECT, related_name="credit_lines")
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=8, choices=LineStatus, default=LineStatus.ACTIVE)
    starts_on = models.DateField()
    expires_on = models.DateField()
    review_on = models.DateField(null=True)
    case_id = models.BigIntegerField(null=True)
    terms_case_id = models.BigIntegerField(null=True)
    waiting_case_id = models.BigIntegerField(null=True)
    waiting_limit = MoneyField(null=True)
    waiting_until = models.DateField(null=True)
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = TenantManager.from_queryset(LineQuerySet)()

    class Meta(TenantModel.Meta):
        # No index on a counter or on changed_at: each reservation would then rewrite every index entry of its line.
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "expires_on", "id"], name="creditline_expiry"),
            models.Index(fields=["bank_id", "status", "expires_on"], name="creditline_status"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "year", "serial"], name="creditline_number"),
            models.CheckConstraint(name="creditline_dates", condition=Q(expires_on__gte=F("starts_on"))),
            models.CheckConstraint(name="creditline_positive", condition=Q(limit__gt=money(0))),
            models.CheckConstraint(
                name="creditline_closed_empty",
                condition=~Q(status="closed") | Q(reserved=money(0), utilised=money(0)),
            ),
            models.CheckConstraint(
                name="creditline_waiting",
                condition=Q(waiting_case_id=None, waiting_limit=None, waiting_until=None)
                | Q(
                    waiting_case_id__isnull=False,
                    waiting_limit__gt=money(0),
                    waiting_until__gte=F("expires_on"),
                ),
            ),
            *counter_constraints("creditline"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        """What people call it: ED (额度), the year, and a running number of the bank."""
        return f"ED-{self.year}-{self.serial:06d}"

    @property
    def hashed_number(self) -> str:
        """As dossiers and signed lists name it, since lines were called SX as cases are: another word voids what was said."""
        return f"SX-{self.year}-{self.serial:06d}"

    @property
    def promised(self) -> Decimal:
        """The limit, or the higher one that an approval has decided and that waits for its conditions."""
        return max(Decimal(self.limit), Decimal(self.waiting_limit or 0))

    @property
    def held(self) -> Decimal:
        """What the customer has of it (HELD): all that is promised; of a line that has ended what is still drawn."""
        return self.promised if self.is_promised else Decimal(self.utilised)

    @property
    def is_promised(self) -> bool:
        """PROMISED, of one line."""
        return self.status in LIVING or self.waiting_case_id is not None

    @property
    def is_held(self) -> bool:
        """HELD, of one line."""
        return self.is_promised or bool(self.utilised)

    def status_on(self, day: dt.date) -> LineStatus:
        """How it stands on a day: a line past its last day has expired, whether or not the night has said so yet."""
        status = LineStatus(self.status)
        if status in LIVING and self.expires_on < day:
            return LineStatus.EXPIRED
        if status == LineStatus.ACTIVE and self.starts_on > day:
            return LineStatus.PENDING
        return status


class LineOwnedQuerySet(TenantQuerySet):
    """Rows that hang on a line are seen with its customer."""

    def visible_to(self, actor: Actor) -> LineOwnedQuerySet:
        return self.filter(visible_rows(actor, "line__customer__"))


LineOwnedManager = TenantManager.from_queryset(LineOwnedQuerySet)


class SubLimit(Room):
    """How much of a line may go into one product. Products without one are bound by the line alone."""

    audited: ClassVar = False  # as CreditLine

    line = BankForeignKey(CreditLine, on_delete=models.CASCADE, related_name="sub_limits")
    product = BankForeignKey(Product, on_delete=models.PROTECT, related_name="+")

    objects = LineOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "line", "product"], name="sublimit_product"),
            *counter_constraints("sublimit"),
        ]


class ReservationStatus(models.TextChoices):
    RESERVED = "reserved", _("Reserved")
    COMMITTED = "committed", _("Committed")
    RELEASED = "released", pgettext_lazy("reservation", "Released")
    EXPIRED = "expired", _("Expired")


class Reservation(TenantModel):
    """Room held for a payment that core banking is about to make; each ends committed, released or expired.

    `committed`: what was drawn of `amount`; the rest went back. `reference`: core banking's own name for it.
    """

    audited: ClassVar = False  # each of its steps is a LineEntry

    line = BankForeignKey(CreditLine, on_delete=models.CASCADE, related_name="reservations")
    product = BankForeignKey(Product, null=True, on_delete=models.PROTECT, related_name="+")
    amount = MoneyField()
    committed = MoneyField(default=0)
    status = models.CharField(max_length=9, choices=ReservationStatus, default=ReservationStatus.RESERVED)
    reference = models.CharField(max_length=64)
    reserved_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    objects = LineOwnedManager()

    class Meta(TenantModel.Meta):
        indexes: ClassVar = [
            models.Index(
                fields=["bank_id", "line", "expires_at"],
                name="reservation_open",
                condition=Q(status="reserved"),
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(name="reservation_positive", condition=Q(amount__gt=money(0))),
            models.CheckConstraint(
                name="reservation_committed",
                condition=Q(status="committed", committed__gt=money(0), committed__lte=F("amount"))
                | ~Q(status="committed") & Q(committed=money(0)),
            ),
            models.CheckConstraint(
                name="reservation_closed",
                condition=Q(status="reserved", closed_at__isnull=True)
                | ~Q(status="reserved") & Q(closed_at__isnull=False),
            ),
        ]


class EntryKind(models.TextChoices):
    BROUGHT_IN = "brought_in", _("Brought in")
    RESERVE = "reserve", _("Reserved")
    COMMIT = "commit", _("Committed")
    RELEASE = "release", pgettext_lazy("reservation", "Released")
    EXPIRE = "expire", _("Expired")
    REPAY = "repay", pgettext_lazy("ledger", "Repaid")


class LineEntry(TenantModel):
    """The ledger of a line: what each act changed. The sums of the changes are the line's counters.

    `made_by`: the machine client or job that asked. `reserved_after`, `utilised_after`: the line right after it.
    """

    audited: ClassVar = False  # append-only, its own record

    line = BankForeignKey(CreditLine, on_delete=models.CASCADE, related_name="entries")
    reservation = BankForeignKey(Reservation, null=True, on_delete=models.CASCADE, related_name="entries")
    product = BankForeignKey(Product, null=True, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=EntryKind)
    at = models.DateTimeField()
    amount = MoneyField()
    reserved_change = MoneyField(default=0)
    utilised_change = MoneyField(default=0)
    reserved_after = MoneyField()
    utilised_after = MoneyField()
    reference = models.CharField(max_length=64, blank=True)
    made_by = models.CharField(max_length=120)

    objects = LineOwnedManager()

    class Meta(TenantModel.Meta):
        indexes: ClassVar = [models.Index(fields=["bank_id", "line", "id"], name="lineentry_line")]


class LineEventKind(models.TextChoices):
    OPENED = "opened", _("Opened")
    ACTIVATED = "activated", _("Activated")
    FROZEN = "frozen", _("Frozen")
    UNFROZEN = "unfrozen", _("Unfrozen")
    LIMIT_CHANGED = "limit_changed", _("Limit changed")
    EXTENDED = "extended", _("Extended")
    SUBS_CHANGED = "subs_changed", _("Sub-limits changed")
    CHANGE_WAITS = "change_waits", _("Change approved, waits for its conditions")
    CHANGE_LAPSED = "change_lapsed", _("Approved change has lapsed")
    REVIEWED = "reviewed", _("Reviewed")
    EXPIRED = "expired", _("Expired")
    CLOSED = "closed", pgettext_lazy("line", "Closed")


class LineEvent(TenantModel):
    """What happened to a line's terms: by whom (None: the night or a job), why, and how it stood right after."""

    line = BankForeignKey(CreditLine, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=13, choices=LineEventKind)
    at = models.DateTimeField()
    by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=400, blank=True)
    case_id = models.BigIntegerField(null=True)
    limit = MoneyField(db_column="limit_amount")
    reserved = MoneyField()
    utilised = MoneyField()
    expires_on = models.DateField()

    objects = LineOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]

    @property
    def day(self) -> dt.date:
        return timezone.localdate(self.at)
