"""Prometheus servers with rules, scrape configurations and receivers as a test wants them."""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from services import Prometheus, free_port, running, unavailable, until

ROOT = Path(__file__).resolve().parents[2]


def quick_rules(folder: Path) -> Path:
    """The rules of the mixin, evaluated every second and without waiting before an alert fires."""
    text = (ROOT / "alerts" / "driftgauge.rules.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^( *(?:- )?interval): .*$", r"\1: 1s", text, flags=re.MULTILINE)
    text = re.sub(r"^( *for): .*$", r"\1: 0s", text, flags=re.MULTILINE)
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def prometheus(
    folder: Path,
    jobs: str,
    *,
    program: str = "prometheus",
    rules: Path | None = None,
    options: Sequence[str] = (),
) -> Iterator[Prometheus]:
    """A server on loopback that scrapes *jobs* every second, until the block ends."""
    binary = shutil.which(program)
    if binary is None:
        unavailable(f"{program} is not installed: apt-get install prometheus")
    folder.mkdir(exist_ok=True)
    port, config = free_port(), folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{'' if rules is None else rules}]\n{jobs}",
        encoding="utf-8",
    )
    command = [str(binary), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", *options]
    with running(command, folder / "prometheus.log") as process:
        server = Prometheus(f"http://127.0.0.1:{port}")

        def ready() -> bool:
            if process.poll() is not None:
                pytest.fail(f"Prometheus stopped:\n{(folder / 'prometheus.log').read_text()}")
            try:
                with urllib.request.urlopen(f"{server.url}/-/ready", timeout=5) as response:
                    return bool(response.status == 200)
            except (urllib.error.URLError, ConnectionError):
                return False

        until(ready, "Prometheus to be ready")
        yield server


def job(ports: Sequence[int], *, honor_labels: bool = False) -> str:
    """Scrape configuration of targets on loopback."""
    targets = ", ".join(f"'127.0.0.1:{port}'" for port in ports)
    honor = str(honor_labels).lower()
    return (
        "scrape_configs:\n"
        f"  - {{job_name: driftgauge, honor_labels: {honor}, static_configs: [{{targets: [{targets}]}}]}}\n"
    )
