"""REST API of credit: lines (what core banking does to them, and what others read; C8) and ratings (C2)."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from credit_rating.models import (
    DECIDED,
    CreditLine,
    LineStatus,
    Rating,
    RatingStatus,
    Reservation,
    ReservationStatus,
)
from credit_rating.policies.grades import GRADES
from credit_rating.policies.rating_rules import ReviewReason
from credit_rating.selectors import lines
from credit_rating.selectors.ratings import ratings_for_api
from credit_rating.services import control
from crm_site.accounts.api import ApiView
from crm_site.accounts.clients import HasScope
from crm_site.accounts.selectors import bank_today
from crm_site.lib.api.changes import Changes
from crm_site.lib.api.fields import MoneyString, StrictSerializer, Text
from crm_site.lib.api.paging import KeyPagination
from crm_site.lib.permissions import Actor
from customers.view_parts import ViewPart

SCOPE, READ = "lines:control", "customers:read"
TAG = "Credit Facility"


class LineOut(serializers.Serializer):
    """A credit line. Always limit = reserved + utilised + available, and none of them below zero.

    `status` is that of today: a line past its last day (`expires_on`) has expired.
    """

    id = serializers.IntegerField()
    number = serializers.CharField()
    customer = serializers.CharField(source="customer.number", help_text="Customer number.")
    product = serializers.CharField(source="product.code")
    currency = serializers.CharField()
    limit = MoneyString()
    reserved = MoneyString()
    utilised = MoneyString()
    available = MoneyString()
    status = serializers.SerializerMethodField()
    starts_on = serializers.DateField()
    expires_on = serializers.DateField()
    review_on = serializers.DateField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(LineStatus.choices))
    def get_status(self, line: CreditLine) -> str:
        return str(line.status_on(self.context["day"]))


LINES_PART = ViewPart(
    "lines",
    lambda: LineOut(many=True),
    lambda actor, customer, day: lines.lines_of(actor, customer.pk),
)


class SubLimitOut(serializers.Serializer):
    """How much of the line may go into a product."""

    product = serializers.CharField(source="product.code")
    limit = MoneyString(currency="line.currency")
    reserved = MoneyString(currency="line.currency")
    utilised = MoneyString(currency="line.currency")
    available = MoneyString(currency="line.currency")


class LineDetailOut(LineOut):
    sub_limits = SubLimitOut(many=True)


class PositiveMoney(MoneyString):
    """An amount above zero."""

    default_error_messages: ClassVar = {"positive": "The amount must be above zero."}

    def to_internal_value(self, data: Any) -> Any:
        amount = super().to_internal_value(data)
        if amount <= 0:
            self.fail("positive")
        return amount


class AmountIn(StrictSerializer):
    """`reference`: core banking's own name for the payment. `product` (a code) draws on its sub-limit as well, or
    frees it; a repayment without one frees the sub-limits drawn on under its `reference`, then what was drawn outside any,
    then the oldest."""

    amount = PositiveMoney()
    currency = serializers.RegexField(r"^[A-Z]{3}$", max_length=3)
    reference = serializers.CharField(max_length=64)
    product = serializers.CharField(max_length=30, required=False, default="", allow_blank=True)


class CheckIn(AmountIn):
    reference = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)


class CommitIn(StrictSerializer):
    """`amount`: what is drawn, when it is less than was reserved; the rest goes back."""

    amount = PositiveMoney(required=False)


class NothingIn(StrictSerializer):
    """No members."""


class ReservationOut(serializers.Serializer):
    """A reservation; `committed`: what was drawn of it. `available`: the line's room right after the act."""

    id = serializers.IntegerField()
    line = serializers.IntegerField()
    amount = MoneyString(currency="currency")
    committed = MoneyString(currency="currency")
    status = serializers.ChoiceField(ReservationStatus.choices)
    expires_at = serializers.DateTimeField()
    reference = serializers.CharField()
    available = MoneyString(currency="currency")


class LinesQuery(Changes):
    customer = Text(max_length=32, required=False, help_text="Customer number.")
    status = serializers.ChoiceField(LineStatus.choices, required=False)


def _day(view: ApiView) -> dt.date:
    return bank_today(view.request._request.bank)


class LineScope(HasScope):
    """Who controls lines, and who reads customers, may read a line."""

    def has_permission(self, request: Request, view: Any) -> bool:
        allowed = isinstance(request.user, Actor) and READ in request.user.scopes
        return allowed or super().has_permission(request, view)


class LineListView(ApiView, generics.ListAPIView):
    """Credit lines of every status, paged by key."""

    required_scopes: ClassVar = {"GET": READ}
    query: ClassVar = {"GET": LinesQuery}
    pagination_class = KeyPagination
    serializer_class = LineOut
    sorts: ClassVar = {"id": "id", "expires_on": "expires_on"}

    def get_queryset(self) -> QuerySet[CreditLine]:
        return lines.lines_for_api(self.request.user, day=_day(self), **self.asked)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "day": _day(self)}

    @extend_schema(operation_id="lines_list", tags=[TAG])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class LineView(ApiView):
    """One line with its sub-limits."""

    permission_classes: ClassVar = [LineScope]
    required_scopes: ClassVar = {"GET": SCOPE}

    @extend_schema(operation_id="lines_retrieve", tags=[TAG], responses={200: LineDetailOut})
    def get(self, request: Request, pk: int) -> Response:
        try:
            line = lines.line_for_api(request.user, pk)
        except CreditLine.DoesNotExist:
            raise Http404 from None
        return Response(LineDetailOut(line, context={"day": _day(self)}).data)


