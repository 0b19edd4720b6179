"""The demo banks of a first start: their people can sign in, their nights have run."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank, RoleGrant, Staff
from crm_site.accounts.selectors import actor_for
from crm_site.accounts.services import PLATFORM_CODE, found_bank
from crm_site.composition.demo_campaign import make_campaign
from crm_site.composition.synthetic.plan import make_plan
from crm_site.composition.synthetic.raters import busiest_manager
from crm_site.composition.synthetic_bank import SECOND_ADMINISTRATOR, ensure_months, make_bank
from crm_site.jobs.models import UNFINISHED, Run, RunStatus
from crm_site.jobs.services import NIGHTLY, run_to_end, start_run
from crm_site.launcher.processes import die_with_parent
from crm_site.launcher.secrets import write_private
from crm_site.launcher.servers import lock
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.tenancy import bank
from segmentation.churn_nightly import TRAIN
from segmentation.churn_services import approve_model, propose_model
from segmentation.models import ChurnModel, ModelStatus

LOGINS = "demo-logins.json"
# code, name, customers, seed
BANKS = (("demo", "松泽农村商业银行", 5_000, 20_26), ("second", "云岭村镇银行", 300, 7))
# Who of a bank can sign in: one person a role, in the order in which they are printed.
SHOWN = (
    Role.RELATIONSHIP_MANAGER, Role.TELLER, Role.BRANCH_MANAGER, Role.LINE_DEPARTMENT, Role.CREDIT_REVIEWER,
    Role.COMMITTEE_MEMBER, Role.PRESIDENT, Role.RISK, Role.MARKETING, Role.SERVICE_QUALITY, Role.AUDITOR,
)  # fmt: skip
# What a month-end before the last date needs; its worklists and proposals would be yesterday's news.
BACKFILL = ("feeds", "balances", "arrears", "tiers", "placement", "summaries", "statistics")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Login:
    bank: str
    url: str
    role: str
    login: str
    password: str


def is_embedded() -> bool:
    """Whether the database is the launcher's own: only there may a demo password be set."""
    file = settings.DATA_DIR / "secrets"
    if not file.exists():
        return False
    own = json.loads(file.read_text()).get("app_password")
    return bool(own) and settings.DATABASES["default"]["PASSWORD"] == own


def create_demo(*, now: dt.datetime, date: dt.date, say: Say, port: int) -> bool:
    """Make what is missing of the demo banks, let their nights run, and write who can sign in. Safe to repeat.

    Their books end on `date`, not on a month-end: a first visitor finds a bank whose core has delivered last night.
    False when everything was there.
    """
    known = set(Bank.objects.values_list("code", flat=True))
    if PLATFORM_CODE not in known:
        password = f"banyan-{secrets.token_hex(4)}"
        founded = found_bank(
            code=PLATFORM_CODE, name="Banyan", now=now, is_platform=True, login="operator", password=password
        )
        with bank(founded.bank.pk):
            Staff.objects.update(must_change_password=False, name="Operator")
        _remember([_login(founded.bank, Role.OPERATOR, "operator", password, port)])
    code, _name, customers, seed = BANKS[0]
    # Partitions are the two banks' together: one that is made later waits for the other bank's long transaction.
    ensure_months(make_plan(customers=customers, seed=seed, date=date, to_the_day=True))
    beside = [_start_beside(other, date) for other, *_ in BANKS[1:]]  # on the other core
    try:
        create_one(code, now=now, date=date, say=say, port=port)
        if [child for child in beside if child.wait()]:
            raise DomainError(
                _("A demo bank could not be finished: the lines above say why."), code="demo_failed"
            )
    finally:
        for child in beside:
            child.terminate()
            child.wait()
    return not known.issuperset({PLATFORM_CODE, *(row[0] for row in BANKS)})


def create_one(code: str, *, now: dt.datetime, date: dt.date, say: Say, port: int) -> None:
    """Make one of BANKS unless it is there, and let it live up to the last day of its book."""
    _code, name, customers, seed = next(row for row in BANKS if row[0] == code)
    if not Bank.objects.filter(code=code).exists():
        began = time.monotonic()
        password = _password()
        made = make_bank(
            code=code, name=name, customers=customers, seed=seed, date=date, now=now, to_the_day=True, password=password
        )  # fmt: skip
        _remember(_open_doors(made.founded.bank, password, make_password(password), port))
        say(f"{code}: {customers:,} customers in {time.monotonic() - began:.1f} s")
    live_through(code, now=now, date=date, say=say)


def _start_beside(code: str, date: dt.date) -> subprocess.Popen[bytes]:
    """A process of its own for one bank; it says how far it is on our standard error."""
    return subprocess.Popen(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "create_demo", "--only", code, "--date", f"{date}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent(signal.SIGTERM),
    )  # fmt: skip


