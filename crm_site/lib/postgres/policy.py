"""The one text of row security. Never cast the column; never wrap the setting in a sub-select (Citus)."""

POLICY = "bank_id = nullif(current_setting('app.bank_id', true), '')::bigint"
