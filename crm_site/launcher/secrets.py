"""Keys and passwords made once for one data folder, kept in `secrets` (JSON, mode 0600)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from secrets import token_urlsafe

NAMES = ("secret_key", "master_key", "admin_password", "owner_password", "app_password", "broker_password")


def load(data: Path) -> dict[str, str]:
    """All NAMES for the data folder; what is missing is made. The master key is 32 bytes, base64 (URL-safe)."""
    file = data / "secrets"
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    missing = [name for name in NAMES if name not in kept]
    if missing:
        kept |= {name: token_urlsafe(50 if name == "secret_key" else 32) for name in missing}
        write_private(file, json.dumps(kept, indent=1))
    return kept


def write_private(file: Path, text: str) -> None:
    """Replace `file` in one step; nobody else can read it, not even while it is written."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(file)
