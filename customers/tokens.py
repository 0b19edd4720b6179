"""What a customer is found by: tokens for customers_searchtoken, and the pinyin key that lists sort by.

Pure functions, shared by every way in (ingest, edits, the synthetic bank). All tokens are lower case.

| token | of | weight |
|---|---|---|
| `王建国` | the whole name, up to 12 characters | 9 |
| `王建`, `建国` | every two neighbouring Chinese characters of the name | 3 |
| `acme` | words of Latin letters and digits in the name | 5 |
| `wangjianguo` | the whole name in pinyin | 8 |
| `hengtai` | two neighbouring syllables of an organisation's name | 2 |
| `wjg` | initials; for an organisation also from each of its first eight characters on | 6, 2 |
| `#10000001` | customer number | 10 |
| `t:4321` | last four digits of a phone | 4 |
| `x:<hex>` | blind index of an identifier or a phone | 10 |
| `a:<number>` | account number | 10 |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pypinyin import Style, lazy_pinyin

LONGEST = 64
_HAN = re.compile(r"[\u3400-\u9fff]+")
_LATIN = re.compile(r"[^\W_\u3400-\u9fff]+")
# Readings of family names that differ from the commonest reading of the character.
_SURNAMES = {
    "单": "shan", "曾": "zeng", "仇": "qiu", "解": "xie", "任": "ren", "查": "zha", "区": "ou", "朴": "piao",
    "盖": "ge", "缪": "miao", "乐": "yue", "翟": "zhai", "华": "hua", "尹": "yin", "尉": "wei", "洗": "xian",
    "召": "shao", "折": "she", "重": "chong", "黑": "he", "秘": "bi", "冼": "xian", "员": "yun", "种": "chong",
    "覃": "qin", "葛": "ge", "宁": "ning", "盛": "sheng", "石": "shi", "沈": "shen",
}  # fmt: skip
LONGEST_PERSON = 4


@lru_cache(maxsize=20_000)
def _reading(character: str) -> str:
    return "".join(lazy_pinyin(character, style=Style.NORMAL, errors="ignore")).lower()


def syllables(han: str) -> list[str]:
    """Pinyin syllables of Chinese text without tones; a short text is read as a person's name."""
    if len(han) > LONGEST_PERSON:
        return [s.lower() for s in lazy_pinyin(han, style=Style.NORMAL, errors="ignore")]
    first = _SURNAMES.get(han[:1]) or _reading(han[:1])
    return [first, *map(_reading, han[1:])]


def sort_key(name: str) -> str:
    """The key that lists sort names by: pinyin syllables, then the name itself (200 characters at most)."""
    parts: list[str] = []
    for piece in re.findall(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+", name):
        parts.extend(syllables(piece) if _HAN.match(piece) else [piece.lower()])
    return f"{' '.join(parts)} {name}".strip()[:200]


def name_tokens(name: str) -> dict[str, int]:
    """Tokens of a name and their weights."""
    found: dict[str, int] = {}

    def put(token: str, weight: int) -> None:
        token = token[:LONGEST]
        if found.get(token, -1) < weight:
            found[token] = weight

    for word in _LATIN.findall(name):
        put(word.lower(), 5)
    for han in _HAN.findall(name):
        read = syllables(han)
        initials = "".join(s[:1] for s in read)
        put(han[:12], 9)
        for i in range(len(han) - 1):
            put(han[i : i + 2], 3)
        put("".join(read), 8)
        put(initials, 6)
        if len(han) > LONGEST_PERSON:
            for i in range(len(read) - 1):
                put(read[i] + read[i + 1], 2)
            for i in range(1, min(8, len(read) - 1)):
                put(initials[i:], 2)
    return found


def tokens_for(
    name: str,
    number: str,
    *,
    phones: Iterable[str] = (),
    blind_indexes: Iterable[bytes] = (),
    accounts: Iterable[str] = (),
) -> dict[str, int]:
    """Every token of a customer and its weight. `phones` are in full (E.164): only their tails are kept."""
    found = name_tokens(name)
    found[f"#{number.lower()}"[:LONGEST]] = 10
    for phone in phones:
        digits = re.sub(r"\D", "", phone)
        if len(digits) >= 4:
            found[f"t:{digits[-4:]}"] = 4
    for digest in blind_indexes:
        found[f"x:{bytes(digest).hex()}"] = 10
    for account in accounts:
        found[f"a:{account.lower()}"[:LONGEST]] = 10
    return found
