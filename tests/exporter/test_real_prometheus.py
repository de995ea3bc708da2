from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from exporter_cases import Frozen, small_snapshot
from services import Prometheus, until

import driftgauge as dg
from driftgauge.catalogue import CATALOGUE, samples
from driftgauge.snapshot import Snapshot
from driftgauge_prometheus import serve

pytestmark = pytest.mark.prometheus
Series = dict[frozenset[tuple[str, str]], float]
Start = Callable[[int], Prometheus]


def expected(snapshot: Snapshot) -> Series:
    """What Prometheus must hold, to the last bit; an empty label is no label there."""
    return {
        frozenset({("__name__", family.prometheus_name), *filter(all, labels.items())}): float(value)
        for family, found in samples(snapshot)
        for labels, value in found
    }


def everything(prometheus: Prometheus) -> Series:
    return prometheus.wait_for('{__name__=~"driftgauge_.+"}')


@contextmanager
def scraped(source: Any, start: Start) -> Iterator[Prometheus]:
    server, thread = serve(source, port=0)
    try:
        yield start(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def test_prometheus_holds_every_value_of_a_snapshot_exactly(prometheus_server: Start) -> None:
    with scraped(Frozen(), prometheus_server) as prometheus:
        assert everything(prometheus) == expected(small_snapshot())


def test_prometheus_learns_the_type_and_help_of_every_family(prometheus_server: Start) -> None:
    with scraped(Frozen(), prometheus_server) as prometheus:
        everything(prometheus)
        known = {name: entry[0] for name, entry in prometheus.get("metadata").items()}
    for family in CATALOGUE:
        # The scrape is OpenMetrics, where a counter's metadata stands under its name without _total.
        entry = known[family.prometheus_name.removesuffix("_total")]
        assert (entry["type"], entry["help"]) == (family.instrument, family.help)


def test_a_feature_that_is_gone_leaves_no_series_behind(prometheus_server: Start) -> None:
    source = Frozen()
    with scraped(source, prometheus_server) as prometheus:
        psi = 'driftgauge_feature_psi{feature="score"}'
        assert prometheus.wait_for(psi)
        value = small_snapshot()
        window = replace(value.windows[0], features=value.windows[0].features[:2])
        source.value = replace(value, features=value.features[:2], windows=(window,))
        until(lambda: not prometheus.query(psi), "the series to end")


def test_the_bins_of_a_window_come_back_from_the_counter(prometheus_server: Start) -> None:
    bins = 'driftgauge_feature_bin_rows_total{feature="age"}'
    rest = f"sum by (bin) (label_replace({bins[:-1]},next_bin!=''}}, 'bin', '$1', 'next_bin', '(.+)'))"
    alone = f"sum by (bin) ({bins}) - ({rest} or sum by (bin) ({bins} * 0))"
    with scraped(Frozen(), prometheus_server) as prometheus:
        found = {dict(labels)["bin"]: rows for labels, rows in prometheus.wait_for(alone).items()}
    assert found == {"00": 100, "01": 150, "02": 260, "03": 2}


def test_a_monitor_that_prometheus_scrapes_tells_it_what_its_snapshot_says(prometheus_server: Start) -> None:
    rng = np.random.default_rng(20261121)
    train = {"age": rng.normal(40, 10, 5_000), "colour": rng.choice(["red", "blue"], 5_000)}
    train["score"] = train["age"] / 100
    live = {"age": rng.normal(55, 10, 2_000), "colour": rng.choice(["red", "green"], 2_000)}
    reference = dg.Reference.fit(train, model="churn", version="3", outputs=["score"])
    with dg.Monitor(reference, windows=[dg.rows(1_000), dg.duration("1h")]) as monitor:
        predict = monitor.watch(lambda data: data["age"] / 100)
        predict(live)
        with scraped(monitor, prometheus_server) as prometheus:
            found = everything(prometheus)
            snapshot = expected(monitor.snapshot())
    assert found.keys() == snapshot.keys()
    # Only what tells the time may differ between the scrape and the snapshot after it.
    differing = {dict(key)["__name__"] for key in found if found[key] != snapshot[key]}
    assert all(name.endswith("_seconds") for name in differing), differing
    psi = [value for key, value in found.items() if ("__name__", "driftgauge_feature_psi") in key]
    assert min(psi) > 1, "all three drifted"
