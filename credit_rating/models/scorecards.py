"""Scorecards: by what a kind of customers is scored, as versions (C1, C12)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from credit_rating.engine.cards import Card
from credit_rating.models.kinds import CreditKind
from crm_site.accounts.versions import Version, version_constraints


class CardOrigin(models.TextChoices):
    EXPERT = "expert", _("Made by experts")
    DEVELOPED = "developed", _("Developed from data")


class Scorecard(Version):
    """A version of a card. `body` as credit_rating.scorecards declares; `card`: the tables of a developed one
    (engine.scorecard.Scorecard.as_json); `record`: how it was developed and validated (development.develop_record); `ground`: why its publisher published an expert's card that too few outcomes
    measure.
    """

    line_fields: ClassVar = ("kind", "name")
    follows: ClassVar = ("kind",)  # one card a kind scores, whatever its name
    content: ClassVar = ("origin", "body", "card")

    kind = models.CharField(max_length=10, choices=CreditKind)
    name = models.CharField(max_length=60)
    origin = models.CharField(max_length=10, choices=CardOrigin)
    body = models.JSONField()
    card = models.JSONField(null=True)
    record = models.JSONField(null=True)
    ground = models.CharField(max_length=400, blank=True)

    class Meta(Version.Meta):
        constraints: ClassVar = version_constraints("scorecard", "kind", "name")

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"

    @property
    def title(self) -> str:
        """Its name in the reader's language."""
        from credit_rating.scorecards import in_language

        return in_language(self.body.get("params") or {}, "title") or self.name

    @property
    def line_name(self) -> str:
        """What its line is called where the title does not say so: the cards that came with the bank have a word for
        it, others the name that people gave them."""
        from credit_rating.default_cards import NAME

        if self.name == NAME:
            return str(_("Standard card"))
        return "" if self.name == self.title else self.name

    def table(self) -> Card:
        """The tables that customers are scored by."""
        from credit_rating.policies.shapes import read
        from credit_rating.scorecards import card_of, shape_of

        return card_of(self.origin, read(shape_of(self.kind, self.origin), self.body), self.card)
