"""Customers and prospects: how they land, with what is derived from them in the same transaction.

Derived: sort key, encrypted identifiers and contact points, search tokens, addresses, the standing row. Only
what changed is encrypted and tokenised again: protected columns are staged as blind indexes and compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from crm_site.lib.crypto import mask
from customers.ingest.columns import Bad
from customers.ingest.landing import LANDINGS, SAME, Counts, Landing, differing
from customers.ingest.staging import blind_scheme
from customers.tokens import name_tokens, sort_key

# Weights of tokens: search ranks by the highest one met.
NAME_WEIGHT, EXACT_WEIGHT = 1, 3
IDENTIFIERS = ("resident_id", "uscc", "lei", "passport", "other_document")
CONTACTS = {"phone": ("phone", 1), "phone_2": ("phone", 2), "email": ("email", 1)}
_KIND_OF_ADDRESS = "CASE WHEN p.kind = 'corporate' THEN 'registered' ELSE 'home' END"


def land_parties(landing: Landing) -> Counts:
    is_prospect = landing.feed.name == "prospects"
    if is_prospect:
        _reject_customers(landing)
    total = landing.count_part()
    _names(landing)
    _remember_kinds(landing)
    updated = landing.update_changed(
        extra=_becoming(landing), source="part p LEFT JOIN names x USING (n)",
        also=", name_sort = coalesce(x.name_sort, t.name_sort)",
    )  # fmt: skip
    inserted = landing.insert_new(extra=_new_party(is_prospect), source="part p JOIN names x USING (n)")
    _standings(landing)
    _name_tokens(landing)
    touched = _secrets(landing) | _addresses(landing)
    landing.drop("names", "kinds_before")
    if landing.keep_changes and inserted:
        _note_new(landing)
    only_derived = _mark_changed(landing, touched - landing.updated)
    return Counts(
        inserted=inserted, updated=updated + only_derived, unchanged=total - inserted - updated - only_derived
    )


def _note_new(landing: Landing) -> None:
    """For undo: what new customers are reached by, so that a phone that somebody corrects later is not lost with them."""
    for table in ("customers_identifier", "customers_contactpoint", "customers_address"):
        landing.run(
            f"""
            INSERT INTO customers_rowchange (bank_id, batch_id, "table", row_id, before, after)
            SELECT %(bank)s, %(batch)s, %(table)s, t.id, NULL, to_jsonb(t)
            FROM part p JOIN {table} t ON t.bank_id = %(bank)s AND t.customer_id = p.id WHERE p.found_id IS NULL
            """,
            table=table,
        )


def _becoming(landing: Landing) -> list[tuple[str, str]]:
    """What a standing row gets beside the feed's columns: a delivered prospect becomes a customer."""
    return [] if landing.feed.name == "prospects" else [("is_prospect", "false")]


def same_party(landing: Landing) -> tuple[str, str]:
    """Tables and condition of the rows whose customer, identifiers, contact points and address are as delivered."""
    here = _stretch(landing)
    tables, equal = [f"AND t.id {here}"], [f"NOT ({differing([*landing.pairs(), *_becoming(landing)])})"]
    if landing.feed.name == "prospects":  # of a customer it is refused
        equal.append("t.is_prospect")
    protected: list[tuple[str, str, dict[str, object]]] = [
        (name, "customers_identifier", {"scheme": blind_scheme(name)}) for name in IDENTIFIERS
    ]
    protected += [
        (name, "customers_contactpoint", {"kind": k, "position": n}) for name, (k, n) in CONTACTS.items()
    ]
    for name, table, keys in protected:
        column = landing.feed.column(name)
        if landing.is_given(column):
            where = " AND ".join(f"i_{name}.{key} = '{value}'" for key, value in keys.items())
            tables.append(
                f"LEFT JOIN {table} i_{name} ON i_{name}.bank_id = %(bank)s AND i_{name}.customer_id = t.id AND {where}"
                f" AND i_{name}.customer_id {here}"
            )
            bit = 1 << landing.stager.slots[name]
            equal.append(f'(p.given & {bit} = 0 OR i_{name}.blind_index IS NOT DISTINCT FROM p."{name}")')
    places = [
        (landing.feed.column(name), f"a.{target}")
        for name, target in (("region", "region"), ("address", "line"))
    ]
    if any(landing.is_given(column) for column, _stands in places):
        tables.append(
            "LEFT JOIN customers_address a ON a.bank_id = %(bank)s AND a.customer_id = t.id"
            f" AND a.kind = {_KIND_OF_ADDRESS} AND a.customer_id {here}"
        )
        equal += [
            f"coalesce({landing.value(column, stands)}, '') = coalesce({stands}, '')"
            for column, stands in places
            if landing.is_given(column)
        ]
    return " ".join(tables), " AND ".join(equal)


