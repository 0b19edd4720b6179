"""Where customers stand now, for other systems: one row per customer and scheme."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import F, QuerySet

from crm_site.accounts.models import Bank
from crm_site.jobs.models import Run
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import require_bank
from segmentation.models import Scheme, TierHistory


def runs_since(moment: dt.datetime) -> list[int]:
    """Runs whose results are at or after a moment."""
    return list(Run.objects.filter(finished_at__gte=moment).values_list("pk", flat=True))


def current_tiers(
    actor: Actor, *, scheme: str = "", customer: str = "", changed_since: dt.datetime | None = None
) -> QuerySet[TierHistory]:
    """Periods that hold now, with the customer's newest figures beside them (`standing_*`, `as_of`)."""
    found = (
        TierHistory.objects.visible_to(actor)
        .filter(to_date__isnull=True, customer__is_prospect=False)
        .select_related("policy", "customer")
        .annotate(
            as_of=F("customer__standings__as_of"),
            standing_adb=F("customer__standings__deposits_adb"),
            standing_balance=F("customer__standings__deposits_balance"),
            standing_loans=F("customer__standings__loans"),
            standing_aum=F("customer__standings__aum"),
        )
    )
    if scheme:
        found = found.filter(scheme=scheme)
    if customer:
        found = found.filter(customer__number=customer)
    if changed_since is not None:
        found = found.filter(run_id__in=runs_since(changed_since))
    return found


def has_scheme(code: str) -> bool:
    """Whether the bank ranks by this scheme."""
    return Scheme.objects.filter(code=code).exists()


def tier_rows(periods: Iterable[Any], currency: str) -> list[dict[str, Any]]:
    """Rows of the API's list, from current_tiers: codes by the policy that decided, figures of the newest business date.

    `as_of` is that date: figures that did not move since an earlier night (Standing.as_of) hold on it too.
    """
    rows = []
    day = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    for period in periods:
        codes = {tier["rank"]: tier["code"] for tier in period.policy.tiers}
        rows.append(
            {
                "customer": period.customer.number,
                "scheme": period.scheme,
                "tier": codes[period.rank],
                "since": period.from_date,
                "as_of": day or period.as_of,
                "deposits_adb": period.standing_adb,
                "deposits_balance": period.standing_balance,
                "loans": period.standing_loans,
                "aum": period.standing_aum,
                "currency": currency,
                "policy_version": period.policy.version,
            }
        )
    return rows