def live_through(code: str, *, now: dt.datetime, date: dt.date, say: Say) -> None:
    """Let the nights of a demo bank run, train its churn model and open its campaign."""
    _code, _name, customers, seed = next(row for row in BANKS if row[0] == code)
    found = Bank.objects.get(code=code)
    began = time.monotonic()
    # Begun on an earlier day, the book ends on the day before that.
    last = min(date, timezone.localdate(found.data_as_of)) if found.data_as_of else date
    dates = make_plan(customers=customers, seed=seed, date=last, to_the_day=True).end_dates
    if ran := run_nights(found, dates):
        say(f"{code}: {ran} nights in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    if train_churn(found, now=now):
        say(f"{code}: churn model trained, approved and scored in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    if count := make_campaign(found, now=now):
        _run_night(found, last, ("overview",))  # its lines were signed after the night that counted them
        say(f"{code}: a campaign of {count} households in {time.monotonic() - began:.1f} s")


def run_nights(of: Bank, dates: Sequence[dt.date]) -> int:
    """Fill in the month-ends that the bank has not closed yet and run the whole night of the last one.

    Raises DomainError when one fails. Interrupted, the next call does them again: every step is safe to repeat.
    """
    of.refresh_from_db()
    missing = [date for date in dates if of.business_date is None or date > of.business_date]
    for date in missing:
        _run_night(of, date, None if date == dates[-1] else BACKFILL)
    return len(missing)


def _run_night(of: Bank, date: dt.date, steps: Sequence[str] | None) -> None:
    """The night of a date, or some steps of it. Raises DomainError when it fails."""
    with bank(of.pk):
        run = start_run(system_actor(of.pk, "create_demo"), pipeline=NIGHTLY, business_date=date, steps=steps)
    run = run_to_end(run, workers=1)
    if run.status == RunStatus.FAILED:
        raise DomainError(
            _("The night of %(date)s failed at bank %(code)s: see /jobs/.")
            % {"date": date.isoformat(), "code": of.code},
            code="night_failed",
        )


def _open_doors(of: Bank, password: str, hashed: str, port: int) -> list[Login]:
    """One person a role gets the demo password; manager, teller and branch manager are of the same branch."""
    with bank(of.pk):
        busiest = busiest_manager()
        if busiest is None:
            return []
        people: list[tuple[Role, Staff]] = []
        for role in SHOWN:
            grants = RoleGrant.objects.filter(role=role).select_related("staff").order_by("staff__number")
            if role == Role.RELATIONSHIP_MANAGER:
                grants = grants.filter(pk=busiest.pk)
            elif role in (Role.TELLER, Role.BRANCH_MANAGER):
                grants = grants.filter(unit_id=busiest.unit_id)
            people.append((role, grants[0].staff))
            if role == Role.LINE_DEPARTMENT:  # whoever runs the demo's campaign signs in too
                rural = grants.filter(staff__line_department="rural").exclude(pk=grants[0].pk)
                people += [(role, grant.staff) for grant in rural[:1]]
        people += [
            (Role.ADMINISTRATOR, Staff.objects.get(number=number))
            for number in ("admin", SECOND_ADMINISTRATOR)
        ]
        Staff.objects.filter(pk__in=[staff.pk for _role, staff in people]).update(
            password=hashed, must_change_password=False
        )
    return [_login(of, role, staff.number, password, port) for role, staff in people]


def _login(of: Bank, role: Role, number: str, password: str, port: int) -> Login:
    return Login(of.code, f"http://{of.host}:{port}/", role.value, number, password)


def _kept() -> list[dict[str, str]]:
    """Rows of Login, of all demo banks that are there."""
    file = settings.DATA_DIR / LOGINS
    kept: list[dict[str, str]] = json.loads(file.read_text()) if file.exists() else []
    return kept


def _password() -> str:
    """The one of the demo: everybody shown has it."""
    return next((row["password"] for row in _kept()), None) or f"banyan-{secrets.token_hex(4)}"


def _remember(logins: list[Login]) -> None:
    """Add to the list that the launcher prints; readable by the owner of the folder alone. Two processes do it."""
    with lock(settings.DATA_DIR / "demo-logins.lock", wait=True) or ExitStack():
        made = {login.bank for login in logins}
        everything = [row for row in _kept() if row["bank"] not in made] + [asdict(login) for login in logins]
        write_private(settings.DATA_DIR / LOGINS, json.dumps(everything, ensure_ascii=False, indent=1))


def train_churn(of: Bank, *, now: dt.datetime) -> bool:
    """Let the demo bank have a churn model: trained, proposed by one, approved by another, and everybody scored.

    False where there is too little to learn from. Does nothing when there is a champion.
    """
    of.refresh_from_db()
    with bank(of.pk):
        if ChurnModel.objects.filter(status=ModelStatus.CHAMPION).exists() or of.business_date is None:
            return False
        run = start_run(system_actor(of.pk, "create_demo"), pipeline=TRAIN, business_date=of.business_date)
    run_to_end(run)
    with bank(of.pk):
        deciders = [
            actor_for(
                RoleGrant.objects.filter(role=role).earliest("staff__number").staff, day=of.business_date
            )
            for role in (Role.RISK, Role.PRESIDENT)
        ]
        trained = list(
            ChurnModel.objects.filter(status=ModelStatus.TRAINED, run_id=run.pk).values_list(
                "pk", "trained_at"
            )
        )
        for model_id, trained_at in trained:
            # Nobody can have decided on a model before it was trained.
            decided = max(now, trained_at)
            propose_model(deciders[0], model_id=model_id, now=decided)
            approve_model(deciders[1], model_id=model_id, now=decided)
        runs = list(Run.objects.filter(pipeline=NIGHTLY, status__in=UNFINISHED))
    for waiting in runs:
        run_to_end(waiting)
    return bool(trained)
