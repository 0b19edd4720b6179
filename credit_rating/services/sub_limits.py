"""Sub-limits of a line, as an approval decides them: made, changed or taken away (C7)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django.db.models import Sum
from django.utils.translation import gettext as _

from credit_rating.models import CreditLine, LineEntry, SubLimit
from crm_site.lib.errors import DomainError
from crm_site.lib.formats import money_full
from crm_site.lib.money import MoneyField
from customers.models import Product


def decided_sub_limits(written: Mapping[str, str]) -> dict[Product, Decimal]:
    """Sub-limits by product, as a case keeps them by code."""
    products = {p.code: p for p in Product.objects.filter(code__in=list(written))}
    return {products[code]: Decimal(amount) for code, amount in written.items()}


def set_sub_limits(line: CreditLine, asked: Mapping[Product, Decimal]) -> None:
    """Make, change or take away sub-limits of a locked line. A new one begins with what its product has in use.

    Raises DomainError for one below what is used of it.
    """
    there = {s.product_id: s for s in SubLimit.objects.select_for_update(of=("self",)).filter(line=line)}
    for product, amount in asked.items():
        sub = there.get(product.pk)
        if not amount:
            if sub is not None:
                there.pop(product.pk).delete()
            continue
        if sub is None:
            outside = Decimal(line.utilised) - sum(Decimal(s.utilised) for s in there.values())
            reserved, drawn = _used_for(line, product)
            sub = SubLimit(line=line, product=product, reserved=reserved, utilised=min(drawn, outside))
        if amount < sub.used:
            message = _("%(amount)s of %(product)s are in use; its sub-limit cannot be below that.") % {
                "amount": money_full(sub.used, line.currency), "product": product.name,
            }  # fmt: skip
            raise DomainError(message, code="limit_below_use", fields={"sub_limits": message})
        sub.limit = amount
        sub.save()
        there[product.pk] = sub


def _used_for(line: CreditLine, product: Product) -> tuple[Decimal, Decimal]:
    """(reserved, drawn) of a line for a product that had no sub-limit, by the ledger."""
    found = LineEntry.objects.filter(line=line, product=product).aggregate(
        reserved=Sum("reserved_change", output_field=MoneyField()),
        drawn=Sum("utilised_change", output_field=MoneyField()),
    )
    return Decimal(found["reserved"] or 0), max(Decimal(found["drawn"] or 0), Decimal(0))
