"""Servers and processes around the program. `ensure_servers` is what manage.py uses; see README.md."""

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.servers import ensure_servers

__all__ = ["LauncherError", "ensure_servers"]
