"""`make prove`: the long proofs, one after the other, and a table of what was promised and what was measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    os.environ["BANYAN_PROVE"] = "1"
    from tests.prove import table

    words = sys.argv[1:]
    chosen = [] if any(not word.startswith("-") for word in words) else [str(TESTS)]
    sys.exit(pytest.main([*chosen, "-m", "prove or rule", "-n0", "-q", *words], plugins=[table]))
