from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "crm_site.accounts"
    label = "accounts"
    verbose_name = _("Organisation")

    def ready(self) -> None:
        from allauth.account.signals import password_changed
        from allauth.idp.oidc.models import Client
        from django.contrib.auth.signals import user_logged_in

        from crm_site.accounts.models import OrgUnit, RoleGrant, Staff
        from crm_site.accounts.sessions import note_password_change, note_sign_in
        from crm_site.lib.record_pages import RecordPage, add_record_pages
        from crm_site.lib.registry import NavItem, add_nav

        user_logged_in.connect(note_sign_in, dispatch_uid="accounts-sign-in")
        password_changed.connect(note_password_change, dispatch_uid="accounts-password")
        add_nav(NavItem("banks", _("Banks"), "banks:bank-list", "building-bank", "bank.manage", order=10))
        add_nav(NavItem("grants", _("Roles"), "accounts:grant-list", "user-check", "role.decide", order=60))
        add_record_pages(
            "accounts",
            [
                RecordPage(Staff, "staff.manage", "accounts:staff"),
                RecordPage(RoleGrant, "staff.manage", "accounts:staff", "staff_id"),
                RecordPage(OrgUnit, "organisation.manage", "accounts:unit"),
                RecordPage(Client, "api_client.manage", "accounts:client-list", within="#client-{}".format),
            ],
        )
