"""What a tier policy would do to the book before it is published: a part of its page that loads by itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from crm_site.accounts.selectors import business_date
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.conditions import ConditionError
from customers.links import urls_for_condition
from segmentation.models.tiers import VALUE, WEALTH, tier_label
from segmentation.selectors.effect import Effect, effect_of
from segmentation.views.policies import find_policy


@allowed("segmentation.read")
@require_GET
def policy_effect(request: Any, policy_id: int) -> HttpResponse:
    """Customers by tier today and under the version, who moves, and the balances that move along."""
    policy, day = find_policy(policy_id), request.bank.business_date and business_date(request.bank)
    context: dict[str, Any] = {"policy": policy, "day": day}
    try:
        effect = effect_of(request.actor, policy, day) if day else None
    except ConditionError:
        context["is_unsaid"] = True
    else:
        if effect is not None and effect.cells:
            opens = may(request.actor, "customer.read")
            context |= {"effect": effect} | _tables(effect, policy.scheme.code, policy.version, opens=opens)
    if request.htmx and not request.htmx.boosted:
        return render(request, "segmentation/_policy_effect.html", context)
    return render(request, "segmentation/policy_effect.html", context)


def _tables(effect: Effect, scheme: str, version: int, *, opens: bool) -> dict[str, Any]:
    """The matrix as templates/_shared/migration.html wants it, and a line for each tier under the version."""
    ranks = [tier["rank"] for tier in effect.tiers]
    labels = {tier["rank"]: tier_label(tier) for tier in effect.tiers}
    codes = {tier["rank"]: tier["code"] for tier in effect.tiers}
    largest = max((sums.customers for (a, b), sums in effect.cells.items() if 0 < a != b), default=0)
    befores = [*ranks, *([0] if any(a == 0 for a, _b in effect.cells) else [])]

    def cell(was: int, becomes: int) -> dict[str, Any]:
        sums, behind = effect.cells.get((was, becomes)), effect.conditions.get((was, becomes))
        return {
            "count": sums.customers if sums else 0, "from": was or becomes, "to": becomes, "largest": largest,
            "url": urls_for_condition(behind) if behind and opens else "",
        }  # fmt: skip

    under = {rank: effect.under(rank) for rank in ranks}
    today = {rank: effect.today(rank) for rank in befores}
    moves = {
        "corner": _("Today, rows. By this version, columns"),
        "total_head": _("Today"),
        "columns": [{"key": codes[rank], "label": labels[rank]} for rank in ranks],
        "rows": [
            {
                "tier": codes[was] if was and scheme == VALUE else "",
                "label": labels[was] if was else _("None yet"),
                "cells": [cell(was, becomes) for becomes in ranks],
                "total": today[was].customers,
            }
            for was in befores
        ],
        "total": {
            "label": f"v{version}",
            "cells": [*(under[rank].customers for rank in ranks), effect.total.customers],
        },
    }
    lines = [(codes[r], labels[r], under[r], under[r] - today[r]) for r in ranks]
    return {
        "moves": moves, "lines": lines, "total": effect.total, "is_value": scheme == VALUE, "is_wealth": scheme == WEALTH,
        "balances": [v for sums in under.values() for v in (sums.deposits_adb, sums.loans)],
    }  # fmt: skip
