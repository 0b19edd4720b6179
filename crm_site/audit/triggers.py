"""Row changes record themselves: one statement-level trigger function on every audited table.

Installed after each migrate, as the owner, on every tenant model whose `audited` is not False and on the
sign-in library's tables that decide who may come in.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections

from crm_site.lib.postgres.moving import GATE
from crm_site.lib.tenancy import TenantModel

BULK = 1000
# table -> columns whose values must not be written down
SECRETS = {
    "accounts_staff": ("password", "last_login"),
    "mfa_authenticator": ("data", "last_used_at"),
    "allauth_idp_oidc_client": ("secret",),
}

# No nested loops: a session keeps the plan of its first change, often of one row, and would then compare each old row
# with each new one (2,400 tasks cancelled: 8 s instead of 0.5). OFFSET 0: a row becomes JSON once, not for each mention of
# it, and a column is looked up in it rather than joined (86,000 tasks cancelled: 7.2 s before, 3.9 after).
FUNCTION = """
CREATE OR REPLACE FUNCTION banyan_audit() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp SET enable_nestloop = off AS $$
DECLARE
    who jsonb := coalesce(nullif(current_setting('app.actor', true), ''), '{"kind": "system", "label": "-"}')::jsonb;
    bank bigint := nullif(current_setting('app.bank_id', true), '')::bigint;
    secret text[] := TG_ARGV;
    stamp timestamptz := clock_timestamp();
    number bigint;
    touched bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO touched FROM new_rows;
        IF touched = 0 THEN RETURN NULL; END IF;
        IF touched > %(bulk)s THEN
            PERFORM banyan_ensure_month('audit_entry', stamp::date);
            number := banyan_record_tx();
            EXECUTE format('INSERT INTO audit_entry (bank_id, at, tx, actor_kind, actor_id, actor_label, address,
                request_id, run_id, action, object_table, changes, reason)
                SELECT $1, $2, $4, $3->>''kind'', ($3->>''id'')::bigint,
                left(coalesce($3->>''label'', ''-''), 120), left(coalesce($3->>''address'', ''''), 64),
                coalesce($3->>''request'', ''''), ($3->>''run'')::bigint, ''insert'', %%L,
                jsonb_build_object(''rows'', count(*), ''first_id'', min(id), ''last_id'', max(id)),
                left(coalesce($3->>''reason'', ''''), 200) FROM new_rows', TG_TABLE_NAME) USING bank, stamp, who, number;
            RETURN NULL;
        END IF;
        PERFORM banyan_ensure_month('audit_entry', stamp::date);
        number := banyan_record_tx();
        INSERT INTO audit_entry (bank_id, at, tx, actor_kind, actor_id, actor_label, address, request_id, run_id,
            action, object_table, object_id, customer_id, changes, reason)
        SELECT bank, stamp, number, who->>'kind', (who->>'id')::bigint,
            left(coalesce(who->>'label', '-'), 120), left(coalesce(who->>'address', ''), 64),
            coalesce(who->>'request', ''), (who->>'run')::bigint, 'insert', TG_TABLE_NAME,
            banyan_key(r), banyan_customer_of(TG_TABLE_NAME, r),
            (SELECT jsonb_object_agg(key, CASE WHEN key = ANY (secret) THEN '"(secret)"'::jsonb ELSE value END)
             FROM jsonb_each(r) WHERE value <> 'null'::jsonb AND value <> '""'::jsonb AND key <> 'bank_id'),
            left(coalesce(who->>'reason', ''), 200)
        FROM (SELECT to_jsonb(n) AS r FROM new_rows n OFFSET 0) rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO touched FROM old_rows;
        IF touched = 0 THEN RETURN NULL; END IF;
        PERFORM banyan_ensure_month('audit_entry', stamp::date);
        number := banyan_record_tx();
        INSERT INTO audit_entry (bank_id, at, tx, actor_kind, actor_id, actor_label, address, request_id, run_id,
            action, object_table, object_id, customer_id, changes, reason)
        SELECT bank, stamp, number, who->>'kind', (who->>'id')::bigint,
            left(coalesce(who->>'label', '-'), 120), left(coalesce(who->>'address', ''), 64),
            coalesce(who->>'request', ''), (who->>'run')::bigint, 'delete', TG_TABLE_NAME,
            banyan_key(r), banyan_customer_of(TG_TABLE_NAME, r),
            (SELECT jsonb_object_agg(key, CASE WHEN key = ANY (secret) THEN '"(secret)"'::jsonb ELSE value END)
             FROM jsonb_each(r) WHERE value <> 'null'::jsonb AND key <> 'bank_id'),
            left(coalesce(who->>'reason', ''), 200)
        FROM (SELECT to_jsonb(o) AS r FROM old_rows o OFFSET 0) rows;
    ELSE
        SELECT count(*) INTO touched FROM new_rows;
        IF touched = 0 THEN RETURN NULL; END IF;
        PERFORM banyan_ensure_month('audit_entry', stamp::date);
        number := banyan_record_tx();
        INSERT INTO audit_entry (bank_id, at, tx, actor_kind, actor_id, actor_label, address, request_id, run_id,
            action, object_table, object_id, customer_id, changes, reason)
        SELECT bank, stamp, number, who->>'kind', (who->>'id')::bigint,
            left(coalesce(who->>'label', '-'), 120), left(coalesce(who->>'address', ''), 64),
            coalesce(who->>'request', ''), (who->>'run')::bigint, 'update', TG_TABLE_NAME,
            banyan_key(pair.n), banyan_customer_of(TG_TABLE_NAME, pair.n), diff.changes,
            left(coalesce(who->>'reason', ''), 200)
        FROM (SELECT to_jsonb(o) AS o, to_jsonb(n) AS n FROM old_rows o JOIN new_rows n ON n.id = o.id OFFSET 0) pair
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(a.key, CASE WHEN a.key = ANY (secret) THEN '["(secret)", "(secret)"]'::jsonb
                                    ELSE jsonb_build_array(a.value, pair.n -> a.key) END) AS changes
            FROM jsonb_each(pair.o) a
            WHERE a.value <> pair.n -> a.key AND a.key <> 'last_login' AND a.key <> 'last_used_at'
              AND a.key <> 'changed_at') diff
        WHERE diff.changes IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;
"""

AHEAD = (
    "select banyan_ensure_month('audit_entry', (now() + make_interval(months => n))::date) "
    "from generate_series(0, 2) n"
)
# The number of a transaction in the record, which goes on growing when its bank is put back on a younger server.
KEYS = """
CREATE OR REPLACE FUNCTION banyan_record_tx() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN pg_current_xact_id()::text::bigint + coalesce((SELECT record_shift FROM public.accounts_bank
        WHERE id = nullif(current_setting('app.bank_id', true), '')::bigint), 0);
END $$;

CREATE OR REPLACE FUNCTION banyan_key(r jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(r->'id') = 'number' THEN (r->>'id')::bigint END
$$;

CREATE OR REPLACE FUNCTION banyan_customer_of(tab text, r jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN tab = 'customers_customer' THEN (r->>'id')::bigint
                WHEN tab = 'customers_account' THEN (r->>'owner_id')::bigint
                ELSE (r->>'customer_id')::bigint END
$$;
"""


def audited_tables() -> list[str]:
    """Tables whose changes record themselves, in order of name."""
    own = [
        model._meta.db_table
        for model in apps.get_models()
        if issubclass(model, TenantModel) and model.audited and model._meta.managed
    ]
    return sorted({*own, *SECRETS})


def install_triggers(sender: Any, using: str, **kwargs: Any) -> None:
    """post_migrate, as the owner: (re)create the function and the triggers of every audited table."""
    connection = connections[using]
    if connection.settings_dict["USER"] == settings.APPLICATION_ROLE:
        return
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('audit_entry') is not null")
        if not cursor.fetchone()[0]:
            return
        cursor.execute(KEYS)
        cursor.execute(FUNCTION.replace("%(bulk)s", str(BULK)).replace("%%", "%"))
        cursor.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        )
        present = {row[0] for row in cursor.fetchall()}
        for table in audited_tables():
            if table not in present:
                continue
            secret = ", ".join(f"'{column}'" for column in SECRETS.get(table, ()))
            for event, transition, when in (
                ("INSERT", "NEW TABLE AS new_rows", f"WHEN ({GATE})"),
                ("UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows", ""),
                ("DELETE", "OLD TABLE AS old_rows", f"WHEN ({GATE})"),
            ):
                name = quote(f"audit_{event.lower()}")
                cursor.execute(
                    f"CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {quote(table)} REFERENCING {transition} "
                    f"FOR EACH STATEMENT {when} EXECUTE FUNCTION banyan_audit({secret})"
                )
