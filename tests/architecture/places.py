"""What the addresses of the permission matrix are about: one of each, in a bank of the test's choice."""

from __future__ import annotations

import uuid
from typing import Any

from allauth.idp.oidc.models import Client
from allauth.usersessions.models import UserSession
from django.utils import timezone

from credit_rating.models import (
    Campaign,
    CampaignBatch,
    CampaignMember,
    CampaignZone,
    CaseCondition,
    CaseFile,
    CreditCase,
    CreditLine,
    CreditPolicy,
    Development,
    DevelopmentSample,
    Guarantee,
    LineCalculation,
    Opinion,
    Rating,
    RelatedParty,
    Reservation,
    Scorecard,
    Signal,
)
from credit_rating.services.ratings import generate_rating
from crm_site.accounts.banks import vault_of
from crm_site.accounts.models import RoleGrant, Staff
from crm_site.audit.models import Entry
from crm_site.jobs.models import Run
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import bank
from crm_site.work.models import Notification, Task
from customers.models import (
    Batch,
    ContactPerson,
    Customer,
    Identifier,
    Interaction,
    Loan,
    Product,
    RecordedTie,
    SavedView,
    Standing,
)
from relationship.models import AssignmentProposal
from segmentation.models import ChurnModel, TierPolicy
from segmentation.services import ensure_default_policies
from tests.conftest import NOW, TODAY, House


def a_customer(house: House, responsible: Staff | None) -> Customer:
    """A corporate customer of branch north, looked after by `responsible`."""
    found = Customer.objects.filter(number="M-1").first()
    if found is None:
        found = Customer.objects.create(
            number="M-1",
            kind="corporate",
            name="Matrix Works",
            name_sort="matrix works",
            home_branch=house.north,
            responsible=responsible,
        )
        Standing.objects.create(
            customer=found, kind="corporate", home_branch=house.north, responsible=responsible, as_of=TODAY
        )
    return found


def a_rating(customer: Customer) -> Rating:
    """A draft of the customer's rating."""
    opened = Rating.objects.filter(customer=customer, status="draft").first()
    if opened is not None:
        return opened
    actor = Actor(customer.bank_id, "matrix", grants=(Grant(Role.BRANCH_MANAGER, 0, 2_147_483_647),))
    return generate_rating(actor, customer=customer, answers={}, day=TODAY, now=NOW)


def sample_place(what: str) -> dict[str, Any]:
    """A sample that has been read, or a development that waits."""
    sample = DevelopmentSample.objects.create(
        name="matrix.csv", status="done", made_by=Staff.objects.earliest("id"), made_at=NOW, expires_at=NOW
    )
    if what == "sample":
        return {"sample_id": sample.pk}
    found = Development.objects.create(
        sample=sample, kind="personal", name="matrix", target="y", bad=["1"], good=["0"], window="2025",
        ordered_by=sample.made_by, ordered_at=NOW,
    )  # fmt: skip
    return {"development_id": found.pk}


def credit_place(what: str, customer: Customer) -> dict[str, Any]:
    """Something of a customer's credit file."""
    if what == "credit customer":
        return {"customer_id": customer.pk}
    if what == "statement year":
        return {"customer_id": customer.pk, "year": 2025}
    if what in ("related party", "related customer"):
        entry, _made = RelatedParty.objects.get_or_create(
            customer=customer, kind="director", from_date=TODAY, defaults={"basis": "test", "entered_at": NOW}
        )
        return {"entry_id": entry.pk} if what == "related party" else {"customer_id": customer.pk}
    if what == "warning":
        signal, _made = Signal.objects.get_or_create(
            customer=customer, code="overdue", ended_on=None,
            defaults={"level": "risk", "owner_kind": "manager", "opened_on": TODAY, "due_on": TODAY},
        )  # fmt: skip
        return {"signal_id": signal.pk}
    if what == "classed loan":
        loan, _made = Loan.objects.get_or_create(
            number="ML-1", customer=customer,
            defaults={"currency": "CNY", "amount": 1, "outstanding": 1, "granted_date": TODAY, "maturity_date": TODAY},
        )  # fmt: skip
        return {"loan_id": loan.pk}
    if what == "guarantee":
        guarantee = Guarantee.objects.create(
            customer=customer, kind="credit", amount=1, from_date=TODAY, entered_at=NOW
        )
        return {"guarantee_id": guarantee.pk}
    content = {
        "policies": {},
        "inputs": [],
        "steps": [],
        "guarantees": [],
        "usable": "0",
        "caps": [],
        "price": None,
    }
    found = LineCalculation.objects.filter(customer=customer).first() or LineCalculation.objects.create(
        customer=customer, kind="corporate", number=f"CS-{customer.pk}-1", as_of=TODAY, grade="A", term_months=12,
        requested=1, limit=1, content=content, content_hash="x", created_at=NOW,
    )  # fmt: skip
    return {"calculation_id": found.pk}


