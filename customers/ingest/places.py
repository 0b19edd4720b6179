"""Organisation, staff and contacts: how they land."""

from __future__ import annotations

from crm_site.accounts.services import renumber_tree
from customers.ingest.columns import Bad
from customers.ingest.landing import LANDINGS, Counts, Landing, land_rows


def land_organisation(landing: Landing) -> Counts:
    """Units in their tree: parents known or in this delivery, no unit below itself, one head office."""
    root_id, root_code = landing.rows(
        "SELECT id, code FROM accounts_orgunit WHERE bank_id = %(bank)s AND parent_id IS NULL"
    )[0]
    _check_head_office(landing, root_id)
    _check_tree(landing, root_code)
    total = landing.count_part()
    updated = landing.update_changed()
    inserted = landing.insert_new(extra={"parent_id": str(int(root_id))})
    counts = Counts(inserted=inserted, updated=updated, unchanged=total - inserted - updated)
    moved = landing.rows(
        """
        UPDATE accounts_orgunit t SET parent_id = coalesce(u.id, %(root)s)
        FROM part p LEFT JOIN accounts_orgunit u ON u.bank_id = %(bank)s AND u.code = p.parent
        WHERE t.bank_id = %(bank)s AND t.id = p.id AND t.id <> %(root)s
          AND (p.parent IS NOT NULL OR t.parent_id IS NULL)
          AND t.parent_id IS DISTINCT FROM coalesce(u.id, %(root)s)
        RETURNING p.n, p.found_id IS NOT NULL
        """,
        root=root_id,
    )
    only_moved = {n for n, stood in moved if stood} - landing.updated
    counts.updated += len(only_moved)
    counts.unchanged -= len(only_moved)
    renumber_tree()
    return counts


def _check_head_office(landing: Landing, root_id: int) -> None:
    """A delivered head office is the bank's own, under whatever code it comes; a second one is refused."""
    delivered = landing.rows("SELECT n, found_id FROM part WHERE kind = 'head_office' ORDER BY n")
    for index, (n, found) in enumerate(delivered):
        if index or found not in (None, root_id):
            landing.reject([(n, "kind", Bad("head_office"))])
        elif found is None:
            landing.run(
                "UPDATE part SET found_id = %(root)s, id = %(root)s, parent = NULL WHERE n = %(n)s",
                root=root_id,
                n=n,
            )
            landing.run(
                "UPDATE accounts_orgunit t SET code = p.code FROM part p "
                "WHERE p.n = %(n)s AND t.bank_id = %(bank)s AND t.id = %(root)s",
                root=root_id, n=n,
            )  # fmt: skip
    demoted = landing.rows(
        "SELECT n FROM part WHERE found_id = %(root)s AND kind IS DISTINCT FROM 'head_office'", root=root_id
    )
    landing.reject((n, "kind", Bad("head_office")) for (n,) in demoted)


def _check_tree(landing: Landing, root_code: str) -> None:
    """Reject units with an unknown parent or below themselves, and what hangs on them in this delivery."""
    known = dict(
        landing.rows(
            """
            SELECT t.code, u.code FROM accounts_orgunit t
            LEFT JOIN accounts_orgunit u ON u.bank_id = t.bank_id AND u.id = t.parent_id WHERE t.bank_id = %(bank)s
            """
        )
    )
    wanted = {code: (n, parent) for n, code, parent in landing.rows("SELECT n, code, parent FROM part")}
    while True:
        tree = known | {code: parent or known.get(code) for code, (_n, parent) in wanted.items()}
        bad = []
        for code, (n, parent) in wanted.items():
            if parent is not None and parent not in tree:
                bad.append((code, n, Bad("unknown_reference", what="branch")))
            elif _is_circular(code, tree):
                bad.append((code, n, Bad("cycle")))
        if not bad:
            return
        landing.reject((n, "parent", reason) for _code, n, reason in bad)
        for code, _n, _reason in bad:
            del wanted[code]


def _is_circular(code: str, tree: dict[str, str | None]) -> bool:
    seen = {code}
    above = tree.get(code)
    while above is not None:
        if above in seen:
            return True
        seen.add(above)
        above = tree.get(above)
    return False


def land_staff(landing: Landing) -> Counts:
    """People. Who has left can no longer sign in from the day after."""
    counts = land_rows(landing)
    landing.run(
        """
        UPDATE accounts_staff t SET is_active = (t.left_date IS NULL OR t.left_date >= %(business_date)s)
        FROM part p WHERE t.bank_id = %(bank)s AND t.id = p.id AND t.left_date IS NOT NULL
          AND t.is_active <> (t.left_date >= %(business_date)s)
        """
    )
    return counts


def land_interactions(landing: Landing) -> Counts:
    """Contacts keep their author: a known staff number links the person, the name stays as delivered."""
    landing.run(
        """
        ALTER TABLE part ADD author_id bigint
        """
    )
    landing.run(
        """
        UPDATE part p SET author_id = s.id, author_name = coalesce(p.author_name, s.name)
        FROM accounts_staff s WHERE s.bank_id = %(bank)s AND s.number = p.author
        """
    )
    landing.run("UPDATE part SET author_name = author WHERE author_name IS NULL AND author_id IS NULL")
    total = landing.count_part()
    extra = [("author_id", "p.author_id")] if landing.is_given(landing.feed.column("author")) else []
    updated = landing.update_changed(extra=extra)
    inserted = landing.insert_new(extra={"author_id": "p.author_id"})
    landing.run(
        """
        UPDATE customers_standing s SET last_contact_date = x.day
        FROM (SELECT p.customer_id, max((p.at AT TIME ZONE b.timezone)::date) AS day
              FROM part p JOIN accounts_bank b ON b.id = %(bank)s
              WHERE p.at <= %(received_at)s GROUP BY 1) x
        WHERE s.bank_id = %(bank)s AND s.customer_id = x.customer_id
          AND (s.last_contact_date IS NULL OR s.last_contact_date < x.day)
        """
    )
    return Counts(inserted=inserted, updated=updated, unchanged=total - inserted - updated)


def register() -> None:
    """Enter how these feeds land."""
    LANDINGS["organisation"] = land_organisation
    LANDINGS["staff"] = land_staff
    LANDINGS["interactions"] = land_interactions
