"""What happens at sign-in and to banks, told to whoever keeps the record (crm_site.audit listens)."""

from __future__ import annotations

from django.dispatch import Signal

# request, staff_id or None, until, begins: a login is locked after too many failures (begins), or was tried while locked.
locked_out = Signal()
# actor, staff: an administrator lifted such a lock.
unlocked = Signal()
# actor, bank: an operator founded a bank / closed or reopened one.
bank_created = Signal()
bank_switched = Signal()
