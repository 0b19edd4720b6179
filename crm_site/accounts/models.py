"""Banks, the organisation tree, staff with grade and capacity, role grants given by a second person."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _

from crm_site.lib.money import MoneyField
from crm_site.lib.permissions import ROLE_LABELS, Role
from crm_site.lib.tenancy import BankField, BankForeignKey, TenantManager, TenantModel, TenantQuerySet


class Bank(models.Model):
    """A legal entity on this installation. A global table: it holds nothing of a customer.

    `business_date`: the newest business date whose night run has finished; None before the first.
    The platform's own row (`is_platform`) is the bank of the operators: it has staff and no customers.
    `sealed_as`: the bank's number to which its protected values are bound, None: its own id; a bank put back from a
    backup has a new id and keeps the old binding. `record_shift`: what the record adds to the number of a transaction,
    so that a bank put back on a younger server goes on where its record ended (decision record 0009).
    """

    code = models.SlugField(max_length=30, unique=True)
    name = models.CharField(max_length=120)
    host = models.CharField(max_length=190, unique=True)
    currency = models.CharField(max_length=3, default="CNY")
    timezone = models.CharField(max_length=50, default="Asia/Shanghai")
    language = models.CharField(max_length=10, default="zh-hans")
    business_date = models.DateField(null=True)
    data_as_of = models.DateTimeField(null=True)
    is_platform = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    wrapped_key = models.BinaryField()
    sealed_as = models.BigIntegerField(null=True, editable=False)
    record_shift = models.BigIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return self.name


class MoveKind(models.TextChoices):
    BACKUP = "backup", _("Backed up")
    RESTORE = "restore", _("Restored")
    REMOVE = "remove", _("Removed")


class BankMove(models.Model):
    """A bank was backed up, put back or removed. A global table: it outlives the bank and holds nothing of a customer.

    The application role reads and appends. Two more columns, `xact` and `began`, belong to the owner of the tables: they
    name the transaction in which the guards stand aside for this bank (`crm_site/lib/postgres/moving.py`).
    `done_by`: user and machine of the operator's command. `rows`: of all tables together.
    """

    bank_id = models.BigIntegerField()
    code = models.CharField(max_length=30)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=MoveKind)
    at = models.DateTimeField()
    done_by = models.CharField(max_length=120)
    rows = models.BigIntegerField()
    detail = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["bank_id", "kind"], name="bankmove_bank")]

    def __str__(self) -> str:
        return f"{self.code} {self.kind}"


class OrgUnitKind(models.TextChoices):
    HEAD_OFFICE = "head_office", _("Head office")
    BRANCH = "branch", _("Branch")
    SUB_BRANCH = "sub_branch", _("Sub-branch")


class OrgUnit(TenantModel):
    """A place in the organisation. `lft`..`rgt` is its interval: a subtree is `lft BETWEEN a.lft AND a.rgt`."""

    code = models.CharField(max_length=30)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=OrgUnitKind)
    parent = BankForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    lft = models.IntegerField(default=0)
    rgt = models.IntegerField(default=0)
    region = models.CharField(max_length=120, blank=True)
    is_open = models.BooleanField(default=True)
    source_as_of = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["lft", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "code"], name="orgunit_code"),
            models.UniqueConstraint(
                fields=["bank_id"], condition=Q(parent__isnull=True), name="orgunit_one_head_office"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "lft"], name="orgunit_lft")]

    def __str__(self) -> str:
        return self.name


class Grade(models.TextChoices):
    """RM grades (D2, D9), best first."""

    SENIOR = "senior", _("Senior")
    LEVEL_1 = "level_1", _("Level 1")
    LEVEL_2 = "level_2", _("Level 2")
    LEVEL_3 = "level_3", _("Level 3")
    LEVEL_4 = "level_4", _("Level 4")
    TRAINEE = "trainee", _("Trainee")


# Whose bounds hold for a relationship manager whose grade nobody has set: the lowest grade's, as for a newcomer.
GRADE_UNTIL_SET = Grade.TRAINEE


class LineDepartment(models.TextChoices):
    CORPORATE = "corporate", _("Corporate banking")
    PERSONAL = "personal", _("Personal banking")
    RURAL = "rural", _("Rural banking")


class GradeCapacity(TenantModel):
    """How many customers and how much value (deposits + loans) one of a grade may hold (D2)."""

    grade = models.CharField(max_length=10, choices=Grade)
    max_customers = models.PositiveIntegerField()
    max_value = MoneyField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "grade"], name="gradecapacity_grade")
        ]


class StaffQuerySet(TenantQuerySet):
    def active(self) -> StaffQuerySet:
        return self.filter(is_active=True)


class StaffManager(TenantManager.from_queryset(StaffQuerySet), BaseUserManager):
    def create_user(self, number: str, password: str | None = None, **fields: Any) -> Staff:
        staff: Any = self.model(number=number, **fields)
        staff.set_password(password)
        staff.save(using=self._db)
        return staff


class Staff(AbstractBaseUser):
    """A person who works at the bank. Signs in with the staff number at the bank's host.

    `one_time_until`: a password that must be changed is good until then. `issued_by`, `issued_at`: who last gave this
    person a one-time password or took a second factor away. The keys of Django's and the sign-in library's own tables to
    a person carry the bank in the database, though those libraries do not know it.
    """

    bank_id = BankField(editable=False)
    number = models.CharField(_("staff number"), max_length=30)
    name = models.CharField(_("name"), max_length=80)
    email = models.EmailField(_("e-mail"), blank=True)
    unit = BankForeignKey(OrgUnit, on_delete=models.PROTECT, related_name="staff")
    grade = models.CharField(_("grade"), max_length=10, choices=Grade, blank=True)
    line_department = models.CharField(
        _("line department"), max_length=10, choices=LineDepartment, blank=True
    )
    language = models.CharField(max_length=10, blank=True)
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=False)
    one_time_until = models.DateTimeField(null=True)
    issued_by = BankForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField(null=True)
    left_date = models.DateField(null=True, blank=True)
    source_as_of = models.DateTimeField(null=True)

    is_staff = False
    is_superuser = False

    USERNAME_FIELD = "number"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    objects = StaffManager()

    class Meta:
        base_manager_name = "objects"
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "number"], name="staff_number"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_full_name(self) -> str:
        return self.name

    @property
    def first_name(self) -> str:
        return self.name

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Django's own permissions are not used: see crm_site.lib.permissions."""
        return False

    def has_module_perms(self, app_label: str) -> bool:
        return False


