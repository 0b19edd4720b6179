"""Why a customer may leave, in words: the one place that turns a feature's code and value into a sentence."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_site.lib import formats
from segmentation.engine.churn import BY_CODE, KINDS

LABELS = {
    "adb_to_quarter": gettext_lazy("Deposits against the three months before"),
    "adb_to_peak": gettext_lazy("Deposits against their highest of six months"),
    "balance_to_adb": gettext_lazy("Balance on the day against its average"),
    "falling_months": gettext_lazy("Months of falling deposits in a row"),
    "volatility": gettext_lazy("Swings of deposits from month to month"),
    "baseline": gettext_lazy("Average deposits of six months"),
    "entries_to_quarter": gettext_lazy("Transactions against the three months before"),
    "inflow_to_quarter": gettext_lazy("Money in against the three months before"),
    "net_outflow": gettext_lazy("Net outflow of the month"),
    "open_accounts": gettext_lazy("Open accounts"),
    "accounts_closed": gettext_lazy("Accounts closed in three months"),
    "holdings": gettext_lazy("Share of wealth products in assets"),
    "has_loan": gettext_lazy("Has a loan"),
    "tenure_years": gettext_lazy("Years as a customer"),
    "age_years": gettext_lazy("Age"),
    "kind": gettext_lazy("Customer kind"),
}


def _against(below: Callable[[str], str], above: Callable[[str], str], value: float) -> str:
    share = formats.percent(abs(1 - value), 0)
    return below(share) if value < 0.995 else above(share)


def _adb_to_quarter(value: float) -> str:
    return _against(
        lambda p: _("Average deposits are %s below those of the three months before") % p,
        lambda p: _("Average deposits are %s above those of the three months before") % p,
        value,
    )


def _adb_to_peak(value: float) -> str:
    return _against(
        lambda p: _("Average deposits are down %s from their highest of six months") % p,
        lambda p: _("Average deposits are at their highest of six months"),
        value,
    )


def _balance_to_adb(value: float) -> str:
    return _against(
        lambda p: _("The balance is %s below its average of the last thirty days") % p,
        lambda p: _("The balance is %s above its average of the last thirty days") % p,
        value,
    )


def _entries_to_quarter(value: float) -> str:
    return _against(
        lambda p: _("%s fewer transactions than in the three months before") % p,
        lambda p: _("%s more transactions than in the three months before") % p,
        value,
    )


def _inflow_to_quarter(value: float) -> str:
    return _against(
        lambda p: _("%s less money comes in than in the three months before") % p,
        lambda p: _("%s more money comes in than in the three months before") % p,
        value,
    )


def _net_outflow(value: float) -> str:
    share = formats.percent(abs(value), 0)
    if value >= 0:
        return _("This month %s of the average deposits flowed out net") % share
    return _("This month %s of the average deposits flowed in net") % share


def _falling_months(value: float) -> str:
    n = round(value)
    return ngettext("Deposits fell for %d month", "Deposits fell for %d months in a row", n) % n


def _accounts(value: float) -> str:
    n = round(value)
    return ngettext("Only %d open account", "%d open accounts", n) % n


def _accounts_closed(value: float) -> str:
    n = round(value)
    return ngettext("%d account closed in three months", "%d accounts closed in three months", n) % n


def _holdings(value: float) -> str:
    if value < 0.005:
        return _("No wealth product, fund or insurance")
    return _("%s of the assets are in wealth products") % formats.percent(value, 0)


def _kind(value: float) -> str:
    from customers.models import CustomerKind

    return _("Customers of the kind “%s” leave more often") % CustomerKind(KINDS[round(value)]).label


_SENTENCES: dict[str, Callable[[float], str]] = {
    "adb_to_quarter": _adb_to_quarter,
    "adb_to_peak": _adb_to_peak,
    "balance_to_adb": _balance_to_adb,
    "falling_months": _falling_months,
    "volatility": lambda v: (
        _("Deposits swing by %s of their average from month to month") % formats.percent(v, 0)
    ),
    "entries_to_quarter": _entries_to_quarter,
    "inflow_to_quarter": _inflow_to_quarter,
    "net_outflow": _net_outflow,
    "open_accounts": _accounts,
    "accounts_closed": _accounts_closed,
    "holdings": _holdings,
    "has_loan": lambda v: _("Has a loan with the bank") if v else _("No loan with the bank"),
    "tenure_years": lambda v: _("A customer for %s years") % formats.number(Decimal(f"{v:.1f}"), 1),
    "age_years": lambda v: _("%d years old") % int(v),
    "kind": _kind,
}


def sentence(code: int, value: float, currency: str = "CNY") -> str:
    """The reason in the reader's language. KeyError for a code that no feature has."""
    name = BY_CODE[code].name
    if name == "baseline":
        return _("Average deposits of six months: %s") % formats.money(Decimal(round(value)), currency)
    return _SENTENCES[name](value)


def label(name: str) -> str:
    """A feature's name for the model's page."""
    return str(LABELS[name])
