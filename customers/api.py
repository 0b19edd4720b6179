"""REST API of customers: the party, the single view, contacts of other channels. One service call each."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView
from crm_site.accounts.selectors import business_date
from crm_site.lib.api.fields import MoneyString, StrictSerializer
from crm_site.lib.api.paging import KeyPagination
from customers.models import (
    Channel,
    ContactPoint,
    Customer,
    CustomerKind,
    CustomerStatus,
    Identifier,
    Standing,
)
from customers.models.interactions import Result
from customers.models.parties import CRM_OWNED
from customers.models.standing import VALUE_TIERS, WEALTH_LEVELS
from customers.selectors.single import accounts_held, loans_of
from customers.services import record_interaction, update_profile

NUMBER = r"^[\x21-\x7e]{1,32}$"


class MaskedValue(serializers.Serializer):
    """What may be shown of a protected value; revealing is a person's act and needs a reason."""

    kind = serializers.CharField()
    masked = serializers.CharField()


class CustomerOut(serializers.Serializer):
    number = serializers.CharField()
    kind = serializers.ChoiceField(CustomerKind.choices)
    is_prospect = serializers.BooleanField()
    name = serializers.CharField()
    status = serializers.ChoiceField(CustomerStatus.choices)
    birth_date = serializers.DateField(allow_null=True)
    founded_date = serializers.DateField(allow_null=True)
    gender = serializers.CharField()
    industry = serializers.CharField()
    size = serializers.CharField()
    employees = serializers.IntegerField(allow_null=True)
    customer_since = serializers.DateField(allow_null=True)
    is_related_party = serializers.BooleanField()
    is_excluded = serializers.BooleanField()
    home_branch = serializers.CharField(source="home_branch.code", allow_null=True, default=None)
    manager = serializers.CharField(source="responsible.number", allow_null=True, default=None)
    occupation = serializers.CharField()
    employer = serializers.CharField()
    family_note = serializers.CharField()
    preference_note = serializers.CharField()
    needs_note = serializers.CharField()
    contact_language = serializers.CharField()
    source_as_of = serializers.DateTimeField(allow_null=True)
    identifiers = serializers.SerializerMethodField()
    contact_points = serializers.SerializerMethodField()

    @extend_schema_field(MaskedValue(many=True))
    def get_identifiers(self, customer: Customer) -> list[dict[str, str]]:
        return [{"kind": row.scheme, "masked": row.masked} for row in customer.identifiers.all()]

    @extend_schema_field(MaskedValue(many=True))
    def get_contact_points(self, customer: Customer) -> list[dict[str, str]]:
        return [{"kind": row.kind, "masked": row.masked} for row in customer.contact_points.all()]


class CustomerPatch(StrictSerializer):
    """CRM-owned fields alone; the core's own fields come through the feed `customers`."""

    occupation = serializers.CharField(max_length=80, allow_blank=True, required=False)
    employer = serializers.CharField(max_length=120, allow_blank=True, required=False)
    family_note = serializers.CharField(max_length=400, allow_blank=True, required=False)
    preference_note = serializers.CharField(max_length=400, allow_blank=True, required=False)
    needs_note = serializers.CharField(max_length=400, allow_blank=True, required=False)
    contact_language = serializers.CharField(max_length=10, allow_blank=True, required=False)


class HoldingOut(serializers.Serializer):
    number = serializers.CharField(source="account.number")
    kind = serializers.CharField(source="account.kind")
    is_owner = serializers.BooleanField()
    currency = serializers.CharField(source="account.currency")
    balance = MoneyString(allow_null=True)
    balance_date = serializers.DateField(allow_null=True)
    maturity_date = serializers.DateField(source="account.maturity_date", allow_null=True)


class LoanOut(serializers.Serializer):
    number = serializers.CharField(source="loan.number")
    currency = serializers.CharField(source="loan.currency")
    amount = MoneyString(source="loan.amount")
    outstanding = MoneyString(source="loan.outstanding")
    overdue_amount = MoneyString(source="loan.overdue_amount")
    days_past_due = serializers.IntegerField(source="loan.days_past_due")
    next_due = serializers.DateField(allow_null=True)


class CustomerViewOut(serializers.Serializer):
    """The single view: who the customer is, how it stands as of a business date, what it has, who looks after it."""

    customer = CustomerOut()
    as_of = serializers.DateField(allow_null=True)
    currency = serializers.CharField()
    deposits_adb = MoneyString()
    deposits_balance = MoneyString()
    loans_total = MoneyString()
    aum = MoneyString()
    overdue_amount = MoneyString()
    days_past_due = serializers.IntegerField()
    value_tier = serializers.CharField(allow_blank=True)
    wealth_level = serializers.CharField(allow_blank=True)
    churn_score = serializers.DecimalField(max_digits=5, decimal_places=4, allow_null=True)
    accounts = HoldingOut(many=True)
    loans = LoanOut(many=True)
    last_contact_date = serializers.DateField(allow_null=True)


class InteractionIn(StrictSerializer):
    customer = serializers.RegexField(NUMBER, max_length=32, help_text="Customer number.")
    channel = serializers.ChoiceField(Channel.choices)
    result = serializers.ChoiceField(Result.choices, required=False, default="")
    note = serializers.CharField(max_length=4000, required=False, default="")
    promise = serializers.CharField(max_length=200, required=False, default="")
    promise_date = serializers.DateField(required=False, allow_null=True, default=None)
    at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class InteractionOut(serializers.Serializer):
    id = serializers.IntegerField()
    customer = serializers.CharField(source="customer.number")
    channel = serializers.CharField()
    result = serializers.CharField()
    note = serializers.CharField()
    at = serializers.DateTimeField()


