"""REST API of jobs: what ran, what runs, and starting a pipeline."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView
from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import bank_today
from crm_site.jobs.models import Run, RunStatus
from crm_site.jobs.services import refuse_day_to_come, start_run
from crm_site.lib.api.fields import Day, StrictSerializer, Text
from crm_site.lib.api.paging import KeyPagination
from crm_site.lib.tenancy import require_bank


class RunIn(StrictSerializer):
    """A pipeline to start for a business date. `steps`: only these; the bank's business date then stays."""

    pipeline = Text(max_length=40, default="nightly")
    business_date = Day()
    steps = serializers.ListField(child=Text(max_length=40), required=False, max_length=50)


class RunsQuery(StrictSerializer):
    pipeline = Text(max_length=40, required=False)


class RunOut(serializers.Serializer):
    """A run of a pipeline; over when `status` is done, failed (`error` names the step) or cancelled."""

    id = serializers.IntegerField()
    pipeline = serializers.CharField()
    business_date = serializers.DateField()
    status = serializers.ChoiceField(RunStatus.choices)
    requested_by = serializers.CharField(source="requested_as")
    requested_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    rows_in = serializers.IntegerField()
    rows_changed = serializers.IntegerField()
    error = serializers.CharField()


class RunStepOut(serializers.Serializer):
    step = serializers.CharField(source="name")
    status = serializers.CharField()
    chunks = serializers.IntegerField()
    chunks_done = serializers.IntegerField()
    rows_in = serializers.IntegerField()
    rows_changed = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()


class RunDetailOut(RunOut):
    steps = RunStepOut(many=True, source="ordered_steps")


class RunListView(ApiView, generics.ListAPIView):
    """Runs of pipelines, and starting one."""

    required_scopes: ClassVar = {"GET": "jobs:run", "POST": "jobs:run"}
    query: ClassVar = {"GET": RunsQuery}
    pagination_class = KeyPagination
    serializer_class = RunOut
    sorts: ClassVar = {"id": "id"}

    def get_queryset(self) -> QuerySet[Run]:
        found = Run.objects.visible_to(self.request.user)
        return found.filter(pipeline=self.asked["pipeline"]) if "pipeline" in self.asked else found

    @extend_schema(operation_id="jobs_list", tags=["Operations"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(operation_id="jobs_start", tags=["Operations"], request=RunIn, responses={202: RunOut})
    def post(self, request: Request) -> Response:
        replay = self.replayed(request)
        if replay is not None:
            return replay
        given = RunIn(data=request.data)
        given.is_valid(raise_exception=True)
        words = given.validated_data
        refuse_day_to_come(words["business_date"], bank_today(Bank.objects.get(pk=require_bank())))
        run = start_run(
            request.user,
            pipeline=words["pipeline"],
            business_date=words["business_date"],
            steps=words.get("steps"),
        )
        return Response(RunOut(run).data, status=202)


class RunView(ApiView):
    """One run with its steps."""

    required_scopes: ClassVar = {"GET": "jobs:run"}

    @extend_schema(operation_id="jobs_retrieve", tags=["Operations"], responses={200: RunDetailOut})
    def get(self, request: Request, run_id: int) -> Response:
        run = Run.objects.visible_to(request.user).filter(pk=run_id).first()
        if run is None:
            raise Http404
        run.ordered_steps = run.steps.order_by("position")
        return Response(RunDetailOut(run).data)
