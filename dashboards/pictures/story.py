"""Three monitors and a Prometheus that scrapes them for four minutes; the boards' queries are asked of it.

Two replicas serve a churn model. Their first minute is quiet; then tenure grows slowly, and with it what the
model says. A minute later a new country comes, and on the second replica alone income goes missing. A fraud
model stays quiet throughout. What is told of payloads and of a bridge is made up: a tenth of the payloads
cannot be read once the country is new, and the bridge starts one run of churn, which succeeds.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server

import driftgauge as dg
from driftgauge.bridge.families import BridgeSnapshot, samples
from driftgauge.render import RenderSettings
from driftgauge.render.alerts import alert_groups
from driftgauge.render.recording import recording_groups
from driftgauge.render.settings import DEFAULT_ALERTS, Ranges
from driftgauge.snapshot import PayloadCounts
from driftgauge_prometheus import FamiliesCollector

SECONDS = 240
CHOSEN = {
    **dict.fromkeys(("job", "instance", "bridge", "reference", "window"), ".+"),
    **{"model": "churn", "version": ".*", "feature": "tenure", "top": "10", "range": "1m", "span": "30s"},
    **{"__rate_interval": "8s", "__interval": "4s", "__range": f"{SECONDS}s"},
}


def rows(rng: np.random.Generator, count: int, seconds: float, replica: int) -> dict[str, Any]:
    """*count* rows as they come so many seconds after the start."""
    grown = min(max(seconds - 60, 0) / 120, 1)
    late = seconds > 120
    tenure = rng.gamma(2, 12 + 9 * grown, count)
    income = rng.lognormal(10, 0.5, count)
    income[rng.random(count) < (0.15 if late and replica else 0.01)] = np.nan
    new = 0.12 if late else 0.0
    country = rng.choice(["DE", "FR", "IT", "NL"], count, p=[0.5, 0.3 - new, 0.15, 0.05 + new]).astype(object)
    country[rng.random(count) < new / 2] = "PT"
    columns = {
        "age": rng.normal(42, 12, count),
        "clicks": rng.poisson(4, count).astype(float),
        "country": country,
        "device": rng.choice(["phone", "desk", "tablet"], count, p=[0.6, 0.3, 0.1]),
        "hour": rng.integers(0, 24, count).astype(float),
        "income": income,
        "plan": rng.choice(["free", "plus", "team"], count, p=[0.6, 0.3, 0.1]),
        "tenure": tenure,
    }
    return {**columns, "score": 1 / (1 + np.exp((tenure - 30) / 15 + rng.normal(0, 0.5, count)))}


class Told:
    """What the Prometheus of the story knows, asked as a board asks."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.end = 0.0

    def ask(self, target: dict[str, Any], **chosen: str) -> list[dict[str, Any]]:
        """Series of a panel's query over the whole story, or at its end."""
        values = {**CHOSEN, **chosen}
        query = re.sub(r"\$\{([a-z_]\w*)\}|\$([a-z_]\w*)", lambda it: values[it[1] or it[2]], target["expr"])
        if target["instant"]:
            return self._get("query", query=query, time=self.end)
        return self._get("query_range", query=query, start=self.end - SECONDS, end=self.end, step=4)

    def _get(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return list(json.load(answer)["data"]["result"])


@contextmanager
def told(folder: Path) -> Iterator[Told]:
    """The story from beginning to end; it takes as long as it says. Needs the prometheus program."""
    with ExitStack() as stack:
        ports = [
            stack.enter_context(_monitor(model, replica, count))
            for model, replica, count in (("churn", 0, 60), ("churn", 1, 20), ("fraud", 0, 30))
        ]
        ports.append(stack.enter_context(_bridge()))
        story = Told(stack.enter_context(_prometheus(folder, ports)))
        time.sleep(SECONDS)
        story.end = time.time()
        yield story


@contextmanager
def _monitor(model: str, replica: int, count: int) -> Iterator[int]:
    reference = dg.Reference.fit(
        rows(np.random.default_rng(7), 20_000, 0, 0), model=model, version="3", outputs=["score"]
    )
    budget = dg.one_false_alert(per="30d", evaluate_every="2s")
    stopped = threading.Event()
    with dg.Monitor(reference, windows=[dg.rows(5_000), dg.duration("1m")], budget=budget) as monitor:
        monitor.warm_up()
        predict: Callable[[dict[str, Any]], Any] = monitor.watch(lambda columns: columns["score"])
        rng, began = np.random.default_rng(100 + replica), time.monotonic()

        def feed() -> None:
            while not stopped.wait(0.1):
                seconds = time.monotonic() - began if model == "churn" else 0.0
                predict(rows(rng, count, seconds, replica))

        feeder = threading.Thread(target=feed)
        monitor.count_payloads(lambda: [_payloads(count, time.monotonic() - began)])
        server, _ = dg.exporter("prometheus").serve(monitor, port=0)
        feeder.start()
        try:
            yield server.server_port
        finally:
            stopped.set()
            feeder.join()
            server.shutdown()
            server.server_close()


def _payloads(count: int, seconds: float) -> PayloadCounts:
    """What a sidecar would say of payloads of one row each."""
    whole, lost = int(10 * count * seconds), int(count * max(seconds - 120, 0))
    return PayloadCounts(
        way="proxy",
        protocol="kserve_v1",
        payloads=whole,
        decoded=whole - lost,
        undecodable={"wrong_type": lost},
        dropped={"queue_full": 0, "sampled_out": 0},
    )


@contextmanager
def _bridge() -> Iterator[int]:
    """Port of what answers as a bridge does."""
    began, start = time.monotonic(), time.time()

    def told() -> BridgeSnapshot:
        seconds = time.monotonic() - began
        done, runs = seconds > 180, seconds > 110
        return BridgeSnapshot(
            runs={("airflow", "started"): runs, ("airflow", "succeeded"): done, ("airflow", "failed"): 0},
            suppressed={"cooldown": int(max(seconds - 130, 0) / 30), "quorum": int(seconds > 100)},
            alerts={"new": int(max(seconds - 90, 0) / 12), "duplicate": int(max(seconds - 90, 0) / 4)},
            pending_runs=100 < seconds <= 110,
            oldest_pending_seconds=start + 100 if 100 < seconds <= 110 else None,
            last_success_seconds=start + 180 if done else None,
            dead_letters=0,
        )

    registry = CollectorRegistry()
    registry.register(FamiliesCollector(lambda: samples(told())))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _prometheus(folder: Path, ports: list[int]) -> Iterator[str]:
    binary = shutil.which("prometheus")
    if binary is None:
        message = "prometheus is not installed: apt-get install prometheus"
        raise SystemExit(message)
    settings = RenderSettings(ranges=Ranges(short="1m", long="3m", rate="10s", interval="2s"))
    for name in DEFAULT_ALERTS:
        settings = settings.with_alert(name, for_="5s", keep="1m")
    groups = [*recording_groups(settings), *alert_groups(settings)]
    (folder / "rules.json").write_text(json.dumps({"groups": groups}))
    job = {"job_name": "driftgauge", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
    times = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    config = {"global": times, "rule_files": ["rules.json"], "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(json.dumps(config))  # YAML contains JSON
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=20)
