"""REST API of assignments: who looks after whom, since when and why."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView
from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import working_day
from crm_site.lib.api.paging import KeyPagination
from crm_site.lib.tenancy import require_bank
from customers.api import CHANGED_SINCE, changed_since
from relationship.models import Assignment


class AssignmentOut(serializers.Serializer):
    """The period that holds now. `reason`: the rule's code."""

    customer = serializers.CharField(source="customer.number")
    manager = serializers.CharField(source="manager.number")
    branch = serializers.CharField(source="unit.code", allow_null=True, default=None)
    since = serializers.DateField(source="from_date")
    reason = serializers.CharField(source="rule")


class AssignmentListView(ApiView, generics.ListAPIView):
    """Responsible relationship managers of customers, one row per assigned customer."""

    required_scopes: ClassVar = {"GET": "customers:read"}
    pagination_class = KeyPagination
    serializer_class = AssignmentOut
    sorts: ClassVar = {"id": "id"}

    def get_queryset(self) -> QuerySet[Assignment]:
        day = working_day(Bank.objects.get(pk=require_bank()))
        still = Q(to_date__isnull=True) | Q(to_date__gt=day)  # a later change may be decided already
        found = Assignment.objects.visible_to(self.request.user).filter(still, applied=True)
        found = found.select_related("customer", "manager", "unit")
        params = self.request.query_params
        if params.get("customer"):
            found = found.filter(customer__number=params["customer"])
        if params.get("manager"):
            found = found.filter(manager__number=params["manager"])
        since = changed_since(self.request)
        return found if since is None else found.filter(decided_at__gte=since)

    @extend_schema(
        operation_id="assignments_list",
        tags=["Customer Relationship Management"],
        parameters=[CHANGED_SINCE, OpenApiParameter("customer", str), OpenApiParameter("manager", str)],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)
