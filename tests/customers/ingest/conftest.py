"""Deliveries in tests: text in, batch out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from crm_site.accounts.models import Staff
from crm_site.accounts.services import create_api_client
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.tenancy import bank, require_bank
from customers.ingest.feeds import FEEDS
from customers.ingest.services import process_batch, receive
from customers.models import Batch, BatchError
from tests.conftest import House, hire

NOW = dt.datetime(2026, 11, 20, 1, 30, tzinfo=dt.UTC)
Deliver = Callable[..., Batch]


@pytest.fixture(autouse=True)
def files(settings: object, tmp_path: Path) -> Path:
    """Spooled files of this test."""
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def deliver() -> Deliver:
    """Receive and process a delivery of the active bank: deliver("customers", text_or_bytes)."""

    def run(feed: str, content: str | bytes, **options: object) -> Batch:
        data = content.encode() if isinstance(content, str) else content
        moment = options.pop("now", NOW)
        batch = receive(
            actor=system_actor(require_bank(), "test"),
            feed=FEEDS[feed],
            chunks=[data],
            source="api",
            now=moment,
            **options,
        )
        return process_batch(batch.pk)

    return run


def counts(batch: Batch) -> tuple[int, int, int, int, int]:
    """(received, inserted, updated, unchanged, rejected)"""
    batch.refresh_from_db()
    return (
        batch.rows_received,
        batch.rows_inserted,
        batch.rows_updated,
        batch.rows_unchanged,
        batch.rows_rejected,
    )


def errors(batch: Batch) -> list[tuple[int, str, str]]:
    """(line, field, code) of every row error."""
    return list(BatchError.objects.filter(batch=batch).values_list("line", "field", "code"))


@pytest.fixture
def api_client_for() -> Callable[..., Client]:
    """A machine client of a bank with scopes, signed in at the bank's host."""

    def make(house: House, *scopes: str) -> Client:
        with bank(house.id):
            number = Staff.objects.count()
        person = hire(house, f"client_admin_{number}", Role.ADMINISTRATOR, house.head_office)
        with bank(house.id):
            made = create_api_client(person.actor, name="core", scopes=scopes)
        client = Client(HTTP_HOST=house.bank.host)
        form = {
            "grant_type": "client_credentials",
            "client_id": made.client_id,
            "client_secret": made.client_secret,
            "scope": " ".join(scopes),
        }
        token = client.post("/identity/o/api/token", form).json()["access_token"]
        return Client(HTTP_HOST=house.bank.host, HTTP_AUTHORIZATION=f"Bearer {token}")

    return make
