"""Search over everything the reader may see (A8): tokens, intersected and ranked.

Tokens are read with `=`; a word of letters also as the beginning of a token, by a range ("acm" to just before
"acn"): both are leakproof and served by the token's index. Digits are never a beginning: a number names one customer.

At most three statements: the customers, why each was found, and, for an exact identifier that is out of sight,
the card that the customer exists.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from crm_site.accounts.banks import vault_of
from crm_site.lib.permissions import Actor, may
from customers.identifiers import phone_e164, recognise
from customers.models import Customer, SearchToken, Standing
from customers.models.standing import VALUE_TIERS
from customers.tokens import name_tokens, sort_key

MOST = 20
RANKED = 60  # the richest that fit are ranked by how well they fit
SHORTEST_BEGINNING = 2  # letters
LAST_CHARACTER = "\U0010ffff"
LONGEST_TERM = 64
MOST_TERMS = 6
_HAN = re.compile(r"[\u3400-\u9fff]+")
_NUMBER = re.compile(r"[\d\-]{4,40}")


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a query: `alternatives`, each a set of tokens that must all be there.

    A token of `beginnings` may go on: with "acm", a customer with the token acme fits.
    """

    text: str
    alternatives: tuple[tuple[str, ...], ...]
    beginnings: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hit:
    """A customer found. `why`: name, pinyin, number, phone, identifier or account; `matched`: the words typed."""

    id: int
    name: str
    number: str
    kind_label: str
    value_tier: str
    is_prospect: bool
    responsible: str
    home_branch: str
    why: str
    matched: tuple[str, ...]
    weight: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A customer with this very identifier exists outside the reader's rows; who is responsible, nothing more."""

    customer_id: int
    responsible: str
    home_branch: str


@dataclass(frozen=True, slots=True)
class Found:
    hits: Sequence[Hit]
    is_cut: bool  # more than MOST fit
    is_short: bool  # too little was typed to look for
    elsewhere: Elsewhere | None


def search_customers(actor: Actor, text: str) -> Found:
    """Customers that fit every word of the text, best first, as far as the actor may see them."""
    terms, identifiers = _terms(actor, text)
    if not terms:
        return Found([], is_cut=False, is_short=bool(text.strip()), elsewhere=None)
    found = Standing.objects.visible_to(actor)
    for term in terms:
        found = found.filter(_fits(term))
    rows = list(
        found.select_related("customer", "responsible", "home_branch").order_by(
            "-deposits_adb", "-customer_id"
        )[:RANKED]
    )
    known: dict[int, set[str]] = {}
    if rows:
        wanted = Q()
        for term in terms:
            wanted |= _any_of({token for tokens in term.alternatives for token in tokens}, term.beginnings)
        matches = SearchToken.objects.filter(wanted, customer__in=[row.customer_id for row in rows])
        for customer_id, token in matches.values_list("customer_id", "token"):
            known.setdefault(customer_id, set()).add(token)
    hits = [_hit(row, terms, known.get(row.customer_id, set())) for row in rows]
    hits.sort(key=lambda hit: -hit.weight)
    elsewhere = None
    if not rows and identifiers and may(actor, "customer.locate"):
        elsewhere = _elsewhere(identifiers)
    return Found(hits[:MOST], is_cut=len(rows) > MOST, is_short=False, elsewhere=elsewhere)


def _terms(actor: Actor, text: str) -> tuple[list[Term], list[str]]:
    """The words of a query as tokens, and the tokens of exact identifiers among them."""
    whole = text.replace("\x00", "").strip()[:200]
    joined = re.sub(r"\s+", "", whole)
    pieces = [joined] if _NUMBER.fullmatch(joined) or recognise(whole) else _words(whole)
    terms, identifiers = [], []
    for piece in pieces[:MOST_TERMS]:
        term, exact = _term(actor, piece[:LONGEST_TERM])
        if term.alternatives:
            terms.append(term)
        identifiers.extend(exact)
    return terms, identifiers


def _words(text: str) -> list[str]:
    """The words of a query. A single letter goes on with the word before it: "zhang w" is the beginning zhangw."""
    words: list[str] = []
    for word in text.split():
        if len(word) == 1 and word.isascii() and word.isalpha() and words and words[-1].isascii():
            words[-1] += word
        else:
            words.append(word)
    return words


