"""Approval cases (客户授信额度审议审批表, C6): what is asked for, who made it, who said what to exactly which dossier.

The database holds the four eyes as well (migration 0040_cases): no opinion of a maker, of the customer's own manager,
of a relative, of somebody who has decided in this round, or on another dossier than the case's; no step up without the
opinions that carry it; nothing after the end.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from credit_rating.models.lines import CreditLine
from crm_site.accounts.models import Staff
from crm_site.lib.money import MoneyField, money
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models import Customer, Product, RecordedTie
from customers.models.parties import CustomerOwnedManager, visible_rows


class CaseKind(models.TextChoices):
    NEW = "new", _("New line")
    RENEWAL = "renewal", _("Renewal")
    INCREASE = "increase", _("Increase")
    DECREASE = "decrease", _("Decrease")
    REVIEW = "review", _("Annual review")


class CaseStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    BRANCH = "branch", _("Branch")
    HEADQUARTERS = "headquarters", _("Headquarters review")
    COMMITTEE = "committee", _("Credit committee")
    PRESIDENT = "president", _("President")
    RETURNED = "returned", pgettext_lazy("case", "Returned")
    APPROVED = "approved", pgettext_lazy("case", "Approved")
    REJECTED = "rejected", pgettext_lazy("case", "Rejected")
    WITHDRAWN = "withdrawn", pgettext_lazy("case", "Withdrawn")
    EXPIRED = "expired", pgettext_lazy("case", "Expired")


STAGES = (CaseStatus.BRANCH, CaseStatus.HEADQUARTERS, CaseStatus.COMMITTEE, CaseStatus.PRESIDENT)
OPEN = (CaseStatus.DRAFT, *STAGES, CaseStatus.RETURNED)
ENDED = (CaseStatus.APPROVED, CaseStatus.REJECTED, CaseStatus.WITHDRAWN, CaseStatus.EXPIRED)


class CreditCase(TenantModel):
    """A case. `amount` in `currency`; `rate_bp` the rate asked for in basis points; `line`: the one it changes, or has
    opened. `sub_limits`: product's code -> amount ("0.00" takes one away), of those that are asked for or changed; what
    is not named stays as it is. `calculation_id` and `rating_id` name evidence (credit_rating.evidence), plain numbers.

    `dossier_hash`: the SHA-256 of everything that is shown to who decides (CaseDossier). `route`: the stages it goes
    through, recomputed with the dossier, by the policy and the rates of `as_of`. A round begins with each submission.
    `seen_hash`: what stood beside the dossier when the case ended (CaseSeen).
    `deadline` is the stage's last day. `kin_steps`: how many relations away a relative still is one, by the policy.
    """

    year = models.SmallIntegerField()
    serial = models.IntegerField()
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="credit_cases")
    kind = models.CharField(max_length=8, choices=CaseKind)
    product = BankForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    line = BankForeignKey(CreditLine, null=True, on_delete=models.PROTECT, related_name="cases")
    currency = models.CharField(max_length=3)
    amount = MoneyField()
    term_months = models.PositiveSmallIntegerField()
    rate_bp = models.PositiveIntegerField(null=True)
    sub_limits = models.JSONField(default=dict)
    purpose = models.CharField(max_length=400)
    investigation = models.TextField(blank=True)
    calculation_id = models.BigIntegerField(null=True)
    rating_id = models.BigIntegerField(null=True)
    status = models.CharField(max_length=12, choices=CaseStatus, default=CaseStatus.DRAFT)
    round = models.PositiveSmallIntegerField(default=0)
    prepared_by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    prepared_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True)
    stage_since = models.DateTimeField(null=True)
    deadline = models.DateField(null=True)
    expires_on = models.DateField(null=True)
    closed_at = models.DateTimeField(null=True)
    route = models.JSONField(default=list)
    route_why = models.CharField(max_length=16, blank=True)
    quorum = models.PositiveSmallIntegerField(default=1)
    majority_pct = models.PositiveSmallIntegerField(default=100)
    kin_steps = models.PositiveSmallIntegerField(default=2)
    as_of = models.DateField(null=True)
    dossier_hash = models.CharField(max_length=64, blank=True)
    seen_hash = models.CharField(max_length=64, blank=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "year", "serial"], name="creditcase_number"),
            models.UniqueConstraint(
                fields=["bank_id", "customer", "product"],
                condition=Q(status__in=[s.value for s in OPEN]),
                name="creditcase_one_open",
            ),
            models.CheckConstraint(name="creditcase_positive", condition=Q(amount__gt=money(0))),
            models.CheckConstraint(
                name="creditcase_bound",
                condition=Q(status__in=("draft", "withdrawn")) | ~Q(dossier_hash="") & Q(round__gt=0),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "status", "deadline", "id"], name="creditcase_waiting"),
            models.Index(fields=["bank_id", "prepared_by", "id"], name="creditcase_mine"),
            models.Index(fields=["bank_id", "customer", "id"], name="creditcase_customer"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        """SX (授信), the year, and a running number of the bank."""
        return f"SX-{self.year}-{self.serial:04d}"

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for somebody who decides."""
        return self.status in STAGES

    @property
    def decides(self) -> str:
        """The stage that decides finally; "" before the first submission."""
        return self.route[-1] if self.route else ""


