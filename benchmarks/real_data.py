"""Replay nine real data sets through the drift score, beside PSI > 0.2 and KS p < 0.05.

    python benchmarks/real_data.py [--data ../shared/data] [--only car_loan]

What is known of each data set is in the notes that come with it; no row of them is part of this project.

Settings are the defaults everywhere: one false alert in 90 days at an evaluation a minute, min_effect 0.01,
all features of equal weight, the last 5,000 rows for the rules of thumb. Two things a data set must say:
which rows are the reference (those that its authors name, or else the first fifth), and which columns are no
inputs or outputs of a model (labels, row numbers, the calendar). Where more differs, `Case.why` says so.

Where the order of the rows is all that is known of their times, a row is taken to come every three seconds,
which makes evaluations of 20 rows: then the dependence between neighbours is measured. The members of a
household stand together in a census; taken as independent rows, each large household is a burst.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import HERE, column, goal, options, save, table, versions

if TYPE_CHECKING:
    import pandas as pd

    from driftgauge.backtest import Alert, BacktestReport, RuleReport
    from driftgauge.reference import Reference

__all__ = ["CASES", "Case", "fit", "rows_of", "run"]

CENSUS_CODES = (
    "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC",
    "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P",
)  # fmt: skip

FIFTH = 5
IN_ORDER = "seconds by order"
SECONDS = 3
WEATHER = ("temp", "atemp", "hum", "windspeed", "weathersit")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One replay.

    Parameters
    ----------
    data : str
        Folder of the data set.
    title : str
        What it is called in the table.
    read : callable
        From the folder to the reference's rows and the history's, with nothing in them but features and time.
    known : str
        What happens in the history, as the data set's notes say, in row numbers of the file.
    reading : str
        What the alerts are, as we read them; our own look at the rows, no number of the replay.
    time : str or None
        The column of times. `IN_ORDER`: the rows' order is all there is of them. None: not even that.
    first_row : int or None
        Row of the file at which the history begins, where its rows are the file's; else they count from 0.
    """

    data: str
    title: str
    read: Callable[[Path], tuple[pd.DataFrame, pd.DataFrame]]
    known: str
    first_row: int | None = None
    outputs: Sequence[str] = ()
    categorical: Sequence[str] = ()
    time: str | None = IN_ORDER
    window_rows: int = 5_000
    why: str = ""
    reading: str = ""


