"""Compile the message catalogues when one changed since."""

from __future__ import annotations

import subprocess
import sys

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.servers import ROOT


def compile_translations() -> None:
    for source in (ROOT / "locale").rglob("*.po"):
        compiled = source.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            break
    else:
        return
    done = subprocess.run([sys.executable, "-m", "crm_site.lib.translations"], cwd=ROOT, check=False)
    if done.returncode:
        raise LauncherError("The translations do not compile.")
