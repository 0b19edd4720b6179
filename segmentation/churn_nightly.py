"""Churn by night: step `churn` scores with the champions, pipeline `train_churn` develops new versions.

train_churn  reads MonthEnd                     writes ChurnModel (trained, or too few leavers)
churn        reads MonthEnd, Standing           writes ChurnScore, Standing.churn_bp

Figures leave and enter the database by binary COPY, a range of customers at a time. Between month-ends the
newest point is Standing, the ones before it the month-ends at least fifteen days back, and a month's entries are
unknown until it ends. A date in the past gets no scores: what was not said then is not made up afterwards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray

from crm_site.lib.dates import is_month_end, month_start
from crm_site.lib.modelling import validation
from crm_site.lib.permissions import Role
from crm_site.lib.registry import (
    Counts,
    Pipeline,
    RunContext,
    Step,
    WorkReason,
    add_pipeline,
    add_step,
    add_work_reason,
)
from crm_site.work.selectors import staff_with_role
from crm_site.work.services import TaskRow, put_tasks
from customers.models import MonthEnd
from customers.nightly import customer_ranges
from segmentation.engine import churn
from segmentation.engine.churn import Panel, Scorecard, Windows
from segmentation.models import ChurnModel, ModelStatus

TRAIN = "train_churn"
RANGE = 50_000
SAMPLE = 400_000  # rows of a training sample at most, over all its months
# Leavers that a model for all kinds, and one for a kind of its own, must have seen: in training, in validation.
LEAVERS = {False: (50, 15), True: (300, 100)}
SETTLED_DAYS = 15
DRIFTED, DRIFT_DAYS = "churn_drift", 10  # the task of risk, and how many days it has
# Standing tells no scores apart that pages read as "<1%" (formats.chance): most customers' are such, nearly all of them move
# every night, and each move would cost all of Standing's indexes an entry. ChurnScore has them as they are.
TOLD_APART_BP = 50
EPOCH = dt.date(1970, 1, 1)
_HEAD = 19  # bytes before the first row of a binary COPY stream
_ARRAY_HEAD, _ELEMENT = (
    20,
    np.dtype([("l", ">i4"), ("v", ">i8")]),
)  # of an array of bigint: head, then length and value
_TYPES = {"int8": ("i8", 8), "int4": ("i4", 4), "int2": ("i2", 2), "float8": ("f8", 8), "date": ("i4", 4)}
_KINDS = " ".join(f"WHEN '{kind}' THEN {i}" for i, kind in enumerate(churn.KINDS))


def copy_out(sql: str, width: int) -> NDArray[np.int64]:
    """The rows of a query whose columns are all bigint and not null, as an array (rows, width) in their order.

    They come as one row of arrays: a message a row would cost more than the numbers in it.
    """
    names = [f"c{i}" for i in range(width)]
    arrays = ", ".join(f"array_agg({name})" for name in names)
    with (
        connection.cursor() as cursor,
        cursor.connection.cursor().copy(
            f"copy (select {arrays} from ({sql}) found ({', '.join(names)})) to stdout (format binary)"
        ) as copy,
    ):
        data = b"".join(bytes(piece) for piece in copy)
    columns, at = [], _HEAD + 2  # the row begins with the number of its fields
    for _name in names:
        size, at = int.from_bytes(data[at : at + 4], "big", signed=True), at + 4
        if size < 0:  # no rows: null
            return np.empty((0, width), np.int64)
        count = (size - _ARRAY_HEAD) // _ELEMENT.itemsize
        columns.append(
            np.frombuffer(data, _ELEMENT, count=count, offset=at + _ARRAY_HEAD)["v"].astype(np.int64)
        )
        at += size
    return np.column_stack(columns)


def copy_in(table: str, columns: list[tuple[str, NDArray[Any]]]) -> None:
    """Fill a temporary table by binary COPY; the columns' types are keys of _TYPES."""
    fields: list[tuple[str, str]] = [("n", ">i2")]
    for i, (kind, _values) in enumerate(columns):
        fields += [(f"l{i}", ">i4"), (f"v{i}", f">{_TYPES[kind][0]}")]
    rows = np.empty(len(columns[0][1]), np.dtype(fields))
    rows["n"] = len(columns)
    for i, (kind, values) in enumerate(columns):
        rows[f"l{i}"], rows[f"v{i}"] = _TYPES[kind][1], values
    with (
        connection.cursor() as cursor,
        cursor.connection.cursor().copy(f"copy {table} from stdin (format binary)") as copy,
    ):
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff")


# -- reading ----------------------------------------------------------------------------------------------------------


