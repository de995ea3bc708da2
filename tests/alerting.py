"""A Prometheus with driftgauge's rules and an Alertmanager, both real and on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from services import Prometheus, free_port, running, unavailable, until

__all__ = ["alertmanager", "binary", "prometheus"]


def binary(*names: str, how: str = "") -> str:
    """A program by the first of its names that there is."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        unavailable(f"{names[0]} is not installed: {how or f'apt-get install {names[0]}'}")
    return found


@contextmanager
def alertmanager(folder: Path, config: Mapping[str, Any], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An Alertmanager with this configuration; the next in the folder knows what this one did."""
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    command = [
        binary("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alerts'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(command, folder / "alertmanager.log") as process:
        until(lambda: _is_ready(port), "Alertmanager to be ready")
        yield process


def _is_ready(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
        return True
    return False


@contextmanager
def prometheus(
    folder: Path, rules: str, jobs: Mapping[str, Sequence[int]], alerts: int
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the ports of its jobs each second, and tells the Alertmanager on *alerts*."""
    (folder / "rules.yaml").write_text(rules)
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alerts}"]}]}]},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
            for job, ports in jobs.items()
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    command = [
        binary("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, folder / "prometheus.log"):
        yield Prometheus(f"http://127.0.0.1:{port}")
