from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CompositionConfig(AppConfig):
    name = "crm_site.composition"
    label = "composition"

    def ready(self) -> None:
        from crm_site.composition.uses import customers_of
        from crm_site.lib.permissions import Role
        from crm_site.lib.registry import (
            CUSTOMER_IDS,
            CUSTOMER_NUMBERS,
            SIGHT,
            SUBJECTS,
            SYSTEM_NAMES,
            UNIT_USES,
            NavItem,
            add_home,
            add_nav,
        )
        from crm_site.pipeline import register
        from customers.subjects import ids_of, numbers_of, sight, subjects

        register()
        SUBJECTS.add("customers", subjects)
        SIGHT.add("customers", sight)
        CUSTOMER_IDS.add("customers", ids_of)
        CUSTOMER_NUMBERS.add("customers", numbers_of)
        UNIT_USES.add("customers", customers_of)
        for name, words in (
            ("command", _("Command line")),
            ("create_demo", _("Demo data")),
            ("make_bank", _("Synthetic bank")),
            ("make_ratings", _("Synthetic bank")),
            ("load_sample", _("Sample data")),
        ):
            SYSTEM_NAMES.add(name, words)
        add_home(Role.OPERATOR, "operator-home", 5)
        add_nav(NavItem("home", _("Home"), "home", "home", "", 0))
        add_nav(
            NavItem(
                "administration",
                _("Morning check"),
                "administrator-home",
                "clipboard-check",
                "administration.read",
                5,
            )
        )
        add_home(Role.ADMINISTRATOR, "administrator-home", 60)
