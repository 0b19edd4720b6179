from __future__ import annotations

from django.urls import path

from crm_site.accounts.views import banks

app_name = "banks"
urlpatterns = [
    path("", banks.bank_list, name="bank-list"),
    path("new/", banks.bank_add, name="bank-add"),
    path("<int:bank_id>/close/", banks.bank_close, name="bank-close"),
    path("<int:bank_id>/reopen/", banks.bank_reopen, name="bank-reopen"),
]
