"""docs/feeds.md is what the declarations say."""

from __future__ import annotations

import os

from django.conf import settings

from customers.ingest.docs import csv_example, generated_part
from customers.ingest.feeds import FEEDS

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
        header, row = csv_example(feed.name).splitlines()
        assert set(feed.required) <= set(header.split(","))
        assert row
