"""Credit policies: what a bank lends by, as versioned data (credit_rating.policies says what each may hold)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from credit_rating.models.kinds import CreditKind
from credit_rating.policies.shapes import SHAPES
from crm_site.accounts.versions import Version, version_constraints


class CreditPolicy(Version):
    """A version of a policy subject for one kind of credit customer, or for all (kind ""), which gives way to the kind's own.

    `body`: {"params", "tables"} as the subject's Shape declares; percentages as per cents.
    """

    line_fields: ClassVar = ("subject", "kind")
    content: ClassVar = ("body",)

    subject = models.CharField(max_length=20)
    kind = models.CharField(max_length=10, choices=CreditKind, blank=True)
    body = models.JSONField()

    class Meta(Version.Meta):
        constraints: ClassVar = version_constraints("creditpolicy", "subject", "kind")

    def __str__(self) -> str:
        return f"{SHAPES[self.subject].label} v{self.version}"
