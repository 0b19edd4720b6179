"""REST API of customers: the party, the single view, contacts of other channels. One service call each."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote

from django.db.models import JSONField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import Http404
from django.utils import timezone
from django.utils.timezone import get_current_timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView
from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import bank_today, business_date
from crm_site.lib.api.changes import Changes
from crm_site.lib.api.fields import Day, Moment, MoneyString, StrictSerializer, Text
from crm_site.lib.api.paging import KeyPagination
from crm_site.lib.tenancy import require_bank
from customers.ingest.single import change_party, create_party
from customers.models import (
    BuyingRole,
    Channel,
    Customer,
    CustomerKind,
    CustomerStatus,
    Post,
    Standing,
)
from customers.models.interactions import Result
from customers.models.standing import VALUE_TIERS, WEALTH_LEVELS
from customers.party_io import party_schema, read_party, refusals
from customers.selectors.people import people_of
from customers.selectors.single import accounts_held, addresses_of, loans_of, other_products
from customers.services import record_interaction
from customers.view_parts import VIEW_PARTS


class MaskedValue(serializers.Serializer):
    """What may be shown of a protected value; revealing is a person's act and needs a reason."""

    kind = serializers.CharField()
    masked = serializers.CharField()


class CustomerOut(serializers.Serializer):
    """A customer or prospect. Empty text: not known."""

    # The fields are what the schema says; `to_representation` writes them from a row of `_rows`, by hand: field by
    # field and model by model a page of 100 takes five times as long.
    number = serializers.CharField(help_text="The bank's own customer number.")
    kind = serializers.ChoiceField(CustomerKind.choices)
    is_prospect = serializers.BooleanField()
    name = serializers.CharField()
    status = serializers.ChoiceField(CustomerStatus.choices)
    birth_date = serializers.DateField(allow_null=True)
    founded_date = serializers.DateField(allow_null=True)
    gender = serializers.CharField(help_text="F, M, X or empty.")
    industry = serializers.CharField(help_text="GB/T 4754 class.")
    size = serializers.CharField(help_text="Of a company: large, medium, small, micro or empty.")
    employees = serializers.IntegerField(allow_null=True)
    customer_since = serializers.DateField(allow_null=True)
    is_related_party = serializers.BooleanField()
    is_excluded = serializers.BooleanField()
    home_branch = serializers.CharField(allow_null=True, help_text="Branch code.")
    manager = serializers.CharField(
        allow_null=True, help_text="Staff number of the responsible manager; null: in the branch's queue."
    )
    occupation = serializers.CharField()
    employer = serializers.CharField()
    family_note = serializers.CharField()
    experience_note = serializers.CharField()
    preference_note = serializers.CharField()
    needs_note = serializers.CharField()
    contact_language = serializers.CharField()
    source_as_of = serializers.DateTimeField(
        allow_null=True,
        help_text="When the source knew the core-owned members; older never overwrites newer.",
    )
    identifiers = MaskedValue(many=True)
    contact_points = MaskedValue(many=True)

    @cached_property
    def _zone(self) -> dt.tzinfo:
        return get_current_timezone()

    def to_representation(self, row: Mapping[str, Any]) -> Any:
        answer: dict[str, Any] = {name: row[path] for name, path in _COLUMNS.items()}
        for name in ("birth_date", "founded_date", "customer_since"):
            if answer[name] is not None:
                answer[name] = answer[name].isoformat()
        if answer["source_as_of"] is not None:
            answer["source_as_of"] = (
                answer["source_as_of"].astimezone(self._zone).isoformat().replace("+00:00", "Z")
            )
        return answer


# Member of the answer -> what it is read from.
_READ_ELSEWHERE = {
    "home_branch": "home_branch__code",
    "manager": "responsible__number",
    "identifiers": "shown_identifiers",
    "contact_points": "shown_contact_points",
}
_COLUMNS = {name: _READ_ELSEWHERE.get(name, name) for name in CustomerOut().get_fields()}


class AddressOut(serializers.Serializer):
    kind = serializers.CharField()
    region = serializers.CharField()
    line = serializers.CharField()


class CustomerDetail(CustomerOut):
    """One customer, with its addresses."""

    addresses = AddressOut(many=True)

    def to_representation(self, row: Mapping[str, Any]) -> Any:
        addresses = AddressOut(row["addresses"], many=True).data
        return {**super().to_representation(row), "addresses": addresses}


