"""What tests of the boards need: the boards, their queries, and two replicas under a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, start_http_server
from services import Prometheus, free_port, running, unavailable, until

import driftgauge as dg
from driftgauge.bridge.families import BridgeSnapshot, samples
from driftgauge.render import RenderSettings
from driftgauge.render.recording import recording_groups
from driftgauge.render.settings import Ranges
from driftgauge.snapshot import PayloadCounts
from driftgauge_prometheus import FamiliesCollector, serve

ROOT = Path(__file__).resolve().parents[2]
# The committed rules, evaluated every second.
QUICK = RenderSettings(ranges=Ranges(rate="10s", interval="1s"))
CHOSEN = {
    "job": ".+",
    "bridge": ".+",
    "instance": ".+",
    "model": "churn",
    "version": ".*",
    "reference": ".+",
    "window": ".+",
    "top": "10",
    "range": QUICK.ranges.short,
    "span": "30s",
    "__rate_interval": "12s",
    "__interval": "2s",
    "__range": "1m",
}


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel."""

    board: str
    panel: dict[str, Any]
    target: dict[str, Any]

    @property
    def place(self) -> str:
        return f"{self.board} / {self.panel['title']} / {self.target['refId']}"

    def text(self, **chosen: str) -> str:
        """PromQL with the variables of a board replaced, as Grafana does."""
        return filled(self.target["expr"], **chosen)


def filled(expression: str, **chosen: str) -> str:
    values = {"feature": "age", **CHOSEN, **chosen}
    return re.sub(r"\$\{([a-z_]\w*)\}|\$([a-z_]\w*)", lambda found: values[found[1] or found[2]], expression)


@pytest.fixture(scope="session")
def boards() -> dict[str, Any]:
    """Committed boards by uid."""
    return {
        path.stem: json.loads(path.read_text("utf-8"))
        for path in sorted((ROOT / "dashboards").glob("*.json"))
    }


@pytest.fixture(scope="session")
def queries(boards: dict[str, Any]) -> list[PanelQuery]:
    """Every query of every panel."""
    return [
        PanelQuery(name, panel, target)
        for name, board in boards.items()
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]


@dataclass(frozen=True)
class Replicas:
    """A Prometheus that scrapes two replicas, which were quiet at first and then drifted."""

    prometheus: Prometheus
    quiet_at: float
    drifted_at: float


