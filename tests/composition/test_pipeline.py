"""The night's steps: all of them, in an order that each can rely on."""

from __future__ import annotations

import pytest

from crm_site.lib.registry import STEPS
from crm_site.pipeline import NIGHTLY


def before(name: str) -> set[str]:
    """The steps that are over when one begins."""
    asked = STEPS[f"nightly:{name}"].after
    return set(asked).union(*map(before, asked))


def test_the_list_is_the_whole_night_in_order() -> None:
    assert set(NIGHTLY) == {step.name for step in STEPS if step.pipeline == "nightly"}
    for place, name in enumerate(NIGHTLY):
        assert before(name) <= set(NIGHTLY[:place]), f"{name} stands before what it waits for"


@pytest.mark.parametrize("name", ["lines", "ratings", "cases", "revaluations", "warnings", "worklists"])
def test_tasks_are_given_out_when_it_is_settled_whose_customer_it_is(name: str) -> None:
    assert "placement" in before(name)