def _people(bank_id: int, lo: int, hi: int, sample: float = 1.0) -> NDArray[np.int64]:
    """(customers, 4): id, kind, birth and customer-since in days since 1970 (-1 unknown), in order of id."""
    drawn = "" if sample >= 1 else f" AND (id * 2654435761) % 4294967296 < {int(sample * 4294967296)}"
    return copy_out(
        f"SELECT id, (CASE kind {_KINDS} END)::bigint, coalesce(birth_date - DATE '1970-01-01', -1)::bigint,"
        " coalesce(customer_since - DATE '1970-01-01', -1)::bigint FROM customers_customer"
        f" WHERE bank_id = {bank_id} AND id BETWEEN {lo} AND {hi} AND NOT is_prospect{drawn} ORDER BY id",
        4,
    )


def _month(bank_id: int, month_end: dt.date, lo: int, hi: int) -> NDArray[np.int64]:
    return copy_out(
        "SELECT customer_id, deposits_adb, deposits_balance, loans, aum, open_accounts::bigint, transactions::bigint,"
        f" inflow, outflow FROM customers_monthend WHERE bank_id = {bank_id} AND month_end = DATE '{month_end}'"
        f" AND customer_id BETWEEN {lo} AND {hi} ORDER BY customer_id",
        9,
    )


def _standing(bank_id: int, day: dt.date, lo: int, hi: int) -> NDArray[np.int64]:
    return copy_out(
        "SELECT s.customer_id, s.deposits_adb, s.deposits_balance, s.loans, s.aum, coalesce(a.open, 0), 0::bigint,"
        " 0::bigint, 0::bigint FROM customers_standing s LEFT JOIN (SELECT owner_id, count(*) AS open"
        f" FROM customers_account WHERE bank_id = {bank_id} AND owner_id BETWEEN {lo} AND {hi}"
        f" AND opened_date <= DATE '{day}' AND (closed_date IS NULL OR closed_date > DATE '{day}') GROUP BY owner_id) a"
        f" ON a.owner_id = s.customer_id WHERE s.bank_id = {bank_id} AND s.customer_id BETWEEN {lo} AND {hi}"
        " ORDER BY s.customer_id",
        9,
    )


def _panel(
    people: NDArray[np.int64], months: list[NDArray[np.int64]], days: list[dt.date], entries: list[bool]
) -> Panel:
    """Align the months on the people; who is not in a month has nothing then."""
    ids = people[:, 0]
    series = np.zeros((len(churn.SERIES), len(ids), len(months)), np.int64)
    for column, rows in enumerate(months):
        if not len(rows) or not len(ids):
            continue
        at = np.searchsorted(rows[:, 0], ids).clip(max=len(rows) - 1)
        there = rows[at, 0] == ids
        series[:, :, column] = np.where(there, rows[at, 1:].T, 0)
    return Panel(
        **dict(zip(churn.SERIES, series, strict=True)), kind=people[:, 1], birth=people[:, 2], since=people[:, 3],
        days=np.array([(day - EPOCH).days for day in days]), has_entries=np.array(entries, bool),
    )  # fmt: skip


def has_entries(month_end: dt.date) -> bool:
    """Whether the core has delivered any entries for the month."""
    return MonthEnd.objects.filter(month_end=month_end, transactions__gt=0).exists()


def month_ends_until(day: dt.date) -> list[dt.date]:
    """The bank's month-ends on record up to a date without a gap, oldest first, 25 at most."""
    with (
        connection.cursor() as cursor
    ):  # a loose index scan: a distinct over 13 million rows would read them all
        cursor.execute(
            "WITH RECURSIVE found AS (SELECT max(month_end) AS d FROM customers_monthend WHERE bank_id ="
            " nullif(current_setting('app.bank_id', true), '')::bigint AND month_end <= %s UNION ALL SELECT (SELECT"
            " max(m.month_end) FROM customers_monthend m WHERE m.bank_id = nullif(current_setting('app.bank_id', true),"
            " '')::bigint AND m.month_end < found.d) FROM found WHERE found.d IS NOT NULL) SELECT d FROM found"
            " WHERE d IS NOT NULL ORDER BY d DESC LIMIT 25",
            [day],
        )
        newest_first = [row[0] for row in cursor.fetchall()]
    unbroken = newest_first[:1]
    for month_end in newest_first[1:]:
        if month_end != month_start(unbroken[-1]) - dt.timedelta(days=1):
            break
        unbroken.append(month_end)
    return unbroken[::-1]


# -- scoring ----------------------------------------------------------------------------------------------------------


