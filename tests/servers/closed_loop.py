"""The whole loop on real parts: rows drift, an alert fires, the bridge has a model trained, the alert ends.

A sidecar watches the rows. A Prometheus scrapes it and has driftgauge's rules, rendered with short times; an
Alertmanager has the routes and the receiver of ``alerts/README.md``. The bridge is a process of its own; it
is killed with -9 while it starts the training and while that runs. Who trains is the matter of the tests.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from alerting import alertmanager, prometheus
from model_servers import alone, answers, get, sidecar
from services import Prometheus, free_port, until

from driftgauge import Reference
from driftgauge.render import RenderSettings
from driftgauge.render.alerts import ALERTS
from driftgauge.render.files import rendered
from driftgauge.render.settings import Ranges, Thresholds

__all__ = ["PATIENCE_SECONDS", "Trainer", "check_loop", "training"]

_log = logging.getLogger("closed_loop")

README = Path(__file__).resolve().parents[2] / "alerts" / "README.md"
PATIENCE_SECONDS = 180  # each step takes 5 to 30 s on two idle cores
TOKEN = "the bridge's own"
RANGES = Ranges(short="10s", long="20s", rate="5s", hold="2m", seen="1h", interval="1s")
SETTINGS = RenderSettings(ranges=RANGES, thresholds=Thresholds(min_rows=200))
for _name in ALERTS:
    SETTINGS = SETTINGS.with_alert(_name, keep="3s")
SETTINGS = SETTINGS.with_alert("DriftgaugeModelDrift", for_="2s")

BRIDGE = """
[server]
listen = "127.0.0.1:{port}"
token_file = "{folder}/token"
token_for = "writes"
drain = "2s"
[store]
path = "{folder}/bridge.sqlite"
[retry]
first = "200ms"
follow = "500ms"
[[routes]]
name = "retrain"
match = {{ driftgauge_action = "retrain" }}
target = "training"
group_wait = "1s"
payload = {{ model = "{{{{ model }}}}", model_version = "{{{{ model_version }}}}" }}
[[closings]]
reference = "{folder}/{{model}}.reference"
sidecars = ["{sidecar}"]
token = "the sidecar's own"
rows = 2000
settle = "60s"
[[targets]]
name = "training"
{target}
"""
SIDECAR = """
token = "the sidecar's own"
token_for = "writes"
[reload]
interval = 0
"""


@dataclass(frozen=True)
class Trainer:
    """A system that trains.

    Parameters
    ----------
    target : str
        The keys of its table in the bridge's settings.
    started : callable
        How many runs it knows.
    """

    target: str
    started: Callable[[], int]


def training(folder: Path) -> dict[str, str]:
    """What a job needs to refit the reference: variables of its surroundings."""
    return {
        "TRAINING_PYTHON": sys.executable,
        "TRAINING_PATH": os.environ.get("PYTHONPATH", ""),
        "TRAINING_ROWS": str(folder / "latest.csv"),
        "TRAINING_REFERENCE": str(folder / "risk.reference"),
    }


def draw(rng: np.random.Generator, rows: int, *, drifted: bool) -> dict[str, np.ndarray]:
    """Customers; later they are older and earn more."""
    return {
        "age": rng.normal(48 if drifted else 40, 10, rows),
        "income": rng.lognormal(10.8 if drifted else 10, 0.8, rows),
        "visits": rng.poisson(3, rows).astype(float),
    }


@dataclass
class Feed:
    """Rows that come all the time, as a model's callers send them."""

    url: str
    drifted: bool = False
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        rng = np.random.default_rng(20261121)
        while not self._stop.wait(0.1):
            columns = {name: each.tolist() for name, each in draw(rng, 60, drifted=self.drifted).items()}
            body = json.dumps({"model": "risk", "columns": columns}).encode()
            headers = {"Content-Type": "application/json", "Authorization": "Bearer the sidecar's own"}
            request = urllib.request.Request(f"{self.url}/v1/observations", data=body, headers=headers)
            try:
                urllib.request.urlopen(request, timeout=30).close()
            except OSError as error:
                self.failed.append(str(error))

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(timeout=30)


