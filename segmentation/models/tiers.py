"""Tier schemes, the versions of their policies, and which tier a customer had from when to when (B1, B2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.versions import Version, version_constraints
from crm_site.lib.money import MoneyField
from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.models import Customer, CustomerKind
from customers.models.parties import CustomerOwnedManager
from customers.models.standing import TIER_LABELS

VALUE, WEALTH = "value", "wealth"
SCHEME_LABELS = {VALUE: _("Value tiers"), WEALTH: _("Wealth levels")}


class Scheme(TenantModel):
    """A way of ranking customers. `value` and `wealth` are every bank's own and feed customers.Standing;
    further schemes stand in TierHistory alone. `code` never changes."""

    code = models.SlugField(max_length=20)
    name = models.CharField(max_length=80, blank=True)  # of a bank's own schemes
    position = models.PositiveSmallIntegerField(default=100)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["bank_id", "code"], name="scheme_code")]

    def __str__(self) -> str:
        return str(SCHEME_LABELS.get(self.code, self.name))


class TierPolicy(Version):
    """A version of a scheme's rules for one customer kind, or for all (kind ""), which gives way to the kind's own.

    `tiers`: best first, {"rank", "code", "condition"} in the condition language; the last one has no condition
    and takes the rest. Versions are counted through the scheme.
    """

    line_fields: ClassVar = ("scheme_id", "kind")
    numbered_by: ClassVar = ("scheme_id",)
    content: ClassVar = ("tiers",)

    scheme = BankForeignKey(Scheme, on_delete=models.PROTECT, related_name="policies")
    kind = models.CharField(max_length=10, choices=CustomerKind, blank=True)
    tiers = models.JSONField()

    class Meta(Version.Meta):
        constraints: ClassVar = version_constraints("tierpolicy", "scheme", "kind", numbered_by=("scheme",))

    def __str__(self) -> str:
        return f"{self.scheme} v{self.version}"


def tier_label(tier: Mapping[str, Any]) -> str:
    """A tier's name in the reader's language: the bank's own word where the policy has one."""
    names = tier.get("label") or {}
    own = names.get("zh" if (get_language() or "").startswith("zh") else "en")
    return str(own or TIER_LABELS.get(tier["code"], tier["code"]))


class TierHistory(TenantModel):
    """A customer's tier in a scheme from `from_date` until `to_date` (exclusive; null: still).

    A row only for a change, with the figures of `from_date` and the policy version that decided it.
    `scheme` is the scheme's code, which never changes: a key less to check for every row of a night.
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="tiers", set_based=True)
    scheme = models.CharField(max_length=20)
    rank = models.SmallIntegerField()
    from_date = models.DateField()
    to_date = models.DateField(null=True)
    policy = BankForeignKey(TierPolicy, on_delete=models.PROTECT, related_name="+", set_based=True)
    deposits_adb = MoneyField()
    deposits_balance = MoneyField()
    loans = MoneyField()
    aum = MoneyField()
    run_id = models.BigIntegerField(null=True)

    audited: ClassVar = False  # derived by a run, which is its record
    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-from_date"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "customer", "scheme", "from_date"], name="tierhistory_once"
            ),
            models.CheckConstraint(
                name="tierhistory_dates", condition=Q(to_date__isnull=True) | Q(to_date__gt=F("from_date"))
            ),
        ]
        indexes: ClassVar = [
            # Rows come in the order of their dates: a range of pages tells its dates, at next to no cost for each row.
            BrinIndex(
                fields=["bank_id", "from_date"],
                name="tierhistory_days",
                pages_per_range=32,
                autosummarize=True,
            )
        ]


class TierDay(TenantModel):
    """A business date on which tiers were decided: what tells a gap between two rows of history from a stay.

    `since_pending`: history before the newest date was filled in since, so that the next newest night also
    sets Standing's since-dates right.
    """

    business_date = models.DateField()
    run_id = models.BigIntegerField(null=True)
    since_pending = models.BooleanField(default=False)

    audited: ClassVar = False  # derived by a run, which is its record

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "business_date"], name="tierday_once")
        ]