def plan_churn(context: RunContext) -> Iterator[Mapping[str, Any]]:
    """Ranges of customers with the month-ends to read; nothing without a champion or with too little history."""
    champions = ChurnModel.objects.filter(status=ModelStatus.CHAMPION)
    if not context.is_newest or not champions.exists():
        return
    day = context.business_date
    back = [m for m in month_ends_until(day) if (day - m).days >= SETTLED_DAYS][-churn.BACK :]
    if len(back) < churn.BACK:
        return
    known = [has_entries(m) for m in back] + [is_month_end(day) and has_entries(day)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT banyan_ensure_month('segmentation_churnscore', %s)", [day])
    for part in customer_ranges(context.bank_id, RANGE):
        yield {**part, "months": [m.isoformat() for m in back], "entries": known}


def score(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Score a range of customers with the champions of their kinds."""
    bank_id, day, lo, hi = context.bank_id, context.business_date, int(chunk["lo"]), int(chunk["hi"])
    months = [dt.date.fromisoformat(m) for m in chunk["months"]]
    people = _people(bank_id, lo, hi)
    newest = _month(bank_id, day, lo, hi) if is_month_end(day) else _standing(bank_id, day, lo, hi)
    series = [*(_month(bank_id, m, lo, hi) for m in months), newest]
    panel = _panel(people, series, [*months, day], chunk["entries"])
    who = churn.population(panel, churn.BACK)
    values = {name: v[who] for name, v in churn.features(panel, churn.BACK).items()}
    ids, kinds = people[who, 0], people[who, 1]
    rows = [_scored(model, values, ids, kinds) for model in champions()]
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
    return Counts(len(people), _write(context, lo, hi, columns))


def champions() -> list[tuple[ChurnModel, NDArray[np.int64]]]:
    """The champions with the kinds that each scores: its own, and "" those without one of their own."""
    found = list(ChurnModel.objects.filter(status=ModelStatus.CHAMPION).order_by("kind"))
    own = {model.kind for model in found if model.kind}
    rest = [kind for kind in churn.KINDS if kind not in own]
    return [
        (model, np.array([churn.KINDS.index(kind) for kind in ([model.kind] if model.kind else rest)]))
        for model in found
    ]


def _scored(
    pair: tuple[ChurnModel, NDArray[np.int64]],
    values: Mapping[str, NDArray[np.float64]],
    ids: NDArray[np.int64],
    kinds: NDArray[np.int64],
) -> tuple[NDArray[Any], ...]:
    model, of = pair
    mine = np.isin(kinds, of)
    card = Scorecard.from_json(model.card)
    scored = card.score({name: v[mine] for name, v in values.items()})
    codes, why = card.reasons(scored)
    points = np.rint(scored.probability * 10_000).astype(np.int64)
    return ids[mine], np.full(mine.sum(), model.pk), points, codes, why


# Scores of the month that the day's replace. A row of this very day that says the same stays. One anti join: with the day
# beside it in an "or", a night run again compared every old score with every new one (100,000 customers: 4 minutes).
_STALE = """
DELETE FROM segmentation_churnscore o WHERE o.bank_id = %(bank)s AND o.as_of >= %(first)s AND o.as_of <= %(day)s
  AND o.customer_id BETWEEN %(lo)s AND %(hi)s
  AND NOT EXISTS (SELECT 1 FROM churn_new n WHERE o.as_of = %(day)s AND n.customer_id = o.customer_id
    AND (o.model_id, o.score_bp, o.reason_1, o.value_1, o.reason_2, o.value_2, o.reason_3, o.value_3)
        IS NOT DISTINCT FROM (n.model_id, n.score_bp, n.reason_1, n.value_1, n.reason_2, n.value_2, n.reason_3, n.value_3))
"""
# Plain rows: ON CONFLICT, which looks each one up and marks it first, costs half as much again.
_WRITE = """
INSERT INTO segmentation_churnscore (bank_id, as_of, customer_id, model_id, score_bp, reason_1, value_1, reason_2, value_2,
    reason_3, value_3, run_id)
SELECT %(bank)s, %(day)s, customer_id, model_id, score_bp, reason_1, value_1, reason_2, value_2, reason_3, value_3, %(run)s
FROM churn_new n WHERE NOT EXISTS (
    SELECT 1 FROM segmentation_churnscore o WHERE o.bank_id = %(bank)s AND o.as_of = %(day)s
      AND o.customer_id BETWEEN %(lo)s AND %(hi)s AND o.customer_id = n.customer_id)
ORDER BY customer_id
"""
_STANDING = """
UPDATE customers_standing s SET churn_bp = n.told, run_id = %(run)s
FROM (
    SELECT t.id, CASE WHEN n.score_bp IS NULL THEN -1 WHEN n.score_bp < %(told)s THEN 0 ELSE n.score_bp END AS told
    FROM customers_standing t LEFT JOIN churn_new n ON n.customer_id = t.customer_id
    WHERE t.bank_id = %(bank)s AND t.customer_id BETWEEN %(lo)s AND %(hi)s
) n
WHERE s.bank_id = %(bank)s AND s.customer_id BETWEEN %(lo)s AND %(hi)s AND s.id = n.id AND s.churn_bp <> n.told
"""


def _write(context: RunContext, lo: int, hi: int, columns: list[NDArray[Any]]) -> int:
    """Replace the month's scores of the range by these; returns how many are new or other than before."""
    ids, models, points, codes, why = columns
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS churn_new (customer_id bigint, model_id bigint, score_bp integer,"
            " reason_1 smallint, value_1 float8, reason_2 smallint, value_2 float8, reason_3 smallint, value_3 float8)"
            " ON COMMIT DROP"
        )
        cursor.execute("TRUNCATE churn_new")
        copy_in(
            "churn_new",
            [
                ("int8", ids), ("int8", models), ("int4", points),
                ("int2", codes[:, 0]), ("float8", why[:, 0]), ("int2", codes[:, 1]), ("float8", why[:, 1]),
                ("int2", codes[:, 2]), ("float8", why[:, 2]),
            ],
        )  # fmt: skip
        cursor.execute("ANALYZE churn_new")
        day = context.business_date
        values: dict[str, Any] = {
            "bank": context.bank_id, "run": context.run_id, "day": day, "first": month_start(day),
            "told": TOLD_APART_BP, "lo": lo, "hi": hi,
        }  # fmt: skip
        cursor.execute(_STALE, values)
        cursor.execute(_WRITE, values)
        written = cursor.rowcount
        cursor.execute(_STANDING, values)
    return int(written)


def finish_churn(context: RunContext) -> Counts:
    """Measure how far the scores have drifted from those of training, per champion; risk is told of one that moved.

    At month-ends: a score within a month knows nothing of the month's entries, which training knew whole.
    """
    if not (context.is_newest and is_month_end(context.business_date)):
        return Counts()
    alarms: list[TaskRow] = []
    risk = sorted(staff_with_role(Role.RISK, context.business_date))
    for model, _kinds in champions():
        cuts = Scorecard.from_json(model.card).cuts
        points = [round(cut * 10_000) for cut in cuts]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT width_bucket(score_bp, %s::int[]), count(*) FROM segmentation_churnscore WHERE bank_id = %s"
                " AND as_of = %s AND model_id = %s GROUP BY 1",
                [sorted(set(points)) or [0], context.bank_id, context.business_date, model.pk],
            )
            counted = dict(cursor.fetchall())
        total = sum(counted.values())
        if not total or len(set(points)) != len(cuts):
            continue
        actual = [counted.get(band, 0) / total for band in range(len(cuts) + 1)]
        drift = round(validation.stability(Scorecard.from_json(model.card).expected, actual), 4)
        ChurnModel.objects.filter(pk=model.pk).exclude(drift=drift, drift_date=context.business_date).update(
            drift=drift, drift_date=context.business_date
        )
        if drift > validation.MOVED:
            alarms += [_alarm(model, drift, staff_id, context.business_date) for staff_id in risk]
    put_tasks(
        context.bank_id, alarms, sources=[f"{DRIFTED}:"], as_of=context.business_date, run_id=context.run_id
    )
    return Counts()


def _alarm(model: ChurnModel, drift: float, staff_id: int, day: dt.date) -> TaskRow:
    """Once a version and month for each of risk: done, it comes again in the next month while the drift lasts."""
    return TaskRow(
        reason=DRIFTED, source_key=f"{DRIFTED}:{model.pk}:{day:%Y-%m}:{staff_id}", owner_id=staff_id, urgency=60,
        due_date=day + dt.timedelta(days=DRIFT_DAYS), params={"model": str(model), "psi": f"{drift:.2f}"},
    )  # fmt: skip


def _say_drifted(params: Mapping[str, Any]) -> str:
    return gettext("Churn scores of %(model)s have drifted (PSI %(psi)s): train a new version") % params


# -- training ---------------------------------------------------------------------------------------------------------


def train(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Develop and validate a version for all kinds, and one for every kind with leavers enough."""
    if ChurnModel.objects.filter(run_id=context.run_id).exists():
        return Counts()
    months = month_ends_until(context.business_date)
    found = churn.windows(len(months))
    if found is None:
        return Counts()
    samples = _samples(context, months, found)
    made = 0
    for kind in ("", *churn.KINDS):
        made += _develop(context, kind, months, found, samples)
    return Counts(sum(len(s.target) for s in samples.values()), made)


class _Sample:
    """Feature values, outcome and kind of the customers observed at one month-end."""

    def __init__(self) -> None:
        self.parts: list[tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_], NDArray[np.int64]]] = []

    def add(self, panel: Panel, t: int) -> None:
        who = churn.population(panel, t)
        values = {name: v[who] for name, v in churn.features(panel, t).items()}
        self.parts.append((values, churn.label(panel, t)[who], panel.kind[who]))

    @property
    def target(self) -> NDArray[np.bool_]:
        return np.concatenate([part[1] for part in self.parts])

    @property
    def kind(self) -> NDArray[np.int64]:
        return np.concatenate([part[2] for part in self.parts])

    @property
    def values(self) -> dict[str, NDArray[np.float64]]:
        return {
            name: np.concatenate([part[0][name] for part in self.parts]).astype(float)
            for name in self.parts[0][0]
        }


def _samples(context: RunContext, months: list[dt.date], found: Windows) -> dict[str, _Sample]:
    """The training and the validation sample, drawn by a fixed hash of the customer where the bank is large."""
    ranges = list(customer_ranges(context.bank_id, RANGE))
    share = min(1.0, SAMPLE / max(len(ranges) * RANGE * len(found.train), 1)) if len(ranges) > 1 else 1.0
    entries = [has_entries(m) for m in months]
    if not all(entries[min(found.train) - 3 :]):
        entries = [False] * len(
            months
        )  # a feature must mean the same in every month it is learnt from and used in
    samples = {"train": _Sample(), "validate": _Sample()}
    for done, part in enumerate(ranges):
        people = _people(context.bank_id, part["lo"], part["hi"], share)
        series = [_month(context.bank_id, m, part["lo"], part["hi"]) for m in months]
        panel = _panel(people, series, months, entries)
        for t in found.train:
            samples["train"].add(panel, t)
        samples["validate"].add(panel, found.validate)
        context.progress(done + 1, len(ranges))
    return samples


def _develop(
    context: RunContext, kind: str, months: list[dt.date], found: Windows, samples: Mapping[str, _Sample]
) -> int:
    train_set, later = samples["train"], samples["validate"]
    mine, then = (
        np.ones(len(s.target), bool) if not kind else s.kind == churn.KINDS.index(kind)
        for s in (train_set, later)
    )
    target, outcome = train_set.target[mine], later.target[then]
    model = ChurnModel(
        kind=kind,
        version=(
            ChurnModel.objects.filter(kind=kind)
            .order_by("-version")
            .values_list("version", flat=True)
            .first()
            or 0
        )
        + 1,
        train_months=[months[t] for t in found.train],
        validation_month=months[found.validate],
        train_rows=len(target),
        train_leavers=int(target.sum()),
        validation_rows=len(outcome),
        validation_leavers=int(outcome.sum()),
        trained_at=timezone.now(),
        run_id=context.run_id,
    )
    least = LEAVERS[bool(kind)]
    if model.train_leavers < least[0] or model.validation_leavers < least[1]:
        if kind:  # the model for all kinds serves it
            return 0
        model.status = ModelStatus.INSUFFICIENT
        model.save()
        return 1
    own = {name: v[mine] for name, v in train_set.values.items() if not (kind and name == "kind")}
    card = churn.fit(own, target)
    probability = card.score({name: v[then] for name, v in later.values.items()}).probability
    model.card = card.as_json()
    model.auc = round(validation.auc(probability, outcome), 4)
    model.ks = round(validation.ks(probability, outcome), 4)
    model.lift = round(churn.lift(probability, outcome), 2)
    model.psi = round(validation.stability(card.expected, validation.shares(probability, card.cuts)), 4)
    model.calibration = churn.calibration(probability, outcome)
    model.save()
    return 1


def register() -> None:
    """Hang the step on the night and make the training pipeline known."""
    add_step(Step("churn", _("Churn scores"), score, after=("tiers",), plan=plan_churn, finish=finish_churn))
    add_pipeline(Pipeline(TRAIN, _("Train churn models"), action="model.train", serial=True))
    add_step(Step("train", _("Develop and validate"), train, pipeline=TRAIN))
    add_work_reason(
        WorkReason(
            DRIFTED, _("Churn model has drifted"), "alert-triangle", _say_drifted, "watch", needs_result=True
        )
    )
