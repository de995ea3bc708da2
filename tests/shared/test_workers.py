"""Real servers with several workers: each answers with the truth of all, whoever is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from services import free_port, running, until
from shared_cases import NAMES, SIZE, WINDOWS, Floats, assert_says, drawn, ks, psi

from driftgauge.reference import Reference
from driftgauge.shared import SharedDirectory

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Served:
    """A server with several workers."""

    port: int
    folder: Path

    def post(self, block: Floats) -> int:
        """Number of the worker that has answered."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/predict", block[:, :2].tobytes())
        with urllib.request.urlopen(request, timeout=20) as response:
            return int(response.read())

    def scrape(self) -> tuple[Series, set[str]]:
        """Every series, and which of them are counters."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as response:
            text = response.read().decode()
        series: Series = {}
        counters = set()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series[sample.name, frozenset(sample.labels.items())] = sample.value
                if family.type == "counter":
                    counters.add(sample.name)
        return series, counters

    def given(self) -> dict[int, Floats]:
        """Rows that each worker was given, in their order."""
        return {
            int(path.name): np.frombuffer(path.read_bytes()).reshape(-1, 3)
            for path in (self.folder / "rows").iterdir()
        }


def value(series: Series, name: str, **labels: str) -> float:
    (found,) = [
        value
        for (own, given), value in series.items()
        if own == name and labels.items() <= dict(given).items()
    ]
    return found


@contextmanager
def served(command: list[str], folder: Path) -> Iterator[Served]:
    port = free_port()
    (folder / "rows").mkdir()
    setting = {
        "SHARED": str(folder / "shared"),
        "ROWS": str(folder / "rows"),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), *sys.path]),
    }
    before = {name: os.environ.get(name) for name in setting}
    os.environ.update(setting)
    try:
        with running([each.replace("PORT", str(port)) for each in command], folder / "log") as process:
            server = Served(port, folder)

            def ready() -> bool:
                if process.poll() is not None:
                    pytest.fail(f"the server stopped:\n{(folder / 'log').read_text()}")
                try:
                    server.post(drawn(0, 1))
                except OSError:
                    return False
                return True

            until(ready, "the server to answer")
            yield server
    finally:
        for name, old in before.items():
            os.environ.pop(name) if old is None else os.environ.__setitem__(name, old)


class Load:
    """Clients that ask and ask, and do not mind when a worker is killed under them."""

    def __init__(self, server: Served, clients: int = 4, moved: float = 0.0) -> None:
        self._stop = threading.Event()
        self._server, self._moved = server, moved
        self.answered = 0
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in range(clients)]

    def _run(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                self._server.post(drawn(1_000 * client + number, 1 + number % 20, self._moved))
                self.answered += 1
            except OSError:
                pass

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


GUNICORN = [
    sys.executable, "-m", "gunicorn", "--workers", "4", "--bind", "127.0.0.1:PORT", "--log-level", "warning",
    "--graceful-timeout", "5", "shared_app:wsgi",
]  # fmt: skip
UVICORN = [
    sys.executable, "-m", "uvicorn", "--workers", "3", "--port", "PORT", "--log-level", "warning",
    "shared_app:asgi",
]  # fmt: skip


def all_published(server: Served) -> tuple[Series, Floats]:
    """A scrape in which every row is that any worker was given, and those rows."""
    whole = np.concatenate(list(server.given().values()))

    def look() -> Series | None:
        series, _ = server.scrape()
        return series if value(series, "driftgauge_rows_total") == len(whole) else None

    return until(look, f"a worker to show all {len(whole):,} rows"), whole


def assert_windows(series: Series, of: Reference, windows: dict[str, Floats]) -> None:
    """KS and PSI of a scrape equal SciPy and NumPy on the rows of the windows."""
    for window, live in windows.items():
        assert value(series, "driftgauge_window_rows", window=window) == len(live)
        for column, feature in enumerate(NAMES):
            labels = {"feature": feature, "window": window}
            assert abs(value(series, "driftgauge_feature_ks", **labels) - ks(column, live)) < 1e-12
            assert abs(value(series, "driftgauge_feature_psi", **labels) - psi(of, column, live)) < 1e-9


def last_rows(given: dict[int, Floats]) -> Floats:
    return np.concatenate([rows[-SIZE:] for rows in given.values()])


def test_any_worker_of_gunicorn_shows_the_rows_of_all(people: Reference, tmp_path: Path) -> None:
    with served(GUNICORN, tmp_path) as server:
        with Load(server) as load:
            until(lambda: len(server.given()) == 4 and load.answered > 400, "all four workers to be busy")
        series, whole = all_published(server)
        assert_windows(series, people, {"500rows": last_rows(server.given()), "1h": whole})
        reader = SharedDirectory(tmp_path / "shared", people, WINDOWS)
        assert_says(reader.snapshot(), people, [last_rows(server.given()), whole])
    # the server has stopped; its rows are where they were, and nobody was lost on the way
    assert_says(reader.snapshot(), people, [last_rows(server.given()), whole])
    assert reader.snapshot().rows == len(whole)


def test_kill_9_of_a_worker_under_load_loses_nothing_else(people: Reference, tmp_path: Path) -> None:
    with served(GUNICORN, tmp_path) as server:
        reader = SharedDirectory(tmp_path / "shared", people, WINDOWS)
        folder = reader._member.folder
        before: Series = {}
        scrapes = 0
        with Load(server) as load:
            until(lambda: len(server.given()) == 4 and load.answered > 400, "all four workers to be busy")
            until(lambda: len(folder.present().living) == 4, "all four to have told what they counted")
            killed = next(iter(server.given()))
            (told,) = [
                said.counters.rows
                for name, said in folder.present().living.items()
                if name.startswith(f"{killed}-")
            ]
            while scrapes <= 100:
                if scrapes == 40:
                    os.kill(killed, signal.SIGKILL)
                    scrapes += 1  # once
                try:
                    series, counters = server.scrape()
                except OSError:  # the killed worker had this one
                    continue
                scrapes += 1
                for key, count in before.items():
                    assert key[0] not in counters or series[key] >= count, f"{key} fell from {count}"
                before = series
            until(lambda: len(server.given()) == 5, "the worker that took its place to be busy")
        given = server.given()
        others = {pid: rows for pid, rows in given.items() if pid != killed}
        until(lambda: reader.snapshot() and folder.departed()[0].names, "the killed one to be added up")
        kept = folder.departed()[0].counters.rows
        assert 0 < told <= kept <= len(given[killed])  # what it had told is there, and nothing that was not
        rest = given[killed][:kept]
        everything = np.concatenate([*others.values(), rest])

        def all_told() -> Series | None:
            series, _ = server.scrape()
            return series if value(series, "driftgauge_rows_total") == len(everything) else None

        series = until(all_told, f"a worker to show {len(everything):,} rows")
        with_it, without = last_rows({**others, 0: rest}), last_rows(others)
        held = value(series, "driftgauge_window_rows", window="500rows")
        # its rows are in the window, or have left it as newer ones came
        assert held in (len(with_it), len(without))
        last = with_it if held == len(with_it) else without
        assert_windows(series, people, {"1h": everything, "500rows": last})


def test_workers_of_uvicorn_share_too_and_a_drift_is_seen_by_all(people: Reference, tmp_path: Path) -> None:
    with served(UVICORN, tmp_path) as server:
        with Load(server, moved=0.5) as load:
            until(lambda: len(server.given()) == 3 and load.answered > 200, "all three workers to be busy")
            until(
                lambda: value(server.scrape()[0], "driftgauge_model_drift_score") > 1, "the drift to be seen"
            )
        series, whole = all_published(server)
        assert_windows(series, people, {"500rows": last_rows(server.given()), "1h": whole})
        # one detector, not three: each scrape says the same evidence, whoever answers
        scores = {value(server.scrape()[0], "driftgauge_model_drift_score") for _ in range(20)}
        assert len(scores) <= 2  # an evaluation may be due in between