class PersonOut(serializers.Serializer):
    """Somebody in a post at a company, those who decide first."""

    name = serializers.CharField(source="person.name")
    post = serializers.ChoiceField(Post.choices, source="person.post")
    title = serializers.CharField(source="person.title", help_text="The post in the company's own words.")
    roles = serializers.ListField(
        child=serializers.ChoiceField(BuyingRole.choices),
        source="person.roles",
        help_text="The person's part in what the company buys from a bank.",
    )
    is_key = serializers.BooleanField(
        source="person.is_key", help_text="A change of this person is a signal."
    )
    phone = serializers.CharField(source="person.phone_masked", help_text="Masked; empty: not known.")
    since = serializers.DateField(source="person.from_date", allow_null=True)


class HoldingOut(serializers.Serializer):
    """An account; balances are in its currency. Only its owner's figures count it, not a joint holder's."""

    number = serializers.CharField(source="account.number")
    kind = serializers.CharField(source="account.kind")
    is_owner = serializers.BooleanField()
    currency = serializers.CharField(source="account.currency")
    balance = MoneyString(allow_null=True)
    balance_date = serializers.DateField(allow_null=True)
    maturity_date = serializers.DateField(source="account.maturity_date", allow_null=True)


class LoanOut(serializers.Serializer):
    """A loan; amounts are in its currency."""

    number = serializers.CharField(source="loan.number")
    currency = serializers.CharField(source="loan.currency")
    amount = MoneyString(source="loan.amount")
    outstanding = MoneyString(source="loan.outstanding")
    overdue_amount = MoneyString(source="loan.overdue_amount")
    days_past_due = serializers.IntegerField(source="loan.days_past_due")
    next_due = serializers.DateField(allow_null=True)


class WealthOut(serializers.Serializer):
    """A wealth product, fund or insurance: the newest value known."""

    reference = serializers.CharField()
    product = serializers.CharField(source="product.code")
    family = serializers.CharField(source="product.family")
    date = serializers.DateField()
    value = MoneyString()
    currency = serializers.CharField()
    maturity_date = serializers.DateField(allow_null=True)


class CustomerViewOut(serializers.Serializer):
    """The single view: who the customer is, how it stands as of the newest business date, what it has, who looks after it."""

    customer = CustomerOut()
    as_of = serializers.DateField(
        allow_null=True, help_text="Business date of the figures; null before a night."
    )
    currency = serializers.CharField(help_text="The bank's: of the figures beside it.")
    deposits_adb = MoneyString(help_text="Average end-of-day deposits over as_of and the 29 days before.")
    deposits_balance = MoneyString(help_text="Deposits at the end of as_of.")
    loans_total = MoneyString(help_text="Outstanding principal and overdrafts at the end of as_of.")
    aum = MoneyString(help_text="deposits_balance and wealth holdings.")
    overdue_amount = MoneyString()
    days_past_due = serializers.IntegerField(help_text="Of the oldest instalment not covered.")
    value_tier = serializers.CharField(allow_blank=True, help_text="high, mid, general; empty for prospects.")
    wealth_level = serializers.CharField(
        allow_blank=True, help_text="black_gold … standard as in /tiers; empty for prospects."
    )
    churn_score = serializers.DecimalField(
        max_digits=5,
        decimal_places=4,
        allow_null=True,
        help_text="0.0000 below 0.0050; /scores has it exactly",
    )
    accounts = HoldingOut(many=True)
    holdings = WealthOut(many=True)
    loans = LoanOut(many=True)
    people = PersonOut(many=True, help_text="Of a company, who is there now.")
    last_contact_date = serializers.DateField(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field]:
        """With what rooms above add (customers.view_parts)."""
        return {**super().get_fields(), **{part.name: part.field() for part in VIEW_PARTS}}


