"""The record: entries that triggers and services append, and the seals that chain them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from crm_site.lib.tenancy import BankField, TenantManager


class Action(models.TextChoices):
    INSERT = "insert", _("Created")
    UPDATE = "update", _("Changed")
    DELETE = "delete", _("Deleted")
    REVEAL = "reveal", _("Revealed")
    LOCATE = "locate", _("Located")
    EXPORT = "export", _("Exported")
    DECIDE = "decide", _("Decided")
    SIGN_IN = "sign_in", _("Signed in")
    SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")
    SIGN_OUT = "sign_out", _("Signed out")
    FILE = "file", _("Delivered")
    LOCK_OUT = "lock_out", _("Locked out")
    PASSWORD = "password", _("Password changed")
    BACKUP = "backup", _("Backed up")
    RESTORE = "restore", _("Restored")
    REMOVE = "remove", _("Removed")
    CHECK = "check", _("Record checked")


# Readings of what is protected, one by one or as a file; people who did not come in.
READ = (Action.REVEAL, Action.LOCATE, Action.EXPORT)
KEPT_OUT = (Action.SIGN_IN_FAILED, Action.LOCK_OUT)


class Entry(models.Model):
    """One change of one row, one bulk insert, or one reading of something protected.

    `changes`: {column: [before, after]} for updates; {column: value} for single inserts and deletes;
    {"rows", "first_id", "last_id"} for an insert of more than BULK rows in one statement. Protected columns are
    ciphertext, secrets are "(secret)". `tx`: the writing transaction, by which the sealer knows what is final.
    Partitioned by month; the application role may only insert and select.
    """

    pk = models.CompositePrimaryKey("bank_id", "id", "at")
    bank_id = BankField(editable=False)
    id = models.BigIntegerField()
    at = models.DateTimeField()
    tx = models.BigIntegerField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=120)
    address = models.CharField(max_length=64)
    request_id = models.CharField(max_length=32)
    run_id = models.BigIntegerField(null=True)
    action = models.CharField(max_length=16, choices=Action)
    object_table = models.CharField(max_length=63)
    object_id = models.BigIntegerField(null=True)
    customer_id = models.BigIntegerField(null=True)
    changes = models.JSONField(null=True)
    reason = models.CharField(max_length=200)

    objects = TenantManager()

    class Meta:
        managed = False
        db_table = "audit_entry"


class Seal(models.Model):
    """A block of final entries, chained to the block before it.

    Covers the entries with tx_from <= tx < tx_to in the order (tx, id). `digests`: 16 bytes of SHA-256 for each;
    `hash` = SHA-256(previous hash, seq, tx_to, digests). The newest hash is kept outside the table as well.
    """

    pk = models.CompositePrimaryKey("bank_id", "seq")
    bank_id = BankField(editable=False)
    seq = models.BigIntegerField()
    tx_from = models.BigIntegerField()
    tx_to = models.BigIntegerField()
    entries = models.IntegerField()
    first_id = models.BigIntegerField(null=True)
    digests = models.BinaryField()
    hash = models.BinaryField()
    sealed_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        managed = False
        db_table = "audit_seal"
        ordering: ClassVar = ["seq"]
