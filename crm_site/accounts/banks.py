"""Which bank a host name is, and its keys. Cached per process for a few seconds: banks seldom change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from zoneinfo import ZoneInfo

from django.conf import settings

from crm_site.accounts.models import Bank
from crm_site.lib.crypto import Vault, master_key
from crm_site.lib.errors import DomainError

_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Home:
    """Where a bank keeps its books: in which currency, and by which clock a day begins."""

    currency: str
    zone: ZoneInfo


_lock = Lock()
_by_host: dict[str, tuple[float, Bank | None]] = {}
_homes: dict[int, tuple[float, Home]] = {}
_vaults: dict[tuple[int, bytes], Vault] = {}


def bank_for_host(host: str) -> Bank | None:
    """The active bank behind a host name (without port), or None."""
    now = time.monotonic()
    with _lock:
        kept = _by_host.get(host)
    if kept and now - kept[0] < _SECONDS:
        return kept[1]
    found = Bank.objects.filter(host=host, is_active=True).first()
    with _lock:
        if len(_by_host) > 10_000:
            _by_host.clear()
        _by_host[host] = (now, found)
    return found


def forget_banks() -> None:
    """Drop the cache: a bank was created, renamed or closed in this process."""
    with _lock:
        _by_host.clear()
        _homes.clear()


def home(bank_id: int) -> Home:
    """The currency and the clock of a bank."""
    now = time.monotonic()
    with _lock:
        kept = _homes.get(bank_id)
    if kept and now - kept[0] < _SECONDS:
        return kept[1]
    currency, zone = Bank.objects.values_list("currency", "timezone").get(pk=bank_id)
    found = Home(currency, ZoneInfo(zone))
    with _lock:
        _homes[bank_id] = (now, found)
    return found


def home_currency(bank_id: int) -> str:
    """The currency that a bank keeps its books in."""
    return home(bank_id).currency


def vault(bank: Bank) -> Vault:
    """The bank's vault for protected values."""
    key = (bank.id, bytes(bank.wrapped_key))
    if key not in _vaults:
        _vaults[key] = Vault.open(
            bank_id=bank.sealed_as or bank.id,
            bank_code=bank.code,
            wrapped=key[1],
            master=master_key(settings.MASTER_KEY),
        )
    return _vaults[key]


def vault_of(bank_id: int) -> Vault:
    """The vault of a bank by id."""
    return vault(Bank.objects.get(pk=bank_id))


def bank_by_code(code: str) -> Bank:
    """The bank with a code; raises DomainError when there is none."""
    found = Bank.objects.filter(code=code).first()
    if found is None:
        raise DomainError(f"There is no bank with code {code!r}.", code="no_bank")
    return found