def _stretch(landing: Landing) -> str:
    """Between which ids the standing customers of the staged rows lie, as a condition that the planner can weigh.

    Of a delivery in the order of the bank's numbers each part then reads a stretch of the customers and of what hangs on
    them, not all that a large bank has; of one in any other order it reads what it read before.
    """
    ((low, high),) = landing.rows("SELECT min(number), max(number) FROM stage")
    # Counted as well: for the ends alone the planner walks along the ids, past everybody who lies outside.
    ((first, last, count),) = landing.rows(
        "SELECT min(id), max(id), count(*) FROM customers_customer"
        " WHERE bank_id = %(bank)s AND number BETWEEN %(low)s AND %(high)s",
        low=low,
        high=high,
    )
    return f"BETWEEN {first:d} AND {last:d}" if count else "IS NULL"


def _mark_changed(landing: Landing, numbers: set[int]) -> int:
    """Standing customers of which only contacts, identifiers or the address changed have changed too."""
    if numbers:
        landing.run(
            """
            UPDATE customers_customer t SET changed_at = statement_timestamp() FROM part p
            WHERE t.bank_id = %(bank)s AND t.id = p.found_id AND p.n = ANY(%(numbers)s)
            """,
            numbers=list(numbers),
        )
    return len(numbers)


def _reject_customers(landing: Landing) -> None:
    rows = landing.rows(
        """
        SELECT p.n FROM part p JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = p.found_id
        WHERE NOT c.is_prospect
        """
    )
    landing.reject((n, "number", Bad("already_customer")) for (n,) in rows)


def _new_party(is_prospect: bool) -> dict[str, str]:
    """What a new customer gets beside the feed's columns: its first place is the queue of its branch."""
    values = {
        "is_prospect": "true" if is_prospect else "false",
        "name_sort": "x.name_sort",
        "home_branch_id": (
            "coalesce(p.branch_id, (SELECT o.id FROM accounts_orgunit o WHERE o.bank_id = %(bank)s "
            "AND o.parent_id IS NULL))"
        ),
    }
    for column in (
        "occupation",
        "employer",
        "family_note",
        "experience_note",
        "preference_note",
        "needs_note",
        "contact_language",
    ):
        values[column] = "''"
    if is_prospect:
        values |= {"status": "'active'", "is_related_party": "false", "is_excluded": "false"}
    else:
        values |= {"source": "''"}
    return values


def _names(landing: Landing) -> None:
    """names: the rows whose name is new or differs, with sort key, old name and the customer's id."""
    changed = landing.rows(
        """
        SELECT p.n, p.id, p.name, c.name FROM part p
        LEFT JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = p.found_id
        WHERE c.name IS DISTINCT FROM p.name
        """
    )
    landing.options["names"] = changed
    landing.copy(
        "names", "n integer, name_sort text", ((n, sort_key(name)) for n, _id, name, _old in changed)
    )
    landing.cursor.execute("ANALYZE names")


def _remember_kinds(landing: Landing) -> None:
    landing.run(
        """
        CREATE TEMP TABLE kinds_before ON COMMIT DROP AS
        SELECT p.id, p.kind FROM part p JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = p.found_id
        WHERE c.kind <> p.kind
        """
    )


