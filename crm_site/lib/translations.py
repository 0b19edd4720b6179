"""Compiles locale/*/zh_Hans/LC_MESSAGES/django.po to .mo: `python -m crm_site.lib.translations`.

Does in Python what msgfmt does, so that no other program is needed. What is fresh is left alone; a catalogue is
replaced in one step, so that a process reading it never meets half a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parents[2]


def catalogues(root: Path = ROOT) -> list[Path]:
    """Every catalogue of the project, room by room."""
    return sorted(root.glob("locale/*/*/LC_MESSAGES/django.po"))


def is_stale(source: Path) -> bool:
    """Whether the compiled catalogue is missing or older than its source."""
    compiled = source.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime_ns < source.stat().st_mtime_ns


def compile_catalogue(source: Path) -> None:
    """Write the .mo beside a .po. Raises OSError, with polib's line number, when the source can't be read."""
    compiled = source.with_suffix(".mo")
    fresh = compiled.with_suffix(".mo.new")
    polib.pofile(str(source), check_for_duplicates=True).save_as_mofile(str(fresh))
    fresh.replace(compiled)


def main() -> int:
    """Compile what changed; one line for each, one line and exit 1 for what can't be read."""
    for source in catalogues():
        if not is_stale(source):
            continue
        try:
            compile_catalogue(source)
        except (OSError, ValueError) as error:
            print(f"{source.relative_to(ROOT)}: {error}", file=sys.stderr)
            return 1
        print(f"compiled {source.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