def case_place(house: House, what: str, customer: Customer) -> dict[str, Any]:
    """A draft case of a customer, a file of it, or a condition somebody has set."""
    product = Product.objects.get_or_create(code="WC", defaults={"name": "Working capital"})[0]
    maker = Staff.objects.earliest("id")
    case = CreditCase.objects.filter(customer=customer).first() or CreditCase.objects.create(
        year=2026, serial=1, customer=customer, kind="new", product=product, currency="CNY", amount=1, term_months=12,
        purpose="matrix", prepared_by=maker, prepared_at=NOW,
    )  # fmt: skip
    if what == "credit case":
        return {"case_id": case.pk}
    if what == "case file":
        file = case.files.first() or CaseFile.objects.create(
            case=case, name="x.pdf", kind="pdf", size=1, digest="x", path="cases/none", uploaded_by=maker,
            uploaded_at=NOW,
        )  # fmt: skip
        return {"file_id": file.pk}
    if case.status == "draft":
        case.round, case.status, case.dossier_hash, case.route = 1, "branch", "x", ["branch"]
        case.deadline = case.expires_on = TODAY
        case.save()
    speaker = Staff.objects.exclude(pk=maker.pk).exclude(pk=customer.responsible_id).latest("id")
    opinion = case.opinions.first() or Opinion.objects.create(
        case=case, round=1, stage="branch", part="decision", staff=speaker, verdict="conditional", text="x",
        dossier_hash="x", at=NOW, day=TODAY,
    )  # fmt: skip
    return {"condition_id": CaseCondition.objects.create(case=case, opinion=opinion, text="x").pk}


def campaign_place(house: House, what: str, customer: Customer, responsible: Staff | None) -> dict[str, Any]:
    """A running campaign that lists the customer, its zone that branch north has taken, and a batch that waits."""
    maker = Staff.objects.earliest("id")
    campaign, _made = Campaign.objects.get_or_create(
        name="matrix", kind="corporate",
        defaults={
            "status": "open", "ceiling": 100, "term_months": 12, "purpose": "matrix", "created_by": maker,
            "product": Product.objects.get_or_create(code="WC", defaults={"name": "Working capital"})[0],
            "created_at": NOW, "opened_by": maker, "opened_at": NOW,
            **dict.fromkeys(("collect_by", "rate_by", "review_by", "approve_by"), TODAY),
        },
    )  # fmt: skip
    if what == "campaign":
        return {"campaign_id": campaign.pk}
    taken = {"branch": house.north, "taken_by": maker, "owner": responsible}
    zone, _made = CampaignZone.objects.get_or_create(campaign=campaign, name="matrix", defaults=taken)
    member, _made = CampaignMember.objects.get_or_create(
        campaign=campaign, customer=customer, defaults={"kind": "corporate", "zone": zone}
    )
    if what == "campaign zone":
        return {"zone_id": zone.pk}
    if what == "campaign member":
        return {"member_id": member.pk}
    batch, _made = CampaignBatch.objects.get_or_create(
        campaign=campaign, zone=zone, serial=1,
        defaults={"proposed_by": maker, "proposed_at": NOW, "proposed_count": 1},
    )  # fmt: skip
    if what == "campaign batch":
        return {"batch_id": batch.pk}
    CampaignMember.objects.filter(pk=member.pk).update(batch=batch)
    return {"batch_id": batch.pk, "member_id": member.pk}


