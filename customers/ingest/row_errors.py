"""Why a row of a delivery did not land, by code: for pages, error files and docs/feeds.md."""

from __future__ import annotations

from django.utils.translation import gettext_noop

ROW_ERRORS = {
    "required": gettext_noop("A value is missing."),
    "too_long": gettext_noop("Longer than %(most)s characters."),
    "bad_text": gettext_noop("Contains characters that are not allowed here."),
    "formula": gettext_noop("A formula, not a value."),
    "bad_choice": gettext_noop("Not one of: %(choices)s."),
    "bad_date": gettext_noop("Not a date as YYYY-MM-DD."),
    "ambiguous_date": gettext_noop(
        "%(given)s: day or month first? Write 2026-01-31, 2026/1/31 or 2026年1月31日."
    ),
    "bad_datetime": gettext_noop("Not a time as ISO 8601."),
    "date_range": gettext_noop("The year must lie between 1900 and 2199."),
    "date_order": gettext_noop("The dates are in the wrong order."),
    "bad_number": gettext_noop("Not a number, or too large."),
    "bad_money": gettext_noop("More than two decimals."),
    "negative": gettext_noop("May not be negative."),
    "bad_boolean": gettext_noop("Neither true nor false."),
    "bad_currency": gettext_noop("Not a currency of ISO 4217."),
    "currency_decimals": gettext_noop("A currency with three decimals is not supported."),
    "bad_identifier": gettext_noop("Not the form of this identifier."),
    "bad_check_digit": gettext_noop("The check digit is wrong."),
    "bad_phone": gettext_noop("Not a telephone number."),
    "bad_email": gettext_noop("Not an e-mail address."),
    "bad_schedule": gettext_noop("Not a schedule of dates and amounts."),
    "unknown_reference": gettext_noop("No such %(what)s in this bank."),
    "duplicate": gettext_noop("The same key stands in line %(line)s already."),
    "unknown_field": gettext_noop("The feed has no such column."),
    "column_count": gettext_noop("%(given)s cells where the header has %(wanted)s."),
    "bad_json": gettext_noop("Not a JSON object."),
    "malformed_row": gettext_noop("The line cannot be read as CSV."),
    "already_customer": gettext_noop("This number is a customer already."),
    "cycle": gettext_noop("The unit would stand below itself."),
    "head_office": gettext_noop("There is one head office."),
    "same_customer": gettext_noop("A relation needs two customers."),
    "last_owner": gettext_noop("An account keeps its owner until another takes over."),
    "no_statement": gettext_noop("Only companies have statements, of a year from 1990 on."),
    "does_not_add_up": gettext_noop("The statement does not add up."),
    "beyond_balance": gettext_noop("The expected loss is greater than the balance."),
}
