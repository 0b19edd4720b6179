"""How the feed of relations lands beside what staff have recorded (customers.services.ties).

A tie that the core delivers is the core's from then on; who recorded it first stays on record. What staff have recorded
and the core never delivered is not the core's to end: such a row counts as unchanged.
"""

from __future__ import annotations

from customers.ingest.landing import LANDINGS, Counts, Landing, land_rows, remove_ended
from customers.models.ties import SYMMETRIC


def land_relations(landing: Landing) -> Counts:
    """As plain rows, but `removed` takes the core's standing row away (a row that never stood: nothing to do)."""
    _meet_staff(landing)
    counts = remove_ended(landing, only="t.record_id IS NULL")
    counts.add(land_rows(landing, also=[("record_id", "NULL::bigint")]))
    return counts


def _meet_staff(landing: Landing) -> None:
    """Family and common control are the same whichever side the core names first: staff's row turns round for it."""
    turned = landing.rows(
        """
        UPDATE customers_relation t SET customer_id = t.other_id, other_id = t.customer_id
        FROM part p WHERE p.found_id IS NULL AND p.removed IS NOT TRUE AND p.kind = ANY(%(symmetric)s) AND t.bank_id = %(bank)s
            AND t.customer_id = p.other_id AND t.other_id = p.customer_id AND t.kind = p.kind
            AND t.record_id IS NOT NULL
        RETURNING p.n, t.id
        """,
        symmetric=list(SYMMETRIC),
    )
    if turned:
        landing.run(
            "UPDATE part p SET found_id = x.id, id = x.id FROM unnest(%(ns)s::bigint[], %(ids)s::bigint[]) AS x (n, id)"
            " WHERE p.n = x.n",
            ns=[n for n, _id in turned],
            ids=[key for _n, key in turned],
        )


def register() -> None:
    LANDINGS["relations"] = land_relations
