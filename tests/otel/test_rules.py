"""Rules and alerts of the mixin say the same of metrics that came through the Collector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from collector_service import collector, plain
from exporter_cases import Frozen, small_snapshot
from otel_cases import started
from prometheus_service import job, prometheus, quick_rules
from services import Prometheus, until

from driftgauge.snapshot import Snapshot
from driftgauge_prometheus import serve

pytestmark = [pytest.mark.prometheus, pytest.mark.slow]
Recorded = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Growing(Frozen):
    """A source whose rows go on: of each bin as many again, each time that it is asked."""

    def snapshot(self) -> Snapshot:
        value = super().snapshot()
        features = tuple(
            replace(each, bin_rows=tuple(self.asked * rows for rows in each.bin_rows))
            for each in value.features
        )
        dropped = {reason: self.asked * rows for reason, rows in value.rows_dropped.items()}
        return replace(value, features=features, rows=self.asked * value.rows, rows_dropped=dropped)


@contextmanager
def direct(folder: Path) -> Iterator[Prometheus]:
    """Two replicas, scraped."""
    with ExitStack() as stack:
        ports = []
        for _ in range(2):
            server, thread = serve(Growing(), port=0)
            stack.callback(thread.join, 10)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            ports.append(server.server_port)
        rules = quick_rules(folder)
        yield stack.enter_context(prometheus(folder / "direct", job(ports), rules=rules))


@contextmanager
def through_the_collector(folder: Path, *, honor_labels: bool) -> Iterator[Prometheus]:
    """Two replicas that send to one Collector, which is scraped."""
    with collector(folder) as found, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(started(Growing(), found.http, interval_seconds=0.5))
        until(found.series, "the Collector to have metrics")
        jobs, rules = job([found.text_port], honor_labels=honor_labels), quick_rules(folder)
        yield stack.enter_context(prometheus(folder / "collector", jobs, rules=rules))


def recorded(server: Prometheus) -> Recorded:
    """Everything that rules have recorded."""
    series = server.get("query", query='{__name__=~".+:driftgauge_.+"}')["result"]
    return {
        (each["metric"].pop("__name__"), plain(each["metric"])): float(each["value"][1]) for each in series
    }


def firing(server: Prometheus) -> set[frozenset[tuple[str, str]]]:
    """Alerts that fire, whichever process they are of."""
    return {plain(each["labels"]) for each in server.get("alerts")["alerts"] if each["state"] == "firing"}


def processes(server: Prometheus) -> int:
    """How many processes an alert about one process is about."""
    alerts = server.get("alerts")["alerts"]
    stalled = [each for each in alerts if each["labels"]["alertname"] == "DriftgaugeEvaluationStalled"]
    return len({each["labels"]["instance"] for each in stalled})


@pytest.mark.parametrize("honor_labels", [True, False])
def test_rules_and_alerts_are_the_same_on_both_roads(honor_labels: bool, tmp_path: Path) -> None:
    with direct(tmp_path) as one, through_the_collector(tmp_path, honor_labels=honor_labels) as other:
        last = "model_reference_feature:driftgauge_feature_ks_critical:fleet6h"
        for server in (one, other):
            until(lambda server=server: len(server.query(last)) >= 2, "the last rule to have recorded")
        until(lambda: recorded(one).keys() == recorded(other).keys(), "both to have recorded the same")
        until(lambda: firing(one) == firing(other) != set(), "both to fire the same alerts")
        straight, around, alerts = recorded(one), recorded(other), firing(other)
        # Without honor_labels the target is the Collector, and one process hides behind another.
        shown = (2, 2 if honor_labels else 1)
        until(lambda: (processes(one), processes(other)) == shown, "processes to be told apart")
    assert {dict(labels)["alertname"] for labels in alerts} >= {
        "DriftgaugeFeatureDrift",
        "DriftgaugeModelDrift",
    }
    counts = [
        value for (name, _), value in around.items() if name == "model_reference:driftgauge_replicas:count"
    ]
    assert counts == [2.0]
    # What rates are made of depends on when each was scraped; all else are gauges, and a mean of two.
    still = {key for key in straight if not any(part in key[0] for part in ("1h", "6h", "rate5m"))}
    assert len({name for name, _ in still}) >= 15
    assert {key: around[key] for key in still} == pytest.approx(
        {key: straight[key] for key in still}, rel=1e-12
    )
    drift = ("model_reference_feature:driftgauge_feature_drift_score:fleet", "age")
    (score,) = [v for (name, labels), v in around.items() if (name, dict(labels).get("feature")) == drift]
    assert score == pytest.approx(small_snapshot().drift.features[0].score)  # type: ignore[union-attr]
