"""Reads of credit lines: the list with its filters, one line with its ledger, and what the API answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, Sum

from credit_rating.models import CreditLine, CreditPolicy, LineEntry, LineEvent, LineStatus, Reservation
from credit_rating.policies import SHAPES, Body, read
from credit_rating.selectors.policies import policy_on
from crm_site.lib.permissions import Actor

PAGE = 50
SUBJECT = "line_control"


def control_policy(day: dt.date) -> Body:
    """How lines are controlled on a day; the defaults in a bank that was founded before the policy was known."""
    try:
        return policy_on(SUBJECT, day).body
    except CreditPolicy.DoesNotExist:
        shape = SHAPES[SUBJECT]
        return read(shape, shape.default(""))
