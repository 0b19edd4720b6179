"""docs/feeds.md is what the declarations say."""

from __future__ import annotations

import os

from django.conf import settings

from crm_site.lib.tenancy import bank
from customers.ingest.docs import csv_example, generated_part
from customers.ingest.feeds import FEEDS
from customers.models import BatchError
from tests.conftest import House
from tests.customers.ingest.conftest import Deliver

PAGE = settings.BASE_DIR / "docs" / "feeds.md"
MARK = "## Codes of rejected rows"


def test_the_page_lists_every_feed_and_code_as_declared() -> None:
    """BANYAN_WRITE_DOCS=1 writes the generated part anew."""
    text = PAGE.read_text(encoding="utf-8")
    if os.environ.get("BANYAN_WRITE_DOCS") == "1":
        PAGE.write_text(text.split(MARK)[0].rstrip() + "\n\n" + generated_part(), encoding="utf-8")
        text = PAGE.read_text(encoding="utf-8")
    assert text.endswith(generated_part())


def test_every_feed_has_an_example_of_its_required_columns() -> None:
    for feed in FEEDS:
        header, *rows = csv_example(feed.name).splitlines()
        assert set(feed.required) <= set(header.split(","))
        assert rows


def test_the_examples_delivered_in_the_documents_order_all_land(house: House, deliver: Deliver) -> None:
    """Whoever connects a core begins by sending what the document shows."""
    with bank(house.id):
        for feed in FEEDS:
            batch = deliver(feed.name, csv_example(feed.name))
            assert (batch.rows_rejected, batch.status) == (0, "done"), (
                feed.name,
                list(BatchError.objects.filter(batch=batch).values_list("field", "code")),
            )
            again = deliver(feed.name, csv_example(feed.name))
            assert again.rows_inserted + again.rows_updated == 0, feed.name