class CaseOwnedQuerySet(TenantQuerySet):
    """Rows that hang on a case are seen with its customer."""

    def visible_to(self, actor: Actor) -> CaseOwnedQuerySet:
        return self.filter(visible_rows(actor, "case__customer__"))


CaseOwnedManager = TenantManager.from_queryset(CaseOwnedQuerySet)


class CaseDossier(TenantModel):
    """Everything that was shown to who decided, as it was: `content` in its canonical form has this `hash`."""

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="dossiers")
    hash = models.CharField(max_length=64)
    content = models.JSONField()
    at = models.DateTimeField()

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "case", "hash"], name="casedossier_once")
        ]


class MakerPart(models.TextChoices):
    """In what somebody had a hand: the case itself, or something that it rests on."""

    CASE = "case", _("Approval case")
    CALCULATION = "calculation", _("Line calculation")
    RATING = "rating", _("Credit rating")
    STATEMENT = "statement", _("Statements")
    COLLECTION = "collection", _("Collection form")
    GUARANTEE = "guarantee", _("Guarantee")
    VALUATION = "valuation", _("Valuation")
    CAPACITY = "capacity", _("Guarantor's capacity")
    FILE = "file", _("File")
    TIE = "tie", _("Tie between customers")


class CaseSeen(TenantModel):
    """What stood beside the dossier when somebody decided or the case ended (selectors.cases.seen), once for each
    content: `content` in its canonical form has this `hash`. Never changed or deleted; the database refuses it."""

    audited: ClassVar = False  # never changes, and its hash stands in audited opinions and cases

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="seen")
    hash = models.CharField(max_length=64)
    content = models.JSONField()
    at = models.DateTimeField()

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "case", "hash"], name="caseseen_once")
        ]


class CaseMaker(TenantModel):
    """Somebody who had a hand in what the case rests on, and so never decides it: `part` says in what."""

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="makers")
    staff = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    part = models.CharField(max_length=12, choices=MakerPart)

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "case", "staff", "part"], name="casemaker_once")
        ]


class TieCorrection(TenantModel):
    """That a tie which a case under way counted, or may have, was recorded by mistake: `why`, by somebody of risk with no
    hand in the case. Part of its dossier from then on. Never changed or deleted; the database refuses it."""

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="corrections")
    record = BankForeignKey(RecordedTie, on_delete=models.PROTECT, related_name="+")
    why = models.CharField(max_length=200)
    by = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "case", "record"], name="tiecorrection_once"),
            models.CheckConstraint(name="tiecorrection_says_why", condition=~Q(why="")),
        ]


class SeatKind(models.TextChoices):
    MEMBER = "member", _("Committee member")
    SIGNER = "signer", _("Added signer")


# Begins the recusal that a rule found ("rule:relative"); any other is what the person said himself.
BY_RULE = "rule:"


class CaseSeat(TenantModel):
    """Who is asked by name in a round and stage. `recused`: why the person takes no part, "" while he does."""

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="seats")
    round = models.PositiveSmallIntegerField()
    stage = models.CharField(max_length=12, choices=CaseStatus)
    staff = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=6, choices=SeatKind)
    added_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    recused = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "case", "round", "staff"], name="caseseat_once"),
            models.CheckConstraint(
                name="caseseat_added",
                condition=Q(kind="member") | Q(added_by__isnull=False) & ~Q(added_by=F("staff")),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "staff", "case"], name="caseseat_staff")]


class Verdict(models.TextChoices):
    APPROVE = "approve", pgettext_lazy("opinion", "Agree")
    CONDITIONAL = "conditional", pgettext_lazy("opinion", "Agree with conditions")
    REJECT = "reject", pgettext_lazy("opinion", "Disagree")
    RETURN = "return", pgettext_lazy("opinion", "Return for more information")
    ABSTAIN = "abstain", pgettext_lazy("opinion", "Abstain")


