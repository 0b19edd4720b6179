"""Rows of the customer list as HTML. 50 rows are 500 cells: a template's loop takes ten times as long over them.

A column is a pattern and the values that go into it for a row; `format_html` escapes whatever is not markup.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm_site.lib import formats
from crm_site.lib.templatetags.banyan import sparkline
from customers.selectors.lists import CustomerRow

NONE = format_html('<span class="ink-3">{}</span>', formats.UNKNOWN)
NOTHING, WATCH, RISK, QUIET = (
    SafeString(""),
    SafeString(" is-watch"),
    SafeString(" is-risk"),
    SafeString(" ink-2"),
)
NONE_ON_DESK = format_html('<span class="ink-3 desk-only">{}</span>', formats.UNKNOWN)
PLAIN_LEVEL = "standard"  # the wealth level that nobody needs to be told of
ANY_ID = 0  # stands in an address for the customer's id


@dataclass(frozen=True)
class Page:
    """What all rows of one answer share: the unit of amounts, the working day, the reader's words."""

    scale: formats.Unit
    today: dt.date | None
    badges: dict[str, SafeString]

    @cached_property
    def words(self) -> Mapping[str, SafeString]:
        """Words that stand in patterns, by name."""
        return {
            "deposits": self._in_unit(_("Deposits")),
            "last_month": conditional_escape(_("On last month")),
            "balance": self._in_unit(_("Balance")),
            "loans": self._in_unit(_("Loans")),
            "overdue": self._in_unit(_("Overdue")),
            "churn": conditional_escape(pgettext("probability", "Churn")),
            "contact": conditional_escape(_("Last contact")),
        }

    def _in_unit(self, word: str) -> SafeString:
        """What stands before an amount where the table has no head (the phone): its unit stands there as well."""
        return conditional_escape(f"{word}, {self.scale.label}" if self.scale.label else word)

    @cached_property
    def prospect(self) -> SafeString:
        return format_html(' <span class="tag">{}</span>', _("Prospect"))

    @cached_property
    def in_queue(self) -> SafeString:
        return format_html('<span class="tag tag-watch">{}</span>', _("in the queue"))

    # Digits, signs and names of months: nothing in them needs escaping, but for what is less than the scale shows.

    def amount(self, value: Decimal) -> SafeString:
        return SafeString(formats.money_in(value, self.scale).replace("<", "&lt;").replace(">", "&gt;"))

    def amount_or_none(self, value: Decimal) -> SafeString:
        return self.amount(value) if value else NONE

    def day(self, value: dt.date | None) -> SafeString:
        return SafeString(formats.day(value, self.today))

    def badge(self, template: str, **given: str) -> SafeString:
        """A shared badge, rendered once for each value that the page shows."""
        (value,) = given.values()
        if value not in self.badges:
            self.badges[value] = render_to_string(template, given)
        return self.badges[value]


Values = Callable[[CustomerRow, Page], tuple[Any, ...]]


def _tier(row: CustomerRow, page: Page) -> tuple[Any, ...]:
    return (page.badge("_shared/badge_tier.html", tier=row.value_tier) if row.value_tier else NONE_ON_DESK,)


def _wealth(row: CustomerRow, page: Page) -> tuple[Any, ...]:
    if not row.wealth_level or row.wealth_level == PLAIN_LEVEL:
        return (NONE,)
    return (page.badge("_shared/badge_wealth.html", level=row.wealth_level),)


def _change(row: CustomerRow, page: Page) -> tuple[Any, ...]:
    return WATCH if row.is_alarm else QUIET, SafeString(formats.percent_signed(row.change))


def _responsible(row: CustomerRow, page: Page) -> tuple[Any, ...]:
    return (row.responsible or (formats.UNKNOWN if row.is_prospect else page.in_queue),)


