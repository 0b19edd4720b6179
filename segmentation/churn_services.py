"""What people decide about churn models: train, propose, approve by a second person, reject."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank
from crm_site.jobs.models import Run
from crm_site.jobs.services import NIGHTLY, start_run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require, system_actor
from crm_site.lib.tenancy import act_as, require_bank
from segmentation.churn_nightly import TRAIN
from segmentation.models import ChurnModel, ModelStatus


def train_models(actor: Actor, *, now: dt.datetime) -> Run:
    """Start a training run on the month-ends up to the bank's business date. A run under way is returned.

    Raises DomainError before the first night.
    """
    require(actor, "model.train")
    day = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    if day is None:
        raise DomainError(
            _("No night has been run for this bank yet: there is nothing to learn from."), code="no_history"
        )
    return start_run(actor, pipeline=TRAIN, business_date=day, now=now)


@transaction.atomic
def propose_model(actor: Actor, *, model_id: int, now: dt.datetime) -> ChurnModel:
    """Put a trained version forward for approval. Idempotent for the same person; Conflict in any other state."""
    require(actor, "model.approve")
    model = ChurnModel.objects.select_for_update(no_key=True, of=("self",)).get(pk=model_id)
    if model.status == ModelStatus.PROPOSED and model.proposed_by_id == actor.staff_id:
        return model
    _expect(model, ModelStatus.TRAINED)
    act_as(actor)
    model.status, model.proposed_by_id, model.proposed_at = ModelStatus.PROPOSED, actor.staff_id, now
    model.save(update_fields=["status", "proposed_by", "proposed_at"])
    return model


@transaction.atomic
def approve_model(actor: Actor, *, model_id: int, now: dt.datetime) -> ChurnModel:
    """Make a proposed version the champion of its kind and score the bank with it.

    The one before is retired. Raises Conflict when it is not proposed (any more), DomainError when the same
    person proposed it. A double click finds the champion and changes nothing.
    """
    require(actor, "model.approve")
    model = ChurnModel.objects.select_for_update(no_key=True, of=("self",)).get(pk=model_id)
    if model.status == ModelStatus.CHAMPION and model.decided_by_id == actor.staff_id:
        return model
    _expect(model, ModelStatus.PROPOSED)
    _second_person(actor, model)
    act_as(actor)
    ChurnModel.objects.filter(kind=model.kind, status=ModelStatus.CHAMPION).update(status=ModelStatus.RETIRED)
    model.status, model.decided_by_id, model.decided_at = ModelStatus.CHAMPION, actor.staff_id, now
    model.save(update_fields=["status", "decided_by", "decided_at"])
    day = Bank.objects.values_list("business_date", flat=True).get(pk=model.bank_id)
    if day is not None:
        start_run(
            system_actor(model.bank_id, f"churn model {model.pk}"), pipeline=NIGHTLY, business_date=day,
            steps=("churn", "worklists", "summaries"), now=now,
        )  # fmt: skip
    return model


@transaction.atomic
def reject_model(actor: Actor, *, model_id: int, now: dt.datetime) -> ChurnModel:
    """Refuse a proposed version; whoever proposed it may take it back the same way."""
    require(actor, "model.approve")
    model = ChurnModel.objects.select_for_update(no_key=True, of=("self",)).get(pk=model_id)
    if model.status == ModelStatus.REJECTED:
        return model
    _expect(model, ModelStatus.PROPOSED)
    act_as(actor)
    model.status, model.decided_by_id, model.decided_at = ModelStatus.REJECTED, actor.staff_id, now
    model.save(update_fields=["status", "decided_by", "decided_at"])
    return model


def _expect(model: ChurnModel, status: ModelStatus) -> None:
    if model.status != status:
        raise Conflict(
            _("This version is “%s” by now; look at it again.") % model.get_status_display(),
            code="model_moved_on",
        )


def _second_person(actor: Actor, model: ChurnModel) -> None:
    if actor.staff_id is None or model.proposed_by_id == actor.staff_id:
        raise DomainError(
            _("Who proposed a model cannot approve it: a second person does."), code="second_person"
        )
