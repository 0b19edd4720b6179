"""Two banks interleaved at length; `make test` runs the same machine briefly."""

from __future__ import annotations

import pytest

from tests.prove.conftest import Promise
from tests.tenancy.test_interleaving import Side, run, two_banks

__all__ = ["two_banks"]
EXAMPLES, STEPS = 40, 40


@pytest.mark.prove
def test_banks_stay_apart_at_length(two_banks: dict[str, Side], promise: Promise) -> None:
    run(two_banks, examples=EXAMPLES, steps=STEPS)
    promise(
        "two banks interleaved (hypothesis): sequences that saw the other", f"0 of {EXAMPLES}", "0", kept=True
    )
