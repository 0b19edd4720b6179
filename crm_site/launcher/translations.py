"""Compile the message catalogues that changed."""

from __future__ import annotations

import signal
import subprocess
import sys

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.processes import die_with_parent
from crm_site.launcher.servers import ROOT


def start_compiling() -> subprocess.Popen[bytes]:
    """Begin in a process of its own, for who has other things to do meanwhile."""
    command = [sys.executable, "-m", "crm_site.lib.translations"]
    return subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent(signal.SIGTERM))


def finish_compiling(child: subprocess.Popen[bytes]) -> None:
    if child.wait():
        raise LauncherError("The translations do not compile.")


def compile_translations() -> None:
    finish_compiling(start_compiling())