def _standings(landing: Landing) -> None:
    """Every party has a standing row from the moment it is known; its kind follows the party's."""
    added = landing.run(
        """
        INSERT INTO customers_standing (bank_id, customer_id, kind, home_branch_id, responsible_id, deposits_adb,
            deposits_balance, loans, aum, overdue_amount, days_past_due, value_tier, wealth_level, churn_bp,
            adb_previous, deposits_13)
        SELECT %(bank)s, c.id, c.kind, c.home_branch_id, c.responsible_id, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, '{}'
        FROM part p JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = p.id
        WHERE p.found_id IS NULL
        """
    )
    landing.grown("customers_standing", added)
    landing.run(
        """
        UPDATE customers_standing s SET kind = k.kind FROM kinds_before k
        WHERE s.bank_id = %(bank)s AND s.customer_id = k.id
        """
    )


def _name_tokens(landing: Landing) -> None:
    """Tokens of new and changed names; of a changed name only those that differ."""
    changed = landing.options.pop("names")
    landing.copy("new_tokens", "customer_id bigint, token text, weight smallint", _added(changed))
    landing.copy("old_tokens", "customer_id bigint, token text", _gone(changed))
    landing.run(
        """
        DELETE FROM customers_searchtoken t USING old_tokens o
        WHERE t.bank_id = %(bank)s AND t.token = o.token AND t.customer_id = o.customer_id
        """
    )
    # In the order of the index that finds them; a new customer's name cannot meet a token that stands already.
    already = "ON CONFLICT (bank_id, token, customer_id) DO NOTHING" if any(row[3] for row in changed) else ""
    added = landing.run(
        f"""
        INSERT INTO customers_searchtoken (bank_id, customer_id, token, weight)
        SELECT %(bank)s, customer_id, token, weight FROM new_tokens ORDER BY token, customer_id {already}
        """
    )
    added += landing.run(
        """
        INSERT INTO customers_searchtoken (bank_id, customer_id, token, weight)
        SELECT %(bank)s, p.id, left('#' || lower(p.number), 64), 3 FROM part p WHERE p.found_id IS NULL
        """
    )
    landing.grown("customers_searchtoken", added)
    landing.drop("new_tokens", "old_tokens")


def _added(changed: list[tuple]) -> Iterator[tuple[int, str, int]]:
    for _n, customer, name, old in changed:
        tokens = name_tokens(name)
        if old:
            tokens -= name_tokens(old)
        for token in tokens:
            yield customer, token, NAME_WEIGHT


def _gone(changed: list[tuple]) -> Iterator[tuple[int, str]]:
    for _n, customer, name, old in changed:
        if old:
            for token in name_tokens(old) - name_tokens(name):
                yield customer, token


def _secrets(landing: Landing) -> set[int]:
    """Identifiers and contact points: encrypted, indexed and tokenised where they differ.

    Returns the numbers of the rows whose standing customer changed.
    """
    changed: set[int] = set()
    for name in IDENTIFIERS:
        column = landing.feed.column(name)
        if landing.is_given(column):
            changed |= _protect(
                landing, name, table="customers_identifier", place="identifier.value",
                keys={"scheme": blind_scheme(name)},
            )  # fmt: skip
    for name, (kind, position) in CONTACTS.items():
        if landing.is_given(landing.feed.column(name)):
            changed |= _protect(
                landing, name, table="customers_contactpoint", place="contactpoint.value",
                keys={"kind": kind, "position": position},
            )  # fmt: skip
    return changed


def masked(name: str, value: str) -> str:
    """What is shown of a protected value by default."""
    if name == "email":
        local, _at, domain = value.partition("@")
        return f"{local[0]}•••@{domain}"[:60]
    if name.startswith("phone"):
        return mask(value, head=6, tail=4)
    return mask(value)[:40]


