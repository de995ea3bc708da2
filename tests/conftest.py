"""What many tests need: the real data, golden files, and a Prometheus server."""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from services import ON_CI, Prometheus, free_port, running, unavailable, until

ROOT = Path(__file__).resolve().parents[1]

# No test is timed: machines are noisy. On CI the same examples every time, so that a failure is the change's.
settings.register_profile("driftgauge", deadline=None, derandomize=ON_CI, print_blob=True)
settings.load_profile("driftgauge")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets, beside the repository."""
    folder = ROOT / ".." / "shared" / "data"
    if not folder.is_dir():
        unavailable(f"the real data sets are not in {folder}")
    return folder


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a committed file, or writes the file under ``--update-golden``."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), (
            f"run `make golden` if {path.name} is meant to change"
        )

    return compare


@pytest.fixture(scope="session")
def promtool() -> Callable[..., str]:
    """Runs promtool on a text and returns what it prints; any finding fails the test."""
    binary = shutil.which("promtool")
    if binary is None:
        unavailable("promtool is not installed: apt-get install prometheus")

    def run(*arguments: str, text: str) -> str:
        done = subprocess.run(
            [str(binary), *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def prometheus_server(tmp_path: Path) -> Iterator[Callable[[int], Prometheus]]:
    """Starts a real Prometheus on loopback that scrapes the given port every second."""
    binary = shutil.which("prometheus")
    if binary is None:
        unavailable("prometheus is not installed: apt-get install prometheus")
    with ExitStack() as stack:

        def start(target_port: int) -> Prometheus:
            port = free_port()
            config = tmp_path / "prometheus.yml"
            config.write_text(
                "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                "scrape_configs:\n"
                "  - job_name: driftgauge\n"
                f"    static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]\n"
            )
            log = tmp_path / "prometheus.log"
            command = [
                str(binary),
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ]
            process = stack.enter_context(running(command, log))
            server = Prometheus(f"http://127.0.0.1:{port}")

            def ready() -> bool:
                if process.poll() is not None:
                    pytest.fail(f"Prometheus stopped:\n{log.read_text()}")
                try:
                    with urllib.request.urlopen(f"{server.url}/-/ready", timeout=5) as response:
                        return bool(response.status == 200)
                except (urllib.error.URLError, ConnectionError):
                    return False

            until(ready, "Prometheus to be ready")
            return server

        yield start
