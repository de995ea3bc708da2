"""Recorded statistics of the fleet against plain Python over the union of all replicas' rows, in promtool."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from scipy.stats import chi2

from driftgauge.detectors.noise import ks_critical, psi_critical
from driftgauge.render import RenderSettings, queries
from driftgauge.render.recording import recording_groups
from driftgauge.render.settings import Labels, Ranges, Thresholds

SETTINGS = RenderSettings(
    ranges=Ranges(short="10m", long="40m"),
    thresholds=Thresholds(min_rows=100),
    labels=Labels(extra=("zone",)),
)
SHORT = SETTINGS.ranges.short
# Float sums over bins and replicas in another order than Python's: some 1e-15 of values up to 10.
CLOSE = 1e-9
BEFORE, AFTER = 16, 34  # minutes of the old counts and of the new ones; looked at in minute 20
Counts = tuple[int, ...]


@dataclass(frozen=True)
class Replica:
    """One replica's counters: what it had counted before the range, and its rows in it."""

    name: str
    reference: Counts
    rows: Counts
    before: Counts = ()
    model: str = "churn"
    reference_id: str = "ab12"
    numeric: bool = True
    info: str = f"1x{BEFORE + AFTER - 1}"
    values: tuple[str, ...] = ()
    """Instead of counts: promtool's notation for each bin."""

    def series(self) -> dict[str, str]:
        """Series by selector, as promtool reads them."""
        end = BEFORE + AFTER - 1
        target = f'zone="z",instance="{self.name}",model="{self.model}",model_version="3"'
        feature = f'{target},feature="age",kind="input"'
        found = {
            f'driftgauge_reference_info{{{target},reference_id="{self.reference_id}"}}': self.info,
            f"driftgauge_reference_rows{{{target}}}": f"{sum(self.reference)}x{end}",
        }
        if self.numeric:
            found[f"driftgauge_feature_ks_error_bound{{{feature}}}"] = f"0x{end}"
        old = np.cumsum(self.before or [0] * len(self.rows))
        new = old + np.cumsum(self.rows)
        shares = np.cumsum(self.reference) / sum(self.reference)
        for number in range(len(self.rows)):
            following = "" if number + 1 == len(self.rows) else f"{number + 1:02d}"
            at = f'{feature},bin="{number:02d}",next_bin="{following}"'
            steps = f"{old[number]}x{BEFORE - 1} {new[number]}x{AFTER - 1}"
            found[f"driftgauge_feature_bin_rows_total{{{at}}}"] = (
                self.values[number] if self.values else steps
            )
            found[f"driftgauge_feature_reference_bin_ratio{{{at}}}"] = f"{float(shares[number])!r}x{end}"
        return found


@dataclass
class Story:
    """Replicas, and what is to be recorded in the end; told to promtool all at once."""

    promtool: Callable[..., str]
    folder: Path
    series: dict[str, str] = field(default_factory=dict)
    looks: list[dict[str, Any]] = field(default_factory=list)

    def add(self, replicas: Iterable[Replica]) -> None:
        for replica in replicas:
            self.series |= replica.series()

    def expect(self, recorded: str, value: float | None, *, close: float = CLOSE, at: str = "20m") -> None:
        """*recorded* has one series with *value*, or none."""
        near = f"count({recorded}) == 1 and on () abs(max({recorded}) - {value!r}) < {close!r}"
        expression = f"count({recorded})" if value is None else f"count({near})"
        samples = [] if value is None else [{"labels": "{}", "value": 1}]
        self.looks.append({"expr": expression, "eval_time": at, "exp_samples": samples})

    def expect_fleet(self, reference: Counts, rows: Counts, *matchers: str, numeric: bool = True) -> None:
        """PSI and KS of the fleet are those of *rows*, counts by bin of everybody's rows."""

        def recorded(name: str) -> str:
            return queries.fleet_statistic(SETTINGS, name, SHORT, *matchers)

        enough = sum(rows) >= SETTINGS.thresholds.min_rows
        self.expect(recorded("psi"), oracles.psi(reference, rows) if enough else None)
        distance = oracles.ks(reference[:-1], rows[:-1]) if sum(rows[:-1]) >= 100 and numeric else None
        self.expect(recorded("ks"), distance)

    def tell(self) -> None:
        groups = recording_groups(SETTINGS)
        (self.folder / "rules.json").write_text(json.dumps({"groups": groups}))
        story = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "promql_expr_test": self.looks,
        }
        order = [group["name"] for group in groups]
        told = {
            "rule_files": ["rules.json"],
            "evaluation_interval": "1m",
            "group_eval_order": order,
            "tests": [story],
        }
        (self.folder / "story.json").write_text(json.dumps(told))
        self.promtool("test", "rules", str(self.folder / "story.json"), text="")


