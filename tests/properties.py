"""Properties of rules that have an oracle: checked on a few random cases in `make test`, on many in `make prove`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

PROFILE = "prove" if os.environ.get("BANYAN_PROVE") else "test"
# Fixtures are made once for all examples of a property; each puts back what it changed.
_COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
settings.register_profile("test", _COMMON)
settings.register_profile("prove", _COMMON, database=None)
settings.load_profile(PROFILE)


def rule(name: str, *, few: int = 100, many: int) -> Callable[[Any], Any]:
    """Marks a property of rule `name`: `few` random cases in `make test`, `many` in `make prove` (put above @given)."""

    def decorate(test: Any) -> Any:
        size = settings(settings.get_profile(PROFILE), max_examples=many if PROFILE == "prove" else few)
        return pytest.mark.rule(name)(size(test))

    return decorate
