"""Model servers in environments of their own, the sidecar beside them, and what the rows sent must give."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from scipy.stats import ks_2samp
from services import free_port, unavailable, until

import driftgauge_prometheus
from driftgauge import Monitor, Reference, rows

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENTS = Path(os.environ.get("MODEL_SERVERS", Path(sys.prefix) / "servers"))
STARTING_SECONDS = 180  # the slowest takes 15 on two idle cores
FEATURES = ("age", "amount", "visits")
COUNTING = 'windows = ["10000 rows"]\nbudget = ""\n'

Rows = list[dict[str, list[float]]]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def python_of(server: str) -> str:
    """The interpreter of a server's environment."""
    python = ENVIRONMENTS / server / "bin" / "python"
    if not python.exists():
        unavailable(f"{python} is not there: make test-servers builds it")
    return str(python)


def run(server: str, program: str, *arguments: object) -> None:
    """Run a program of ours in the environment of a server, to its end."""
    command = [python_of(server), str(PROGRAMS / f"{program}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=alone())
    assert done.returncode == 0, done.stdout + done.stderr


def alone(**more: str) -> dict[str, str]:
    """Our environment without what would lead a server's Python to our packages."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DRIFTGAUGE"))
    }
    return kept | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"} | more


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as response:
        return bytes(response.read())


def answers(url: str) -> bool:
    with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        get(url)
        return True
    return False


@contextmanager
def serving(
    command: Sequence[str], log: Path, ready: str, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that serves until the end of the block, the processes that it started included."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ if environ is not None else alone()),
            cwd=log.parent,
            start_new_session=True,
        )
        try:

            def up() -> bool:
                if process.poll() is not None:
                    pytest.fail(f"{command[0]} stopped:\n{log.read_text(errors='replace')[-5_000:]}")
                return answers(ready)

            until(up, f"{ready} to answer", STARTING_SECONDS)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with suppress(ProcessLookupError):  # its own session: whatever it left behind is in that
                os.killpg(process.pid, signal.SIGKILL)


def folder_of(server: str, folder: Path) -> Path:
    """A folder with the small model, as the server's own scikit-learn has trained it."""
    folder.mkdir()
    run(server, "small_model", folder)
    return folder


def table(folder: Path) -> dict[str, list[float]]:
    """What the model was trained on, and what it said of it: columns."""
    with (folder / "training.csv").open(newline="") as file:
        names, *lines = csv.reader(file)
    return {name: [float(line[column]) for line in lines] for column, name in enumerate(names)}


def fitted(folder: Path, output: str) -> Reference:
    """A reference of the training data, with one of the two columns that the model can answer."""
    training = table(folder)
    columns = {name: training[name] for name in (*FEATURES, output)}
    reference = Reference.fit(columns, outputs=[output], model="risk", version="1")
    reference.save(folder / "risk.reference")
    return reference


@dataclass(frozen=True)
class Sidecar:
    """A running sidecar."""

    url: str
    proxy: str

    def metrics(self) -> Samples:
        return parsed(get(f"{self.url}/metrics").decode())


@contextmanager
def sidecar(
    folder: Path, settings: str, *, upstream: str = "", defaults: str = COUNTING
) -> Iterator[Sidecar]:
    """``driftgauge sidecar`` with the reference of *folder* and further settings, as TOML.

    *settings* may begin with further keys of ``[server]``.
    """
    port, proxy = free_port(), free_port()
    file = folder / "driftgauge.toml"
    file.write_text(
        f'[server]\nlisten = "127.0.0.1:{port}"\nnot_ready = 0\n' + settings + f"\n[defaults]\n{defaults}"
        f'[[models]]\nreference = "{folder / "risk.reference"}"\n'
        + (f'[proxy]\nlisten = "127.0.0.1:{proxy}"\nupstream = "{upstream}"\n' if upstream else "")
    )
    command = [sys.executable, "-m", "driftgauge", "sidecar", "--config", str(file)]
    log = folder / "sidecar.log"
    environ = alone(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    with serving(command, log, f"http://127.0.0.1:{port}/-/ready", environ) as process:
        yield Sidecar(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{proxy}")
        assert process.poll() is None, log.read_text()
    assert "Traceback" not in log.read_text()


def parsed(text: str) -> Samples:
    """Samples by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The one sample with a name and these labels among its own."""
    found = [
        number
        for (known, own), number in samples.items()
        if known == name and labels.items() <= dict(own).items()
    ]
    assert len(found) == 1, f"{name} {labels}: {found}"
    return found[0]


def of_rows(samples: Samples) -> Samples:
    """What depends on the rows and on nothing else."""
    return {
        key: number
        for key, number in samples.items()
        if key[0].startswith(("driftgauge_feature_", "driftgauge_window_rows", "driftgauge_rows_"))
        and not key[0].endswith("_created")
    }


def expected(reference: Reference, requests: Rows, output: str, said: Sequence[Sequence[float]]) -> Samples:
    """Samples of a monitor that is given the rows themselves."""
    with Monitor(reference, windows=[rows(10_000)], budget=None) as monitor:
        for columns, answer in zip(requests, said, strict=True):
            monitor.observe(columns, {output: list(answer)})
        registry = CollectorRegistry()
        registry.register(driftgauge_prometheus.collector(monitor))
        return of_rows(parsed(generate_latest(registry).decode()))


def requests_of(folder: Path) -> Rows:
    """What the clients ask, one request an item."""
    return list(json.loads((folder / "requests.json").read_text()))


def check(
    metrics: Callable[[], Samples], folder: Path, reference: Reference, output: str, said: Any, times: int = 1
) -> Samples:
    """Wait for all rows; then every number is that of the rows sent, and KS is that of scipy."""
    requests = requests_of(folder) * times
    count = sum(len(columns["age"]) for columns in requests)
    found: list[Samples] = []

    def arrived() -> bool:
        found[:] = [metrics()]
        return value(found[0], "driftgauge_rows_total") >= count

    until(arrived, f"{count} rows to be counted")
    samples = found[0]
    assert value(samples, "driftgauge_rows_total") == count
    wanted = expected(reference, requests, output, said * times)
    assert of_rows(samples) == pytest.approx(
        wanted, rel=1e-12
    )  # batches differ, so sums may in the last digit
    training = table(folder)
    live = {name: [each for columns in requests for each in columns[name]] for name in FEATURES}
    live[output] = [each for answer in said for each in answer] * times
    for name, values in live.items():
        statistic = ks_2samp(training[name], values).statistic
        assert value(samples, "driftgauge_feature_ks", feature=name) == pytest.approx(statistic, abs=1e-12)
    assert value(samples, "driftgauge_feature_shift", feature="age") > 0.3  # customers are 6 years older
    return samples