def _next(row: CustomerRow, page: Page) -> tuple[Any, ...]:
    if row.next is None:
        return NOTHING, NONE
    text = row.next.text
    words = format_html('<span class="meta">{}</span> {}', page.day(row.next.due_date), text)
    return format_html(' title="{}"', text), words


CURRENT = format_html(' class="{}"', "current")  # the row that the keys begin at
# Every row begins with these; the other columns are chosen (customers.views.listing.COLUMNS) and stand in this order.
HEAD = (
    '<tr data-row{}><td class="check-cell"><input type="checkbox" name="selected" value="{}" aria-label="{}"></td>'
    '<td class="name-cell"><a class="row-title" data-row-open href="{}">{}</a>{}</td>'
)
CELLS: Mapping[str, tuple[str, Values]] = {
    "number": ('<td class="desk-only">{}</td>', lambda row, page: (row.number,)),
    "kind": ('<td class="ink-2">{}</td>', lambda row, page: (row.kind_label,)),
    "industry": ('<td class="ink-2 desk-only">{}</td>', lambda row, page: (row.industry or NONE,)),
    "tier": ("<td>{}</td>", _tier),
    "wealth": ('<td class="desk-only">{}</td>', _wealth),
    "deposits": (
        '<td class="num strong" data-label="{deposits}">{}</td>',
        lambda row, page: (page.amount(row.deposits_adb),),
    ),
    "months": (
        '<td class="desk-only">{}</td>',
        lambda row, page: (sparkline(row.months, tone="watch" if row.is_alarm else ""),),
    ),
    "change": ('<td class="num{}" data-label="{last_month}">{}</td>', _change),
    "balance": (
        '<td class="num" data-label="{balance}">{}</td>',
        lambda row, page: (page.amount(row.deposits_balance),),
    ),
    "loans": (
        '<td class="num" data-label="{loans}">{}</td>',
        lambda row, page: (page.amount_or_none(row.loans),),
    ),
    "aum": ('<td class="num desk-only">{}</td>', lambda row, page: (page.amount(row.aum),)),
    "overdue": (
        '<td class="num{}" data-label="{overdue}">{}</td>',
        lambda row, page: (RISK if row.overdue_amount else NOTHING, page.amount_or_none(row.overdue_amount)),
    ),
    "churn": (
        '<td class="num{}" data-label="{churn}">{}</td>',
        lambda row, page: (
            WATCH if row.is_alarm else NOTHING,
            NONE if row.churn is None else conditional_escape(formats.chance(row.churn)),
        ),
    ),
    "responsible": ('<td class="desk-only">{}</td>', _responsible),
    "branch": (
        '<td class="desk-only ink-2">{}</td>',
        lambda row, page: (row.home_branch or formats.UNKNOWN,),
    ),
    "contact": (
        '<td class="ink-2" data-label="{contact}">{}</td>',
        lambda row, page: (page.day(row.last_contact_date),),
    ),
    "next": ('<td class="next-cell desk-only"{}>{}</td>', _next),
}


def rows_html(
    rows: Sequence[CustomerRow], columns: Sequence[str], *, scale: formats.Unit, today: dt.date, packed: str
) -> list[SafeString]:
    """One table row each. `packed`: the list, so that a customer's page knows what comes next."""
    page = Page(scale=scale, today=today, badges={})
    shown = [cell for name, cell in CELLS.items() if name == "deposits" or name in columns]
    pattern = HEAD + "".join(part for part, _values in shown) + "</tr>"
    address = conditional_escape(f"{reverse('customers:customer', args=[ANY_ID])}?list={packed}")
    found = []
    for position, row in enumerate(rows):
        values: list[Any] = [
            CURRENT if position == 0 else NOTHING,
            row.id,
            name := conditional_escape(row.name),
            SafeString(address.replace(f"/{ANY_ID}/", f"/{row.id}/", 1)),
            name,
            page.prospect if row.is_prospect else NOTHING,
        ]
        for _part, ask in shown:
            values += ask(row, page)
        found.append(format_html(pattern, *values, **page.words))
    return found
