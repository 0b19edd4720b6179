"""What a name is found by: the tokens of the search table, and its sort key. Pure; shared with search.

Lower case, at most 64 characters, unprefixed: two-character shingles of Chinese runs, words, full pinyin,
pinyin syllables' initials. Prefixed tokens ("#", "t:", "x:", "a:") stand in customers.models.SearchToken.
"""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache

# Read character by character below, so its 47,000 phrases would cost every process a fifth of a second for nothing.
os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")

from pypinyin import Style, lazy_pinyin

LONGEST = 64
_HAN_RUN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_WORD = re.compile(r"[a-z0-9]+")
# Endings that every company's name has: they would find everybody.
_COMMON = frozenset(
    {"有限", "限公", "公司", "责任", "任公", "股份", "份有", "限责", "ltd", "co", "inc", "llc", "the"}
)


# What stands behind a company's own name: nobody types it when looking for the company.
_LEGAL_FORM = re.compile(r"(?:股份|责任)?有限(?:责任)?公司$|(?:集团)?公司$")


@lru_cache(maxsize=30_000)
def _syllable(character: str) -> str:
    """Pinyin of one character without tone, ü as v; the character itself when it has none."""
    return lazy_pinyin(character, style=Style.NORMAL)[0].lower()


def _plain(text: str) -> str:
    """Lower case, full-width forms folded, accents dropped."""
    if text.isascii() or _HAN_RUN.fullmatch(text):
        return text.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).lower())
    return "".join(c for c in folded if not unicodedata.combining(c))


def name_tokens(name: str) -> set[str]:
    """Everything a name can be found by with an exact match.

    张伟明 -> 张伟, 伟明, zhangweiming, zhang, wei, ming, zwm; "Client 12" -> client, 12, client12.
    """
    plain = _plain(name)
    tokens: set[str] = set()
    for run in _HAN_RUN.findall(plain):
        tokens.update(run[i : i + 2] for i in range(len(run) - 1))
        if len(run) == 1:
            tokens.add(run)
        syllables = [_syllable(character) for character in run]
        tokens.add("".join(syllables)[:LONGEST])
        tokens.add("".join(s[0] for s in syllables)[:LONGEST])
        own = len(_LEGAL_FORM.sub("", run))
        if 1 < own < len(run):  # a company without its legal form: 新浜纸业有限公司 is found by xbzy
            tokens.add("".join(syllables[:own])[:LONGEST])
            tokens.add("".join(s[0] for s in syllables[:own])[:LONGEST])
        if len(run) <= 4:  # a person: each syllable; a company would be found by every "gong" and "si"
            tokens.update(syllables)
            tokens.update("".join(syllables[i : i + 2]) for i in range(len(run) - 1))
    words = _WORD.findall(plain)
    tokens.update(word[:LONGEST] for word in words)
    if 1 < len(words) <= 6:
        tokens.add("".join(words)[:LONGEST])
    return tokens - _COMMON


def sort_key(name: str) -> str:
    """Pinyin order key: Chinese by syllables, everything else lower case; at most 200 characters."""
    plain = _plain(name.strip())
    if plain.isascii():
        return plain[:200]
    parts = [_syllable(c) + " " if _HAN_RUN.match(c) else c for c in plain]
    return "".join(parts).strip()[:200]
