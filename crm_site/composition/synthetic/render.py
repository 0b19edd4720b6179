"""A chunk of the synthetic book as COPY streams. Runs in a process of its own beside the loading one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm_site.composition.synthetic import words
from crm_site.composition.synthetic.book import Book, make_chunk
from crm_site.composition.synthetic.holdings import ACCOUNT_KINDS
from crm_site.composition.synthetic.ledger import Ints
from crm_site.composition.synthetic.organisation import make_organisation
from crm_site.composition.synthetic.parties import Columns
from crm_site.composition.synthetic.plan import CHUNK, Plan
from crm_site.lib.crypto import Vault, mask
from customers.identifiers import PERSON_PHONE, person_phone_row
from customers.tokens import name_tokens, sort_key

POSTGRES_EPOCH = 10_957  # 2000-01-01 in days since 1970
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TYPES = {"i2": 2, "i4": 4, "i8": 8}


@dataclass(frozen=True)
class BankKeys:
    """What the rendering process needs to protect identifiers like any other way in."""

    bank_id: int
    bank_code: str
    wrapped: bytes
    master: bytes

    def vault(self) -> Vault:
        return Vault.open(
            bank_id=self.bank_id, bank_code=self.bank_code, wrapped=self.wrapped, master=self.master
        )


@dataclass(frozen=True)
class Ids:
    """Ids taken from the database's sequences, and those of units, staff and products by position."""

    customers: Ints
    accounts: Ints
    loans: Ints
    units: Ints
    staff: Ints
    products: Ints


@dataclass(frozen=True)
class Stream:
    """One table's rows: text (tab-separated) or binary, for the columns of `target`."""

    name: str
    rows: int
    data: bytes
    is_binary: bool = False


def ids_needed(plan: Plan, index: int) -> tuple[int, int, int]:
    """Upper bounds of customers with prospects, accounts and loans in a chunk."""
    size = min(CHUNK, plan.customers - index * CHUNK)
    return size + size // 20 + 2, 2 * size + 100, size // 2 + 100


def render_chunk(plan: Plan, index: int, ids: Ids, keys: BankKeys) -> list[Stream]:
    """The streams of chunk `index`, in the order in which they must be loaded."""
    org = make_organisation(plan)
    book = make_chunk(plan, org, index)
    vault = keys.vault()
    seen: dict[int, list[str]] = {}
    streams = [
        _identifiers(book, ids, vault, seen),
        _phones(book, ids, vault, seen),
        _tokens(book, ids, seen),
        *_plain(book, ids, plan.day),
        _people(book, ids, vault),
        _ledger(book, ids),
        _entries(book, ids),
    ]
    return [_customers(book, ids), *streams]


def _text(columns: Iterable[Sequence[str]], name: str) -> Stream:
    """Rows of text COPY; the values hold neither tabs, line ends nor backslashes of their own."""
    rows = list(map("\t".join, zip(*columns, strict=True)))
    return Stream(name, len(rows), ("\n".join(rows) + "\n").encode() if rows else b"")


def _number(values: Ints) -> list[str]:
    return list(map(str, values.tolist()))


def _or_null(values: Ints) -> list[str]:
    """Ids and counts; below one is NULL."""
    return ["\\N" if v < 1 else str(v) for v in values.tolist()]


def _date(values: Ints) -> list[str]:
    """Dates from days since 1970; 0 is NULL."""
    texts = values.astype("datetime64[D]").astype(str).tolist()
    return ["\\N" if v == 0 else t for v, t in zip(values.tolist(), texts, strict=True)]


def _flag(values: Iterable[Any]) -> list[str]:
    return ["t" if v else "f" for v in values]


def _mapped(ids: Ints, positions: Any) -> Ints:
    """Ids at positions; position -1 is 0 (NULL)."""
    at = np.asarray(positions)
    return np.where(at < 0, 0, ids[at.clip(0)])