def _protect(landing: Landing, name: str, *, table: str, place: str, keys: dict[str, object]) -> set[int]:
    """One protected column of the part into its table; numbers of the rows whose standing customer changed."""
    bit = 1 << landing.stager.slots[name]
    condition = " AND ".join(f"i.{key} = '{value}'" for key, value in keys.items())
    rows = landing.rows(
        f"""
        SELECT p.n, p.id, p.number, encode(i.blind_index, 'hex'), p."{name}" IS NULL, p.found_id IS NULL
        FROM part p LEFT JOIN {table} i ON i.bank_id = %(bank)s AND i.customer_id = p.found_id AND {condition}
        WHERE p.given & {bit} <> 0 AND i.blind_index IS DISTINCT FROM p."{name}"
        """
    )
    if not rows:
        return set()
    is_contact = table == "customers_contactpoint"
    suffix = "|".join(str(value) for value in keys.values())
    parse, vault, scheme = landing.stager.plain[name], landing.vault, blind_scheme(name)
    part = landing.part

    def sealed() -> Iterator[tuple]:
        for n, customer, number, _old, is_empty, _is_new in rows:
            if is_empty:
                continue
            value = parse(part.cell(n, name))
            tail = value[-4:] if name.startswith("phone") else ""
            cipher = vault.encrypt(value, place=place, row=f"{number}|{suffix}")
            yield n, customer, cipher, vault.blind_index(scheme, value), masked(name, value), tail

    landing.copy(
        "sealed",
        "n integer, customer_id bigint, value bytea, blind_index bytea, masked text, tail text",
        sealed(),
    )
    before = _before(landing, table, condition, [row[1] for row in rows if not row[5]])
    gone = [(customer, old) for _n, customer, _number, old, _empty, _new in rows if old is not None]
    if gone:
        _forget_tokens(landing, gone, table, condition, [c for _n, c, _no, o, e, _new in rows if e and o])
    names, values = ", ".join(keys), ", ".join(f"'{value}'" for value in keys.values())
    tail_name, tail_value, tail_set = (
        (", tail", ", s.tail", ", tail = excluded.tail") if is_contact else ("", "", "")
    )
    added = landing.run(
        f"""
        INSERT INTO {table} (bank_id, customer_id, {names}, value, blind_index, masked{tail_name}, source_as_of)
        SELECT %(bank)s, s.customer_id, {values}, s.value, s.blind_index, s.masked{tail_value},
               coalesce(p.told_at, %(received_at)s)
        FROM sealed s JOIN part p USING (n)
        ON CONFLICT (bank_id, customer_id, {names}) DO UPDATE
        SET value = excluded.value, blind_index = excluded.blind_index, masked = excluded.masked{tail_set},
            source_as_of = excluded.source_as_of
        """
    )
    landing.grown(table, added)
    tokens = "SELECT customer_id, 'x:' || encode(blind_index, 'hex') AS token FROM sealed"
    if is_contact:
        tokens += " UNION SELECT customer_id, 't:' || tail FROM sealed WHERE tail <> ''"
    landing.run(
        f"""
        INSERT INTO customers_searchtoken (bank_id, customer_id, token, weight)
        SELECT %(bank)s, customer_id, token, {EXACT_WEIGHT} FROM ({tokens}) x
        ON CONFLICT (bank_id, token, customer_id) DO NOTHING
        """
    )
    standing = {row[0]: row[1] for row in rows if not row[5]}
    if landing.keep_changes and standing:
        _note(landing, table, before, condition.replace("i.", "t."), list(standing.values()))
    landing.drop("sealed")
    return set(standing)


def _before(landing: Landing, table: str, condition: str, customers: list[int]) -> str:
    """For undo: the rows that are about to change, in a temporary table."""
    if landing.keep_changes:
        landing.drop("before_derived")
        landing.run(
            f"""
            CREATE TEMP TABLE before_derived ON COMMIT DROP AS SELECT i.id, to_jsonb(i) AS before FROM {table} i
            WHERE i.bank_id = %(bank)s AND i.customer_id = ANY(%(customers)s) AND {condition}
            """,
            customers=customers,
        )
    return "before_derived"


def _note(landing: Landing, table: str, before: str, condition: str, customers: list[int]) -> None:
    ids = ",".join(str(int(customer)) for customer in customers)
    landing.note_changes(table, before, f"t.customer_id IN ({ids}) AND {condition}")