def _term(actor: Actor, piece: str) -> tuple[Term, list[str]]:
    word = unicodedata.normalize("NFKC", piece).lower()
    alternatives: list[tuple[str, ...]] = []
    exact: list[str] = []
    findable = name_tokens(word)  # without the endings that every company's name has
    shingles = [
        run[i : i + 2]
        for run in _HAN.findall(word)
        for i in range(len(run) - 1)
        if run[i : i + 2] in findable
    ]
    latin = re.findall(r"[^\W_\u3400-\u9fff]+", word)
    if shingles:
        alternatives.append((*shingles, *latin))
    elif latin and not _HAN.search(word) and (len(word) > 1 or word.isdigit()):
        alternatives.append((f"#{word}",))
        alternatives.append((f"a:{word}",))
        alternatives.append(tuple(latin))
        digits = re.sub(r"\D", "", word)
        if len(digits) == 4 and word.isdigit():
            alternatives.append((f"t:{digits}",))
        schemes = recognise(piece)
        phone = phone_e164(piece) if len(digits) >= 7 else None
        if schemes or phone:
            vault = vault_of(actor.bank_id)
            exact = [f"x:{vault.blind_index(scheme, value).hex()}" for scheme, value in schemes]
            alternatives.extend((token,) for token in exact)
            if phone:
                alternatives.append((f"x:{vault.blind_index('phone', phone).hex()}",))
    beginnings = frozenset(part for part in latin if len(part) >= SHORTEST_BEGINNING and part.isalpha())
    return Term(piece, tuple(alternatives), beginnings), exact


def _any_of(tokens: Collection[str], beginnings: Collection[str]) -> Q:
    """Rows of the token table with one of these tokens, or with one that goes on after a beginning."""
    found = Q(token__in=[token for token in tokens if token not in beginnings])
    for token in tokens:
        if token in beginnings:
            found |= Q(token__gte=token, token__lt=token + LAST_CHARACTER)
    return found


def _fits(term: Term) -> Q:
    condition = Q()
    single = [tokens[0] for tokens in term.alternatives if len(tokens) == 1]
    if single:
        condition = Q(Exists(_tokens().filter(_any_of(single, term.beginnings))))
    for tokens in term.alternatives:
        if len(tokens) > 1:
            every = Q()
            for token in tokens:
                every &= Q(Exists(_tokens().filter(_any_of([token], term.beginnings))))
            condition = condition | every if single or condition else every
    return condition


def _tokens() -> QuerySet[SearchToken]:
    return SearchToken.objects.filter(customer=OuterRef("customer"))


# How a token found its customer, and how much that says: numbers name one customer, a shingle names many.
_KINDS = {"#": ("number", 10), "a": ("account", 10), "x": ("identifier", 10), "t": ("phone", 4)}


def _why(term: Term, known: set[str], name: str) -> tuple[str, int]:
    """The best reason why a term fits a customer with these tokens."""
    best = ("name", 0)
    typed, plain = term.text.lower(), name.lower()
    for tokens in term.alternatives:
        if not all(_has(known, token, term.beginnings) for token in tokens):
            continue
        token = tokens[0]
        if token[0] == "#" or token[1:2] == ":":
            reason = _KINDS[token[0]]
        elif typed in plain:
            reason = ("name", 9 if typed == plain else 7 if plain.startswith(typed) else 5)
        else:
            syllables = sort_key(name).split()
            spellings = ("".join(syllables), "".join(syllable[0] for syllable in syllables))
            reason = (
                "pinyin",
                6 if typed in spellings else 4 if any(s.startswith(typed) for s in spellings) else 3,
            )
        best = max(best, reason, key=lambda pair: pair[1])
    return best


def _has(known: set[str], token: str, beginnings: Collection[str]) -> bool:
    return token in known or (token in beginnings and any(one.startswith(token) for one in known))


def _hit(standing: Standing, terms: Sequence[Term], known: set[str]) -> Hit:
    customer = standing.customer
    reasons = [_why(term, known, customer.name) for term in terms]
    return Hit(
        id=customer.pk,
        name=customer.name,
        number=customer.number,
        kind_label=str(customer.get_kind_display()),
        value_tier=VALUE_TIERS.get(standing.value_tier, ""),
        is_prospect=customer.is_prospect,
        responsible=standing.responsible.name if standing.responsible else "",
        home_branch=standing.home_branch.name if standing.home_branch else "",
        why=reasons[0][0],
        matched=tuple(term.text for term in terms),
        weight=sum(weight for _reason, weight in reasons),
    )


def _elsewhere(tokens: Sequence[str]) -> Elsewhere | None:
    """The one reading past `visible_to`: that a customer with this exact identifier exists, and whose it is."""
    match = (
        Customer.objects.filter(tokens__token__in=tokens)
        .select_related("responsible", "home_branch")
        .order_by("id")
        .first()
    )
    if match is None:
        return None
    return Elsewhere(
        match.pk,
        match.responsible.name if match.responsible else "",
        match.home_branch.name if match.home_branch else "",
    )