def _customers(actor: Any) -> QuerySet[Customer]:
    return (
        Customer.objects.visible_to(actor)
        .select_related("home_branch", "responsible")
        .prefetch_related(
            Prefetch("identifiers", Identifier.objects.order_by("scheme")),
            Prefetch("contact_points", ContactPoint.objects.order_by("kind", "position")),
        )
    )


def _customer(actor: Any, number: str) -> Customer:
    found = _customers(actor).filter(number=number).first()
    if found is None:
        raise Http404
    return found


def changed_since(request: Request) -> dt.datetime | None:
    """The `changed_since` parameter, an ISO 8601 moment with its offset; raises ValidationError otherwise."""
    text = request.query_params.get("changed_since")
    if not text:
        return None
    return serializers.DateTimeField().run_validation(text)


CHANGED_SINCE = OpenApiParameter(
    "changed_since", dt.datetime, description="Rows changed at or after this moment."
)


class CustomerListView(ApiView, generics.ListAPIView):
    """Customers and prospects of the bank, paged by key."""

    required_scopes: ClassVar = {"GET": "customers:read"}
    pagination_class = KeyPagination
    serializer_class = CustomerOut
    sorts: ClassVar = {"id": "id", "name": "name_sort"}

    def get_queryset(self) -> QuerySet[Customer]:
        found = _customers(self.request.user)
        params = self.request.query_params
        if params.get("kind"):
            kind = serializers.ChoiceField(CustomerKind.choices).run_validation(params["kind"])
            found = found.filter(kind=kind)
        if params.get("is_prospect"):
            found = found.filter(is_prospect=serializers.BooleanField().run_validation(params["is_prospect"]))
        since = changed_since(self.request)
        return found if since is None else found.filter(source_as_of__gte=since)

    @extend_schema(
        operation_id="customers_list",
        tags=["Party Reference Data Directory"],
        parameters=[
            CHANGED_SINCE,
            OpenApiParameter("kind", str, enum=CustomerKind.values),
            OpenApiParameter("is_prospect", bool),
        ],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class CustomerDetailView(ApiView):
    """One customer by the bank's own number."""

    required_scopes: ClassVar = {"GET": "customers:read", "PATCH": "customers:write"}

    @extend_schema(
        operation_id="customers_retrieve",
        tags=["Party Reference Data Directory"],
        responses={200: CustomerOut},
    )
    def get(self, request: Request, number: str) -> Response:
        return Response(CustomerOut(_customer(request.user, number)).data)

    @extend_schema(
        operation_id="customers_update",
        tags=["Party Reference Data Directory"],
        request=CustomerPatch,
        responses={200: CustomerOut},
    )
    def patch(self, request: Request, number: str) -> Response:
        replay = self.replayed(request)
        if replay is not None:
            return replay
        customer = _customer(request.user, number)
        given = CustomerPatch(data=request.data)
        given.is_valid(raise_exception=True)
        base = {name: getattr(customer, name) for name in CRM_OWNED}
        update_profile(
            request.user, customer=customer, base=base, typed=given.validated_data, now=timezone.now()
        )
        return Response(CustomerOut(_customer(request.user, number)).data)


class CustomerSingleView(ApiView):
    """Profile, figures, holdings, tier, score and responsible person in one answer."""

    required_scopes: ClassVar = {"GET": "customers:read"}

    @extend_schema(
        operation_id="customers_view", tags=["Customer Position"], responses={200: CustomerViewOut}
    )
    def get(self, request: Request, number: str) -> Response:
        customer = _customer(request.user, number)
        standing = Standing.objects.visible_to(request.user).get(customer=customer)
        bank = request._request.bank
        day = standing.as_of or business_date(bank)
        view = {
            "customer": customer,
            "as_of": standing.as_of,
            "currency": bank.currency,
            "deposits_adb": standing.deposits_adb,
            "deposits_balance": standing.deposits_balance,
            "loans_total": standing.loans,
            "aum": standing.aum,
            "overdue_amount": standing.overdue_amount,
            "days_past_due": standing.days_past_due,
            "value_tier": VALUE_TIERS.get(standing.value_tier, ""),
            "wealth_level": WEALTH_LEVELS.get(standing.wealth_level, ""),
            "churn_score": None if standing.churn_bp < 0 else Decimal(standing.churn_bp) / 10_000,
            "accounts": accounts_held(request.user, customer, as_of=day, currency=bank.currency),
            "loans": loans_of(request.user, customer, as_of=day),
            "last_contact_date": standing.last_contact_date,
        }
        return Response(CustomerViewOut(view).data)


class InteractionListView(ApiView):
    """Contacts on other channels (call centre, mobile banking): any colleague sees what was said."""

    required_scopes: ClassVar = {"POST": "customers:write"}

    @extend_schema(
        operation_id="interactions_create",
        tags=["Customer Case"],
        request=InteractionIn,
        responses={201: InteractionOut},
    )
    def post(self, request: Request) -> Response:
        replay = self.replayed(request)
        if replay is not None:
            return replay
        given = InteractionIn(data=request.data)
        given.is_valid(raise_exception=True)
        words = dict(given.validated_data)
        customer = _customers(request.user).filter(number=words.pop("customer")).first()
        if customer is None:
            raise serializers.ValidationError({"customer": ["No such customer."]})
        interaction = record_interaction(
            request.user, customer=customer, submission=uuid.uuid4(), now=timezone.now(), **words
        )
        return Response(InteractionOut(interaction).data, status=201)
