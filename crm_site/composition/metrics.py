"""/metrics: what Prometheus scrapes. For the machine itself, or for whoever brings the token."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily

from crm_site.accounts.models import Bank
from crm_site.jobs import housekeeping
from crm_site.jobs.models import Run
from crm_site.lib.tenancy import bank
from customers.models import Batch

LOOK_BACK = dt.timedelta(days=7)


class Business:
    """Gauges read from the database when somebody asks: runs, chunks, outbox, batches."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "banyan_chunks_due", "Chunks a worker could take now.", housekeeping.due_chunks()
        )
        yield GaugeMetricFamily(
            "banyan_outbox_backlog", "Messages not relayed.", housekeeping.outbox_backlog()
        )
        runs = GaugeMetricFamily(
            "banyan_runs", "Runs asked for in the last 7 days.", labels=["bank", "pipeline", "status"]
        )
        batches = GaugeMetricFamily(
            "banyan_batches", "Batches received in the last 7 days.", labels=["bank", "feed", "status"]
        )
        age = GaugeMetricFamily("banyan_business_date_seconds", "The newest business date.", labels=["bank"])
        since = timezone.now() - LOOK_BACK
        for row in Bank.objects.filter(is_active=True, is_platform=False):
            if row.business_date is not None:
                age.add_metric(
                    [row.code], dt.datetime.combine(row.business_date, dt.time(), dt.UTC).timestamp()
                )
            with bank(row.pk):
                recent = Run.objects.filter(requested_at__gte=since).order_by()
                for pipeline, status, n in recent.values_list("pipeline", "status").annotate(n=Count("id")):
                    runs.add_metric([row.code, pipeline, status], n)
                given = Batch.objects.filter(received_at__gte=since).order_by()
                for feed, status, n in given.values_list("feed", "status").annotate(n=Count("id")):
                    batches.add_metric([row.code, feed, status], n)
        yield from (runs, batches, age)


def _may_read(request: HttpRequest) -> bool:
    """From the machine itself and not through a proxy, or with the token."""
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and secrets.compare_digest(given.encode(), token.encode()):
        return True
    if "X-Forwarded-For" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


@require_GET
def metrics(request: Any) -> HttpResponse:
    """Prometheus text; 404 for everybody who may not read it."""
    if not _may_read(request):
        raise Http404
    business = CollectorRegistry()
    business.register(Business())
    counted = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        counted = CollectorRegistry()
        multiprocess.MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    return HttpResponse(
        generate_latest(counted) + generate_latest(business), content_type=CONTENT_TYPE_LATEST
    )