@pytest.fixture
def story(promtool: Callable[..., str], tmp_path: Path) -> Story:
    return Story(promtool, tmp_path)


def union(rows: Iterable[Counts]) -> Counts:
    """Counts by bin of the rows of all, from the rows one by one."""
    everybody = np.concatenate([np.repeat(np.arange(len(each)), each) for each in rows])
    return tuple(np.bincount(everybody, minlength=len(next(iter(rows)))).tolist())


def test_psi_and_ks_of_the_fleet_are_those_of_the_union_of_rows(story: Story) -> None:
    rng = np.random.default_rng(20261121)
    for number in range(24):
        bins = int(rng.integers(2, 14))
        reference = tuple(
            rng.multinomial(10 ** int(rng.integers(3, 6)), rng.dirichlet([0.5] * bins)).tolist()
        )
        if sum(reference[:-1]) == 0:
            continue
        model, numeric = f"m{number}", number % 3 > 0
        replicas = [
            Replica(
                name,
                reference,
                tuple(rng.multinomial(10 ** int(rng.integers(0, 5)), rng.dirichlet([0.3] * bins)).tolist()),
                before=tuple(rng.integers(0, 1_000, bins).tolist()),
                model=model,
                numeric=numeric,
            )
            for name in "abcd"[: int(rng.integers(1, 5))]
        ]
        story.add(replicas)
        rows = union([each.rows for each in replicas])
        story.expect_fleet(reference, rows, f'model="{model}"', numeric=numeric)
        story.expect(queries.fleet_rows(SETTINGS, SHORT, f'model="{model}"'), float(sum(rows)))
    story.tell()


def test_the_mean_of_the_replicas_is_something_else(story: Story) -> None:
    reference = (5_000, 5_000, 0)
    busy, odd = Replica("a", reference, (480, 520, 0)), Replica("b", reference, (0, 40, 0))
    story.add([busy, odd])
    story.expect_fleet(reference, (480, 560, 0))
    story.tell()
    mean = (oracles.psi(reference, busy.rows) + oracles.psi(reference, odd.rows)) / 2
    assert mean > 100 * oracles.psi(reference, (480, 560, 0))


def test_two_references_in_force_are_two_statistics(story: Story) -> None:
    old, new = (5_000, 5_000, 0), (2_000, 2_000, 6_000, 0)
    story.add(
        [
            Replica("a", old, (300, 500, 0)),
            Replica("b", old, (10, 90, 0)),
            Replica("c", new, (20, 20, 360, 0), reference_id="cd34"),
        ]
    )
    story.expect_fleet(old, (310, 590, 0), 'reference_id="ab12"')
    story.expect_fleet(new, (20, 20, 360, 0), 'reference_id="cd34"')
    story.expect(queries.references(SETTINGS, 'reference_id="ab12"'), 2.0)
    story.expect(queries.references(SETTINGS, 'reference_id="cd34"'), 1.0)
    story.tell()


def test_too_few_rows_have_no_statistic(story: Story) -> None:
    story.add([Replica("a", (50, 50, 0), (30, 29, 0)), Replica("b", (50, 50, 0), (20, 20, 0))])
    story.expect_fleet((50, 50, 0), (50, 49, 0))
    story.expect(queries.fleet_rows(SETTINGS, SHORT), 99.0)
    story.tell()


def test_ks_is_of_what_is_not_missing(story: Story) -> None:
    story.add([Replica("a", (50, 50, 0), (60, 60, 5_000))])
    story.expect(queries.fleet_statistic(SETTINGS, "ks", SHORT), 0.0)
    story.tell()


def test_a_replica_that_restarted_counts_what_it_had_before_and_after(story: Story) -> None:
    """60 rows a minute before and after, all in the second bin; `increase` may lose or add two minutes."""
    reference = (5_000, 5_000, 0)
    counter = "0+60x14 0+60x34"
    restarted = Replica("a", reference, (0, 1, 0), values=("0x49", counter, counter))
    steady = Replica("b", reference, (600, 0, 0))
    story.add([restarted, steady])
    story.expect(queries.fleet_bin_rows(SETTINGS, SHORT, 'bin="00"'), 600.0)
    story.expect(queries.fleet_bin_rows(SETTINGS, SHORT, 'bin="01"'), 600.0, close=121)
    story.tell()


