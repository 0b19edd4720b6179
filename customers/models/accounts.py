"""What the customer has at the bank: products, accounts, balances, transactions, loans, cards (A4)."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import OrgUnit
from crm_site.lib.money import MoneyField
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import BankField, BankForeignKey, TenantManager, TenantModel, TenantQuerySet
from customers.models.parties import Customer, CustomerKind, CustomerOwnedManager, visible_rows


class ProductFamily(models.TextChoices):
    DEPOSIT = "deposit", _("Deposit")
    LOAN = "loan", _("Loan")
    CARD = "card", _("Card")
    WEALTH = "wealth", _("Wealth management")
    FUND = "fund", _("Fund")
    INSURANCE = "insurance", _("Insurance")
    PAYROLL = "payroll", _("Payroll")
    ACQUIRING = "acquiring", _("Acquiring")
    TRADE = "trade", _("Trade finance")
    OTHER = "other", _("Other")


class ProductQuerySet(TenantQuerySet):
    def for_customers(self, kind: str) -> ProductQuerySet:
        """The products that customers of a kind may have."""
        return self.filter(Q(customer_kinds="") | Q(customer_kinds__contains=kind))


class Product(TenantModel):
    """The product master: what an account, loan, card or holding is an instance of.

    `customer_kinds`: the kinds of customers it is for, separated by semicolons; empty: for all."""

    code = models.CharField(max_length=30)
    name = models.CharField(max_length=120)
    family = models.CharField(max_length=10, choices=ProductFamily)
    is_active = models.BooleanField(default=True)
    customer_kinds = models.CharField(max_length=30, default="", blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = TenantManager.from_queryset(ProductQuerySet)()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["bank_id", "code"], name="product_code")]

    def __str__(self) -> str:
        return self.name

    def is_for(self, kind: str) -> bool:
        """Whether customers of a kind may have it."""
        return not self.customer_kinds or kind in self.customer_kinds.split(";")

    @property
    def kind_labels(self) -> list[str]:
        """The kinds of customers it is for, in the reader's words; none: for all."""
        return [str(CustomerKind(kind).label) for kind in self.customer_kinds.split(";") if kind]


class FxRate(TenantModel):
    """Units of the bank's currency for one unit of `currency`, valid from `rate_date` until the next one."""

    currency = models.CharField(max_length=3)
    rate_date = models.DateField()
    rate = models.DecimalField(max_digits=18, decimal_places=8)
    source_as_of = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "currency", "rate_date"], name="fxrate_day"),
            models.CheckConstraint(name="fxrate_positive", condition=Q(rate__gt=0)),
        ]


class AccountKind(models.TextChoices):
    CURRENT = "current", _("Current account")
    SAVINGS = "savings", _("Savings")
    TERM = "term", _("Term deposit")
    NOTICE = "notice", _("Notice deposit")
    MARGIN = "margin", _("Margin deposit")


class AccountQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> AccountQuerySet:
        return self.filter(visible_rows(actor, "owner__"))


class Account(TenantModel):
    """A deposit account. Its owner is also its AccountHolder of role `owner`; joint holders only hold.

    Counts on a business date D when opened_date <= D and it is not closed by D (closed_date is null or > D).
    """

    number = models.CharField(max_length=40)
    owner = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="accounts")
    product = BankForeignKey(Product, null=True, on_delete=models.PROTECT, related_name="accounts")
    branch = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=AccountKind, default=AccountKind.CURRENT)
    currency = models.CharField(max_length=3)
    opened_date = models.DateField()
    closed_date = models.DateField(null=True, blank=True)
    maturity_date = models.DateField(null=True, blank=True)
    interest_rate = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = TenantManager.from_queryset(AccountQuerySet)()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["bank_id", "number"], name="account_number")]
        indexes: ClassVar = [
            models.Index(
                fields=["bank_id", "maturity_date"],
                name="account_maturity",
                condition=Q(maturity_date__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.number


class HolderRole(models.TextChoices):
    OWNER = "owner", _("Owner")
    JOINT = "joint", _("Joint holder")


class AccountHolder(TenantModel):
    account = BankForeignKey(Account, on_delete=models.CASCADE, related_name="holders")
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="holdings_of_accounts")
    role = models.CharField(max_length=6, choices=HolderRole)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "account", "customer"], name="accountholder_once"),
            models.UniqueConstraint(
                fields=["bank_id", "account"], condition=Q(role="owner"), name="accountholder_one_owner"
            ),
        ]


class BalanceChange(models.Model):
    """An account's end-of-day balance on a day it changed, with running balance-days (积数).

    `positive_days` = sum over the days from opening up to and excluding `date` of max(balance, 0), in minor
    units x days; `negative_days` likewise of max(-balance, 0). With S(x) = p + (x - d) * max(b, 0) of the last
    row d <= x, the sum of end-of-day balances over the days [a, b] is S(b + 1) - S(a). In the account's currency.
    Partitioned by month of `date`; the key is (bank_id, account_id, date).
    """

    pk = models.CompositePrimaryKey("bank_id", "account_id", "date")
    bank_id = BankField(editable=False)
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, db_constraint=False, related_name="changes"
    )
    date = models.DateField()
    balance = MoneyField()
    positive_days = models.BigIntegerField()
    negative_days = models.BigIntegerField()
    source_as_of = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        managed = False
        db_table = "customers_balancechange"