@pytest.fixture(scope="session")
def two_replicas(tmp_path_factory: pytest.TempPathFactory, bridge_port: int) -> Iterator[Replicas]:
    """Two replicas of one model with unequal traffic, and a Prometheus with the recording rules."""
    binary = shutil.which("prometheus")
    if binary is None:
        unavailable("prometheus is not installed: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("two_replicas")
    drift = threading.Event()
    with ExitStack() as stack:
        ports = [stack.enter_context(_replica(rows, seed, drift)) for seed, rows in enumerate((90, 30))]
        prometheus = stack.enter_context(_prometheus(binary, folder, ports, bridge_port))
        until(lambda: _has(prometheus, QUIET), "the rules to record two quiet replicas", 120)
        quiet_at = time.time()
        drift.set()
        until(lambda: _has(prometheus, DRIFT), "both replicas to drift and the rules to record it", 120)
        yield Replicas(prometheus, quiet_at, time.time())


def _has(prometheus: Prometheus, expression: str) -> bool:
    try:
        return bool(prometheus.query(expression))
    except OSError:  # it is still starting
        return False


@contextmanager
def _replica(rows: int, seed: int, drift: threading.Event) -> Iterator[int]:
    """Port of a monitor that gets *rows* rows ten times a second, other ones once *drift* is set."""
    fitted = np.random.default_rng(20261121)
    reference = dg.Reference.fit(_rows(fitted, 20_000), model="churn", version="3", outputs=["score"])
    budget = dg.one_false_alert(per="1d", evaluate_every="1s")
    stopped = threading.Event()
    with dg.Monitor(reference, windows=[dg.rows(2_000), dg.duration("1m")], budget=budget) as monitor:
        monitor.count_payloads(partial(_payloads, time.monotonic()))
        predict = monitor.watch(lambda columns: columns["score"])
        drawn = np.random.default_rng(seed)

        def feed() -> None:
            while not stopped.wait(0.1):
                predict(_rows(drawn, rows, drifted=drift.is_set()))

        feeder = threading.Thread(target=feed)
        server, thread = serve(monitor, port=0)
        feeder.start()
        try:
            yield int(server.server_port)
        finally:
            stopped.set()
            server.shutdown()
            server.server_close()
            feeder.join(timeout=10)
            thread.join(timeout=10)


def _payloads(start: float) -> list[PayloadCounts]:
    """What a sidecar says of a hundred payloads a second, of which some come to every end there is."""
    each = int(10 * (time.monotonic() - start))
    ends = {"dropped": {"queue_full": each}, "undecodable": {"not_json": each}}
    others = {"without_outputs": {"missing_key": each}, "forwarded": {"delivered": 7 * each, "failed": each}}
    counts = PayloadCounts(
        way="sink", protocol="kserve_v1", payloads=10 * each, decoded=8 * each, **ends, **others
    )
    return [counts]


@pytest.fixture(scope="session")
def bridge_port() -> Iterator[int]:
    """Of a bridge that has all its metrics, and nothing to complain of."""
    start = time.monotonic()

    def told() -> BridgeSnapshot:
        count, now = int(time.monotonic() - start), time.time()
        return BridgeSnapshot(
            runs={("airflow", "succeeded"): count, ("airflow", "failed"): 0},
            suppressed={"cooldown": count},
            alerts={"new": count, "not_stored": 0},
            pending_runs=1,
            oldest_pending_seconds=now - 60,
            last_success_seconds=now - 30,
        )

    registry = CollectorRegistry()
    registry.register(FamiliesCollector(lambda: samples(told())))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield int(server.server_port)
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def _rows(rng: np.random.Generator, rows: int, *, drifted: bool = False) -> dict[str, Any]:
    age = rng.normal(48 if drifted else 40, 10, rows)
    income = rng.lognormal(10, 1, rows)
    income[rng.random(rows) < 0.02] = np.nan
    plans, shares = ["free", "plus", "team", "gold"], [0.5, 0.3, 0.1, 0.1] if drifted else [0.6, 0.3, 0.1, 0]
    return {
        "age": age,
        "income": income,
        "plan": rng.choice(plans, rows, p=shares),
        "score": 1 / (1 + np.exp((40 - age) / 10)),
    }


@contextmanager
def _prometheus(binary: str, folder: Path, ports: list[int], bridge: int) -> Iterator[Prometheus]:
    """A server with the rules that scrapes *ports* every three seconds."""
    (folder / "rules.json").write_text(json.dumps({"groups": recording_groups(QUICK)}))
    targets = [f"127.0.0.1:{port}" for port in ports]
    jobs = [
        {"job_name": "driftgauge", "static_configs": [{"targets": targets}]},
        {"job_name": "bridge", "static_configs": [{"targets": [f"127.0.0.1:{bridge}"]}]},
    ]
    times = {"scrape_interval": "3s", "scrape_timeout": "3s", "evaluation_interval": "1s"}
    config = {"global": times, "rule_files": ["rules.json"], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(config))  # YAML contains JSON
    port = free_port()
    command = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "prometheus.log"
    with running(command, log):
        yield Prometheus(f"http://127.0.0.1:{port}")


RECORDED = "max by (model) (model_reference_feature:driftgauge_feature_psi:fleet1h)"
# A scrape that timed out on a busy machine would leave a hole just where the test looks.
SCRAPED = (
    "min(count_over_time(up[1m])) > 4 and on () min(min_over_time(up[15s])) == 1 and on () count(up) == 3"
)
QUIET = f"max by (model) (driftgauge_drifted_features) == 0 and {RECORDED} < 0.1 and on () ({SCRAPED})"
DRIFT = f"min by (model) (driftgauge_drifted_features) > 0 and {RECORDED} > 0.1 and on () ({SCRAPED})"


@pytest.fixture(scope="session")
def fill() -> Any:
    """Replaces the variables of a board in a text."""
    return filled