class ControlView(ApiView):
    """Base of what core banking does. Not throttled: a refused call is a customer's refused payment."""

    required_scopes: ClassVar = {"POST": SCOPE}
    throttle_classes: ClassVar = []
    takes: ClassVar[type[StrictSerializer]] = AmountIn

    def act(self, pk: int, given: dict[str, Any], now: dt.datetime) -> Response:
        """What the service answers. CreditLine.DoesNotExist and Reservation.DoesNotExist become 404."""
        raise NotImplementedError

    def answer(self, request: Request, pk: int) -> Response:
        replay = self.replayed(request)
        if replay is not None:
            return replay
        given = self.takes(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            return self.act(pk, dict(given.validated_data), timezone.now())
        except (CreditLine.DoesNotExist, Reservation.DoesNotExist):
            raise Http404 from None


class CheckView(ControlView):
    """Whether so much could be reserved now: the line, or 409 `insufficient_limit` or `line_not_available`."""

    takes = CheckIn
    idempotent_writes = False

    @extend_schema(operation_id="lines_check", tags=[TAG], request=CheckIn, responses={200: LineOut})
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, pk: int, given: dict[str, Any], now: dt.datetime) -> Response:
        given.pop("reference")
        line = control.check(self.request.user, line_id=pk, day=_day(self), now=now, **given)
        return Response(LineOut(line, context={"day": _day(self)}).data)


class ReserveView(ControlView):
    """Hold room for a payment: 409 `insufficient_limit` or `line_not_available` when it cannot be.

    The same Idempotency-Key acts once. A reservation that is neither committed nor released gives its room back by
    itself at `expires_at`.
    """

    @extend_schema(
        operation_id="lines_reserve", tags=[TAG], request=AmountIn, responses={201: ReservationOut}
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, pk: int, given: dict[str, Any], now: dt.datetime) -> Response:
        state = control.reserve(self.request.user, line_id=pk, day=_day(self), now=now, **given)
        return Response(ReservationOut(state).data, status=201)


class CommitView(ControlView):
    """Draw what was reserved, or less: the rest goes back. Also on a line that was frozen meanwhile.

    Again: the same answer. 409 `reservation_expired` after `expires_at`, `reservation_final` when it was released.
    """

    takes = CommitIn

    @extend_schema(
        operation_id="reservations_commit", tags=[TAG], request=CommitIn, responses={200: ReservationOut}
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, pk: int, given: dict[str, Any], now: dt.datetime) -> Response:
        state = control.commit(self.request.user, reservation_id=pk, now=now, **given)
        return Response(ReservationOut(state).data)


class ReleaseView(ControlView):
    """Give the room back. Again: the same answer. 409 `reservation_expired`, `reservation_final` as commit."""

    takes = NothingIn

    @extend_schema(
        operation_id="reservations_release", tags=[TAG], request=NothingIn, responses={200: ReservationOut}
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, pk: int, given: dict[str, Any], now: dt.datetime) -> Response:
        state = control.release(self.request.user, reservation_id=pk, now=now)
        return Response(ReservationOut(state).data)


class RepayView(ControlView):
    """Take back what was drawn, on a frozen or expired line too; the line as it stands then.

    409 `repayment_exceeds_utilised` for more than is drawn.
    """

    @extend_schema(operation_id="lines_repay", tags=[TAG], request=AmountIn, responses={200: LineOut})
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, pk: int, given: dict[str, Any], now: dt.datetime) -> Response:
        line = control.repay(self.request.user, line_id=pk, now=now, **given)
        return Response(LineOut(line, context={"day": _day(self)}).data)


class RatingOut(serializers.Serializer):
    """A decided rating. `pd`: one-year probability of default of the grade, a fraction. `score_grade`: the grade of the
    score alone, before caps and overrides. In force: `status` approved and `expires_on` not past."""

    id = serializers.IntegerField()
    number = serializers.CharField()
    customer = serializers.CharField(source="customer.number", help_text="Customer number.")
    kind = serializers.CharField()
    status = serializers.ChoiceField([(s.value, s.label) for s in RatingStatus if s in DECIDED])
    grade = serializers.ChoiceField(GRADES)
    score_grade = serializers.ChoiceField(GRADES)
    score = serializers.DecimalField(max_digits=7, decimal_places=2)
    pd = serializers.DecimalField(max_digits=7, decimal_places=6)
    as_of = serializers.DateField()
    expires_on = serializers.DateField()
    review_since = serializers.DateField(allow_null=True)
    review_reason = serializers.ChoiceField(ReviewReason.choices, allow_blank=True)
    scorecard = serializers.CharField(source="scorecard.name")
    scorecard_version = serializers.IntegerField(source="scorecard.version")
    content_hash = serializers.CharField(help_text="SHA-256 of what was decided on.")


RATINGS_PART = ViewPart(
    "ratings",
    lambda: RatingOut(many=True),
    lambda actor, customer, day: ratings_for_api(actor, customer=customer.number).order_by("-id")[:5],
)


class RatingsQuery(Changes):
    customer = Text(max_length=32, required=False, help_text="Customer number.")
    grade = serializers.ChoiceField(GRADES, required=False)


class RatingListView(ApiView, generics.ListAPIView):
    """Decided ratings: those in force and those that have ended, paged by key."""

    required_scopes: ClassVar = {"GET": READ}
    query: ClassVar = {"GET": RatingsQuery}
    pagination_class = KeyPagination
    serializer_class = RatingOut
    sorts: ClassVar = {"id": "id"}

    def get_queryset(self) -> QuerySet[Rating]:
        return ratings_for_api(self.request.user, **self.asked)

    @extend_schema(operation_id="ratings_list", tags=["Customer Credit Rating"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)
