"""One bank never sees another: the bank context, the tenant model and its foreign key.

A tenant table has ``bank_id``, the primary key ``(bank_id, id)`` in the database (Django sees ``id``),
foreign keys ``(bank_id, x_id)`` and forced row security. The model author writes nothing but the base class;
the database backend in ``crm_site.lib.postgres`` turns it into that shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

from django.db import connection, models, transaction
from django.db.models.lookups import Exact
from django.utils.encoding import force_str

from crm_site.lib.permissions import Actor


class WrongBank(RuntimeError):
    """Code that works for one bank tried to enter another."""


class NoBank(RuntimeError):
    """Code that needs a bank ran outside every bank."""


_BANK = "bank_id"  # what the connection remembers beside its transaction


def current_bank() -> int | None:
    """The bank whose rows this connection sees now, or None. Lives with the connection's transaction."""
    return getattr(connection, _BANK, None)


def _remember(bank_id: int | None) -> None:
    setattr(connection, _BANK, bank_id)


def require_bank() -> int:
    """The active bank's id; raises NoBank outside every bank."""
    active = current_bank()
    if active is None:
        raise NoBank("no bank is active: enter `with bank(bank_id)` first")
    return active


def _set_bank(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select set_config('app.bank_id', %s, true)", [value])


@contextmanager
def bank(bank_id: int) -> Iterator[None]:
    """Enter a bank for one transaction. The same bank nests as a savepoint; another bank raises WrongBank.

    Leaving clears the bank before COMMIT, so that on_commit hooks open their own context.
    """
    outer = current_bank()
    if outer is not None:
        if outer != bank_id:
            raise WrongBank(f"bank {outer} is active, bank {bank_id} was asked for")
        with transaction.atomic():
            yield
        return
    inside = connection.in_atomic_block  # SET LOCAL outlives a savepoint: blank it by hand on the way out
    with transaction.atomic():
        _set_bank(str(bank_id))
        _remember(bank_id)
        try:
            yield
        finally:
            _remember(None)
    if inside:  # rolled back, the setting is back as it was; kept, it must be blanked
        _set_bank("")


@contextmanager
def founding(bank_id: int) -> Iterator[None]:
    """Step from the platform's bank into a bank that is being founded, and back, in one transaction.

    The only way from one bank into another. The caller must have created `bank_id` in this very
    transaction; entering a bank that already has an organisation raises WrongBank.
    """
    outer = require_bank()
    _set_bank(str(bank_id))
    _remember(bank_id)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select exists (select 1 from accounts_orgunit where bank_id = %s)", [bank_id])
            row = cursor.fetchone()
        if row is None or row[0]:
            raise WrongBank(f"bank {bank_id} is already founded")
        yield
    finally:
        _remember(outer)
        if not connection.needs_rollback:
            _set_bank(str(outer))


@contextmanager
def moving() -> Iterator[None]:
    """Guards and the record stand aside for rows of the active bank, which this transaction puts back or removes.

    The setting alone opens nothing: the database asks its owner's note of the transaction (crm_site/lib/postgres/moving.py).
    """
    require_bank()
    with connection.cursor() as cursor:
        cursor.execute("select set_config('app.moving', 'on', true)")
        yield
        cursor.execute("select set_config('app.moving', '', true)")


def act_as(actor: Actor, *, reason: str = "") -> None:
    """Tell the audit triggers who changes rows from here to the end of the transaction, and why.

    Sets app.actor to a small JSON document; see crm_site.audit. Raises NoBank outside every bank,
    WrongBank when the actor is of another bank.
    """
    active = require_bank()
    if actor.bank_id != active:
        raise WrongBank(f"an actor of bank {actor.bank_id} cannot act in bank {active}")
    who = {
        "kind": "staff" if actor.staff_id else "client" if actor.client_id else "system",
        "id": actor.staff_id,
        "label": actor.label,
        "address": actor.address,
        "request": actor.request_id,
        "run": actor.run_id,
        "reason": reason or actor.reason,
    }
    with connection.cursor() as cursor:
        cursor.execute("select set_config('app.actor', %s, true)", [json.dumps(who, ensure_ascii=False)])


def because(reason: str) -> None:
    """Tell the audit triggers why rows are changed from here on, by whoever acts already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select set_config('app.actor', jsonb_set(coalesce(nullif(current_setting('app.actor', true), ''),"
            """ '{"kind": "system", "label": "-"}')::jsonb, '{reason}', to_jsonb(%s::text))::text, true)""",
            [reason],
        )


def cache_key(key: str, prefix: str, version: int) -> str:
    """Every cache entry belongs to the bank it was written in, or to none, whatever library wrote it."""
    return f"{current_bank() or '-'}:{prefix}:{version}:{key}"


def in_bank(bank_id: int, chunks: Iterable[Any]) -> Iterator[Any]:
    """Run a streamed answer's generator inside its bank: it is consumed after the request has left it."""
    with bank(bank_id):
        yield from chunks


class BankField(models.BigIntegerField):
    """The owning bank. ``keep_pk`` leaves the primary key at (id); only an old migration still asks for it."""

    is_bank = True

    def __init__(self, *args: Any, keep_pk: bool = False, **kwargs: Any) -> None:
        self.keep_pk = keep_pk
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        if self.keep_pk:
            kwargs["keep_pk"] = True
        return name, path, args, kwargs

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = getattr(model_instance, self.attname)
        if value is None and add:
            value = current_bank()
            setattr(model_instance, self.attname, value)
        return value


class BankForeignKey(models.ForeignKey):
    """A foreign key within a bank: (bank_id, x_id) in the database, and joins that carry the bank too.

    `set_based`: the database checks it once a statement by trigger instead of once a row (decision record 0007),
    for tables that a run fills by the hundred thousand.
    """

    is_bank_fk = True

    def __init__(self, *args: Any, set_based: bool = False, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        kwargs["db_index"] = False
        self.set_based = set_based
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        kwargs.pop("db_index", None)
        if self.set_based:
            kwargs["set_based"] = True
        return name, path, args, kwargs

    def get_extra_restriction(self, alias: str | None, related_alias: str) -> Any:
        own = _bank_column(self.model, related_alias)
        if alias is None:  # exclude() trims the outer table away: there is no alias to compare with
            active = current_bank()
            return None if active is None else Exact(own, active)
        return Exact(_bank_column(self.remote_field.model, alias), own)


def _bank_column(model: type[models.Model], alias: str) -> Any:
    field: Any = model._meta.get_field("bank_id")
    return field.get_col(alias)


class TenantQuerySet(models.QuerySet):
    """Base of every tenant queryset; row security holds below it whatever it forgets."""


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Adds the explicit bank filter that the planner likes; row security is the guarantee."""

    use_in_migrations = False

    def get_queryset(self) -> models.QuerySet:
        queryset = super().get_queryset()
        active = current_bank()
        return queryset if active is None else queryset.filter(bank_id=active)


@cache
def _labels(field: models.Field) -> dict[Any, Any]:
    return dict(field.flatchoices)


class TenantModel(models.Model):
    """A row that belongs to one bank. Its changes are audited unless `audited` is False: say why beside it."""

    audited: ClassVar[bool] = True

    bank_id = BankField(editable=False)

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def _get_FIELD_display(self, field: models.Field) -> str:
        """What get_…_display says. Django's own gathers all choices with all their labels for each value of each row."""
        value = getattr(self, field.attname)
        return force_str(_labels(field).get(value, value), strings_only=True)