@dataclass
class Bridge:
    """``driftgauge bridge serve``, which can be killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "driftgauge", "bridge", "serve"]
        environ = alone(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
        with (self.folder / "bridge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-c", str(self.folder / "bridge.toml")], stdout=log, stderr=log, env=environ
            )

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            return answers(f"http://127.0.0.1:{self.port}/-/ready")

        until(ready, "the bridge to be ready")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def log(self) -> str:
        return (self.folder / "bridge.log").read_text(errors="replace")

    def runs(self) -> list[dict[str, Any]]:
        return list(json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/runs"))["runs"])

    def in_state(self, *states: str) -> dict[str, Any]:
        """The one run, as soon as it is in one of these states."""

        def look() -> dict[str, Any] | None:
            runs = self.runs()
            assert len(runs) <= 1, runs
            assert not runs or runs[0]["state"] not in {"failed", "dead", "ended"} - set(states), runs
            return runs[0] if runs and runs[0]["state"] in states else None

        return dict(until(look, f"the run to be {' or '.join(states)}", PATIENCE_SECONDS))


@contextmanager
def bridge(folder: Path, target: str, watcher: str) -> Iterator[Bridge]:
    found = Bridge(folder, free_port())
    (folder / "token").write_text(TOKEN)
    text = BRIDGE.format(port=found.port, folder=folder, sidecar=watcher, target=target)
    (folder / "bridge.toml").write_text(text)
    try:
        found.start()
        yield found
    finally:
        if found.process is not None:
            found.process.kill()
            found.process.wait()


def routed(bridge_port: int, token_file: Path) -> Mapping[str, Any]:
    """The configuration that the README shows, with short times and our port."""
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    shown = [yaml.safe_load(block) for block in blocks if "# alertmanager.yml" in block]
    config = {key: value for each in shown for key, value in each.items()}
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    for route in config["route"]["routes"]:
        if "group_wait" in route:
            route["group_wait"] = "1s"
    (hook,) = [
        hook
        for each in config["receivers"]
        for hook in each.get("webhook_configs", ())
        if "9110" in hook["url"]
    ]
    hook["url"] = hook["url"].replace("127.0.0.1:9110", f"127.0.0.1:{bridge_port}")
    hook["http_config"]["authorization"]["credentials_file"] = str(token_file)
    return config


def alerts(server: Prometheus, state: str) -> list[str]:
    with suppress(OSError):
        return [
            each["labels"]["alertname"]
            for each in server.get("alerts")["alerts"]
            if each["state"] == state and each["labels"].get("driftgauge_action") == "retrain"
        ]
    return ["not asked"]


def check_loop(folder: Path, trainer: Trainer) -> None:
    """Go round once; the log says when each step was done."""
    began = time.monotonic()

    def done(step: str) -> None:
        _log.info("%5.1f s: %s", time.monotonic() - began, step)

    rng = np.random.default_rng(1)
    place = folder / "risk.reference"
    Reference.fit(draw(rng, 20_000, drifted=False), model="risk", version="1").save(place)
    old = Reference.load(place).id
    latest = draw(rng, 20_000, drifted=True)
    with (folder / "latest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([latest, *zip(*latest.values(), strict=True)])

    with ExitStack() as stack:
        budget = 'windows = ["2000 rows"]\nbudget = "1d"\nevaluate_every = "1s"\n'
        watcher = stack.enter_context(sidecar(folder, SIDECAR, defaults=budget))
        ours = stack.enter_context(bridge(folder, trainer.target, watcher.url))
        config = routed(ours.port, folder / "token")
        manager = free_port()
        stack.enter_context(alertmanager(folder, config, manager))
        rules = rendered("alerts", SETTINGS)["driftgauge.rules.yaml"]
        port = int(watcher.url.rpartition(":")[2])
        server = stack.enter_context(prometheus(folder, rules, {"driftgauge": [port]}, manager))
        feed = Feed(watcher.url)
        stack.enter_context(feed.running())

        def quiet() -> bool:
            with suppress(OSError):
                return bool(server.query("model_reference:driftgauge_model_drift_score:fleet < 1"))
            return False

        until(quiet, "the rules to have a score", PATIENCE_SECONDS)
        done("quiet")
        feed.drifted = True
        until(lambda: alerts(server, "firing") == ["DriftgaugeModelDrift"], "the alert", PATIENCE_SECONDS)
        done("alert")
        for states in (("starting", "running", "closing"), ("running", "closing", "succeeded")):
            ours.in_state(*states)
            done(states[0])
            ours.kill()
            ours.start()
            done("bridge killed and back")
        ours.in_state("closing", "succeeded")
        done("trained")
        run = ours.in_state("succeeded")
        done("complete")
        until(lambda: not alerts(server, "firing"), "the alert to end", PATIENCE_SECONDS)
        done("resolved")

        new = Reference.load(place)
        assert (run["reference_before"], run["reference_after"]) == (old, new.id)
        assert new.version == "2"
        assert run["score_before"] > 1 > run["score_after"] >= 0
        state = json.loads(get(f"{watcher.url}/api/v1/state"))["models"]
        assert [each["reference"]["reference_id"] for each in state] == [new.id]
        assert not feed.failed

        def told() -> bool:
            shown = [sys.executable, "-m", "driftgauge", "bridge", "log", "-c", str(folder / "bridge.toml")]
            environ = alone(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
            log = subprocess.run(shown, capture_output=True, text=True, timeout=60, check=True, env=environ)
            return "succeeded" in log.stdout

        assert told()
        metrics = get(f"http://127.0.0.1:{ours.port}/metrics").decode()
        assert re.search(r'driftgauge_bridge_runs_total\{outcome="succeeded",target="training"\} 1', metrics)
        until(
            lambda: (
                'driftgauge_bridge_alerts_received_total{outcome="resolved"}'
                in get(f"http://127.0.0.1:{ours.port}/metrics").decode()
            ),
            "the bridge to hear of the end",
            PATIENCE_SECONDS,
        )
        assert [each["state"] for each in ours.runs()] == ["succeeded"]
        assert trainer.started() == 1
        done("all")
