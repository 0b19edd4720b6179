"""requirements/install.py: uv is told what pip was told, and pip takes over where uv cannot."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

LOCKS = Path(__file__).resolve().parents[2] / "requirements"


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", LOCKS / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_bank_s_own_package_index_is_used_by_uv_as_well(install: ModuleType) -> None:
    listed = (
        ":env:.index-url='https://newest.bank.test/simple'\n"
        "global.cert='/etc/bank.pem'\n"
        "global.extra-index-url='https://a.test/simple https://b.test/simple'\n"
        "global.index-url='https://old.bank.test/simple'\n"
        "global.find-links='/one /two'\n"
        "global.timeout='60'\n"
        "download.index-url='https://other.test'\n"
    )
    assert install.uv_variables(listed) == {
        "UV_DEFAULT_INDEX": "https://newest.bank.test/simple",
        "UV_INDEX": "https://a.test/simple https://b.test/simple",
        "UV_FIND_LINKS": "/one,/two",
        "SSL_CERT_FILE": "/etc/bank.pem",
    }


@pytest.mark.parametrize("broken", ["no uv", "uv fails"])
def test_pip_takes_over_where_uv_cannot(
    install: ModuleType, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv is not to be had for this machine, or reaches no index: everything is installed by pip all the same."""
    asked: list[str] = []

    def by_pip(pip: object, requirements: object, *options: str) -> bool:
        asked.append(f"pip {requirements}")
        return not (requirements == install.UV_LOCK and broken == "no uv")

    monkeypatch.setattr(install, "_install", by_pip)
    monkeypatch.setattr(install.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(install, "_pip", lambda: (["true"], {}))
    (tmp_path / "uv").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "uv").chmod(0o755)
    install.main("all.txt")
    assert asked == [f"pip {install.UV_LOCK}", "pip all.txt"]


@pytest.mark.parametrize("name", ["run", "test", "uv"])
def test_every_locked_file_has_its_hash(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text()
    for block in re.split(r"\n(?=\S)", text):
        if "==" in block.partition("\n")[0]:
            assert "--hash=sha256:" in block
