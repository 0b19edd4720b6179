"""A bank's own tiers as a fact of the condition language: their counts open lists, and lists filter by them."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from customers.conditions import Condition
from customers.facts import Fact, add_fact
from segmentation.models import TierPolicy
from segmentation.models.tiers import SCHEME_LABELS, tier_label

OWN_TIER = "own_tier"


def standing_in(scheme: str, rank: int) -> Condition:
    """The condition of the customers who stand in a tier of one of the bank's own schemes."""
    return {"fact": OWN_TIER, "op": "=", "value": _code(scheme, rank)}


def register() -> None:
    """Make the fact known (AppConfig.ready)."""
    label = _("Tier in a scheme of the bank's own")
    add_fact(Fact(OWN_TIER, "choice", label, "", options=_tiers, fits=_fits))


def _code(scheme: str, rank: int) -> str:
    """A scheme's code and a rank: neither ever changes."""
    return f"{scheme}:{rank}"


def _tiers() -> dict[str, str]:
    """Code -> name of every tier of the active bank's own schemes."""
    policies = TierPolicy.objects.exclude(scheme__code__in=SCHEME_LABELS).select_related("scheme")
    # Every version has all tiers of its scheme.
    return {
        _code(policy.scheme.code, tier["rank"]): f"{policy.scheme} · {tier_label(tier)}"
        for policy in policies.order_by("scheme__position", "scheme_id", "version")
        for tier in policy.tiers
    }


def _fits(code: str) -> str:
    """SQL that is true where a customer stands in the tier. `code` is one of `_tiers`: letters, digits and _."""
    scheme, _mark, rank = code.rpartition(":")
    if not scheme.replace("-", "_").isidentifier():
        raise ValueError(code)
    return (
        "EXISTS (SELECT FROM segmentation_tierhistory h WHERE h.bank_id = {c}.bank_id AND h.customer_id = {c}.id"
        f" AND h.scheme = '{scheme}' AND h.rank = {int(rank)} AND h.to_date IS NULL)"
    )