def test_a_replica_that_came_counts_from_its_first_scrape_on(story: Story) -> None:
    """40 rows a minute from minute 13 on, so 280 by minute 20; its 3,000 rows of before are not ours."""
    values = ("_x13 3000+40x36", "_x13 3000+40x36", "_x13 3000+40x36")
    story.add([Replica("a", (50, 50, 0), (1, 0, 0), values=values)])
    story.expect(queries.fleet_rows(SETTINGS, SHORT), 280.0, close=41)
    story.tell()


def test_a_replica_that_went_still_counts_for_what_it_did(story: Story) -> None:
    reference = (50, 50, 0)
    gone = Replica(
        "a",
        reference,
        (1, 0, 0),
        info="1x15 _x34",
        values=("0+100x15 _x34", "0+100x15 _x34", "0+100x15 _x34"),
    )
    story.add([gone, Replica("b", reference, (0, 300, 0))])
    # 1,500 rows by minute 15, of which minute 10 to 15 is in the range.
    story.expect(queries.fleet_bin_rows(SETTINGS, SHORT, 'bin="00"'), 500.0, close=101)
    story.expect(queries.fleet_bin_rows(SETTINGS, SHORT, 'bin="01"'), 300.0)
    story.tell()


def test_a_target_that_changed_its_reference_is_left_out_and_hurts_nobody(story: Story) -> None:
    reference = (50, 50, 0)
    # Both are seen for five minutes, as after a push: no sample says that the old one has ended.
    first = Replica("a", reference, (400, 0, 0), info="1x14 _x35")
    second = Replica("a", reference, (400, 0, 0), info="_x15 1x34", reference_id="cd34")
    story.add([first, second, Replica("b", reference, (0, 300, 0))])
    story.expect_fleet(reference, (0, 300, 0))
    story.tell()


def test_noise_lines_are_those_of_the_monitor(story: Story) -> None:
    reference, rows = (3_000, 3_000, 2_000, 2_000, 0), (300, 200, 250, 250, 0)
    story.add([Replica("a", reference, rows)])
    for name, value in (
        # Wilson and Hilferty's quantile is up to 3 % too high.
        ("psi_critical", psi_critical(4, 10_000, 1_000)),
        ("ks_critical", ks_critical(10_000, 1_000)),
    ):
        story.expect(queries.fleet_statistic(SETTINGS, name, SHORT), float(value), close=0.03 * float(value))
    story.tell()


def test_the_quantile_of_the_noise_line_is_at_most_three_percent_off() -> None:
    freedom = np.arange(1, 60)
    approximate = freedom * (1 - 2 / (9 * freedom) + 3.0902 * np.sqrt(2 / (9 * freedom))) ** 3
    off = approximate / chi2.ppf(0.999, freedom) - 1
    assert 0 < off.min() < 0.005
    assert off.max() < 0.031
    assert off[9] < 0.01


def test_evidence_of_replicas_is_averaged_not_their_scores(story: Story) -> None:
    scores, budget = (1.3, 0.2, 0.0), 25_920.0
    for name, score in zip("abc", scores, strict=True):
        story.add([Replica(name, (50, 50, 0), (1, 1, 0))])
        target = f'zone="z",instance="{name}",model="churn",model_version="3"'
        story.series |= {
            f"driftgauge_drift_budget_evaluations{{{target}}}": f"{budget}x49",
            f"driftgauge_model_drift_score{{{target}}}": f"{score}x49",
            f'driftgauge_feature_drift_score{{{target},feature="age",kind="input"}}': f"{score}x49",
        }
    evidence = float(np.mean([budget**score for score in scores]))
    expected = float(np.log(evidence) / np.log(budget))
    story.expect(queries.fleet_model_score(SETTINGS), expected)
    story.expect(queries.fleet_score(SETTINGS), expected)
    story.tell()


def test_shares_weigh_each_replica_by_its_rows(story: Story) -> None:
    for name, rows, missing in (("a", 9_000, 0.1), ("b", 1_000, 0.5)):
        story.add([Replica(name, (50, 50, 0), (1, 1, 0))])
        target = f'zone="z",instance="{name}",model="churn",model_version="3"'
        feature = f'{target},feature="age",kind="input"'
        story.series |= {
            f'driftgauge_window_rows{{{target},window="10000rows"}}': f"{rows}x49",
            f'driftgauge_feature_missing_ratio{{{feature},window="10000rows"}}': f"{missing}x49",
            f"driftgauge_feature_reference_missing_ratio{{{feature}}}": "0.02x49",
        }
    story.expect(queries.fleet_ratio(SETTINGS, "missing_ratio"), (900 + 500) / 10_000)
    story.expect(queries.fleet_ratio_rise(SETTINGS, "missing_ratio"), 0.12)
    story.tell()
