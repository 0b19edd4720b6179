from __future__ import annotations

from django.urls import path

from crm_site.accounts.views import clients, grants, me, organisation, staff

app_name = "accounts"
urlpatterns = [
    path("", organisation.settings, name="settings"),
    path("me/", me.me, name="me"),
    path("me/sessions/<int:session_id>/end/", me.session_end, name="session-end"),
    path("organisation/", organisation.unit_list, name="unit-list"),
    path("organisation/new/", organisation.unit_add, name="unit-add"),
    path("organisation/<int:unit_id>/", organisation.unit, name="unit"),
    path("organisation/<int:unit_id>/close/", organisation.unit_close, name="unit-close"),
    path("organisation/<int:unit_id>/reopen/", organisation.unit_reopen, name="unit-reopen"),
    path("staff/", staff.staff_list, name="staff-list"),
    path("staff/new/", staff.staff_add, name="staff-add"),
    path("staff/<int:staff_id>/", staff.staff, name="staff"),
    path("staff/<int:staff_id>/edit/", staff.staff_edit, name="staff-edit"),
    path("staff/<int:staff_id>/deactivate/", staff.staff_deactivate, name="staff-deactivate"),
    path("staff/<int:staff_id>/reactivate/", staff.staff_reactivate, name="staff-reactivate"),
    path("staff/<int:staff_id>/password/", staff.staff_password, name="staff-password"),
    path("staff/<int:staff_id>/unlock/", staff.staff_unlock, name="staff-unlock"),
    path("staff/<int:staff_id>/second-factor/", staff.staff_second_factor, name="staff-second-factor"),
    path("staff/<int:staff_id>/roles/new/", grants.grant_add, name="grant-add"),
    path("roles/", grants.grant_list, name="grant-list"),
    path("roles/<int:grant_id>/decide/", grants.grant_decide, name="grant-decide"),
    path("roles/<int:grant_id>/withdraw/", grants.grant_withdraw, name="grant-withdraw"),
    path("roles/<int:grant_id>/revoke/", grants.grant_revoke, name="grant-revoke"),
    path("grades/", organisation.grades, name="grades"),
    path("clients/", clients.client_list, name="client-list"),
    path("clients/new/", clients.client_add, name="client-add"),
    path("clients/<str:client_id>/revoke/", clients.client_revoke, name="client-revoke"),
    path("bank/", organisation.bank, name="bank"),
]
