"""What this room contributes to the timeline: contacts, accounts and loans, people, balance milestones, tier changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from django.utils.translation import gettext as _

from crm_site.accounts.banks import home_currency
from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import working_day
from crm_site.lib import formats
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import require_bank
from crm_site.work.models import Task
from customers.models import (
    Account,
    Channel,
    ContactPerson,
    Customer,
    CustomerKind,
    Interaction,
    LeftReason,
    Loan,
    MonthEnd,
)
from customers.models.interactions import Result, promise_key
from customers.models.standing import TIER_LABELS, VALUE_TIERS
from customers.selectors.ties import recorded_ties, told_ties
from customers.timeline import Moment, start_of

CHANNEL_ICONS = {
    Channel.CALL: "phone",
    Channel.VISIT: "walk",
    Channel.MESSAGE: "message",
    Channel.EMAIL: "mail",
    Channel.COUNTER: "building-store",
    Channel.CALL_CENTRE: "headset",
    Channel.MOBILE_BANK: "device-mobile",
}
# A month-end is a milestone when deposits moved by this share of the month before, and by this much money.
MILESTONE_SHARE = Decimal("0.3")
MILESTONE_AMOUNT = Decimal(10_000)


def contacts(actor: Actor, customer: Customer, before: dt.datetime, limit: int) -> Sequence[Moment]:
    """Contacts on every channel, with what was promised."""
    found = list(
        Interaction.objects.visible_to(actor)
        .filter(customer=customer, at__lt=before)
        .select_related("author")
        .order_by("-at", "-id")[:limit]
    )
    kept_open = open_promises(found)
    return [
        Moment(
            at=contact.at,
            icon=CHANNEL_ICONS.get(Channel(contact.channel), "message"),
            view="service",
            text=contact_text(contact),
            author=" · ".join(filter(None, [contact.author_label, str(contact.get_channel_display())])),
            promise=contact.promise,
            promise_date=contact.promise_date,
            promise_open=contact.pk in kept_open,
        )
        for contact in found
    ]


def open_promises(contacts: Sequence[Interaction]) -> set[int]:
    """Those of these contacts of one customer, seen already, whose promise is still an open task."""
    keys = {promise_key(contact.pk): contact.pk for contact in contacts if contact.promise}
    if not keys:
        return set()
    waiting = Task.objects.open().filter(customer_id=contacts[0].customer_id, source_key__in=keys)
    return {keys[key] for key in waiting.values_list("source_key", flat=True)}


def contact_text(contact: Interaction) -> str:
    """Result and note of a contact in one line."""
    words = dict(Result.choices).get(contact.result, contact.result)
    return (
        _("%(result)s: %(note)s") % {"result": words, "note": contact.note}
        if words and contact.note
        else str(words or contact.note or contact.get_channel_display())
    )


def products(actor: Actor, customer: Customer, before: dt.datetime, limit: int) -> Sequence[Moment]:
    """Accounts opened and closed, loans granted and repaid, as the core reported them: up to the day people work on."""
    source = _("Core banking")
    before = min(before, start_of(working_day(Bank.objects.get(pk=actor.bank_id)) + dt.timedelta(days=1)))
    moments = []
    for account in Account.objects.visible_to(actor).filter(owner=customer).order_by("-opened_date", "-id"):
        words = {"kind": account.get_kind_display(), "tail": account.number[-4:]}
        opened = _("Opened %(kind)s, ending %(tail)s") % words
        moments.append(Moment(start_of(account.opened_date), "wallet", "business", opened, source))
        if account.closed_date:
            closed = _("Closed %(kind)s, ending %(tail)s") % words
            moments.append(Moment(start_of(account.closed_date), "wallet-off", "business", closed, source))
    for loan in Loan.objects.visible_to(actor).filter(customer=customer).order_by("-granted_date", "-id"):
        words = {"amount": formats.money(loan.amount, loan.currency)}
        granted = _("Loan of %(amount)s granted") % words
        moments.append(Moment(start_of(loan.granted_date), "building-bank", "business", granted, source))
        if loan.closed_date:
            repaid = _("Loan of %(amount)s repaid") % words
            moments.append(Moment(start_of(loan.closed_date), "circle-check", "business", repaid, source))
    earlier = [moment for moment in moments if moment.at < before]
    return sorted(earlier, key=lambda moment: moment.at, reverse=True)[:limit]


def people(actor: Actor, customer: Customer, before: dt.datetime, limit: int) -> Sequence[Moment]:
    """Who took up a post at a company, and who left one."""
    if customer.kind != CustomerKind.CORPORATE:
        return []
    seen = ContactPerson.objects.visible_to(actor).filter(customer=customer)
    moments = []
    for person in seen.exclude(left_reason=LeftReason.MISTAKE).order_by("-id"):
        words = {"name": person.name, "post": person.post_label, "reason": person.get_left_reason_display()}
        if person.from_date:
            came = _("%(name)s took up a post: %(post)s") % words
            moments.append(Moment(start_of(person.from_date), "user-plus", "information", came))
        if person.left_date:
            gone = _("%(post)s %(name)s: %(reason)s") % words
            moments.append(Moment(start_of(person.left_date), "user-minus", "information", gone))
    earlier = [moment for moment in moments if moment.at < before]
    return sorted(earlier, key=lambda moment: moment.at, reverse=True)[:limit]


def ties(actor: Actor, customer: Customer, before: dt.datetime, limit: int) -> Sequence[Moment]:
    """Ties to other customers that staff recorded or ended."""
    moments = []
    for row, told, _is_seen in told_ties(actor, customer, recorded_ties(customer)):
        text = _("Tie recorded: %s") % told
        moments.append(Moment(row.recorded_at, "affiliate", "information", text, row.recorded_by.name))
        if row.ended_at and row.ended_by:
            words = {"tie": told, "day": formats.day(row.ended_date), "reason": row.get_end_reason_display()}
            text = _("Tie ended on %(day)s: %(tie)s. %(reason)s") % words
            moments.append(Moment(row.ended_at, "affiliate", "information", text, row.ended_by.name))
    earlier = [moment for moment in moments if moment.at < before]
    return sorted(earlier, key=lambda moment: moment.at, reverse=True)[:limit]


def milestones(actor: Actor, customer: Customer, before: dt.datetime, limit: int) -> Sequence[Moment]:
    """Month-ends at which deposits moved strongly or the tier changed. The caller has seen the customer."""
    rows = list(MonthEnd.objects.filter(customer_id=customer.pk).order_by("month_end"))
    moments = []
    for earlier, row in pairwise(rows):
        at = start_of(row.month_end)
        step = row.deposits_adb - earlier.deposits_adb
        if abs(step) >= MILESTONE_AMOUNT and abs(step) >= MILESTONE_SHARE * max(
            earlier.deposits_adb, Decimal(1)
        ):
            amounts = {"before": _amount(earlier.deposits_adb), "after": _amount(row.deposits_adb)}
            text = (
                _("Average deposits rose from %(before)s to %(after)s")
                if step > 0
                else _("Average deposits fell from %(before)s to %(after)s")
            )
            icon = "trending-up" if step > 0 else "trending-down"
            moments.append(Moment(at, icon, "business", text % amounts, _("Month-end")))
        if row.value_tier != earlier.value_tier and row.value_tier and earlier.value_tier:
            tiers = {"before": _tier(earlier.value_tier), "after": _tier(row.value_tier)}
            text = _("Value tier changed from %(before)s to %(after)s") % tiers
            moments.append(Moment(at, "stairs", "information", text, _("Month-end")))
    return [moment for moment in reversed(moments) if moment.at < before][:limit]


def _amount(value: Decimal) -> str:
    home = home_currency(require_bank())
    return str(formats.money(value, home, home=home))


def _tier(rank: int) -> str:
    return str(TIER_LABELS[VALUE_TIERS[rank]])
