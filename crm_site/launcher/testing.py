"""`make test`: pytest on throw-away servers, which are gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from crm_site.launcher.processes import die_with_parent
from crm_site.launcher.servers import ROOT, data_folder, lock, owned, server_home
from crm_site.launcher.translations import compile_translations

PREFIX = "banyan-test-"
OURS = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY", "BANYAN_MASTER_KEY", "BANYAN_DATA")
EVERYTHING = ["-n", "auto", "--maxprocesses=8", "--dist", "loadscope"]


def main(words: list[str]) -> int:
    """Run pytest with `words` (all tests, in parallel, when empty); its exit code."""
    compile_translations()
    _sweep()
    for name in OURS:  # never the data of whoever calls
        os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    os.environ["BANYAN_DATA"] = str(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with owned(data_folder(), "test") as servers:
            command = [sys.executable, "-m", "pytest", *(words or EVERYTHING)]
            environment = os.environ | servers.environment
            child = subprocess.Popen(
                command, cwd=ROOT, env=environment, preexec_fn=die_with_parent(signal.SIGTERM)
            )
            try:
                return child.wait()
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)
                return child.wait()
    finally:
        _remove(folder)


def _sweep() -> None:
    """Remove what killed runs of this user left in the temporary folder."""
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        if folder.stat().st_uid == os.geteuid() and (held := lock(folder / "server.lock")):
            with held:
                _remove(folder)


def _remove(folder: Path) -> None:
    home = server_home(folder)
    for place in {folder, home}:
        shutil.rmtree(place, ignore_errors=True)
