"""The proofs of `make prove`: left out of `make test`; what they measure is printed as one table (table.py)."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("BANYAN_PROVE") else ["test_*.py"]
