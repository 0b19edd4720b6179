"""The nightly pipeline in order. Each app registers its steps in AppConfig.ready(); here is the whole of it.

feeds -> balances -> arrears -> tiers -> churn -> placement -> worklists -> summaries
"""

from __future__ import annotations

NIGHTLY = (
    "feeds",
    "balances",
    "arrears",
    "tiers",
    "churn",
    "placement",
    "worklists",
    "summaries",
)