class InteractionIn(StrictSerializer):
    """A contact on any channel. A promise with its date becomes a task; without `at` it was now."""

    customer = Text(max_length=32, help_text="Customer number.")
    channel = serializers.ChoiceField(Channel.choices)
    result = serializers.ChoiceField(Result.choices, required=False)
    note = Text(max_length=4000, required=False, default="")
    promise = Text(max_length=200, required=False, default="")
    promise_date = Day(required=False, allow_null=True, default=None)
    at = Moment(required=False, allow_null=True, default=None)


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
    """What CustomerOut shows of each customer, in one statement; the first three are for paging."""
    return (
        Customer.objects.visible_to(actor)
        .annotate(
            shown_identifiers=RawSQL(_SHOWN.format("scheme", "customers_identifier", "scheme"), [], _JSON),
            shown_contact_points=RawSQL(
                _SHOWN.format("kind", "customers_contactpoint", "kind, position"), [], _JSON
            ),
        )
        .values("id", "name_sort", "changed_at", *_COLUMNS.values())
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


class CustomersQuery(Changes):
    kind = serializers.ChoiceField(CustomerKind.choices, required=False)
    is_prospect = serializers.BooleanField(required=False)


def shown(actor: Any, number: str) -> dict[str, Any]:
    """A customer as one is answered."""
    addresses = addresses_of(actor, _customer(actor, number))
    return CustomerDetail({**_row(actor, number), "addresses": addresses}).data


class CustomerListView(ApiView, generics.ListAPIView):
    """Customers and prospects of the bank, paged by key."""

    required_scopes: ClassVar = {"GET": "customers:read", "POST": "customers:write"}
    query: ClassVar = {"GET": CustomersQuery}
    pagination_class = KeyPagination
    serializer_class = CustomerOut
    sorts: ClassVar = {"id": "id", "name": "name_sort", "changed_at": "changed_at"}

    def get_queryset(self) -> QuerySet[Customer, dict[str, Any]]:
        found, asked = _rows(self.request.user), self.asked
        if "kind" in asked:
            found = found.filter(kind=asked["kind"])
        if "is_prospect" in asked:
            found = found.filter(is_prospect=asked["is_prospect"])
        return found.filter(changed_at__gte=asked["changed_since"]) if "changed_since" in asked else found

    @extend_schema(operation_id="customers_list", tags=["Party Reference Data Directory"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="customers_create",
        tags=["Party Reference Data Directory"],
        request={"application/json": party_schema(("number", "name", "kind"))},
        responses={201: CustomerDetail},
    )
    def post(self, request: Request) -> Response:
        """A new customer, or a new prospect with `is_prospect` true, by the rules of the feeds of those names."""
        answer = self.replayed(request)
        if answer is None:
            written = read_party(request.data)
            with refusals(written.faults):
                customer = create_party(
                    request.user,
                    is_prospect=bool(written.is_prospect),
                    cells=written.cells,
                    profile=written.profile,
                    now=timezone.now(),
                )
            answer = Response(shown(request.user, customer.number), status=201)
        answer["Location"] = f"/api/v1/customers/{quote(answer.data['number'], safe='')}"
        return answer


class CustomerDetailView(ApiView):
    """One customer by the bank's own number."""

    required_scopes: ClassVar = {"GET": "customers:read", "PATCH": "customers:write"}

    @extend_schema(
        operation_id="customers_retrieve",
        tags=["Party Reference Data Directory"],
        responses={200: CustomerDetail},
    )
    def get(self, request: Request, number: str) -> Response:
        return Response(shown(request.user, number))

    @extend_schema(
        operation_id="customers_update",
        tags=["Party Reference Data Directory"],
        request={"application/json": party_schema(())},
        responses={200: CustomerDetail},
    )
    def patch(self, request: Request, number: str) -> Response:
        """What is given changes, null clears. Core-owned fields older than what stands (`source_as_of`) change nothing.

        A prospect becomes a customer by `is_prospect` false.
        """
        replay = self.replayed(request)
        if replay is not None:
            return replay
        customer = _customer(request.user, number)
        written = read_party(request.data, without=("number",))
        with refusals(written.faults):
            change_party(
                request.user,
                customer=customer,
                cells=written.cells,
                profile=written.profile,
                is_prospect=written.is_prospect,
                now=timezone.now(),
            )
        return Response(shown(request.user, number))


class CustomerSingleView(ApiView):
    """Profile, figures, holdings, tier, score and responsible person in one answer."""

    required_scopes: ClassVar = {"GET": "customers:read"}

    @extend_schema(
        operation_id="customers_view", tags=["Customer Position"], responses={200: CustomerViewOut}
    )
    def get(self, request: Request, number: str) -> Response:
        customer = _customer(request.user, number)
        standing = Standing.objects.visible_to(request.user).get(customer=customer)
        bank = Bank.objects.get(pk=require_bank())
        day = business_date(bank)
        view = {
            "customer": _row(request.user, number),
            "as_of": standing.as_of and day,  # none before the first night that knew this customer
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
            "holdings": other_products(request.user, customer, as_of=day).holdings,
            "loans": loans_of(request.user, customer, as_of=day),
            "people": people_of(request.user, customer, day=day).present,
            "last_contact_date": standing.last_contact_date,
        }
        today = bank_today(bank)
        view |= {part.name: part.rows(request.user, customer, today) for part in VIEW_PARTS}
        return Response(CustomerViewOut(view, context={"day": today}).data)


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
