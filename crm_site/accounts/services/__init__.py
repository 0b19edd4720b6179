"""What is done to banks, organisation and people: one function per business action."""

from crm_site.accounts.services.clients import NewClient, create_api_client, revoke_api_client
from crm_site.accounts.services.founding import (
    PLATFORM_CODE,
    FoundedBank,
    close_bank,
    create_bank,
    found_bank,
    reopen_bank,
)
from crm_site.accounts.services.grants import (
    decide_grant,
    propose_grant,
    revoke_grant,
    withdraw_grant,
)
from crm_site.accounts.services.organisation import (
    add_unit,
    change_unit,
    close_unit,
    renumber_tree,
    reopen_unit,
    set_capacity,
    set_sign_in_policy,
)
from crm_site.accounts.services.passwords import ONE_TIME_HOURS, one_time_password
from crm_site.accounts.services.staff import (
    NewLogin,
    change_staff,
    deactivate_staff,
    end_session,
    end_sessions,
    hire_staff,
    reactivate_staff,
    reset_password,
    reset_second_factor,
    unlock_sign_in,
)

__all__ = [
    "ONE_TIME_HOURS", "PLATFORM_CODE", "FoundedBank", "NewClient", "NewLogin", "add_unit", "change_staff", "change_unit",
    "close_bank", "close_unit", "create_api_client", "create_bank", "deactivate_staff", "decide_grant", "end_session", "end_sessions",
    "found_bank", "hire_staff", "one_time_password", "propose_grant", "reactivate_staff", "renumber_tree", "reopen_bank",
    "reopen_unit", "reset_password", "reset_second_factor", "revoke_api_client", "revoke_grant", "set_capacity",
    "set_sign_in_policy", "unlock_sign_in", "withdraw_grant",
]  # fmt: skip
