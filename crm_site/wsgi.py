"""The web server's way in."""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_site.settings")

application = get_wsgi_application()

from crm_site.lib.postgres.roles import UnsafeRole, check_role  # noqa: E402 - settings are loaded by now

try:
    check_role()
except UnsafeRole as refusal:
    sys.exit(str(refusal))
