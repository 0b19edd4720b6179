"""Pictures of the customer page: the balance chart's option and the graph of relations, both without styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unicodedata import east_asian_width

from django.urls import reverse
from django.utils.translation import gettext as _

from crm_site.accounts.banks import home_currency
from crm_site.lib import formats
from crm_site.lib.tenancy import require_bank
from customers.models.ties import SYMMETRIC
from customers.selectors.single import TrendPoint
from customers.selectors.ties import RelatedParty
from customers.ties import say_share

WIDTH = 420
TOP, ROW = 76, 46  # where the first parties stand, and how far below each other
BESIDE = 30  # from the trunk in the middle to a party
MOST_NODES = 10  # more than this is a table's work
MOST_TEXT = 22  # of a name or kind beside a party, in Latin letters; a Chinese one takes the room of two
MOST_NAME = 48  # of the customer's own name, which has the whole width


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
    """A party in the picture, with its name and its tie beside it. `x`, `y`: centre in the picture's own units; `side`:
    where the words stand ("start": to the right, "end": to the left, "middle": above)."""

    x: float
    y: float
    text: str
    side: str
    is_self: bool
    is_hidden: bool
    kind: str = ""
    url: str = ""

    @property
    def text_x(self) -> float:
        return self.x + {"start": 14, "end": -14, "middle": 0}[self.side]

    @property
    def text_y(self) -> float:
        return self.y - (20 if self.side == "middle" else 2)

    @property
    def kind_y(self) -> float:
        return self.y + 13


@dataclass(frozen=True, slots=True)
class Edge:
    """A line between two places; the arrow says which way a tie runs, where it does."""

    x1: float
    y1: float
    x2: float
    y2: float
    has_arrow: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """The customer on top of a trunk with its parties on both sides, so that no words meet: `drawn` of `parties`."""

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
    """The nearest parties beside the customer; None where there are none."""
    if not parties:
        return None
    ties: dict[int, list[RelatedParty]] = {}
    for party in parties:
        ties.setdefault(party.customer_id, []).append(party)
    shown = list(ties.items())[:MOST_NODES]
    middle, last = WIDTH / 2, TOP + ROW * ((len(shown) - 1) // 2)
    nodes = [Node(middle, 34, _short(name, MOST_NAME), "middle", is_self=True, is_hidden=False)]
    edges = [Edge(middle, 44, middle, last, has_arrow=False)]
    for position, (customer_id, group) in enumerate(shown):
        direction, side = (-1, "end") if position % 2 == 0 else (1, "start")
        x, y = middle + direction * BESIDE, TOP + ROW * (position // 2)
        first = group[0]
        url = reverse("customers:customer", args=[customer_id]) if first.name else ""
        text = _short(first.name, MOST_TEXT) or _("not yours to see")
        kind = _short(" · ".join(dict.fromkeys(filter(None, map(_words, group)))), MOST_TEXT + 2)
        nodes.append(Node(x, y, text, side, False, not first.name, kind, url))
        begin, end = middle, x - direction * 8
        if not first.is_from:
            begin, end = end, begin
        edges.append(Edge(begin, y, end, y, any(party.relation.kind not in SYMMETRIC for party in group)))
    return Graph(WIDTH, last + 30, len(shown), len(ties), nodes, edges)


def _words(party: RelatedParty) -> str:
    share = party.relation.share
    return f"{party.kind_label} {say_share(share)}" if share is not None else party.kind_label


def _short(name: str, most: int) -> str:
    """A name in the room of `most` Latin letters."""
    room = 0
    for place, letter in enumerate(name):
        room += 2 if east_asian_width(letter) in "WF" else 1
        if room > most:
            return f"{name[: place - 1]}…"
    return name
