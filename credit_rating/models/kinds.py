"""The kinds of customers that credit is judged by: companies, small businesses, persons and rural households."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from customers.models import Customer, CustomerKind

SMALL = ("small", "micro")


class CreditKind(models.TextChoices):
    CORPORATE = "corporate", _("Corporate")
    SME = "sme", _("Small business")
    PERSONAL = "personal", _("Personal")
    HOUSEHOLD = "household", _("Rural household")


def customer_kind(kind: str) -> CustomerKind:
    """Of what kind the customers of a kind of credit are."""
    return CustomerKind.CORPORATE if kind == CreditKind.SME else CustomerKind(kind)


def credit_kind(customer: Customer) -> CreditKind:
    """By what a customer's credit is judged: a company of small or micro size is a small business."""
    if customer.kind == CustomerKind.CORPORATE and customer.size in SMALL:
        return CreditKind.SME
    return CreditKind(customer.kind)