class BalanceConfirmation(TenantModel):
    """Days on which accounts were delivered with the balance that stood already: no BalanceChange row then.

    Kept so that a row for an earlier day that comes late does not run on over a day that is known. `accounts`:
    ids of one bucket (id / 10,000) that were told so on `date` by a source as of `source_as_of`.
    """

    audited: ClassVar = False  # what was delivered, not what was changed: the batch is its record

    date = models.DateField()
    bucket = models.BigIntegerField()
    accounts = ArrayField(models.BigIntegerField())
    source_as_of = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes: ClassVar = [
            models.Index(fields=["bank_id", "date", "bucket"], name="balanceconfirmation_day")
        ]


class Transaction(models.Model):
    """An entry of an account, positive in, negative out. Partitioned by month of `booked_date`.

    `reference` is the core's own entry number, unique within its booking date.
    """

    pk = models.CompositePrimaryKey("bank_id", "booked_date", "id")
    bank_id = BankField(editable=False)
    id = models.BigIntegerField()
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, db_constraint=False, related_name="entries"
    )
    booked_date = models.DateField()
    reference = models.CharField(max_length=40)
    amount = MoneyField()
    kind = models.CharField(max_length=20, blank=True)
    channel = models.CharField(max_length=20, blank=True)
    branch = models.ForeignKey(OrgUnit, null=True, on_delete=models.DO_NOTHING, db_constraint=False)
    counterparty = models.CharField(max_length=160, blank=True)
    counterparty_account = models.CharField(max_length=40, blank=True)
    counterparty_bank = models.CharField(max_length=40, blank=True)
    purpose = models.CharField(max_length=80, blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        managed = False
        db_table = "customers_transaction"


class LoanStatus(models.TextChoices):
    ACTIVE = "active", _("Active")
    REPAID = "repaid", _("Repaid")
    WRITTEN_OFF = "written_off", _("Written off")


class Loan(TenantModel):
    """A loan. `outstanding` and `days_past_due`/`overdue_amount` are as of `as_of` (core or night run)."""

    number = models.CharField(max_length=40)
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="loans")
    account = BankForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="loans")
    product = BankForeignKey(Product, null=True, on_delete=models.PROTECT, related_name="loans")
    branch = BankForeignKey(OrgUnit, null=True, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3)
    amount = MoneyField()
    outstanding = MoneyField()
    granted_date = models.DateField()
    maturity_date = models.DateField()
    closed_date = models.DateField(null=True, blank=True)
    interest_rate = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    purpose = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=12, choices=LoanStatus, default=LoanStatus.ACTIVE)
    overdue_amount = MoneyField(default=0)
    days_past_due = models.PositiveIntegerField(default=0)
    as_of = models.DateField(null=True)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["bank_id", "number"], name="loan_number")]


class LoanInstalment(TenantModel):
    """A due date of a loan's schedule and what is due then (principal and interest together)."""

    loan = BankForeignKey(Loan, on_delete=models.CASCADE, related_name="instalments")
    due_date = models.DateField()
    amount = MoneyField()
    source_as_of = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "loan", "due_date"], name="loaninstalment_day")
        ]


class LoanBalance(TenantModel):
    """Outstanding principal and arrears of a loan from `date` on (feeds loans/arrears; a row per change).

    So that a night for a past date sees the loan as it stood then.
    """

    loan = BankForeignKey(Loan, on_delete=models.CASCADE, related_name="balances")
    date = models.DateField()
    outstanding = MoneyField()
    overdue_amount = MoneyField(default=0)
    overdue_since = models.DateField(null=True)  # due date of the oldest instalment not covered
    source_as_of = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "loan", "date"], name="loanbalance_day")
        ]


class Card(TenantModel):
    number_tail = models.CharField(max_length=4, blank=True)
    reference = models.CharField(max_length=40)
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="cards")
    account = BankForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="cards")
    product = BankForeignKey(Product, null=True, on_delete=models.PROTECT, related_name="cards")
    issued_date = models.DateField()
    expires_date = models.DateField(null=True, blank=True)
    closed_date = models.DateField(null=True, blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "reference"], name="card_reference")
        ]


class StandingOrder(TenantModel):
    reference = models.CharField(max_length=40)
    account = BankForeignKey(Account, on_delete=models.PROTECT, related_name="standing_orders")
    amount = MoneyField()
    currency = models.CharField(max_length=3)
    to_bank = models.CharField(max_length=40, blank=True)
    to_account = models.CharField(max_length=40, blank=True)
    purpose = models.CharField(max_length=80, blank=True)
    closed_date = models.DateField(null=True, blank=True)
    source_as_of = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "reference"], name="standingorder_reference")
        ]


class Holding(TenantModel):
    """Wealth products, funds and insurance held: market value from `date` on, a row per change."""

    reference = models.CharField(max_length=40)
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="holdings")
    product = BankForeignKey(Product, on_delete=models.PROTECT, related_name="holdings")
    date = models.DateField()
    value = MoneyField()
    currency = models.CharField(max_length=3)
    maturity_date = models.DateField(null=True, blank=True)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "reference", "date"], name="holding_day")
        ]


class Fee(TenantModel):
    reference = models.CharField(max_length=40)
    customer = BankForeignKey(Customer, on_delete=models.PROTECT, related_name="fees")
    product = BankForeignKey(Product, null=True, on_delete=models.PROTECT, related_name="fees")
    date = models.DateField()
    amount = MoneyField()
    currency = models.CharField(max_length=3)
    source_as_of = models.DateTimeField(null=True)

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "reference"], name="fee_reference")
        ]
