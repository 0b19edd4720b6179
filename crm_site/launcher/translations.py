"""Compile the message catalogues that changed."""

from __future__ import annotations

import subprocess
import sys

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.servers import ROOT


def compile_translations() -> None:
    if subprocess.run([sys.executable, "-m", "crm_site.lib.translations"], cwd=ROOT, check=False).returncode:
        raise LauncherError("The translations do not compile.")
