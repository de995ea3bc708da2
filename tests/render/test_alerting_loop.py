"""The whole road on real servers: two replicas, Prometheus with the rules, Alertmanager, a webhook."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alerting import alertmanager, binary, prometheus
from services import Prometheus, free_port, until

import driftgauge as dg
from driftgauge.render import RenderSettings, queries
from driftgauge.render.alerts import ALERTS
from driftgauge.render.files import rendered
from driftgauge.render.settings import Ranges, Thresholds
from driftgauge.snapshot import PayloadCounts
from driftgauge_prometheus import serve

pytestmark = [pytest.mark.prometheus, pytest.mark.slow]

RANGES = Ranges(short="10s", long="20s", rate="5s", hold="2m", seen="1h", interval="1s")
SETTINGS = RenderSettings(ranges=RANGES, thresholds=Thresholds(min_rows=200))
for _name in ALERTS:
    SETTINGS = SETTINGS.with_alert(_name, keep="3s")
for _name in ("DriftgaugeFeatureDrift", "DriftgaugeFleetPsiHigh"):
    SETTINGS = SETTINGS.with_alert(_name, for_="2s")
SHORT = RANGES.short
PATIENCE_SECONDS = 180  # each step takes 5 to 40 s on two idle cores
Columns = dict[str, np.ndarray]


def train() -> Columns:
    return draw(np.random.default_rng(20261121), 20_000)


def draw(rng: np.random.Generator, rows: int, *, older: float = 0.0) -> Columns:
    income = rng.lognormal(10, 1, rows)
    income[rng.random(rows) < 0.02] = np.nan
    plan = rng.choice(["free", "plus", "team"], rows)
    return {
        "age": rng.normal(40 + older, 10, rows),
        "income": income,
        "plan": plan,
        "score": rng.uniform(size=rows),
    }


@dataclass
class Replica:
    """A monitor that serves its metrics, and what it was asked since `since`."""

    monitor: dg.Monitor
    port: int
    rng: np.random.Generator
    asked: list[Columns] = field(default_factory=list)

    def ask(self, rows: int, *, older: float = 0.0) -> None:
        columns = draw(self.rng, rows, older=older)
        self.monitor.watch(lambda columns: columns["score"])(columns)
        self.asked.append(columns)


def healthy_payloads(start: float) -> list[PayloadCounts]:
    """Ten a second, and none of them lost."""
    came = int(10 * (time.monotonic() - start))
    none = {"dropped": {"queue_full": 0, "sampled_out": 0}, "undecodable": {"not_json": 0}}
    return [PayloadCounts(way="sink", protocol="kserve_v1", payloads=came, decoded=came, **none)]


@contextmanager
def replica(reference: dg.Reference, seed: int) -> Iterator[Replica]:
    budget = dg.one_false_alert(per="1d", evaluate_every="1s")
    with dg.Monitor(reference, windows=[dg.rows(2_000)], budget=budget) as monitor:
        monitor.warm_up()
        monitor.count_payloads(partial(healthy_payloads, time.monotonic()))
        server, thread = serve(monitor, port=0)
        try:
            yield Replica(monitor, int(server.server_port), np.random.default_rng(seed))
        finally:
            server.shutdown()
            server.server_close()
            thread.join(timeout=10)


@dataclass(frozen=True)
class Webhook:
    """What Alertmanager sends."""

    port: int
    received: list[dict[str, Any]]

    def alerts(self, status: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Alerts of this status by name and feature, the latest of each."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("feature", "")): alert
            for message in list(self.received)
            for alert in message["alerts"]
            if alert["status"] == status
        }


@contextmanager
def webhook() -> Iterator[Webhook]:
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Webhook(server.server_port, received)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def query(server: Prometheus, expression: str) -> dict[frozenset[tuple[str, str]], float]:
    """As `Prometheus.query`; nothing while the server is still starting."""
    try:
        return server.query(expression)
    except OSError:
        return {}


def bin_edges(reference: dg.Reference, name: str) -> np.ndarray:
    """Upper edges of a numeric feature's bins, the open one and that of what is missing left out."""
    (feature,) = (each for each in reference.features if each.name == name)
    # Point k is cell 2k + 2, and each of these bins ends with a point (`driftgauge.cells`).
    return feature.points[(feature.bin_starts[1:-2] - 3) // 2]


def counted(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Rows by bin, the last of what is missing, from the values themselves."""
    there = values[~np.isnan(values)]
    bins = np.searchsorted(edges, there, side="left")
    return np.append(np.bincount(bins, minlength=edges.size + 1), values.size - there.size)


def psi_and_ks(known: np.ndarray, live: np.ndarray, edges: np.ndarray) -> tuple[float, float]:
    """Of rows, with NumPy alone."""
    q, p = counted(known, edges), counted(live, edges)
    used = p + q > 0
    p_share, q_share = ((n[used] + 0.5) / (n.sum() + 0.5 * used.sum()) for n in (p, q))
    psi = float(np.sum((p_share - q_share) * np.log(p_share / q_share)))
    sides = (np.sort(values[~np.isnan(values)]) for values in (known, live))
    known_up_to, live_up_to = (np.searchsorted(side, edges, side="right") / side.size for side in sides)
    return psi, float(np.max(np.abs(known_up_to - live_up_to)))


@dataclass(frozen=True)
class Loop:
    """Everything that runs."""

    reference: dg.Reference
    replicas: tuple[Replica, Replica]
    server: Prometheus
    hook: Webhook
    rules: Path


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory, bridge_port: int) -> Iterator[Loop]:
    folder = tmp_path_factory.mktemp("loop")
    dg.Reference.fit(train(), model="churn", version="3", outputs=["score"]).save(folder / "reference")
    reference = dg.Reference.load(folder / "reference")
    with ExitStack() as stack:
        replicas = tuple(stack.enter_context(replica(reference, seed)) for seed in (1, 2))
        hook = stack.enter_context(webhook())
        route = {"receiver": "hook", "group_by": ["..."], "group_wait": "1s", "group_interval": "1s"}
        receiver = {"name": "hook", "webhook_configs": [{"url": f"http://127.0.0.1:{hook.port}/"}]}
        alerts = free_port()
        stack.enter_context(alertmanager(folder, {"route": route, "receivers": [receiver]}, alerts))
        rules = rendered("alerts", SETTINGS)["driftgauge.rules.yaml"]
        jobs = {"driftgauge": [each.port for each in replicas], "bridge": [bridge_port]}
        server = stack.enter_context(prometheus(folder, rules, jobs, alerts))
        yield Loop(reference, (replicas[0], replicas[1]), server, hook, folder / "rules.yaml")


def test_psi_and_ks_of_the_fleet_are_those_of_all_rows(loop: Loop) -> None:
    """One of the replicas has ten times the traffic and the other one other rows."""
    busy, odd = loop.replicas
    busy.ask(3_000)
    odd.ask(300)
    # Both were scraped for longer than the short range, so what comes now is all that is in it.
    ready = f"min(count_over_time(up[15s])) >= 13 and on () sum({queries.fleet_rows(SETTINGS, SHORT)}) == 0"
    until(lambda: query(loop.server, ready), "both replicas to be scraped", PATIENCE_SECONDS)
    for each in loop.replicas:
        each.asked.clear()
    busy.ask(2_000)
    odd.ask(200, older=12.0)
    for name in ("age", "income", "score"):
        live = np.concatenate([columns[name] for each in loop.replicas for columns in each.asked])
        edges = bin_edges(loop.reference, name)
        expected = psi_and_ks(train()[name], live, edges)
        feature = f'feature="{name}"'
        all_there = f"{queries.fleet_rows(SETTINGS, SHORT, feature)} == {live.size}"
        found = tuple(
            next(iter(until(recorded(loop.server, statistic, feature, all_there), statistic).values()))
            for statistic in ("psi", "ks")
        )
        # The counters are whole numbers; what is left is the order of a few additions.
        assert found == pytest.approx(expected, rel=1e-9), name
    alone = [
        psi_and_ks(train()["age"], each.asked[0]["age"], bin_edges(loop.reference, "age"))
        for each in loop.replicas
    ]
    assert np.mean([psi for psi, _ in alone]) > 5 * psi_of(loop, "age"), "the mean of the replicas misleads"


def recorded(
    server: Prometheus, statistic: str, feature: str, all_there: str
) -> Callable[[], dict[frozenset[tuple[str, str]], float]]:
    """Looks for a statistic at a moment at which all rows were in it."""
    series = queries.fleet_statistic(SETTINGS, statistic, SHORT, feature)
    return lambda: query(server, f"{series} and ({all_there})")


def psi_of(loop: Loop, name: str) -> float:
    live = np.concatenate([columns[name] for each in loop.replicas for columns in each.asked])
    return psi_and_ks(train()[name], live, bin_edges(loop.reference, name))[0]


def test_an_alert_reaches_the_webhook_and_resolves_when_the_drift_ends(loop: Loop) -> None:
    feature_drift, psi_high = ("DriftgaugeFeatureDrift", "age"), ("DriftgaugeFleetPsiHigh", "age")
    stopped, older = threading.Event(), [0.0]

    def feed() -> None:
        while not stopped.wait(0.1):
            for each, rows in zip(loop.replicas, (100, 10), strict=True):
                each.ask(rows, older=older[0])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        psi = queries.fleet_statistic(SETTINGS, "psi", RANGES.long, 'feature="age"')
        until(lambda: query(loop.server, f"{psi} < 0.05"), "a quiet fleet", PATIENCE_SECONDS)
        assert not loop.hook.alerts("firing")
        older[0] = 12.0
        until(
            lambda: {feature_drift, psi_high} <= loop.hook.alerts("firing").keys(), "alerts", PATIENCE_SECONDS
        )
        firing = loop.hook.alerts("firing")
        older[0] = 0.0
        until(
            lambda: {feature_drift, psi_high} <= loop.hook.alerts("resolved").keys(),
            "an end",
            PATIENCE_SECONDS,
        )
    finally:
        stopped.set()
        feeder.join(timeout=10)
    assert {feature for _, feature in loop.hook.alerts("firing")} == {"age"}, "nothing else drifted"
    drift, psi = firing[feature_drift], firing[psi_high]
    assert (drift["labels"]["driftgauge_action"], psi["labels"]["driftgauge_action"]) == ("look", "look")
    assert drift["labels"].keys().isdisjoint({"instance", "job", "pod", "reference_id"})
    assert "Most of the evidence: location_up" in drift["annotations"]["description"]
    assert "PSI over all replicas in the last 20s is" in drift["annotations"]["description"]
    assert drift["annotations"]["runbook_url"].endswith("#driftgaugefeaturedrift")
    assert drift["annotations"]["dashboard_url"].endswith("var-model=churn&var-version=3&var-feature=age")
    for name in (feature_drift, psi_high):
        assert loop.hook.alerts("resolved")[name]["fingerprint"] == firing[name]["fingerprint"]


def test_pint_finds_nothing_to_say_of_the_rules_with_the_server_at_hand(loop: Loop, tmp_path: Path) -> None:
    """It asks the server whether metrics are there, used as their types allow, and have labels that match."""
    pint = binary("pint", how="make test brings it")
    config = tmp_path / "pint.hcl"
    config.write_text(f'prometheus "live" {{\n  uri = "{loop.server.url}"\n  timeout = "30s"\n}}\n')
    done = subprocess.run(
        [pint, "--no-color", f"--config={config}", "lint", "--min-severity=info", str(loop.rules)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Problems found" not in done.stderr, done.stdout + done.stderr
