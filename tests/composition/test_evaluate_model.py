"""evaluate_model on a small file: its keys, its refusals, and the production method behind it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from crm_site.lib.translations import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(4)
    income = rng.normal(5, 2, 240).round(2)
    bad = rng.random(240) < 1 / (1 + np.exp(income - 4))
    rows = [
        f"{i + 1},{x},{'ab'[i % 2]},{'bad' if b else 'good'}"
        for i, (x, b) in enumerate(zip(income, bad, strict=True))
    ]
    path = tmp_path_factory.mktemp("sample") / "loans.csv"
    path.write_text("\n".join(["id,income,branch,status", *rows]))
    return path


def evaluated(*arguments: Any) -> dict[str, Any]:
    out = io.StringIO()
    call_command("evaluate_model", *map(str, arguments), "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_scorecard_with_its_points(file: Path) -> None:
    found = evaluated(
        "scorecard", file, "--target", "status", "--folds", 2, "--max-factors", 1, "--monotonic"
    )
    assert {"rows", "positives", "folds", "auc", "ks", "gini", "brier", "seconds", "features"} <= set(found)
    assert found["rows"] == 240 and found["folds"] == 2 and found["features"] == 1
    assert found["positive"] in ("bad", "good") and found["positive_taken"] == "rarer"
    assert found["positives"] <= 120 and found["left_out"] == {"id": "an identifier by its name and values"}
    assert found["auc"] > 0.65 and found["gini"] == pytest.approx(2 * found["auc"] - 1)
    assert set(found["peers"]) == {"logistic", "boosted", "tree_evidence"}
    assert {row["factor"] for row in found["points"]} == {"income"}
    assert sum(row["count"] for row in found["points"]) == 240


def test_a_churn_model_by_the_method_of_the_night(file: Path) -> None:
    found = evaluated("churn", file, "--target", "status", "--positive", "bad", "--folds", 2)
    assert found["positive"] == "bad" and found["positive_taken"] == "given"
    assert found["auc"] > 0.65 and "income" in found["factors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("response", "{file}", "--target", "status"), "no response model"),
        (("scorecard", "{file}", "--target", "nothing"), "no column nothing"),
        (("scorecard", "{file}.gone", "--target", "status"), "cannot be read"),
        (("scorecard", "{file}", "--target", "status", "--folds", "1"), "two folds"),
        (("churn", "{file}", "--target", "status", "--monotonic"), "for scorecards"),
    ],
)
def test_refusals_are_one_line(file: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message) as raised:
        call_command("evaluate_model", *(a.format(file=file) for a in arguments))
    assert "\n" not in str(raised.value)


def test_the_web_process_does_not_import_it() -> None:
    """Neither the site's addresses nor scoring from tables load optbinning."""
    code = (
        "import sys, django, os; os.environ['DJANGO_SETTINGS_MODULE'] = 'crm_site.settings'; django.setup();"
        "import crm_site.urls, credit_rating.engine.scorecard;"
        "print([m for m in ('optbinning', 'ortools', 'cvxpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_optbinning_and_what_it_brings_can_be_loaded() -> None:
    """highspy beside OR-Tools: another version than the locked one fails here."""
    code = "import highspy; from optbinning import OptimalBinning; print(OptimalBinning.__name__)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "OptimalBinning", done.stderr


def test_an_outside_file_is_judged_without_any_server(tmp_path: Path) -> None:
    """Model-risk staff run it beside a program that stands still or is being stopped: it must hold no server up."""
    data = tmp_path / "data"
    env = {
        k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "evaluate_model", "scorecard", str(tmp_path / "none.csv"), "--target", "x"],
        cwd=settings.BASE_DIR, env=env | {"BANYAN_DATA": str(data)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert not (data / "postgres").exists()
