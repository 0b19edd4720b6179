"""Management commands: `python manage.py help`. Servers are found or started by crm_site.launcher."""

import gc
import os
import sys

from crm_site.launcher import LauncherError, ensure_servers

# These read no database: they start nothing.
WITHOUT_SERVERS = {
    "",
    "help",
    "--help",
    "version",
    "--version",
    "check",
    "check_templates",
    "collectstatic",
    "evaluate_model",
    "makemigrations",
}
AS_OWNER = {"migrate", "remove_bank"}  # what settings.AS_OWNER says, asked here for a plain answer


def main() -> None:
    from django.core.management import execute_from_command_line

    from crm_site.lib.postgres.roles import UnsafeRole

    try:
        execute_from_command_line(sys.argv)
    except UnsafeRole as error:
        sys.exit(str(error))


if __name__ == "__main__":
    gc.set_threshold(
        50_000, 20, 20
    )  # imports and models make objects that stay: looking at them often is a fifth of a start
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_site.settings")
    if "".join(sys.argv[1:2]) in WITHOUT_SERVERS or "--help" in sys.argv:
        main()
    else:
        try:
            with ensure_servers():
                if sys.argv[1] in AS_OWNER and not os.environ.get("DATABASE_OWNER_URL"):
                    raise LauncherError(
                        f"{sys.argv[1]} runs as the owner of the tables: set DATABASE_OWNER_URL."
                    )
                main()
        except LauncherError as error:
            sys.exit(str(error))
