"""A bank's rows are put back as they were, or removed, without weakening a guard for the application.

Guards (what is decided never changes, a case begins as a draft) and the record's triggers fire on every insert and delete.
For the one transaction that puts a bank back or removes it they stand aside, if the setting `app.moving` is on, and the
owner's columns of `accounts_bankmove` name this very transaction and the active bank. Only the owner writes those columns:
`banyan_begin_restore` for a bank that has no row in any table, and `remove_bank`, which runs as the owner. So the
application role cannot open a gate for a bank that lives. Decision record 0009.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.db import connections

GATE = "coalesce(current_setting('app.moving', true), '') = '' OR NOT banyan_moving()"

# `began` beside the transaction's number: another server, filled from this one's dump, counts its transactions anew.
FUNCTIONS = """
CREATE OR REPLACE FUNCTION banyan_moving() RETURNS boolean LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.accounts_bankmove
                   WHERE bank_id = nullif(current_setting('app.bank_id', true), '')::bigint
                     AND xact = pg_current_xact_id_if_assigned()::text::bigint AND began = now());
END $$;

CREATE OR REPLACE FUNCTION banyan_begin_restore(bank bigint, who text, total bigint, said text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tab regclass;
    filled boolean;
BEGIN
    IF bank IS DISTINCT FROM nullif(current_setting('app.bank_id', true), '')::bigint THEN
        RAISE insufficient_privilege USING MESSAGE = 'only the active bank is put back';
    END IF;
    FOR tab IN SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'bank_id'
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                 AND NOT a.attisdropped AND c.relname <> 'accounts_bankmove'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE bank_id = $1)', tab) INTO filled USING bank;
        IF filled THEN
            RAISE insufficient_privilege USING MESSAGE = format('bank %s has rows in %s: only an empty bank is put back', bank, tab);
        END IF;
    END LOOP;
    INSERT INTO public.accounts_bankmove (bank_id, code, name, kind, at, done_by, rows, detail, xact, began)
    SELECT b.id, b.code, b.name, 'restore', clock_timestamp(), left(who, 120), total, left(said, 200),
           pg_current_xact_id()::text::bigint, now()
    FROM public.accounts_bank b WHERE b.id = bank;
    IF NOT FOUND THEN RAISE insufficient_privilege USING MESSAGE = format('there is no bank %s', bank); END IF;
END $$;
"""

# Guards that fire on insert (4) or delete (8) and have no gate yet. The triggers that enforce keys keep doing so.
_GUARDS = """
select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
join pg_attribute a on a.attrelid = c.oid and a.attname = 'bank_id' join pg_proc p on p.oid = t.tgfoid
where not t.tgisinternal and c.relnamespace = 'public'::regnamespace and t.tgtype & 12 <> 0
and p.proname not in ('banyan_key_inserted', 'banyan_key_updated', 'banyan_parent_deleted')
and pg_get_triggerdef(t.oid) not like '%banyan_moving()%' and t.tgparentid = 0
"""
_WHEN = re.compile(r"^CREATE TRIGGER (.*?)(?: WHEN \((.*)\))? EXECUTE FUNCTION (.*)$", re.DOTALL)


def gated(definition: str) -> str:
    """The statement that makes a trigger anew, as pg_get_triggerdef says it, with the gate."""
    found = _WHEN.match(definition)
    if found is None:
        raise ValueError(f"not a trigger's definition: {definition}")
    head, condition, call = found.groups()
    when = f"({condition}) AND ({GATE})" if condition else GATE
    return f"CREATE OR REPLACE TRIGGER {head} WHEN ({when}) EXECUTE FUNCTION {call}"


def open_gates(sender: Any, using: str, **kwargs: Any) -> None:
    """post_migrate, as the owner: the functions, and the gate in every guard that has none."""
    connection = connections[using]
    if connection.settings_dict["USER"] == settings.APPLICATION_ROLE:
        return
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('accounts_bankmove') is not null")
        if not cursor.fetchone()[0]:
            return
        cursor.execute(FUNCTIONS)
        cursor.execute(_GUARDS)
        for (definition,) in cursor.fetchall():
            cursor.execute(gated(definition))
