"""Small drawings as SVG made of attributes: sparklines and bars, allowed under a policy without styles."""

from collections.abc import Sequence
from decimal import Decimal

Number = Decimal | int | float


def sparkline_points(
    values: Sequence[Number | None], width: int, height: int, *, from_zero: bool = False
) -> list[tuple[float, float]]:
    """Where the line runs, in a box of width × height; unknown months are skipped, not drawn as zero.

    The vertical range is that of the values themselves (or from zero, when the area under it is filled),
    with a margin of 3 for the stroke and the last dot. A flat line runs through the middle.
    """
    known = [(index, float(value)) for index, value in enumerate(values) if value is not None]
    if not known:
        return []
    low = min(0.0, *(value for _, value in known)) if from_zero else min(value for _, value in known)
    high = max(value for _, value in known)
    span = high - low
    step = (width - 6) / max(1, len(values) - 1)
    room = height - 6
    return [
        (
            round(3 + index * step, 1),
            round(3 + (room / 2 if not span else room * (1 - (value - low) / span)), 1),
        )
        for index, value in known
    ]


def share(value: Number | None, whole: Number | None, *, width: int = 100) -> float:
    """How much of `width` a value takes of the whole, between nothing and all of it."""
    if not value or not whole:
        return 0.0
    return round(max(0.0, min(1.0, float(value) / float(whole))) * width, 2)
