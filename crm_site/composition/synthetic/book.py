"""A slice of the bank's book: customers and everything they have, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crm_site.composition.synthetic.contact_people import make_contact_people
from crm_site.composition.synthetic.holdings import (
    make_accounts,
    make_cards,
    make_fees,
    make_holdings,
    make_orders,
)
from crm_site.composition.synthetic.ledger import (
    Entries,
    Ledger,
    make_entries,
    make_ledger,
)
from crm_site.composition.synthetic.loans import Loans, make_loans
from crm_site.composition.synthetic.organisation import Organisation
from crm_site.composition.synthetic.parties import (
    Columns,
    make_addresses,
    make_contacts,
    make_identifiers,
    make_parties,
    make_phones,
    make_relations,
    place,
)
from crm_site.composition.synthetic.plan import CHUNK, PROSPECTS_PER_CUSTOMER, Plan


@dataclass
class Book:
    """One chunk. Tables are columns of equal length; `customer`, `other`, `account`, `loan` columns are positions
    within the chunk, `unit` and `staff` positions in the organisation, dates days since 1970 (0 = none)."""

    customers: Columns
    identifiers: Columns
    phones: Columns
    addresses: Columns
    accounts: Columns
    holders: Columns
    ledger: Ledger
    entries: Entries
    loans: Loans
    tables: dict[str, Columns] = field(default_factory=dict)


def make_chunk(plan: Plan, org: Organisation, index: int) -> Book:
    """Chunk `index` of the plan: the same for the same plan, whatever was made before."""
    rng = np.random.default_rng([plan.seed, 1000 + index])
    first = index * CHUNK
    real = min(CHUNK, plan.customers - first)
    prospects = round((first + real) * PROSPECTS_PER_CUSTOMER) - round(first * PROSPECTS_PER_CUSTOMER)
    who, customers = make_parties(rng, plan, org, first, real, prospects)
    loans = make_loans(rng, plan, who.kind[:real], who.wealth[:real], who.since[:real], who.birth[:real])
    accounts, columns, holders, fate = make_accounts(rng, plan, who, loans)
    place(rng, org, who, customers, loans, accounts, fate)
    ledger = make_ledger(rng, plan, accounts, fate)
    book = Book(
        customers=customers,
        identifiers=make_identifiers(rng, who, first),
        phones=make_phones(rng, who),
        addresses=make_addresses(rng, org, who),
        accounts=columns,
        holders=holders,
        ledger=ledger,
        entries=make_entries(rng, plan, accounts, ledger, who.kind),
        loans=loans,
    )
    book.tables["cards"] = make_cards(rng, plan, who, accounts, first)
    book.tables["orders"] = make_orders(rng, who, accounts, first)
    book.tables["holdings"] = make_holdings(rng, plan, who, fate, first)
    book.tables["fees"] = make_fees(rng, plan, who, first)
    book.tables["relations"] = make_relations(rng, who, customers)
    book.tables["contacts"] = make_contacts(rng, plan, who, fate, first)
    book.tables["people"] = make_contact_people(plan, index, customers, book.tables["relations"])
    return book
