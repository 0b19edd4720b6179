"""Pictures of the customer page: the balance chart's option and the graph of relations, both without styles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from crm_site.accounts.banks import home_currency
from crm_site.lib import formats
from crm_site.lib.tenancy import require_bank
from customers.models.ties import SYMMETRIC
from customers.selectors.single import TrendPoint
from customers.selectors.ties import RelatedParty
from customers.ties import say_share

WIDTH, HEIGHT = 420, 280
MOST_NODES = 10  # more than this is a table's work
FEW_NODES = 3  # so few stand apart: names have room


def trend_chart(points: Sequence[TrendPoint]) -> dict[str, Any] | None:
    """Deposits (area from zero) and loans (steps) over the month-ends; None where there is nothing to draw."""
    if not points:
        return None
    scale = formats.column_unit([amount for point in points for amount in (point.deposits, point.loans)])
    days = [formats.month(point.day) for point in points]
    columns: list[tuple[str, list[Decimal], dict[str, Any]]] = [
        (_("Deposits (ADB)"), [point.deposits for point in points], {"areaStyle": {}})
    ]
    if any(point.loans for point in points):
        columns.append((_("Loans"), [point.loans for point in points], {"step": "end"}))
    series = [
        {
            "type": "line",
            "name": name,
            "data": [float(round(amount / scale.divisor, 1)) for amount in amounts],
            "endLabel": {},
            **shape,
        }
        for name, amounts, shape in columns
    ]
    shown = [[formats.money_in(amount, scale) for amount in amounts] for _name, amounts, _shape in columns]
    return {
        "id": "customer-trend",
        "unit": formats.unit_name(scale, home_currency(require_bank())),
        "size": "short" if len(points) < 3 else "",
        "option": {
            "grid": {
                "left": 8, "right": 68, "top": 16, "bottom": 4,
                "outerBoundsMode": "same", "outerBoundsContain": "axisLabel",
            },
            "xAxis": {"type": "category", "data": days, "boundaryGap": False},
            "yAxis": {"type": "value", "min": 0},
            "series": series,
        },
        "legend": [name for name, _amounts, _shape in columns],
        "head": [_("Month"), *(name for name, _amounts, _shape in columns)],
        "rows": [list(row) for row in zip(days, *shown, strict=True)],
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """A party in the picture. `x`, `y`: centre in the picture's own units."""

    x: float
    y: float
    text: str
    is_self: bool
    is_hidden: bool
    url: str = ""

    @property
    def text_y(self) -> float:
        return self.y + 24


@dataclass(frozen=True, slots=True)
class Edge:
    """A tie from one node to another, with its word on the line; the arrow says which way it runs, where it does."""

    x1: float
    y1: float
    x2: float
    y2: float
    text: str
    text_x: float
    text_y: float
    has_arrow: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """The customer in the middle and its parties around it: `drawn` of `parties`."""

    width: int
    height: int
    drawn: int
    parties: int
    nodes: Sequence[Node]
    edges: Sequence[Edge]

    @property
    def hidden(self) -> int:
        """How many parties are not drawn."""
        return self.parties - self.drawn


def draw_relations(name: str, parties: Sequence[RelatedParty]) -> Graph | None:
    """The nearest parties around the customer; None where there are none."""
    if not parties:
        return None
    ties: dict[int, list[RelatedParty]] = {}
    for party in parties:
        ties.setdefault(party.customer_id, []).append(party)
    shown = list(ties.items())[:MOST_NODES]
    centre_x, centre_y = WIDTH / 2, HEIGHT / 2
    in_the_middle = 22 if len(shown) <= FEW_NODES else 12
    nodes = [Node(centre_x, centre_y, _short(name, in_the_middle), is_self=True, is_hidden=False)]
    edges = []
    for position, (customer_id, group) in enumerate(shown):
        angle = 2 * math.pi * position / len(shown) - math.pi / 2
        x, y = round(centre_x + 150 * math.cos(angle), 1), round(centre_y + 96 * math.sin(angle), 1)
        first = group[0]
        url = reverse("customers:customer", args=[customer_id]) if first.name else ""
        text = _short(first.name, in_the_middle if abs(x - centre_x) < 1 else 12) or _("not yours to see")
        nodes.append(Node(x, y, text, False, not first.name, url))
        words = " · ".join(dict.fromkeys(filter(None, (_words(party) for party in group))))
        has_arrow = any(party.relation.kind not in SYMMETRIC for party in group)
        begin, end = _apart((centre_x, centre_y), (x, y))
        if not first.is_from:
            begin, end = end, begin
        # Beside the name under the centre, so the flatter the line the further out.
        along = 0.5 + 0.25 * abs(math.cos(angle))
        text_x, text_y = centre_x + (x - centre_x) * along, centre_y + (y - centre_y) * along - 4
        edges.append(Edge(*begin, *end, words, round(text_x, 1), round(text_y, 1), has_arrow))
    return Graph(WIDTH, HEIGHT, len(shown), len(ties), nodes, edges)


def _words(party: RelatedParty) -> str:
    share = party.relation.share
    return f"{party.kind_label} {say_share(share)}" if share is not None else party.kind_label


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _apart(
    a: tuple[float, float], b: tuple[float, float], gap: float = 16
) -> tuple[tuple[float, float], ...]:
    """The line between two centres, shortened so that it ends at the circles' edges."""
    length = math.dist(a, b) or 1
    dx, dy = (b[0] - a[0]) / length * gap, (b[1] - a[1]) / length * gap
    return (round(a[0] + dx, 1), round(a[1] + dy, 1)), (round(b[0] - dx, 1), round(b[1] - dy, 1))
