"""Actors of Ray: each shows the rows of all, and one that is killed takes none along."""

from __future__ import annotations

import os
import signal
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pytest
from model_servers import PROGRAMS, alone, get, parsed, python_of, serving, value
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from services import free_port, until

from driftgauge import Reference, rows
from driftgauge.shared import SharedDirectory

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
# By the second, which is named after other systems, Ray keeps to the loopback when it is told to.
RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled"}
NAMES = ("age", "amount", "total")


def drawn(seed: int, count: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal([40, 10], [10, 2], (count, 2))


def post(url: str, block: NDArray[np.float64]) -> int:
    """The actor that has answered."""
    with urllib.request.urlopen(urllib.request.Request(url, block.tobytes()), timeout=30) as response:
        return int(response.read())


def test_actors_of_ray_tell_one_truth_also_when_one_is_killed(tmp_path: Path) -> None:
    inputs = drawn(1, 4_000)
    training = dict(zip(NAMES, (*inputs.T, inputs.sum(axis=1)), strict=True))
    reference = Reference.fit(training, outputs=["total"], model="risk", version="1")
    reference.save(tmp_path / "risk.reference")
    (tmp_path / "rows").mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [python_of("ray"), str(PROGRAMS / "ray_app.py"), str(port), str(tmp_path / "risk.reference")]
    command += [str(tmp_path / "shared"), str(tmp_path / "rows")]
    sources = f"{ROOT / 'src'}:{ROOT / 'exporters'}"
    environ = alone(PYTHONPATH=sources, **RAY)
    with serving(command, tmp_path / "ray.log", f"{url}/metrics", environ):
        reader = SharedDirectory(tmp_path / "shared", reference, [rows(500)])

        def given() -> dict[int, NDArray[np.float64]]:
            files = (tmp_path / "rows").iterdir()
            return {int(file.name): np.frombuffer(file.read_bytes()).reshape(-1, 3) for file in files}

        def busy(actors: int) -> bool:
            for each in range(20):
                with suppress(HTTPError):  # the killed one had this one
                    post(f"{url}/predict", drawn(len(given()) + each, 1 + each % 5))
            return len(given()) >= actors

        def shown() -> bool:
            whole = sum(len(each) for each in given().values())
            return value(parsed(get(f"{url}/metrics").decode()), "driftgauge_rows_total") == whole

        until(lambda: busy(2), "both actors to be busy", 60)
        until(shown, "a actor to show the rows of both", 30)
        until(lambda: reader.snapshot().rows == sum(map(len, given().values())), "both to have told", 30)

        killed = next(iter(given()))
        os.kill(killed, signal.SIGKILL)
        until(lambda: busy(3), "the actor that took its place to be busy", 90)
        until(shown, "a actor to show the rows of all three", 30)

        live = np.concatenate([each[-500:] for each in given().values()])
        samples = parsed(get(f"{url}/metrics").decode())
        held = value(samples, "driftgauge_window_rows", window="500rows")
        if held == len(live):  # else those of the killed one have left, as newer ones came
            for column, name in enumerate(NAMES):
                ks = ks_2samp(np.asarray(training[name]), live[:, column]).statistic
                assert (
                    abs(value(samples, "driftgauge_feature_ks", feature=name, window="500rows") - ks) < 1e-12
                )
        else:
            assert held == len(live) - len(given()[killed][-500:])
