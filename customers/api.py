"""REST API of customers: the party, the single view, contacts of other channels. One service call each."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import JSONField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import Http404
from django.utils import timezone
from django.utils.timezone import localtime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView
from crm_site.accounts.selectors import business_date
from crm_site.lib.api.fields import MoneyString, StrictSerializer
from crm_site.lib.api.paging import KeyPagination
from customers.models import (
    Channel,
    Customer,
    CustomerKind,
    CustomerStatus,
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
    """A party. The fields are what the schema says; `to_representation` writes them from a row of `_rows`, by hand:
    field by field and model by model a page of 100 takes five times as long."""

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
    home_branch = serializers.CharField(allow_null=True)
    manager = serializers.CharField(allow_null=True)
    occupation = serializers.CharField()
    employer = serializers.CharField()
    family_note = serializers.CharField()
    preference_note = serializers.CharField()
    needs_note = serializers.CharField()
    contact_language = serializers.CharField()
    source_as_of = serializers.DateTimeField(allow_null=True)
    identifiers = MaskedValue(many=True)
    contact_points = MaskedValue(many=True)

    def to_representation(self, row: Mapping[str, Any]) -> dict[str, Any]:
        answer = {name: row[path] for name, path in _COLUMNS.items()}
        for name in ("birth_date", "founded_date", "customer_since"):
            if answer[name] is not None:
                answer[name] = answer[name].isoformat()
        if answer["source_as_of"] is not None:
            answer["source_as_of"] = localtime(answer["source_as_of"]).isoformat().replace("+00:00", "Z")
        return answer


# Member of the answer -> what it is read from.
_READ_ELSEWHERE = {
    "home_branch": "home_branch__code",
    "manager": "responsible__number",
    "identifiers": "shown_identifiers",
    "contact_points": "shown_contact_points",
}
_COLUMNS = {name: _READ_ELSEWHERE.get(name, name) for name in CustomerOut().fields}


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


_JSON = JSONField()
_SHOWN = """(
    SELECT coalesce(jsonb_agg(jsonb_build_object('kind', {0}, 'masked', masked) ORDER BY {2}), '[]') FROM {1} p
    WHERE p.bank_id = customers_customer.bank_id AND p.customer_id = customers_customer.id)"""


def _rows(actor: Any) -> QuerySet[Customer, dict[str, Any]]:
    """What CustomerOut shows of each customer, in one statement; `id` and `name_sort` are for paging."""
    return (
        Customer.objects.visible_to(actor)
        .annotate(
            shown_identifiers=RawSQL(_SHOWN.format("scheme", "customers_identifier", "scheme"), [], _JSON),
            shown_contact_points=RawSQL(
                _SHOWN.format("kind", "customers_contactpoint", "kind, position"), [], _JSON
            ),
        )
        .values("id", "name_sort", *_COLUMNS.values())
    )


def _row(actor: Any, number: str) -> dict[str, Any]:
    found = _rows(actor).filter(number=number).first()
    if found is None:
        raise Http404
    return found


def _customer(actor: Any, number: str) -> Customer:
    found = Customer.objects.visible_to(actor).filter(number=number).first()
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

    def get_queryset(self) -> QuerySet[Customer, dict[str, Any]]:
        found = _rows(self.request.user)
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
        return Response(CustomerOut(_row(request.user, number)).data)

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
        return Response(CustomerOut(_row(request.user, number)).data)


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
            "customer": _row(request.user, number),
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
        customer = Customer.objects.visible_to(request.user).filter(number=words.pop("customer")).first()
        if customer is None:
            raise serializers.ValidationError({"customer": ["No such customer."]})
        interaction = record_interaction(
            request.user, customer=customer, submission=uuid.uuid4(), now=timezone.now(), **words
        )
        return Response(InteractionOut(interaction).data, status=201)
