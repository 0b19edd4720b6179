"""install.py FILE: install the locked packages of FILE into the environment whose Python runs this.

pip, from the wheel that Python brings for new environments, installs uv; uv installs the rest in a fifth of pip's
time. Where uv cannot (no build of it for this machine, an index that only pip reaches), pip installs everything.
Both check every file's hash. Standard library only: nothing is installed yet.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

UV_LOCK = Path(__file__).resolve().with_name("uv.txt")
# pip's settings -> the variables by which uv is told the same; what the caller has set for uv wins.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
COMMA_SEPARATED = {"find-links"}
Pip = tuple[list[str], dict[str, str]]


def main(requirements: str) -> None:
    pip = _pip()
    reading = _start(pip, "config", "list", stdout=subprocess.PIPE)
    got_uv = _install(pip, UV_LOCK, "--only-binary", ":all:", "--no-deps")
    listed = reading.communicate()[0].decode(errors="replace")
    if got_uv and _install_by_uv(requirements, uv_variables(listed)):
        return
    print("uv cannot install here; pip does it, which takes longer", file=sys.stderr, flush=True)
    if not _install(pip, requirements):
        sys.exit("The locked packages could not be installed: is the package index reachable?")


def _pip() -> Pip:
    """A command for pip and its environment: this environment's own, else run from the wheel beside ensurepip."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"], dict(os.environ)
    folders = [Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/nonexistent")]
    if (found := find_spec("ensurepip")) and found.origin:
        folders.append(Path(found.origin).parent / "_bundled")
    for folder in folders:
        if wheels := sorted(folder.glob("pip-*.whl")):
            return [sys.executable, "-m", "pip"], os.environ | {"PYTHONPATH": str(wheels[-1])}
    sys.exit("Python came without pip (Debian and Ubuntu: apt-get install python3-venv).")


def _start(pip: Pip, *words: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
    command, environment = pip
    return subprocess.Popen([*command, *words, "--disable-pip-version-check"], env=environment, stdout=stdout)


def _install(pip: Pip, requirements: str | Path, *options: str) -> bool:
    # Not compiled while installing: Python compiles what is imported, which is a tenth of it.
    words = ["install", "--quiet", "--no-compile", "--require-hashes", *options, "-r", str(requirements)]
    return _start(pip, *words).wait() == 0


def _install_by_uv(requirements: str, variables: dict[str, str]) -> bool:
    uv = str(Path(sys.executable).parent / "uv")
    # Any index will do for a file whose hash is right, as it does for pip.
    words = [
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--index-strategy",
        "unsafe-best-match",
    ]
    command = [uv, *words, "--python", sys.executable, "-r", requirements]
    return subprocess.run(command, env=variables | os.environ, check=False).returncode == 0


def uv_variables(listed: str) -> dict[str, str]:
    """uv's environment for the settings that `pip config list` shows (lines `place.name='value'`)."""
    places: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}  # the last one wins
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        place, _, name = key.partition(".")
        if place in places and name in SETTINGS:
            places[place][name] = str(ast.literal_eval(value))
    settings = places["global"] | places["install"] | places[":env:"]
    return {
        SETTINGS[name]: (",".join if name in COMMA_SEPARATED else " ".join)(value.split())
        for name, value in settings.items()
        if value.strip()
    }


if __name__ == "__main__":
    main(sys.argv[1])