APPROVING = (Verdict.APPROVE, Verdict.CONDITIONAL)


class OpinionPart(models.TextChoices):
    DECISION = "decision", _("Decision")
    VOTE = "vote", _("Vote")
    SIGNER = "signer", _("Added signer")


class Opinion(TenantModel):
    """What somebody said, to exactly which dossier. Never changed or deleted; `voided_at` when the dossier changed.

    `on_behalf_of`: who was away. The president of a bank vetoes by REJECT and returns a case once in its life.
    `broken_caps`: of an opinion that agrees, the regulator's caps that the case broke at that moment
    (engine.exposure.CapUse.as_json), and `cap_ground`: why they may be exceeded. `seen_hash`: of what stood beside the
    dossier (CaseSeen).
    """

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="opinions")
    round = models.PositiveSmallIntegerField()
    stage = models.CharField(max_length=12, choices=CaseStatus)
    part = models.CharField(max_length=8, choices=OpinionPart)
    staff = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    on_behalf_of = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=11, choices=Verdict)
    text = models.TextField()
    broken_caps = models.JSONField(default=list)
    cap_ground = models.TextField(blank=True)
    dossier_hash = models.CharField(max_length=64)
    seen_hash = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()
    day = models.DateField()
    voided_at = models.DateTimeField(null=True)

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "case", "round", "staff"],
                condition=Q(voided_at__isnull=True),
                name="opinion_once_a_round",
            ),
            models.UniqueConstraint(
                fields=["bank_id", "case", "round", "on_behalf_of"],
                condition=Q(voided_at__isnull=True, on_behalf_of__isnull=False),
                name="opinion_once_on_behalf",
            ),
            models.UniqueConstraint(
                fields=["bank_id", "case"],
                condition=Q(stage="president", verdict="return"),
                name="opinion_president_returns_once",
            ),
            models.UniqueConstraint(
                fields=["bank_id", "case", "round", "stage"],
                condition=Q(part="decision", voided_at__isnull=True),
                name="opinion_one_decision",
            ),
            models.CheckConstraint(
                name="opinion_not_for_oneself",
                condition=Q(on_behalf_of__isnull=True) | ~Q(on_behalf_of=F("staff")),
            ),
            models.CheckConstraint(name="opinion_says_something", condition=~Q(text="")),
            models.CheckConstraint(
                name="opinion_cap_ground", condition=Q(broken_caps=[]) | ~Q(cap_ground="")
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "staff", "id"], name="opinion_staff")]


class CaseCondition(TenantModel):
    """A condition precedent: evidenced by one, accepted by another, before the line becomes active."""

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="conditions")
    opinion = BankForeignKey(Opinion, on_delete=models.CASCADE, related_name="conditions")
    text = models.CharField(max_length=300)
    evidence = models.CharField(max_length=400, blank=True)
    evidenced_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    evidenced_at = models.DateTimeField(null=True)
    accepted_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    accepted_at = models.DateTimeField(null=True)

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="casecondition_second_person",
                condition=Q(accepted_by__isnull=True)
                | Q(evidenced_by__isnull=False) & ~Q(evidence="") & ~Q(accepted_by=F("evidenced_by")),
            )
        ]


class CaseCopy(TenantModel):
    """Somebody who is kept informed of a case."""

    case = BankForeignKey(CreditCase, on_delete=models.CASCADE, related_name="copies")
    staff = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    sent_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = CaseOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "case", "staff"], name="casecopy_once")
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "staff", "case"], name="casecopy_staff")]


class Delegation(TenantModel):
    """While `staff` is away, `to` decides in his place. What either of them must not decide, `to` does not."""

    staff = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    to = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    from_date = models.DateField()
    to_date = models.DateField()
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(name="delegation_to_another", condition=~Q(staff=F("to"))),
            models.CheckConstraint(name="delegation_dates", condition=Q(to_date__gte=F("from_date"))),
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "to", "to_date"], name="delegation_to")]


class StaffRelation(TenantModel):
    """That a customer is a close relative of a member of staff, or a company of his or theirs: he takes no part."""

    staff = BankForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    basis = models.CharField(max_length=240)
    from_date = models.DateField()
    to_date = models.DateField(null=True)
    entered_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField()

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bank_id", "staff", "customer", "from_date"], name="staffrelation_once"
            ),
            models.CheckConstraint(
                name="staffrelation_ends_later",
                condition=Q(to_date__isnull=True) | Q(to_date__gte=F("from_date")),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "customer"], name="staffrelation_customer")]
