"""REST API of tiers: where customers stand in each scheme."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView
from crm_site.lib.api.changes import Changes
from crm_site.lib.api.fields import MoneyString, Text
from crm_site.lib.api.paging import KeyPagination
from segmentation.models import ChurnScore, TierHistory
from segmentation.selectors.churn import current_scores, score_rows
from segmentation.selectors.positions import current_tiers, has_scheme, tier_rows


class TierOut(serializers.Serializer):
    """A customer's tier in a scheme, with the figures of `as_of`. Prospects have no row."""

    customer = serializers.CharField(help_text="Customer number.")
    scheme = serializers.CharField(help_text="value, wealth, or the code of the bank's own scheme.")
    tier = serializers.CharField(
        help_text="value: high, mid, general. wealth: black_gold, diamond, premier_platinum, platinum, premier_gold, "
        "gold, standard. Own schemes: the codes of their policy."
    )
    since = serializers.DateField(help_text="First business date in this tier.")
    as_of = serializers.DateField(help_text="Business date of the figures.")
    deposits_adb = MoneyString(help_text="Average end-of-day deposits over as_of and the 29 days before.")
    deposits_balance = MoneyString(help_text="Deposits at the end of as_of.")
    loans = MoneyString(help_text="Outstanding principal and overdrafts at the end of as_of.")
    aum = MoneyString(help_text="deposits_balance and wealth holdings.")
    currency = serializers.CharField(help_text="The bank's: of all amounts of the row.")
    policy_version = serializers.IntegerField(help_text="Version of the policy that decided.")


class ScoreOut(serializers.Serializer):
    """A customer's churn score of the newest date scored: a probability, with its reasons in words."""

    customer = serializers.CharField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    score = serializers.DecimalField(max_digits=5, decimal_places=4, help_text="0 to 1.")
    as_of = serializers.DateField()
    reasons = serializers.ListField(child=serializers.CharField())


class ScoresQuery(Changes):
    customer = Text(max_length=32, required=False, help_text="Customer number.")


class TiersQuery(ScoresQuery):
    scheme = Text(
        max_length=20, required=False, help_text="value, wealth, or the code of a scheme of the bank's own."
    )

    def validate_scheme(self, code: str) -> str:
        if not has_scheme(code):
            raise serializers.ValidationError("The bank has no such scheme.", code="invalid_choice")
        return code


class TierListView(ApiView, generics.ListAPIView):
    """Current tiers of every scheme; `?scheme=` for one of them."""

    required_scopes: ClassVar = {"GET": "customers:read"}
    query: ClassVar = {"GET": TiersQuery}
    pagination_class = KeyPagination
    serializer_class = TierOut
    sorts: ClassVar = {"id": "id"}

    def get_queryset(self) -> QuerySet[TierHistory]:
        return current_tiers(
            self.request.user,
            scheme=self.asked.get("scheme", ""),
            customer=self.asked.get("customer", ""),
            changed_since=self.asked.get("changed_since"),
        )

    @extend_schema(
        operation_id="tiers_list",
        tags=["Customer Position"],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        if args:
            args = (tier_rows(args[0], self.request.bank.currency), *args[1:])
        return super().get_serializer(*args, **kwargs)


class ScoreListView(ApiView, generics.ListAPIView):
    """Newest churn scores with their reasons; customers without a score have no row."""

    required_scopes: ClassVar = {"GET": "customers:read"}
    query: ClassVar = {"GET": ScoresQuery}
    pagination_class = KeyPagination
    serializer_class = ScoreOut
    sorts: ClassVar = {"id": "customer_id"}
    key = "customer_id"

    def get_queryset(self) -> QuerySet[ChurnScore]:
        return current_scores(
            self.request.user,
            customer=self.asked.get("customer", ""),
            changed_since=self.asked.get("changed_since"),
        )

    @extend_schema(
        operation_id="scores_list",
        tags=["Customer Position"],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        if args:
            args = (score_rows(args[0], self.request.bank.currency), *args[1:])
        return super().get_serializer(*args, **kwargs)