def _forget_tokens(
    landing: Landing, gone: list[tuple[int, str]], table: str, condition: str, emptied: list[int]
) -> None:
    """Old values no longer find the customer, unless another of its values has the same token."""
    landing.run(
        """
        DELETE FROM customers_searchtoken t
        USING unnest(%(customers)s::bigint[], %(tokens)s::text[]) AS g (customer_id, token)
        WHERE t.bank_id = %(bank)s AND t.token = g.token AND t.customer_id = g.customer_id
        """,
        customers=[customer for customer, _old in gone],
        tokens=[f"x:{old}" for _customer, old in gone],
    )
    if table == "customers_contactpoint":
        customers = [customer for customer, _old in gone]
        landing.run(
            f"""
            DELETE FROM customers_searchtoken t USING {table} i
            WHERE i.bank_id = %(bank)s AND i.customer_id = ANY(%(customers)s) AND {condition} AND i.tail <> ''
              AND t.bank_id = %(bank)s AND t.token = 't:' || i.tail AND t.customer_id = i.customer_id
              AND NOT EXISTS (
                SELECT 1 FROM {table} o WHERE o.bank_id = %(bank)s AND o.customer_id = i.customer_id
                  AND o.id <> i.id AND o.tail = i.tail)
            """,
            customers=customers,
        )
    if emptied:
        landing.run(
            f"DELETE FROM {table} i WHERE i.bank_id = %(bank)s AND i.customer_id = ANY(%(emptied)s) AND {condition}",
            emptied=emptied,
        )


def _addresses(landing: Landing) -> set[int]:
    """The address a delivery gives: registered for a company, home for everyone else."""
    region, address = landing.feed.column("region"), landing.feed.column("address")
    if not (landing.is_given(region) or landing.is_given(address)):
        return set()
    bits = sum(1 << landing.stager.slots[name] for name in ("region", "address"))
    added = landing.run(
        f"""
        INSERT INTO customers_address (bank_id, customer_id, kind, region, line, source_as_of)
        SELECT %(bank)s, p.id, {_KIND_OF_ADDRESS},
               coalesce(p.region, ''), coalesce(p.address, ''), coalesce(p.told_at, %(received_at)s)
        FROM part p
        WHERE p.found_id IS NULL AND p.given & {bits} <> 0 AND coalesce(p.region, p.address) IS NOT NULL
        """
    )
    landing.grown("customers_address", added)
    landing.drop("moved")
    landing.run(
        f"""
        CREATE TEMP TABLE moved ON COMMIT DROP AS
        SELECT * FROM (
            SELECT p.n, p.id AS customer_id, k.kind, a.id, to_jsonb(a) AS before,
                   coalesce(p.told_at, %(received_at)s) AS told_at,
                   coalesce({landing.value(region, "a.region")}, '') AS region,
                   coalesce({landing.value(address, "a.line")}, '') AS line,
                   coalesce(a.region, '') AS old_region, coalesce(a.line, '') AS old_line
            FROM part p
            CROSS JOIN LATERAL (SELECT {_KIND_OF_ADDRESS} AS kind) k
            LEFT JOIN customers_address a ON a.bank_id = %(bank)s AND a.customer_id = p.id AND a.kind = k.kind
            WHERE p.found_id IS NOT NULL AND p.given & {bits} <> 0
        ) x
        WHERE ROW(region, line) IS DISTINCT FROM ROW(old_region, old_line)
        """
    )
    landing.run(
        """
        INSERT INTO customers_address (bank_id, customer_id, kind, region, line, source_as_of)
        SELECT %(bank)s, customer_id, kind, region, line, told_at FROM moved
        ON CONFLICT (bank_id, customer_id, kind) DO UPDATE
        SET region = excluded.region, line = excluded.line, source_as_of = excluded.source_as_of
        """
    )
    if landing.keep_changes:
        landing.drop("before_derived")
        landing.run(
            "CREATE TEMP TABLE before_derived ON COMMIT DROP AS SELECT id, before FROM moved WHERE id IS NOT NULL"
        )
        landing.note_changes(
            "customers_address",
            "before_derived",
            "(t.customer_id, t.kind) IN (SELECT customer_id, kind FROM moved)",
        )
    return {n for (n,) in landing.rows("SELECT n FROM moved")}


def register() -> None:
    """Enter how these feeds land."""
    for feed in ("customers", "prospects"):
        LANDINGS[feed], SAME[feed] = land_parties, same_party