class GrantStatus(models.TextChoices):
    PROPOSED = "proposed", _("Proposed")
    EFFECTIVE = "effective", _("Effective")
    REJECTED = "rejected", _("Rejected")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    REVOKED = "revoked", _("Revoked")


class RoleGrantQuerySet(TenantQuerySet):
    def in_force(self, day: dt.date) -> RoleGrantQuerySet:
        """Grants that hold on a day. `selectors.actor_for` says the same in SQL; a test keeps them equal."""
        return self.filter(
            Q(to_date__isnull=True) | Q(to_date__gte=day), status=GrantStatus.EFFECTIVE, from_date__lte=day
        )


class RoleGrant(TenantModel):
    """A role of a person at a place, from a date to a date, proposed by one and decided by another.

    The first administrator's grant (create_bank) has no proposer and no decider, the second one's no decider:
    `founding` is True. `decided_by` stays who approved when it is revoked.
    """

    staff = BankForeignKey(Staff, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(max_length=30, choices=[(r.value, ROLE_LABELS[r]) for r in Role if r != Role.API])
    unit = BankForeignKey(OrgUnit, on_delete=models.PROTECT, related_name="role_grants")
    from_date = models.DateField()
    to_date = models.DateField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=GrantStatus, default=GrantStatus.PROPOSED)
    founding = models.BooleanField(default=False)
    proposed_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    decided_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    revoked_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=200, blank=True)

    objects = TenantManager.from_queryset(RoleGrantQuerySet)()

    class Meta(TenantModel.Meta):
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="rolegrant_second_person",
                condition=Q(founding=True)
                | Q(status__in=["proposed", "withdrawn"], proposed_by__isnull=False)
                | Q(proposed_by__isnull=False, decided_by__isnull=False)
                & ~Q(decided_by=F("proposed_by"))
                & ~Q(decided_by=F("staff")),
            ),
            models.CheckConstraint(
                name="rolegrant_not_to_oneself",
                condition=Q(founding=True) | ~Q(proposed_by=F("staff")),
            ),
            models.CheckConstraint(
                name="rolegrant_dates",
                condition=Q(to_date__isnull=True) | Q(to_date__gte=F("from_date")),
            ),
            ExclusionConstraint(
                name="rolegrant_once",
                expressions=[
                    (F("bank_id"), RangeOperators.EQUAL),
                    (F("staff"), RangeOperators.EQUAL),
                    (F("role"), RangeOperators.EQUAL),
                    (F("unit"), RangeOperators.EQUAL),
                    (
                        Func(F("from_date"), F("to_date"), Value("[]"), function="daterange"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                condition=Q(status__in=["proposed", "effective"]),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "staff", "status"], name="rolegrant_staff")]


class PasswordHistory(TenantModel):
    """Hashes of a person's last passwords: none of them may come again."""

    audited: ClassVar = False  # the change of the password itself is

    staff = BankForeignKey(Staff, on_delete=models.CASCADE, related_name="+")
    password = models.CharField(max_length=128)
    set_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes: ClassVar = [models.Index(fields=["bank_id", "staff", "-id"], name="passwordhistory_staff")]


def login_key(login: str) -> str:
    """The keyed hash under which failures of a typed login name are counted."""
    return hmac.new(settings.SECRET_KEY.encode(), login.strip().lower().encode(), hashlib.sha256).hexdigest()


class SignInFailure(TenantModel):
    """Failed sign-ins of one login name, known or not: what is kept is a keyed hash of what was typed.

    `failures` since `first_at`; five within five minutes lock the name until `locked_until`.
    """

    audited: ClassVar = False  # each failure and each lock is recorded by name

    login_hash = models.CharField(max_length=64)
    failures = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "login_hash"], name="signinfailure_login")
        ]
        indexes: ClassVar = [models.Index(fields=["bank_id", "last_at"], name="signinfailure_last")]


class SignInPolicy(TenantModel):
    """How a bank's people sign in; no row means: as here."""

    second_factor_required = models.BooleanField(default=False)
    changed_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["bank_id"], name="signinpolicy_one")]


class IdempotencyKey(TenantModel):
    """A machine's write that was answered: the same key and body get the same answer again."""

    audited: ClassVar = False  # the write itself is

    client_id = models.CharField(max_length=100)
    key = models.CharField(max_length=200)
    operation = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "client_id", "key"], name="idempotencykey_once")
        ]
