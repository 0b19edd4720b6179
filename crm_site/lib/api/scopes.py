"""Scopes of the REST API: what a machine client may be given (docs/api.md)."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

SCOPES = {
    "customers:read": _("Read customers and what is derived of them"),
    "customers:write": _("Write customers, prospects and contacts"),
    "ingest:write": _("Deliver feeds"),
    "jobs:run": _("Start and read jobs"),
    "lines:control": _("Check, reserve and draw on credit lines"),
}
