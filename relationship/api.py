"""REST API of assignments: who looks after whom, since when and why."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView
from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import working_day
from crm_site.lib.api.changes import Changes
from crm_site.lib.api.fields import Text
from crm_site.lib.api.paging import KeyPagination
from crm_site.lib.tenancy import require_bank
from relationship.models import Assignment


class AssignmentOut(serializers.Serializer):
    """The period that holds now. `reason`: the rule's code."""

    customer = serializers.CharField(source="customer.number", help_text="Customer number.")
    manager = serializers.CharField(source="manager.number", help_text="Staff number.")
    branch = serializers.CharField(
        source="unit.code", allow_null=True, default=None, help_text="Code of the home branch."
    )
    since = serializers.DateField(source="from_date")
    reason = serializers.CharField(source="rule")


class AssignmentsQuery(Changes):
    customer = Text(max_length=32, required=False, help_text="Customer number.")
    manager = Text(max_length=30, required=False, help_text="Staff number.")


class AssignmentListView(ApiView, generics.ListAPIView):
    """Responsible relationship managers of customers, one row per assigned customer."""

    required_scopes: ClassVar = {"GET": "customers:read"}
    query: ClassVar = {"GET": AssignmentsQuery}
    pagination_class = KeyPagination
    serializer_class = AssignmentOut
    sorts: ClassVar = {"id": "id"}

    def get_queryset(self) -> QuerySet[Assignment]:
        day = working_day(Bank.objects.get(pk=require_bank()))
        still = Q(to_date__isnull=True) | Q(to_date__gt=day)  # a later change may be decided already
        found = Assignment.objects.visible_to(self.request.user).filter(still, applied=True)
        found = found.select_related("customer", "manager", "unit")
        if "customer" in self.asked:
            found = found.filter(customer__number=self.asked["customer"])
        if "manager" in self.asked:
            found = found.filter(manager__number=self.asked["manager"])
        if "changed_since" in self.asked:
            found = found.filter(changed_at__gte=self.asked["changed_since"])
        return found

    @extend_schema(operation_id="assignments_list", tags=["Customer Relationship Management"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)