def place(house: House, what: str, responsible: Staff | None) -> dict[str, Any]:
    """URL arguments of one `what` of a house, keyed by the names that routes use for it."""
    with bank(house.id):
        customer = a_customer(house, responsible)
        if what == "customer":
            key: Any = customer.pk
        elif what == "customer number":
            return {"number": customer.number}
        elif what == "feed":
            return {"feed": "customers"}
        elif what in ("delivery", "import"):
            batch = Batch.objects.create(
                feed="customers", source="upload", content_format="csv", received_at=NOW, staff_id=None
            )
            return {"batch_id": batch.pk} if what == "delivery" else {"pk": batch.pk}
        elif what == "contact":
            found = Interaction.objects.create(
                customer=customer,
                channel="call",
                at=timezone.now(),
                author=responsible,
                source="crm",
                result="agreed",
            )
            return {"customer_id": customer.pk, "contact_id": found.pk}
        elif what == "person":
            person = ContactPerson.objects.create(
                customer=customer, name="Matrix", post="other", title="x", submission=uuid.uuid4()
            )
            return {"customer_id": customer.pk, "person_id": person.pk}
        elif what == "tie":
            other, _made = Customer.objects.get_or_create(number="M-2", kind="personal", name="Matrix Owner")
            record = RecordedTie.objects.create(
                customer=other, other=customer, kind="shareholder", evidence="x", recorded_by=Staff.objects.earliest("id"),
                recorded_at=NOW, submission=uuid.uuid4(),
            )  # fmt: skip
            return {"customer_id": customer.pk, "record_id": record.pk}
        elif what == "identifier":
            value = vault_of(house.id).encrypt("X", place="identifier.value", row=f"{customer.number}|other")
            row = Identifier.objects.get_or_create(
                customer=customer,
                scheme="other",
                defaults={"value": value, "blind_index": b"x", "masked": "•"},
            )[0]
            return {"customer_id": customer.pk, "kind": "identifier", "pk": row.pk}
        elif what == "saved view":
            owner = responsible or Staff.objects.earliest("id")
            key = SavedView.objects.get_or_create(staff=owner, name="Matrix")[0].pk
        elif what == "session":
            owner = responsible or Staff.objects.earliest("id")
            held = UserSession.objects.create(
                user=owner, ip="192.0.2.1", session_key=uuid.uuid4().hex, user_agent="Phone"
            )
            return {"session_id": held.pk}
        elif what == "audit entry":
            key = Entry.objects.latest("id").id
        elif what == "run":
            key = Run.objects.create(
                pipeline="nightly", business_date=TODAY, requested_as="test", requested_at=NOW
            ).pk
        elif what == "run step":
            run = Run.objects.create(
                pipeline="nightly", business_date=TODAY, requested_as="test", requested_at=NOW, status="done"
            )
            run.steps.create(name="tiers", position=1)
            return {"pk": run.pk, "step_name": "tiers"}
        elif what == "notification":
            owner = responsible or Staff.objects.earliest("id")
            key = Notification.objects.create(staff=owner, code="task.given", created_at=NOW).pk
        elif what == "task":
            key = Task.objects.create(
                reason="manual", customer_id=customer.pk, owner=responsible, unit=house.north, created_at=NOW,
                due_date=TODAY, show_from=TODAY,
            ).pk  # fmt: skip
        elif what == "proposal":
            key = AssignmentProposal.objects.create(
                customer=customer, unit=house.north, rule="borrower", proposed_date=TODAY
            ).pk
        elif what == "tier policy":
            ensure_default_policies(NOW)
            key = TierPolicy.objects.earliest("id").pk
        elif what == "credit policy":
            key = CreditPolicy.objects.earliest("id").pk
        elif what == "scorecard":
            return {"scorecard_id": Scorecard.objects.filter(kind="corporate").earliest("id").pk}
        elif what in ("sample", "development"):
            return sample_place(what)
        elif what == "rating":
            return {"rating_id": a_rating(customer).pk}
        elif what == "credit line":
            key = CreditLine.objects.create(
                year=2026, serial=1 + CreditLine.objects.count(), customer=customer, currency="CNY", limit=1000,
                product=Product.objects.get_or_create(code="WC", defaults={"name": "Working capital"})[0],
                starts_on=TODAY, expires_on=TODAY.replace(year=2099), opened_at=NOW, changed_at=NOW,
            ).pk  # fmt: skip
        elif what == "reservation":
            line = CreditLine.objects.get(pk=place(house, "credit line", responsible)["pk"])
            key = Reservation.objects.create(
                line=line, amount=1, reference="M", reserved_at=NOW, expires_at=NOW.replace(year=2099)
            ).pk
        elif what in ("credit case", "case condition", "case file"):
            return case_place(house, what, customer)
        elif what in (
            "credit customer",
            "statement year",
            "guarantee",
            "calculation",
            "related party",
            "related customer",
            "warning",
            "classed loan",
        ):
            return credit_place(what, customer)
        elif "campaign" in what or what == "batch member":
            return campaign_place(house, what, customer, responsible)
        elif what == "churn model":
            key = ChurnModel.objects.create(
                version=1 + ChurnModel.objects.count(), status="proposed", train_months=[TODAY], validation_month=TODAY,
                train_rows=9, train_leavers=1, validation_rows=9, validation_leavers=1, trained_at=NOW,
                proposed_by=Staff.objects.earliest("id"), proposed_at=NOW,
            ).pk  # fmt: skip
        elif what == "staff":
            key = Staff.objects.earliest("id").pk
        elif what == "api client":
            client, _made = Client.objects.get_or_create(id=f"matrix-{house.bank.code}", name="Matrix")
            key = client.id
        elif what == "bank":
            key = house.id
        elif what == "unit":
            key = house.north.pk
        elif what == "grant":
            key = RoleGrant.objects.earliest("id").pk
        else:
            raise KeyError(what)
    return {"pk": key}
