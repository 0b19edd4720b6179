"""A company's statements, their faults and ratios."""

from __future__ import annotations

from dataclasses import dataclass

from credit_rating.engine.ratios import Fault, RatioValue, check_statements, compute_ratios
from credit_rating.models import Statement
from crm_site.lib.permissions import Actor
from customers.models import Customer

KEPT_YEARS = 5


def statements_of(actor: Actor, customer: Customer) -> list[Statement]:
    """The newest statements, newest first."""
    found = Statement.objects.visible_to(actor).filter(customer=customer).select_related("entered_by")
    return list(found.order_by("-year")[:KEPT_YEARS])


@dataclass(frozen=True, slots=True)
class Finances:
    """Three years side by side: statements newest first, what is wrong with them, ratios by year."""

    statements: list[Statement]
    faults: list[Fault]
    ratios: list[tuple[str, list[RatioValue]]]

    @property
    def years(self) -> list[int]:
        return [s.year for s in self.statements]


def finances_of(actor: Actor, customer: Customer, years: int = 3) -> Finances:
    """The newest years of a company with their checks and ratios (code, values newest first)."""
    every = statements_of(actor, customer)
    figures = {s.year: s.amounts for s in every}
    shown = every[:years]
    by_year = [compute_ratios(figures, s.year) for s in shown]
    rows = [(cells[0].ratio.code, list(cells)) for cells in zip(*by_year, strict=True)]
    wanted = {s.year for s in shown}
    faults = [f for f in check_statements(figures) if f.year in wanted]
    return Finances(shown, faults, rows)
