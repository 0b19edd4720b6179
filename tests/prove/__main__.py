"""`make prove`: the long proofs, one after the other, and a table of what was promised and what was measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    os.environ["BANYAN_PROVE"] = "1"
    sys.exit(pytest.main([str(HERE), "-m", "prove", "-n0", "-q", *sys.argv[1:]]))
