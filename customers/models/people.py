"""Whom to talk to at a company: the people there, their posts and their part in buying (A5)."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm_site.lib.tenancy import BankForeignKey, TenantModel
from customers.identifiers import person_phone_row
from customers.models.parties import Customer, CustomerOwnedManager


class Post(models.TextChoices):
    """A post that matters to a bank; every other one by its title."""

    LEGAL_REPRESENTATIVE = "legal_representative", _("Legal representative")
    ACTUAL_CONTROLLER = "actual_controller", _("Actual controller")
    CHAIR = "chair", _("Chair of the board")
    GENERAL_MANAGER = "general_manager", _("General manager")
    FINANCE_DIRECTOR = "finance_director", _("Finance director")
    OTHER = "other", _("Another post")


class BuyingRole(models.TextChoices):
    """The part somebody has in what the company buys from a bank."""

    DECIDER = "decider", pgettext_lazy("buying role", "Decider")
    APPROVER = "approver", pgettext_lazy("buying role", "Approver")
    INFLUENCER = "influencer", pgettext_lazy("buying role", "Influencer")
    BUYER = "buyer", pgettext_lazy("buying role", "Buyer")
    USER = "user", pgettext_lazy("buying role", "User")
    GATEKEEPER = "gatekeeper", pgettext_lazy("buying role", "Gatekeeper")


class LeftReason(models.TextChoices):
    LEFT = "left", _("Left the company")
    MOVED = "moved", _("Took another post there")
    RETIRED = "retired", pgettext_lazy("why somebody left", "Retired")
    OTHER = "other", pgettext_lazy("why somebody left", "For another reason")
    MISTAKE = "mistake", _("Was entered by mistake")


# Who is a key person: by a post that the bank knows, or by deciding or approving. The one rule, for Python and for SQL.
KEY_POSTS = tuple(post.value for post in Post if post != Post.OTHER)
KEY_ROLES = (BuyingRole.DECIDER.value, BuyingRole.APPROVER.value)
KEY_SQL = f"({{p}}.post IN {KEY_POSTS} OR {{p}}.roles && ARRAY{list(KEY_ROLES)}::varchar[])"
RECENT_DAYS = 30  # for so long a change of a key person is news


class ContactPerson(TenantModel):
    """Somebody's time in a post at a corporate customer. It begins once and ends once: name and post never change, who
    takes another post gets another row, and who was entered by mistake has left by mistake.

    `phone` is protected like an identifier (place "contactperson.phone", row "<customer number>|person|<submission>").
    `from_date`: in the post since, where it is known. `party`: the same person as a customer of the bank.
    """

    customer = BankForeignKey(Customer, on_delete=models.CASCADE, related_name="people")
    name = models.CharField(max_length=80)
    post = models.CharField(max_length=20, choices=Post)
    title = models.CharField(max_length=60, blank=True)
    roles = ArrayField(models.CharField(max_length=10, choices=BuyingRole), default=list, blank=True)
    phone = models.BinaryField(null=True)
    phone_masked = models.CharField(max_length=40, blank=True)
    party = BankForeignKey(Customer, null=True, on_delete=models.PROTECT, related_name="+")
    from_date = models.DateField(null=True, blank=True)
    left_date = models.DateField(null=True, blank=True)
    left_reason = models.CharField(max_length=8, choices=LeftReason, blank=True)
    note = models.CharField(max_length=200, blank=True)
    submission = models.UUIDField()

    objects = CustomerOwnedManager()

    class Meta(TenantModel.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bank_id", "submission"], name="contactperson_once"),
            models.UniqueConstraint(
                fields=["bank_id", "customer"],
                condition=Q(post=Post.LEGAL_REPRESENTATIVE, left_date__isnull=True),
                name="contactperson_one_legal_representative",
            ),
            models.CheckConstraint(
                name="contactperson_left",
                condition=Q(left_date__isnull=True, left_reason="")
                | Q(left_date__isnull=False) & ~Q(left_reason=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_key(self) -> bool:
        """Whether a change of this person is a signal (see KEY_SQL)."""
        return self.post in KEY_POSTS or not set(KEY_ROLES).isdisjoint(self.roles)

    @property
    def role_labels(self) -> list[str]:
        """The parts in buying in the reader's words, those that decide first."""
        return [str(role.label) for role in BuyingRole if role.value in self.roles]

    @property
    def post_label(self) -> str:
        """The post in the reader's words; what the company calls it where it is another one."""
        return str(self.title if self.post == Post.OTHER else self.get_post_display())

    @property
    def phone_row(self) -> str:
        """What the ciphertext of the phone is bound to."""
        return person_phone_row(self.customer.number, self.submission.hex)
