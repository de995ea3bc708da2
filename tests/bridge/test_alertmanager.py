"""A real Alertmanager posts to a real bridge; neither loses anything when one of them is restarted."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alerting import alertmanager
from bridge_cases import TOML, alert, posted
from fake_trainers import Trainer
from services import free_port, running, until

from driftgauge.bridge.alerts import time_text

pytestmark = [pytest.mark.prometheus, pytest.mark.slow]

TOKEN = "open-sesame"


def told_to(port: int, folder: Path) -> dict[str, Any]:
    """Settings of an Alertmanager that posts each second to the bridge on *port*."""
    each = dict.fromkeys(("group_wait", "group_interval", "repeat_interval"), "1s")
    hook = {
        "url": f"http://127.0.0.1:{port}/api/v1/alerts",
        "http_config": {"authorization": {"credentials_file": f"{folder}/token"}},
    }
    return {
        "route": {"receiver": "retraining", "group_by": ["model"], **each},
        "receivers": [{"name": "retraining", "webhook_configs": [hook]}],
    }


@contextmanager
def bridge(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "driftgauge", "bridge", "serve", "-c", str(folder / "bridge.toml")]
    with running(command, folder / "bridge.log") as process:
        until(lambda: _asked(f"http://127.0.0.1:{port}/-/ready") == 200, "the bridge to be ready")
        yield process


def _asked(url: str, body: bytes | None = None, token: str = "") -> int:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _told(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


def _fire(port: int, model: str) -> None:
    """What Prometheus posts to Alertmanager, again and again with the same start."""
    one = alert(model)
    told = {"labels": dict(one.labels), "startsAt": time_text(one.starts_seconds)}
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    assert _asked(url, json.dumps([told]).encode()) == 200


def test_neither_loses_an_alert_when_one_of_them_is_restarted(tmp_path: Path) -> None:
    own, alerts = free_port(), free_port()
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    config = told_to(own, tmp_path)

    def posts() -> int:
        """Alerts that were posted again, as Alertmanager does every second."""
        lines = _told(f"http://127.0.0.1:{own}/metrics").splitlines()
        found = [line for line in lines if 'received_total{outcome="duplicate"}' in line]
        return int(float(found[0].split()[-1])) if found else 0

    with Trainer() as trainer:
        text = TOML.format(folder=tmp_path, url=trainer.url, group_wait="0s")
        text = text.replace(
            'listen = "127.0.0.1:0"',
            f'listen = "127.0.0.1:{own}"\ntoken_file = "{tmp_path}/token"\ntoken_for = "everything"',
        )
        (tmp_path / "bridge.toml").write_text(text)

        def models() -> list[str]:
            return [each["model"] for each in trainer.payloads]

        with alertmanager(tmp_path, config, alerts) as first:
            _fire(alerts, "churn")  # nobody listens yet, and Alertmanager tries again
            with bridge(tmp_path, own) as process:
                assert _asked(f"http://127.0.0.1:{own}/api/v1/alerts", posted(alert("stranger"))) == 401
                until(lambda: models() == ["churn"], "the alert that came before the bridge")
                until(posts, "the same alert again")
                process.kill()
                process.wait()
            _fire(alerts, "fraud")
            first.kill()  # and with it what it knows of the messages it sent
            first.wait()
        with alertmanager(tmp_path, config, alerts), bridge(tmp_path, own):
            _fire(alerts, "churn")
            _fire(alerts, "fraud")
            until(lambda: models() == ["churn", "fraud"], "the alert that came while both were down")
            until(lambda: posts() >= 3, "both alerts again")
        assert models() == ["churn", "fraud"]
        assert list(trainer.starts.values()) == [1, 1]