def _split(frame: pd.DataFrame, rows: int, drop: Sequence[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    kept = frame.drop(columns=list(drop))
    return kept[:rows].reset_index(drop=True), kept[rows:].reset_index(drop=True)


def _fifth(frame: pd.DataFrame, drop: Sequence[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    return _split(frame, len(frame) // FIFTH, drop)


def _car_loan(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    return _split(pd.read_parquet(folder / "predictions.parquet"), 50_000, ["id", "period"])


def _car_loan_quality(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    frame = pd.read_parquet(folder / "predictions_data_quality_variant.parquet")
    return _split(frame, 50_000, ["id", "period"])


def _employment(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    return _split(pd.read_parquet(folder / "predictions.parquet"), 68_785, ["id", "year", "period"])


def _employment_2017(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    frame = pd.read_parquet(folder / "predictions.parquet")[137_911:]
    return _split(frame, 200_000 - 137_911, ["id", "year", "period"])


def _gas(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    frame = pd.read_parquet(folder / "gas_sensor_drift.parquet")
    return _split(frame, 445, ["seq", "batch", "gas_code", "gas", "concentration"])


def _elec2(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    frame = pd.read_csv(folder / "elec2.csv")
    frame["time"] = pd.date_range("1996-05-07", periods=len(frame), freq="30min")
    return _fifth(frame, ["date", "day", "period", "class"])


def _bank(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    frame = pd.read_csv(folder / "bank_additional_full.csv", keep_default_na=False)
    return _fifth(frame, ["seq", "duration", "month", "day_of_week", "y"])


def _air(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    frame = pd.read_csv(folder / "air_quality_uci.csv")
    labels = [name for name in frame.columns if name.endswith("(GT)")]
    return _fifth(frame.replace(-200, float("nan")), labels)


def _bikes(folder: Path) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(folder / "hour.csv")
    frame["time"] = pd.to_datetime(frame["dteday"]) + pd.to_timedelta(frame["hr"], unit="h")
    calendar = ["instant", "dteday", "season", "yr", "mnth", "hr", "holiday", "weekday", "workingday"]
    return frame.drop(columns=[*calendar, "casual", "registered"])


def _bikes_year(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = _bikes(folder)
    return _split(frame, int((frame["time"] < "2012").sum()))


def _bikes_summer(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = _bikes(folder)
    summers = [
        frame[(frame["time"] >= f"{year}-06-01") & (frame["time"] < f"{year}-09-01")] for year in (2011, 2012)
    ]
    return summers[0].reset_index(drop=True), summers[1].reset_index(drop=True)


def _mails(before: str, after: str, *, shuffled: bool) -> Callable[[Path], tuple[pd.DataFrame, pd.DataFrame]]:
    def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
        import pandas as pd

        frame = pd.read_parquet(folder / "embeddings_tfidf_svd32.parquet").sort_values("received")
        parts = [frame[frame["group"] == group] for group in (before, after)]
        drop = ["id", "group", "is_spam"]
        if shuffled:
            parts = [part.sample(frac=1, random_state=1) for part in parts]
            drop.append("received")
        first, second = (part.drop(columns=drop).reset_index(drop=True) for part in parts)
        return first, second

    return read


def _mixed(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    return _fifth(pd.read_parquet(folder / "mixed_0101_abrupto.parquet"), ["class"])


SHUFFLED = "two groups compared as wholes, so each in random order"
SHORT = "a window of 5,000 rows would never be full"

CASES: dict[str, Case] = {
    "car_loan": Case(
        data="nannyml_car_loan",
        title="NannyML car loans",
        read=_car_loan,
        known="designed: five columns change at row 75,000, nothing before",
        first_row=50_000,
        outputs=("y_pred_proba", "y_pred"),
        time="timestamp",
    ),
    "car_loan_quality": Case(
        data="nannyml_car_loan",
        title="NannyML car loans, data quality",
        read=_car_loan_quality,
        known="an unseen category from row 50,092 (0.8 %, later 2 %); missing values double at row 75,000",
        first_row=50_000,
        outputs=("y_pred_proba", "y_pred"),
        time="timestamp",
    ),
    "employment": Case(
        data="acs_employment_ma",
        title="ACS employment, reference 2015",
        read=_employment,
        known="residents of group quarters: 7 % of rows until 137,910, none after, but for rows 202,404 to "
        "212,673, where all are",
        first_row=68_785,
        outputs=("prediction", "predicted_probability"),
        categorical=CENSUS_CODES,
        why="codes of the census are categories",
        reading="7 % of the reference's people are missing from row 137,911 on, and the file never has them "
        "again as the reference does",
    ),
    "employment_2017": Case(
        data="acs_employment_ma",
        title="ACS employment, reference 2017",
        read=_employment_2017,
        known="no resident of group quarters in the reference (rows 137,911 to 199,999), nobody else in rows "
        "202,404 to 212,673, none after",
        first_row=200_000,
        outputs=("prediction", "predicted_probability"),
        categorical=CENSUS_CODES,
        why="codes of the census are categories; a second reference, for after the block the rows are as "
        "before it and not as in 2015",
        reading="the block, seen and cleared",
    ),
    "gas": Case(
        data="gas_sensor_drift",
        title="Gas sensors",
        read=_gas,
        known="sensors age and the mix of gases differs, batch by batch; the second begins at row 445",
        first_row=445,
        window_rows=445,
        why=f"the reference is the first batch; {SHORT} in the next ones",
    ),
    "elec2": Case(
        data="elec2",
        title="Electricity (Elec2)",
        read=_elec2,
        known="prices and demand with day, week and season; three constant columns move from row 17,424",
        first_row=9_062,
        time="time",
        why="the file's dates are shares of the period, so times are counted from its first day",
        reading="first the demand of 25 December to 4 January, lower than on any of the reference's days but "
        "the lowest, which ends with the holidays; then the market's change of row 17,424",
    ),
    "bank": Case(
        data="bank_marketing",
        title="Bank marketing",
        read=_bank,
        known="crisis of 2008: macroeconomic columns are steps, the next from row 7,763; euribor under 4 "
        "from row 27,676",
        first_row=8_237,
        reading="the step of row 7,763, of which the reference has 474 rows. A column of two values in two "
        "runs has no effective rows by itself, so sums with others show it first; fitting the reference "
        "warns that it drifts",
    ),
    "air": Case(
        data="air_quality_uci",
        title="Air quality",
        read=_air,
        known="sensors drift over the year, and spring becomes summer and winter",
        first_row=1_871,
        time="timestamp",
        window_rows=1_000,
        why=f"-200 is missing; {SHORT} before half of the history",
        reading="June is warmer than March to May; fitting the reference warns that it drifts",
    ),
    "bikes_year": Case(
        data="bike_sharing",
        title="Bike sharing, 2011 and 2012",
        read=_bikes_year,
        known="hires grow by two thirds; seasons return, but a year's rows are not those of a winter",
        first_row=8_645,
        time="time",
        outputs=("cnt",),
        reading="more hires from March on; the weather is quiet",
    ),
    "bikes_summer": Case(
        data="bike_sharing",
        title="Bike sharing, two summers",
        read=_bikes_summer,
        known="hires grow by two thirds; weather of one season",
        time="time",
        outputs=("cnt",),
        window_rows=1_000,
        why=f"June to August of 2011 and of 2012; {SHORT}",
        reading="more hires; the weather is quiet",
    ),
    "spam": Case(
        data="spamassassin",
        title="SpamAssassin, spam 1 and 2",
        read=_mails("spam-1", "spam-2", shuffled=True),
        known="collected later; as wholes no column has PSI over 0.2",
        time=None,
        window_rows=500,
        why=f"{SHUFFLED}; 500 rows of reference, 1,396 after; {SHORT}",
    ),
    "ham": Case(
        data="spamassassin",
        title="SpamAssassin, easy ham 1 and 2",
        read=_mails("easy-ham-1", "easy-ham-2", shuffled=True),
        known="collected later; as wholes 8 of 37 columns have PSI over 0.2",
        time=None,
        window_rows=500,
        why=f"{SHUFFLED}; 2,500 rows of reference, 1,400 after; {SHORT}",
    ),
    "spam_in_time": Case(
        data="spamassassin",
        title="SpamAssassin, spam 1 and 2, in time",
        read=_mails("spam-1", "spam-2", shuffled=False),
        known="the first 133 mails are of 2001: 56 % of the first 80 have no link, 13 % in the reference",
        time="received",
        window_rows=500,
        why=f"the same mails by the time they were received; {SHORT}",
        reading="mails of 2001 with fewer links, cleared; then mails of July 2002",
    ),
    "mixed": Case(
        data="synthetic_concept_dev",
        title="MIXED (synthetic)",
        read=_mixed,
        known="the label's rule is turned round at rows 10,000, 20,000 and 30,000; the inputs never change",
        first_row=8_000,
    ),
}


def rows_of(case: Case, data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reference's rows and the history's, with times."""
    before, after = case.read(data / case.data)
    if case.time == IN_ORDER:
        seconds = range(0, SECONDS * (len(before) + len(after)), SECONDS)
        before = before.assign(**{IN_ORDER: seconds[: len(before)]})
        after = after.assign(**{IN_ORDER: seconds[len(before) :]})
    return before, after


def fit(case: Case, rows: pd.DataFrame) -> Reference:
    """The reference of a case."""
    from driftgauge.reference import Reference

    return Reference.fit(rows, outputs=case.outputs, categorical=case.categorical, time=case.time)


def run(case: Case, data: Path) -> tuple[Reference, BacktestReport]:
    """Fit the reference of a case and replay its history."""
    from driftgauge.backtest import ks_p_below, psi_above, replay
    from driftgauge.windows import rows

    before, after = rows_of(case, data)
    reference = fit(case, before)
    report = replay(
        reference,
        after,
        time=case.time,
        windows=rows(case.window_rows),
        static_rules=[psi_above(0.2), ks_p_below(0.05)],
    )
    return reference, report


def _place(case: Case, row: int | None) -> str:
    """A row as the table shows it: of the file where the history is a part of it, else of the history."""
    if row is None:
        return ""
    return f"{row + case.first_row:,}" if case.first_row is not None else f"{row:,} of the history"


def _found(case: Case, rule: RuleReport) -> str:
    """What a rule did: ``row 75,160; 1 alert, 99 % of evaluations``."""
    if not rule.evaluations:
        return "never judged"
    if rule.first is None:
        return "quiet"
    alerts = f"{len(rule.alerts)} alert{'s' * (len(rule.alerts) > 1)}"
    return (
        f"row {_place(case, rule.first.row)}; {alerts}, {100 * (rule.over_ratio or 0):.0f} % of evaluations"
    )


def _named(alert: Alert | None, at_most: int = 3) -> str:
    if alert is None:
        return ""
    if not alert.causes:
        return ", ".join(alert.features[:at_most])
    at_once = [cause for cause in alert.causes if cause.row == alert.row]
    causes = [f"{cause.name}: {cause.words}" for cause in at_once[:at_most]]
    later = sum(cause.kind != "virtual" for cause in alert.causes if cause.row > alert.row)
    more = [
        f"{number} more {when}"
        for number, when in ((len(at_once) - at_most, "then"), (later, "later"))
        if number > 0
    ]
    return "; ".join(causes) + (f"; {', '.join(more)}" if more else "")


def _first_named(rule: RuleReport, at_most: int = 3) -> str:
    if rule.first is None:
        return ""
    names = rule.first.features
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")


def _goals(reports: dict[str, BacktestReport]) -> Iterator[dict[str, Any]]:
    def count(what: str, most: int, measured: float) -> dict[str, Any]:
        return goal(what, most, measured, better="lower", unit="count")

    if "car_loan" in reports:
        alerts = [alert.row + 50_000 for alert in reports["car_loan"].alerts]
        before = [row for row in alerts if row <= 75_000]
        yield count("NannyML car loans: alerts before row 75,000", 0, len(before))
        after = [row - 75_000 for row in alerts if row > 75_000]
        yield count("NannyML car loans: rows from the change to the alert", 300, min(after, default=25_000))
    if "employment_2017" in reports:
        alerts = reports["employment_2017"].alerts
        first, last = 2_404, 12_674
        inside = [alert for alert in alerts if first < alert.row <= last]
        yield goal("ACS employment: the block is seen", 1, len(inside), better="higher", unit="count")
        yield count("ACS employment: alerts that begin outside of the block", 0, len(alerts) - len(inside))
        stuck = [alert for alert in alerts if alert.cleared_row is None]
        yield count("ACS employment: alerts that hold on to the end", 0, len(stuck))
    if "bikes_summer" in reports:
        named = [one.name for one in reports["bikes_summer"].features if one.first_row is not None]
        weather = [name for name in named if name in WEATHER]
        yield count("Bike sharing, the same season: weather columns that alert", 0, len(weather))
    for name, what in (
        ("spam", "SpamAssassin: alerts from spam 1 to spam 2"),
        ("mixed", "MIXED: alerts of inputs that never change"),
    ):
        if name in reports:
            yield count(what, 0, len(reports[name].alerts))
    if "ham" in reports:
        alerts = reports["ham"].alerts
        yield goal("SpamAssassin: alerts from easy ham 1 to 2", 1, len(alerts), better="higher", unit="count")


def main(arguments: list[str] | None = None) -> int:
    """Replay all, or those that are chosen, and write the result."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parent / ".." / "shared" / "data")
    parser.add_argument("--only", action="append", choices=sorted(CASES), help="may be given more than once")
    chosen = parser.parse_args(arguments)
    if not chosen.data.is_dir():
        parser.error(f"the data sets are not in {chosen.data}; say where they are with --data")
    names = chosen.only or (["spam"] if chosen.smoke else list(CASES))
    reports: dict[str, BacktestReport] = {}
    rows, alerts, settings, raw = [], [], [], {}
    for name in names:
        case = CASES[name]
        reference, report = run(case, chosen.data)
        reports[name] = report
        drift, psi, ks = report.rules
        rows.append([case.title, case.known, _found(case, drift), _named(drift.first), _found(case, psi),
                     _found(case, ks)])  # fmt: skip
        alerts += [
            [case.title, _place(case, alert.row), _place(case, alert.cleared_row) or "the end",
             _place(case, alert.onset_row), alert.peak_score, _named(alert, 5)]
            for alert in drift.alerts
        ]  # fmt: skip
        settings.append(
            [case.title, report.reference_rows, report.rows, len(reference.features), report.evaluations,
             report.dependence, _half(reference), _buckets(reference), case.window_rows, _first_named(psi),
             _first_named(ks), case.why, case.reading]
        )  # fmt: skip
        raw[name] = {"reference": reference.id, "rules": _raw(report)}
        sys.stderr.write(f"{name}: {_found(case, drift)} | {_named(drift.first)}\n")
    note = (
        "Rows are those of the file, counted from 0, and an alert's row is the number of rows that had come "
        "when it was raised. One false alert in 90 days at an evaluation a minute, evaluations of at least "
        "20 rows. The rules look at the last 5,000 rows and at any feature, at the same evaluations. *Quiet* "
        "is no alert; the share is of evaluations at which the rule held."
    )
    tables = [
        table(
            "Nine real data sets: first alert of each rule",
            [column("data"), column("what is known"), column("drift score"), column("because of"),
             column("PSI > 0.2"), column("KS p < 0.05")],
            rows, note, headline=True,
        ),
        table(
            "Every alert of the drift score",
            [column("data"), column("raised at row"), column("cleared at row"), column("began near row"),
             column("highest score", "number"), column("because of")],
            alerts,
            "A cause is stated as it was when it was first named; later ones are counted without relations "
            "between features.",
        ),
        table(
            "What was replayed, and how",
            [column("data"), column("reference rows", "count"), column("rows", "count"),
             column("features", "count"), column("evaluations", "count"), column("dependence"),
             column("score of the reference's second half", "number"),
             column("matched by"), column("rows of PSI and KS", "count"), column("PSI named first"),
             column("KS named first"), column("what differs, and why"), column("how we read the alerts")],
            settings,
            "Defaults everywhere but where it is said. A score of the reference's second half against its "
            "first over 1 warns that the reference itself drifts. Hours or weekdays are matched where the "
            "reference finds that drift is then seen sooner, which it does not at a row or two an hour: the "
            "rows of one evaluation are most of a day, and the rows of one hour are few.",
        ),
    ]  # fmt: skip
    save(
        "real_data",
        tables=tables,
        goals=list(_goals(reports)),
        versions=versions("driftgauge", "numpy", "numba", "scipy", "pandas"),
        smoke=chosen.smoke,
        raw=raw,
        folder=chosen.folder,
    )
    return 0


def _raw(report: BacktestReport) -> list[dict[str, Any]]:
    """All alerts of all rules, with five causes each."""
    rules: list[dict[str, Any]] = report.to_dict()["rules"]
    for rule in rules:
        for alert in rule["alerts"]:
            alert["causes"], alert["features"] = alert["causes"][:5], alert["features"][:5]
    return rules


def _half(reference: Reference) -> float | None:
    return None if reference.calibration is None else reference.calibration.half_score


def _buckets(reference: Reference) -> str:
    calibration = reference.calibration
    if calibration is None or calibration.buckets.cycle == "none":
        return "nothing"
    return calibration.buckets.cycle.replace("_", " and ")


if __name__ == "__main__":
    sys.exit(main())
