"""The proofs of `make prove`: left out of `make test`; what they measure is printed as one table (table.py).

A proof takes the fixture `promise` and calls `promise("what is promised", "figure", "aim", kept=True)`.
"""

from __future__ import annotations

import os

import pytest

from tests.prove.table import Promise, record

__all__ = ["Promise"]
collect_ignore_glob = [] if os.environ.get("BANYAN_PROVE") else ["test_*.py"]


@pytest.fixture
def promise() -> Promise:
    return record
