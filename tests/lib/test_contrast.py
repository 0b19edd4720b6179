"""Text reaches 4.5:1 on its ground, marks and field edges 3:1, in both themes (WCAG 2.2 AA)."""

from __future__ import annotations

import re

import pytest

from crm_site.lib.translations import ROOT

TOKENS = (ROOT / "static" / "css" / "tokens.css").read_text()

TEXT = [
    *((ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in ("bg", "surface", "surface-2")),
    *((ink, "act-soft") for ink in ("ink", "ink-2", "act-ink")),
    *(("act", ground) for ground in ("bg", "surface", "surface-2")),
    ("ink", "act-soft-2"),
    ("on-act", "act"),
    ("on-act", "act-hover"),
    ("watch", "surface"),
    ("watch", "watch-soft"),
    ("risk", "surface"),
    ("risk", "risk-soft"),
    ("ok", "surface"),
    ("ok", "ok-soft"),
    ("on-risk-fill", "risk-fill"),
    ("on-grave", "grave"),
    ("on-later-fill", "later-fill"),
    ("rail-ink", "rail"),
    ("rail-on", "rail-hi"),
    *((f"t-{tier}-ink", f"t-{tier}") for tier in ("high", "mid", "general")),
    ("w-black-gold-ink", "w-black-gold"),
    *(("w-pale", ground) for ground in ("w-diamond", "w-premier-platinum", "w-premier-gold")),
    ("w-deep", "w-platinum"),
    ("w-earth", "w-gold"),
    *(("w-pale", f"g-{grade}") for grade in ("aaa", "aa", "cc", "c", "d")),
    *((f"g-{grade}-ink", f"g-{grade}") for grade in ("a", "bbb", "bb", "b", "ccc")),
]
MARKS = [
    ("field", "surface"),
    *((mark, "surface") for mark in ("act", "watch-fill", "risk-fill", "c1", "c2", "c3", "c4")),
]


def _tokens(theme: str) -> dict[str, str]:
    """The colours of a theme: those of the light one where the dark one says nothing."""
    values: dict[str, str] = {}
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", TOKENS):
        if '"dark"' in selector and '"light"' not in selector and theme == "light":
            continue
        values |= dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6});", body))
    return values


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    channels = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _ratio(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme: str) -> None:
    tokens = _tokens(theme)
    weak = [
        f"{ink} on {ground}: {ratio:.2f} < {least}"
        for pairs, least in ((TEXT, 4.5), (MARKS, 3.0))
        for ink, ground in pairs
        if (ratio := _ratio(tokens[ink], tokens[ground])) < least
    ]
    assert not weak, weak
