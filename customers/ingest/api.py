"""REST API of deliveries: bulk ingest, its state, its rejected rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.http import Http404, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm_site.accounts.api import ApiView, claim_key
from crm_site.accounts.models import IdempotencyKey
from crm_site.lib.api.fields import Day, StrictSerializer
from customers.ingest.docs import csv_example, row_name
from customers.ingest.feeds import FEEDS, Feed
from customers.ingest.jobs import start
from customers.ingest.reading import CSV, NDJSON
from customers.ingest.selectors import deliveries, rejected_ndjson, state_of
from customers.ingest.services import register, take_in
from customers.ingest.spool import BLOCK, discard
from customers.models.ingest import Batch, BatchStatus

# Content-Type -> format; "" = by the first character. Anything else is 415.
FORMATS = {
    "text/csv": CSV,
    "application/csv": CSV,
    "application/x-ndjson": NDJSON,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "application/gzip": "",
    "application/x-gzip": "",
    "application/octet-stream": "",
    "application/x-www-form-urlencoded": "",  # what curl --data-binary says when nobody says anything
    "text/plain": "",
    "": "",
}


class BatchAccepted(serializers.Serializer):
    id = serializers.IntegerField()
    status = serializers.ChoiceField(BatchStatus.choices)


class BatchOut(BatchAccepted):
    """A delivery. It is over when `status` is done or failed (then `error_code` and `error_detail` say why); its counts
    are 0 until then. `rows_received` = inserted + updated + unchanged + rejected."""

    feed = serializers.CharField()
    business_date = serializers.DateField(allow_null=True)
    received_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    rows_received = serializers.IntegerField()
    rows_inserted = serializers.IntegerField()
    rows_updated = serializers.IntegerField()
    rows_unchanged = serializers.IntegerField()
    rows_rejected = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True, help_text="Of landing.")
    error_code = serializers.CharField()
    error_detail = serializers.CharField()


def as_json(batch: Batch) -> dict[str, Any]:
    """A delivery as the API shows it; its counts are 0 until it is done."""
    body: dict[str, Any] = dict(BatchOut(batch).data)
    body["status"] = state_of(batch)
    if body["status"] in (BatchStatus.RECEIVED, BatchStatus.RUNNING):
        body["rows_received"] = 0
    return body


def feed_named(name: str) -> Feed:
    if name not in FEEDS:
        raise Http404
    return FEEDS[name]


def batch_of(request: Request, batch_id: int) -> Batch:
    batch = deliveries(request.user).filter(pk=batch_id).first()
    if batch is None:
        raise Http404
    return batch


def body_chunks(request: Request) -> Iterator[bytes]:
    """The request's body as it arrives, whatever its size; chunked transfer too."""
    chunked = request.META.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
    stream = request.META["wsgi.input"] if chunked else request.stream
    return iter(lambda: stream.read(BLOCK), b"") if stream is not None else iter(())


def asked_format(request: Request) -> str:
    """csv, ndjson or "" (to be found out); 415 for any other content type or coding."""
    kind = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if kind not in FORMATS or coding not in ("", "identity", "gzip", "x-gzip"):
        raise exceptions.UnsupportedMediaType(kind if kind not in FORMATS else f"Content-Encoding {coding}")
    return FORMATS[kind]


ROWS = {
    "application/x-ndjson": {
        "description": "One JSON object a line, of the feed's row.",
        "oneOf": [{"$ref": f"#/components/schemas/{row_name(feed)}"} for feed in FEEDS],
    },
    "text/csv": {
        "type": "string",
        "description": "With a header line of column names: the members of the feed's row.",
        "example": csv_example("customers"),
    },
    "application/gzip": {"type": "string", "format": "binary", "description": "Either of them, packed."},
    "application/octet-stream": {
        "type": "string",
        "format": "binary",
        "description": "Any of them: told apart by how it begins.",
    },
}


class DeliveryQuery(StrictSerializer):
    business_date = Day(required=False, help_text="As-of of rows that carry none: the end of that day.")


class IngestView(ApiView):
    """Take in a delivery. Whole-delivery faults are answered at once; rows are checked by the job."""

    required_scopes: ClassVar = {"POST": "ingest:write"}
    query: ClassVar = {"POST": DeliveryQuery}

    @extend_schema(
        operation_id="ingest_deliver",
        tags=["Ingest"],
        parameters=[
            OpenApiParameter("feed", str, OpenApiParameter.PATH, enum=FEEDS.names()),
        ],
        request=ROWS,
        responses={202: BatchAccepted},
    )
    def post(self, request: Request, feed: str) -> Response:
        chosen = feed_named(feed)
        kind = asked_format(request)
        spooled, content_format = take_in(
            actor=request.user,
            feed=chosen,
            chunks=body_chunks(request),
            content_format=kind,
            must_be_gzip=bool(request.headers.get("Content-Encoding", "")),
        )
        claim = self.claimed(request, spooled.digest)
        if isinstance(claim, Response):
            discard(spooled.path)
            return claim
        batch = register(
            actor=request.user,
            feed=chosen,
            spooled=spooled,
            content_format=content_format,
            source="api",
            now=timezone.now(),
            business_date=self.asked.get("business_date"),
        )
        start(request.user, batch)
        answer = {"id": batch.pk, "status": batch.status}
        if claim is not None:
            claim.status, claim.answer = 202, answer
            claim.save()
        return Response(answer, status=202, headers={"Location": f"/api/v1/ingest/{batch.pk}"})

    def claimed(self, request: Request, digest: str) -> IdempotencyKey | Response | None:
        """The claim of the request's Idempotency-Key by the digest of what came, or the stored answer."""
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return None
        stored = claim_key(
            request.user, key, f"{request.method} {request.get_full_path()}", digest, timezone.now()
        )
        if isinstance(stored, IdempotencyKey):
            return stored
        return Response(stored[1], status=stored[0], headers={"Idempotent-Replay": "true"})


class BatchView(ApiView):
    """State and counts of a delivery."""

    required_scopes: ClassVar = {"GET": "ingest:write"}

    @extend_schema(operation_id="ingest_state", tags=["Ingest"], responses=BatchOut)
    def get(self, request: Request, batch_id: int) -> Response:
        return Response(as_json(batch_of(request, batch_id)))


class BatchErrorsView(ApiView):
    """The rejected rows of a delivery, streamed."""

    required_scopes: ClassVar = {"GET": "ingest:write"}

    @extend_schema(
        operation_id="ingest_errors",
        tags=["Ingest"],
        responses={
            (200, "application/x-ndjson"): OpenApiResponse(
                {"type": "string"}, description="One JSON object a line: line, field, code, message, row."
            )
        },
    )
    def get(self, request: Request, batch_id: int) -> StreamingHttpResponse:
        batch = batch_of(request, batch_id)
        return StreamingHttpResponse(rejected_ndjson(batch), content_type="application/x-ndjson")
