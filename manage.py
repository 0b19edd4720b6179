"""Management commands: `python manage.py help`. Servers are found or started by crm_site.launcher."""

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
    "makemigrations",
}


def main() -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_site.settings")
    if "".join(sys.argv[1:2]) in WITHOUT_SERVERS or "--help" in sys.argv:
        main()
    else:
        try:
            with ensure_servers():
                main()
        except LauncherError as error:
            sys.exit(str(error))
