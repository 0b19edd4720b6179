"""What a scorecard may say, as the typed tables that its page is drawn from, and the cards that come with a bank (C1).

An expert's card gives 0 to 100 points: a factor's weight is the most it can give. Bounds of a percentage are written
in per cent. A developed card's bins and points come from its sample; people name its factors and say where each
value comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from credit_rating.engine.cards import Card, CardBin, CardFactor, developed_card
from credit_rating.factors import ANSWER, GROUPS, ORIGINS, SOURCES, Source
from credit_rating.policies.shapes import HUNDRED, Body, Column, Shape, Table

EXPERT, DEVELOPED = "expert", "developed"
FULL = Decimal(100)


def _source_label(source: Source) -> str:
    return f"{ORIGINS[source.origin]}: {source.label}" if source.code != ANSWER else str(source.label)


def _columns(kind: str, *more: Column) -> tuple[Column, ...]:
    sources = [(s.code, _source_label(s)) for s in SOURCES.values() if kind in s.kinds]
    return (
        Column("code", gettext_lazy("Code")),
        Column("label_zh", gettext_lazy("Name in Chinese")),
        Column("label_en", gettext_lazy("Name in English")),
        Column("source", gettext_lazy("Source"), "choice", choices=sources),
        Column("group", gettext_lazy("Group"), "choice", choices=GROUPS),
        *more,
    )


_TITLES = (
    Column("title_zh", gettext_lazy("Name in Chinese")),
    Column("title_en", gettext_lazy("Name in English")),
)
_BINS = Table(
    "bins",
    gettext_lazy("Bins and points"),
    (
        Column("factor", gettext_lazy("Code")),
        Column("from", gettext_lazy("From"), "number", required=False),
        Column("values", gettext_lazy("Answers"), required=False),
        Column("points", gettext_lazy("Points"), "number", minimum=Decimal(0), maximum=FULL),
    ),
    key=("factor", "from", "values"),
    help=gettext_lazy(
        "a bin of numbers reaches from its bound to the next one; the lowest has none; answers are separated by commas"
    ),
)


def shape_of(kind: str, origin: str) -> Shape:
    """What a card of a kind of customers may say."""
    if origin == DEVELOPED:
        named = (Table("factors", gettext_lazy("Factors"), _columns(kind), key=("code",)),)
        return Shape("scorecard", gettext_lazy("Scorecard"), "", lambda _kind: {}, _TITLES, named)
    points = (
        Column("weight", gettext_lazy("Full points"), "number", minimum=Decimal(0), maximum=FULL),
        Column("neutral", gettext_lazy("Points when missing"), "number", minimum=Decimal(0), maximum=FULL),
    )
    tables = (
        Table("factors", gettext_lazy("Factors"), _columns(kind, *points), key=("code",), minimum=1),
        _BINS,
    )
    return Shape(
        "scorecard", gettext_lazy("Scorecard"), "", lambda _kind: {}, _TITLES, tables, check=_check_expert
    )


def _check_expert(body: Body) -> Mapping[str, str]:
    """Full points add up to 100, and each factor's bins fit its source and reach its full points."""
    faults: dict[str, str] = {}
    factors = body.tables["factors"]
    total = sum((f["weight"] for f in factors), Decimal(0))
    if total != FULL:
        faults["factors"] = _("Full points add up to %s; they must be 100.") % f"{total:f}"
    codes = {f["code"] for f in factors}
    for number, row in enumerate(body.tables["bins"]):
        if row["factor"] not in codes:
            faults[f"bins-{number}-factor"] = _("There is no such factor.")
    for number, factor in enumerate(factors):
        rows = [(i, r) for i, r in enumerate(body.tables["bins"]) if r["factor"] == factor["code"]]
        faults.update(_check_factor(number, factor, rows))
    return faults


def _check_factor(
    number: int, factor: Mapping[str, Any], rows: Sequence[tuple[int, Mapping[str, Any]]]
) -> Iterator[tuple[str, str]]:
    if not rows or max(r["points"] for _i, r in rows) != factor["weight"]:
        yield f"factors-{number}-weight", _("Its best bin must give exactly its full points.")
    if factor["neutral"] > factor["weight"]:
        yield f"factors-{number}-neutral", _("It must be at most %s.") % factor["weight"]
    source = SOURCES[factor["source"]]
    is_number = not any(r["values"] for _i, r in rows)
    known = {code for code, _label in source.choices}
    if not is_number:
        for i, r in rows:
            answers = split_answers(r["values"])
            if not answers or r["from"] is not None or (known and set(answers) - known):
                yield f"bins-{i}-values", _("These answers do not fit the source.")
        if source.code != ANSWER and source.is_number:
            yield f"factors-{number}-source", _("This source gives a number: its bins need bounds.")
        return
    if not source.is_number:
        yield f"factors-{number}-source", _("This source gives answers: its bins need answers.")
    bounds = [r["from"] for _i, r in rows]
    if rows and (bounds[0] is not None or None in bounds[1:]):
        yield f"bins-{rows[0][0]}-from", _("The first bin, and no other, has no bound.")
    elif any(low is not None and high <= low for low, high in pairwise(bounds)):
        yield f"bins-{rows[0][0]}-from", _("Bounds rise from bin to bin.")


def split_answers(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("，", ",").split(",") if part.strip())


def card_of(origin: str, body: Body, developed: Mapping[str, Any] | None) -> Card:
    """The tables that customers are scored by."""
    if origin == DEVELOPED:
        return developed_card(developed or {})
    return Card(tuple(_factor(f, body.tables["bins"]) for f in body.tables["factors"]))


def _factor(factor: Mapping[str, Any], every: Sequence[Mapping[str, Any]]) -> CardFactor:
    rows = [r for r in every if r["factor"] == factor["code"]]
    missing = CardBin("missing", factor["neutral"])
    if any(r["values"] for r in rows):
        found = tuple(CardBin("values", r["points"], values=split_answers(r["values"])) for r in rows)
        return CardFactor(factor["code"], False, (*found, missing))
    share = HUNDRED if SOURCES[factor["source"]].style == "percent" else Decimal(1)
    bounds = [None if r["from"] is None else r["from"] / share for r in rows]
    ranges = zip(rows, bounds, [*bounds[1:], None], strict=True)
    return CardFactor(
        factor["code"],
        True,
        (*(CardBin("range", r["points"], low, high) for r, low, high in ranges), missing),
    )


def in_language(row: Mapping[str, Any], name: str) -> str:
    """`name`_zh or `name`_en, as the reader's language asks."""
    zh, en = row.get(f"{name}_zh", ""), row.get(f"{name}_en", "")
    return str((zh or en) if (get_language() or "").startswith("zh") else (en or zh))
