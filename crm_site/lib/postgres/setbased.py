"""Foreign keys of tables that a run fills by the hundred thousand: checked once a statement, not once a row.

PostgreSQL's own check is a query for every row that is written, which cost a night more than the rows themselves.
The key stays in the catalogue as NOT ENFORCED, so whoever asks what refers to what still learns it; three triggers
enforce it. They run as whoever writes, under row security, so another bank's parent is as good as absent.
Decision record 0007.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

FUNCTIONS = """
CREATE OR REPLACE FUNCTION banyan_key_inserted() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    orphan text;  -- arguments: column, parent, key of the parent
BEGIN
    EXECUTE format('SELECT n.%1$I::text FROM new_rows n WHERE n.%1$I IS NOT NULL AND NOT EXISTS (
        SELECT FROM %2$I p WHERE p.bank_id = n.bank_id AND p.%3$I = n.%1$I) LIMIT 1', TG_ARGV[0], TG_ARGV[1], TG_ARGV[2])
        INTO orphan;
    IF orphan IS NOT NULL THEN
        RAISE foreign_key_violation USING MESSAGE = format('%s of %s refers to no row of %s: %s', TG_ARGV[0],
            TG_TABLE_NAME, TG_ARGV[1], orphan), TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[0];
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION banyan_key_updated() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    given bigint := (to_jsonb(NEW) ->> TG_ARGV[0])::bigint;
    found_one boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I p WHERE p.bank_id = $1 AND p.%I = $2)', TG_ARGV[1], TG_ARGV[2])
        INTO found_one USING NEW.bank_id, given;
    IF given IS NOT NULL AND NOT found_one THEN
        RAISE foreign_key_violation USING MESSAGE = format('%s of %s refers to no row of %s: %s', TG_ARGV[0],
            TG_TABLE_NAME, TG_ARGV[1], given), TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[0];
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION banyan_parent_deleted() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    orphan text;  -- arguments: child, its column, key of the parent
BEGIN
    EXECUTE format('SELECT o.%3$I::text FROM old_rows o WHERE EXISTS (
        SELECT FROM %1$I c WHERE c.bank_id = o.bank_id AND c.%2$I = o.%3$I) LIMIT 1', TG_ARGV[0], TG_ARGV[1], TG_ARGV[2])
        INTO orphan;
    IF orphan IS NOT NULL THEN
        RAISE foreign_key_violation USING MESSAGE = format('%s %s is still referred to by %s of %s', TG_TABLE_NAME,
            orphan, TG_ARGV[1], TG_ARGV[0]), TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
"""

Quote = Callable[[str], str]


def guards(q: Quote, key: str, child: str, column: str, parent: str, parent_column: str) -> Iterator[str]:
    """The statements that make the triggers of the constraint `key`."""
    yield FUNCTIONS
    to_parent = f"('{column}', '{parent}', '{parent_column}')"
    yield (
        f"CREATE TRIGGER {q(key + '_i')} AFTER INSERT ON {q(child)} REFERENCING NEW TABLE AS new_rows"
        f" FOR EACH STATEMENT EXECUTE FUNCTION banyan_key_inserted{to_parent}"
    )
    yield (
        f"CREATE TRIGGER {q(key + '_u')} AFTER UPDATE OF bank_id, {q(column)} ON {q(child)} FOR EACH ROW"
        f" WHEN ((OLD.bank_id, OLD.{q(column)}) IS DISTINCT FROM (NEW.bank_id, NEW.{q(column)}))"
        f" EXECUTE FUNCTION banyan_key_updated{to_parent}"
    )
    yield (
        f"CREATE TRIGGER {q(key + '_d')} AFTER DELETE ON {q(parent)} REFERENCING OLD TABLE AS old_rows"
        f" FOR EACH STATEMENT EXECUTE FUNCTION banyan_parent_deleted('{child}', '{column}', '{parent_column}')"
    )


def unguard(q: Quote, key: str, child: str, parent: str) -> Iterator[str]:
    """The statements that drop them."""
    for suffix, table in (("_i", child), ("_u", child), ("_d", parent)):
        yield f"DROP TRIGGER IF EXISTS {q(key + suffix)} ON {q(table)}"
