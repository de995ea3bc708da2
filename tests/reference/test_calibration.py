"""What a second pass over the rows learns: season, relations, halves. It is the same however it is done."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftgauge._archive import read_archive, write_archive
from driftgauge.calibration import Calibration
from driftgauge.detectors.drift_score import DriftScore
from driftgauge.errors import (
    ConfigError,
    DataError,
    ReferenceFileError,
    TimeOrderWarning,
    TrainingDriftWarning,
)
from driftgauge.reference import PartialReference, Reference

Data = dict[str, Any]
START = 1_700_006_400.0  # a midnight


def rows(seed: int, number: int, *, season: float = 0.0, moved: float = 0.0, every: float = 90.0) -> Data:
    """Two numbers that go together, a flag and a category; *season* in standard deviations of x."""
    rng = np.random.default_rng(seed)
    at = START + every * np.arange(number)
    x = rng.standard_normal(number) + season * np.sin(2 * np.pi * at / 86_400)
    x[number // 2 :] += moved
    y = 0.8 * x + 0.6 * rng.standard_normal(number)
    y[rng.random(number) < 0.05] = np.nan
    flag = rng.random(number) < 0.3
    return {"x": x, "at": at, "y": y, "flag": flag, "kind": rng.choice(["a", "b", "c"], number)}


def learned(reference: Reference) -> Calibration:
    assert reference.calibration is not None
    return reference.calibration


def cut(data: Data, size: int) -> Callable[[], Iterator[Data]]:
    number = len(data["x"])
    return lambda: (
        {name: values[start : start + size] for name, values in data.items()}
        for start in range(0, number, size)
    )


def matched(reference: Reference) -> set[str]:
    calibration = learned(reference)
    names = [*reference.names, *(virtual.name for virtual in calibration.virtual)]
    return {
        name
        for name, stream in zip(names, calibration.streams, strict=True)
        if stream.bucket_counts is not None
    }


def equal(one: Calibration, other: Calibration) -> bool:
    """Field by field, and not by id: what an id leaves out would not be noticed by it."""

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, np.ndarray):
            return a.dtype == b.dtype and np.array_equal(a, b)
        if isinstance(a, tuple):
            return len(a) == len(b) and all(map(same, a, b))
        if hasattr(a, "__dataclass_fields__"):
            return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
        return bool(a == b)

    return same(one, other)


# law


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1_000),
    number=st.sampled_from([600, 1_500, 12_000]),
    size=st.integers(97, 5_000),
    timed=st.booleans(),
)
def test_how_rows_are_cut_into_batches_makes_no_difference(
    seed: int, number: int, size: int, timed: bool
) -> None:
    data = rows(seed, number, season=0.4)
    time: Data = {"time": "at", "timezone": "Asia/Kathmandu"} if timed else {"exclude": "at"}
    whole = Reference.fit(data, **time)
    batches = Reference.fit_batches(cut(data, size), **time)
    again = Reference.fit_batches(list(cut(data, size)()), **time)
    assert equal(learned(whole), learned(batches))
    assert whole.id == batches.id == again.id


@pytest.mark.slow
def test_many_rows_cut_into_batches_make_no_difference() -> None:
    data = rows(3, 230_000, season=0.4)  # more than are sampled, and than are worked on at once
    data |= {"x": data["x"].round(3), "y": data["y"].round(3)}  # what is not exact depends on its batches
    whole = Reference.fit(data, time="at")
    assert equal(learned(whole), learned(Reference.fit_batches(cut(data, 33_333), time="at")))


def test_rows_in_any_order_with_their_times_give_the_same() -> None:
    data = rows(1, 3_000)
    order = np.random.default_rng(2).permutation(3_000)
    shuffled = {name: values[order] for name, values in data.items()}
    assert Reference.fit(data, time="at").id == Reference.fit(shuffled, time="at").id
    assert Reference.fit(data, time="at").id == Reference.fit_batches([shuffled], time="at").id


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_any_frame_with_any_times_gives_the_same(make: Callable[[Data], Any]) -> None:
    data = rows(1, 2_000)
    moments = pd.Series(pd.to_datetime(data["at"], unit="s", utc=True))
    whole = Reference.fit(data, time="at")
    texts = moments.dt.strftime("%FT%TZ")
    for at in (moments.dt.tz_localize(None), moments.dt.tz_convert("Asia/Tokyo"), texts):
        assert Reference.fit(make({**data, "at": at.tolist()}), time="at").id == whole.id


def test_a_merged_reference_that_is_calibrated_is_the_reference_of_all_rows() -> None:
    data = rows(4, 3_000, season=0.5)
    partials = [PartialReference(exclude="at").update(batch) for batch in cut(data, 800)()]
    merged = Reference.merge(partials)
    assert merged.calibration is None
    whole = Reference.fit(data, time="at")
    assert equal(learned(merged.calibrate(cut(data, 1_111), time="at")), learned(whole))
    assert merged.calibrate(cut(data, 1_111), time="at").id == whole.id
    assert merged.calibrate(list(cut(data, 3_000)()), joint=False).id == merged.id


@pytest.mark.parametrize("time", [None, "at"])
def test_saving_and_loading_changes_nothing(time: str | None, tmp_path: Path) -> None:
    reference = Reference.fit(rows(5, 40_000, season=1.0), time=time, exclude="at")
    reference.save(tmp_path / "reference")
    loaded = Reference.load(tmp_path / "reference")
    assert equal(learned(reference), learned(loaded))
    assert loaded.id == reference.id
    assert (matched(reference) > {"x", "y"}) == (time is not None)


def test_the_id_covers_what_was_learned() -> None:
    data = rows(6, 2_000)
    timed = Reference.fit(data, time="at")
    later = {**data, "at": data["at"] + 3_600}
    others = [
        Reference.fit(data, exclude="at"),
        Reference.fit(data, exclude="at", joint=False),
        Reference.fit(data, time="at", joint=False),
        Reference.fit(data, time="at", timezone="Asia/Tokyo"),
        timed,
    ]
    assert len({reference.id for reference in others}) == 5
    assert Reference.fit(later, time="at").id == timed.id  # no season is matched, so no hour is kept


def test_a_detector_counts_virtual_features_as_the_reference_did() -> None:
    data = rows(7, 5_000)
    reference = Reference.fit(data, time="at")
    detector = DriftScore(reference)
    detector.add(reference.index(data), data["at"])
    counted = detector.state()["pending"]
    calibration = learned(reference)
    expected = np.concatenate([stream.counts for stream in calibration.streams[4:]])
    assert len(calibration.virtual) > 5
    assert counted[-expected.size :].tolist() == expected.tolist()


def test_bucket_counts_add_up_to_all_rows() -> None:
    reference = Reference.fit(rows(8, 40_000, season=1.0), time="at")
    calibration = learned(reference)
    for number, stream in enumerate(calibration.streams):
        assert stream.counts.sum() == pytest.approx(40_000)
        if stream.bucket_counts is not None:
            assert stream.bucket_counts.shape == (calibration.buckets.size, stream.counts.size)
            assert stream.bucket_counts.sum() == 40_000
            if number >= 4:
                assert (stream.bucket_counts.sum(axis=0) == stream.counts).all()


# oracle


def test_bucket_counts_are_those_of_a_plain_loop() -> None:
    data = rows(9, 30_000, season=1.0)
    reference = Reference.fit(data, time="at", timezone="Asia/Kolkata")
    calibration = learned(reference)
    assert calibration.buckets.cycle == "hour"
    hours = [int((at + 5.5 * 3_600) // 3_600) % 24 for at in data["at"]]
    cells = reference.index(data)[0]
    expected = np.zeros((24, reference.ecells[0].size), int)
    for hour, cell in zip(hours, cells, strict=True):
        expected[hour, reference.ecells[0].cell_map[cell]] += 1
    found = calibration.streams[0].bucket_counts
    assert found is not None
    assert (found == expected).all()


# edge


def test_few_rows_without_times_teach_nothing() -> None:
    assert Reference.fit(rows(1, 499), exclude="at").calibration is None
    assert Reference.fit(rows(1, 500), exclude="at").calibration is not None
    assert Reference.fit({"x": np.arange(9_000.0)}).calibration is None  # nothing it could go with
    assert Reference.fit(rows(1, 900), exclude="at", joint=False).calibration is None


@pytest.mark.parametrize("number", [1, 2, 30])
def test_few_rows_with_times_have_a_calibration_that_claims_nothing(number: int) -> None:
    calibration = learned(Reference.fit({"x": np.arange(number), "at": np.arange(number)}, time="at"))
    assert calibration.in_time_order
    assert calibration.buckets.cycle == "none"
    assert calibration.half_score is None
    assert calibration.streams[0].design_effects.max() == 1


def test_rows_at_one_time_are_no_trouble() -> None:
    data = rows(1, 2_000) | {"at": np.full(2_000, START)}
    calibration = learned(Reference.fit(data, time="at"))
    assert calibration.in_time_order
    assert calibration.buckets.cycle == "none"


def test_an_iterator_gives_no_calibration_and_cannot_have_times() -> None:
    data = rows(2, 1_000)
    reference = Reference.fit_batches(cut(data, 300)(), exclude="at")
    assert reference.calibration is None
    assert reference.calibrate(cut(data, 400)).id == Reference.fit(data, exclude="at").id
    with pytest.raises(ConfigError, match="read twice"):
        Reference.fit_batches(cut(data, 300)(), time="at")
    with pytest.raises(ConfigError, match="reads the batches twice"):
        reference.calibrate(cut(data, 300)())


def test_other_rows_than_those_of_the_reference_are_refused() -> None:
    data = rows(2, 1_000)
    reference = Reference.fit(data, exclude="at", joint=False)
    with pytest.raises(DataError, match=r"there are 999 rows .* the reference has 1,000"):
        reference.calibrate([{name: values[1:] for name, values in data.items()}])
    readings = iter([0, 1])
    with pytest.raises(DataError, match="999 rows"):
        Reference.fit_batches(lambda: _fewer_each_time(data, readings), exclude="at")


def _fewer_each_time(data: Data, readings: Iterator[int]) -> list[Data]:
    skipped = next(readings)
    return [{name: values[skipped:] for name, values in data.items()}]


def test_batches_that_go_back_in_time_are_told_and_taken_as_independent() -> None:
    data = rows(3, 40_000, season=1.0)
    batches = list(cut(data, 1_000)())[::-1]
    with pytest.warns(TimeOrderWarning, match="sort them by time"):
        reference = Reference.fit_batches(batches, time="at")
    calibration = learned(reference)
    assert not calibration.in_time_order
    assert calibration.half_score is None
    assert all((stream.design_effects == 1).all() for stream in calibration.streams)
    assert matched(reference) > {"x", "y"}  # which needs times, but not their order


def test_an_hour_that_comes_twice_is_no_disorder() -> None:
    at = pd.date_range("2024-10-26", "2024-10-29", freq="60s", tz="Europe/Berlin").tz_localize(None)
    data = {"x": np.arange(len(at)) % 7, "at": at.strftime("%F %T").to_numpy()}
    batches = [{name: values[i : i + 50] for name, values in data.items()} for i in range(0, len(at), 50)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", TimeOrderWarning)
        reference = Reference.fit_batches(batches, time="at", timezone="Europe/Berlin")
    assert learned(reference).in_time_order


def test_a_setting_that_cannot_be_is_refused_before_any_row_is_read() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        Reference.fit({"x": [1], "at": [1]}, time="at", timezone="Mars")
    with pytest.raises(DataError, match="no column 'when'"):
        Reference.fit({"x": [1], "at": [1]}, time="when")


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("design_effects", lambda array: array - 1),
        ("design_effects", lambda array: array[:-1]),
        ("virtual_edges", lambda array: array[::-1].copy()),
        ("virtual_features", lambda array: array + 99),
        ("virtual_counts", lambda array: -array),
        ("bucket_counts", lambda array: array + np.uint32(1)),
        ("virtual_weights", lambda array: array * np.nan),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(
    member: str, change: Callable[[Any], Any], tmp_path: Path
) -> None:
    path = tmp_path / "reference"
    Reference.fit(rows(5, 30_000, season=1.0), time="at").save(path)
    header, arrays = read_archive(path, "reference")
    write_archive(path, "reference", header, {**arrays, member: change(arrays[member])})
    with pytest.raises(ReferenceFileError, match="damaged"):
        Reference.load(path)


def test_a_file_without_a_calibration_is_read_as_before(tmp_path: Path) -> None:
    reference = Reference.fit(rows(5, 600), exclude="at", joint=False)
    reference.save(tmp_path / "old")
    header, arrays = read_archive(tmp_path / "old", "reference")
    assert "calibration" not in header
    assert set(arrays) == {"points", "counts", "bin_starts"}
    assert Reference.load(tmp_path / "old").calibration is None


# story


def test_a_season_is_found_where_it_pays_and_nowhere_else() -> None:
    seasonal = Reference.fit(rows(10, 40_000, season=0.5), time="at")
    assert learned(seasonal).buckets.cycle == "hour"
    assert {"x", "y", "x + y", "sum"} <= matched(seasonal)
    assert not {"flag", "kind"} & matched(seasonal)
    independent = Reference.fit(rows(10, 40_000), time="at")
    assert learned(independent).buckets.cycle == "none"
    assert matched(independent) == set()


@pytest.mark.parametrize(
    ("season", "number", "cycle"),
    [
        (0.15, 24_000, "hour"),  # 1,000 rows an hour of the day: half an sd is seen some ten times sooner
        (0.5, 7_200, "hour"),  # 300: without it, never
        (0.05, 7_200, "none"),  # the errors of 24 small references cost three times what the season does
        (0.0, 24_000, "none"),
    ],
)
def test_the_season_pays_where_the_allowances_of_its_hours_are_less_than_it(
    season: float, number: int, cycle: str
) -> None:
    data = rows(11, number, season=season, every=36.0)
    reference = Reference.fit({"x": data["x"], "at": data["at"]}, time="at")
    assert learned(reference).buckets.cycle == cycle


def test_weekdays_are_matched_where_days_differ_and_hours_do_not() -> None:
    data = rows(11, 60_000, every=60.0)
    weekend = (data["at"] // 86_400 + 3) % 7 >= 5
    data["x"] = data["x"] + 1.0 * weekend
    assert learned(Reference.fit(data, time="at")).buckets.cycle == "weekday"


def test_a_season_that_few_rows_cannot_pay_for_is_left_alone(shared_data: Path) -> None:
    """One row an hour: a block of rows goes round the day by itself, and 24 allowances cost more."""
    frame = pd.read_csv(shared_data / "bike_sharing" / "hour.csv")
    frame["at"] = frame["dteday"] + "T" + frame["hr"].map("{:02d}:00".format)
    year = frame.loc[frame["yr"] == 0, ["at", "hum", "cnt"]]
    reference = Reference.fit(year, time="at", outputs="cnt")
    calibration = learned(reference)
    assert calibration.in_time_order
    assert matched(reference) == set()
    # bicycles are lent by season, weather and hour: some hundred rows are worth one
    assert 100 < calibration.streams[1].design_effects[0] < 2_000


def test_rows_that_drift_are_told_with_their_features_and_what_to_do() -> None:
    data = rows(12, 12_000, moved=0.8, every=10.0)
    with pytest.warns(TrainingDriftWarning, match=r"your own training data drift.*'x'.*min_effect") as told:
        reference = Reference.fit(data, time="at")
    assert told[0].filename == __file__
    calibration = learned(reference)
    assert calibration.half_score is not None
    assert calibration.half_score > 1
    assert {"x", "y"} <= set(calibration.half_features)
    assert "kind" not in calibration.half_features


@pytest.mark.parametrize("number", [12_000, 62_000])
def test_rows_that_do_not_drift_are_not_told(number: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(2):
            reference = Reference.fit(rows(seed, number, season=0.5), time="at")
            score = learned(reference).half_score
            assert score is not None
            assert 0 <= score < 1