def _customers(book: Book, ids: Ids) -> Stream:
    c = book.customers
    last = np.zeros(len(c["number"]), np.int64)
    contacts = book.tables["contacts"]
    np.maximum.at(last, contacts["customer"], contacts["minute"] // 1440)
    columns = [
        _number(ids.customers[: len(last)]), c["number"], c["kind"], _flag(c["is_prospect"]), c["name"],
        list(map(sort_key, c["name"])), c["status"], _date(c["birth_date"]), _date(c["founded_date"]), c["gender"],
        c["industry"], c["size"], _or_null(c["employees"]), _date(c["customer_since"]), _flag(c["is_related_party"]),
        _flag(c["is_excluded"]), c["occupation"], c["family_note"], c["experience_note"],
        c["preference_note"], c["needs_note"],
        _or_null(_mapped(ids.units, c["home_branch"])), _or_null(_mapped(ids.units, c["opening_branch"])),
        _or_null(_mapped(ids.staff, c["responsible"])), _or_null(_mapped(ids.staff, c["won_by"])), _date(last),
    ]  # fmt: skip
    return _text(columns, "customer")


def _identifiers(book: Book, ids: Ids, vault: Vault, seen: dict[int, list[str]]) -> Stream:
    numbers = book.customers["number"]
    rows = []
    own = ids.customers.tolist()
    for at, scheme, value in zip(
        book.identifiers["customer"].tolist(),
        book.identifiers["scheme"],
        book.identifiers["value"],
        strict=True,
    ):
        digest = vault.blind_index(scheme, value).hex()
        sealed = vault.encrypt(value, place="identifier.value", row=f"{numbers[at]}|{scheme}").hex()
        seen.setdefault(at, []).append(f"x:{digest}")
        rows.append(f"{own[at]}\t{scheme}\t\\\\x{sealed}\t\\\\x{digest}\t{mask(value)}\n")
    return Stream("identifier", len(rows), "".join(rows).encode())


def _phones(book: Book, ids: Ids, vault: Vault, seen: dict[int, list[str]]) -> Stream:
    numbers = book.customers["number"]
    rows = []
    own = ids.customers.tolist()
    for at, position, value in zip(
        book.phones["customer"].tolist(), book.phones["position"].tolist(), book.phones["value"], strict=True
    ):
        digest = vault.blind_index("phone", value).hex()
        sealed = vault.encrypt(value, place="contactpoint.value", row=f"{numbers[at]}|phone|{position}").hex()
        seen.setdefault(at, []).extend((f"x:{digest}", f"t:{value[-4:]}"))
        rows.append(
            f"{own[at]}\t{position}\t\\\\x{sealed}\t\\\\x{digest}\t{mask(value, head=6)}\t{value[-4:]}\n"
        )
    return Stream("phone", len(rows), "".join(rows).encode())


def _tokens(book: Book, ids: Ids, seen: dict[int, list[str]]) -> Stream:
    for owner, number in zip(book.accounts["owner"].tolist(), book.accounts["number"], strict=True):
        seen.setdefault(owner, []).append(f"a:{number}")
    lines: list[str] = []
    for at, (own, name, number) in enumerate(
        zip(ids.customers.tolist(), book.customers["name"], book.customers["number"], strict=False)
    ):
        found = name_tokens(name)
        found.add(f"#{number.lower()}")
        found.update(seen.get(at, ()))
        lines.extend(f"{token}\t{own}\n" for token in found)
    lines.sort()  # in the order of the index that is the largest
    return Stream("token", len(lines), "".join(lines).encode())


def _plain(book: Book, ids: Ids, day: int) -> list[Stream]:
    a, t, loans = book.accounts, book.tables, book.loans
    own = ids.customers
    account, loan = ids.accounts[: len(a["owner"])], ids.loans[: len(loans.customer)]
    if len(account) < len(a["owner"]) or len(loan) < len(loans.customer):
        raise ValueError("more accounts or loans than ids: see ids_needed")
    unit = np.asarray(book.customers["home_branch"])
    late = np.where(loans.overdue_since > 0, day - loans.overdue_since, 0)
    return [
        _text(
            [_number(own[book.addresses["customer"]]), book.addresses["kind"], book.addresses["region"],
             book.addresses["line"]], "address",
        ),
        _text(
            [_number(account), a["number"], _number(own[a["owner"]]), _number(ids.products[a["product"]]),
             _number(ids.units[a["unit"]]), [ACCOUNT_KINDS[k] for k in a["kind"].tolist()], a["currency"],
             _date(a["opened"]), _date(a["closed"]), _date(a["maturity"]), list(map(str, a["rate"].tolist()))], "account",
        ),
        _text(
            [_number(account[book.holders["account"]]), _number(own[book.holders["customer"]]), book.holders["role"]],
            "holder",
        ),
        _text(
            [_number(loan), [f"L{i}" for i in loan.tolist()], _number(own[loans.customer]),
             _number(ids.products[loans.product]), _or_null(_mapped(ids.units, unit[loans.customer])),
             _number(loans.amount), _number(loans.outstanding), _date(loans.granted), _date(loans.maturity),
             _date(loans.closed), list(map(str, loans.rate.tolist())), loans.purpose,
             ["repaid" if c else "active" for c in loans.closed.tolist()], _number(loans.overdue), _number(late)], "loan",
        ),
        _text(
            [_number(loan[loans.balance_loan]), _date(loans.balance_date), _number(loans.balance_outstanding),
             _number(loans.balance_overdue), _date(loans.balance_since)], "loanbalance",
        ),
        _text([_number(loan[loans.due_loan]), _date(loans.due_date), _number(loans.due_amount)], "instalment"),
        _text(
            [_number(own[t["cards"]["customer"]]), _number(account[t["cards"]["account"]]), t["cards"]["reference"],
             t["cards"]["number_tail"], _number(ids.products[t["cards"]["product"]]), _date(t["cards"]["issued"]),
             _date(t["cards"]["expires"]), _date(t["cards"]["closed"])], "card",
        ),
        _text(
            [_number(account[t["orders"]["account"]]), t["orders"]["reference"], _number(t["orders"]["amount"]),
             t["orders"]["to_bank"], t["orders"]["to_account"], t["orders"]["purpose"]], "order",
        ),
        _text(
            [_number(own[t["holdings"]["customer"]]), t["holdings"]["reference"],
             _number(ids.products[t["holdings"]["product"]]), _date(t["holdings"]["date"]),
             _number(t["holdings"]["value"]), _date(t["holdings"]["maturity"])], "holding",
        ),
        _text(
            [_number(own[t["fees"]["customer"]]), t["fees"]["reference"], _number(ids.products[t["fees"]["product"]]),
             _date(t["fees"]["date"]), _number(t["fees"]["amount"])], "fee",
        ),
        _text(
            [_number(own[t["relations"]["customer"]]), _number(own[t["relations"]["other"]]), t["relations"]["kind"],
             ["\\N" if s is None else str(s) for s in t["relations"]["share"]], t["relations"]["note"]], "relation",
        ),
        _contacts(t["contacts"], ids),
    ]  # fmt: skip


def _contacts(c: Columns, ids: Ids) -> Stream:
    said = [words.CONTACTS[w] for w in c["what"].tolist()]
    at = (c["minute"] * 60).astype("datetime64[s]").astype(str).tolist()
    return _text(
        [_number(ids.customers[c["customer"]]), c["reference"], [s[0] for s in said], [f"{t}+00" for t in at],
         _or_null(_mapped(ids.staff, c["staff"])), [s[1] for s in said], [s[2] for s in said], [s[3] for s in said],
         _date(c["promise_date"])], "contact",
    )  # fmt: skip


def _people(book: Book, ids: Ids, vault: Vault) -> Stream:
    p, numbers = book.tables["people"], book.customers["number"]
    sealed = [
        f"\\\\x{vault.encrypt(phone, place=PERSON_PHONE, row=person_phone_row(numbers[at], sent)).hex()}"
        if phone
        else "\\N"
        for at, phone, sent in zip(p["customer"].tolist(), p["phone"], p["submission"], strict=True)
    ]
    return _text(
        [_number(ids.customers[p["customer"]]), p["name"], p["post"], p["title"], p["roles"], sealed,
         [mask(phone, head=6) if phone else "" for phone in p["phone"]], _or_null(_mapped(ids.customers, p["party"])),
         _date(p["from_date"]), _date(p["left_date"]), p["submission"]], "person",
    )  # fmt: skip


def _binary(columns: list[tuple[str, NDArray[Any]]], name: str) -> Stream:
    """Rows of binary COPY from fixed-width columns ("i4" for dates, "i8", "i2")."""
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for i, (kind, _values) in enumerate(columns):
        fields += [(f"l{i}", ">i4"), (f"v{i}", f">{kind}")]
    count = len(columns[0][1])
    rows = np.empty(count, np.dtype(fields))
    rows["count"] = len(columns)
    for i, (kind, values) in enumerate(columns):
        rows[f"l{i}"] = _TYPES[kind]
        rows[f"v{i}"] = values
    return Stream(name, count, b"".join((_HEADER, rows.tobytes(), b"\xff\xff")), is_binary=True)


def _ledger(book: Book, ids: Ids) -> Stream:
    ledger = book.ledger
    return _binary(
        [
            ("i8", ids.accounts[ledger.account]),
            ("i4", ledger.date - POSTGRES_EPOCH),
            ("i8", ledger.balance),
            ("i8", ledger.positive),
            ("i8", ledger.negative),
        ],
        "ledger",
    )


def _entries(book: Book, ids: Ids) -> Stream:
    entries = book.entries
    return _binary(
        [
            ("i8", ids.accounts[entries.account]),
            ("i4", entries.date - POSTGRES_EPOCH),
            ("i8", entries.amount),
            ("i2", entries.kind + 1),
            ("i2", entries.channel + 1),
            ("i2", entries.party),
            ("i2", entries.number),
        ],
        "entry",
    )
