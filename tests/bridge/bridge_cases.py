"""Alerts, settings and targets that the tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driftgauge.bridge.alerts import Alert, time_text
from driftgauge.bridge.decide import Held, Route
from driftgauge.bridge.settings import BridgeSettings, RouteSettings, load_settings

NOW = 1_795_224_830.0  # a Saturday, 01:33:50 UTC

TOML = """
[server]
listen = "127.0.0.1:0"
drain = "1s"
[store]
path = "{folder}/bridge.sqlite"
[retry]
first = "50ms"
follow = "100ms"
[log]
format = "text"
[[targets]]
name = "training"
kind = "http"
url = "{url}"
idempotent = true
[[routes]]
name = "retrain"
match = {{ driftgauge_action = "retrain" }}
target = "training"
group_wait = "{group_wait}"
"""


def alert(
    model: str = "churn", feature: str = "age", *, starts: float = NOW, status: str = "firing", **labels: str
) -> Alert:
    """An alert about an input of a model."""
    told = {
        "alertname": "DriftgaugeFeatureDrift",
        "model": model,
        "model_version": "3",
        "feature": feature,
        "kind": "input",
        "driftgauge_action": "retrain",
        **labels,
    }
    told = {name: value for name, value in told.items() if value}
    annotations = {
        "description": f"{feature} has drifted",
        "value": "1.5",
        "dashboard_url": "https://grafana.example.com/d/x",
    }
    fingerprint = f"{model}-{feature}".encode().hex()[:60]
    return Alert(fingerprint, status, told, annotations, starts)  # type: ignore[arg-type]


def posted(*alerts: Alert, **more: Any) -> bytes:
    """A webhook's body with these alerts."""
    return json.dumps(
        {
            "version": "4",
            "status": "firing",
            "receiver": "bridge",
            "alerts": [
                {
                    "status": each.status,
                    "labels": dict(each.labels),
                    "annotations": dict(each.annotations),
                    "startsAt": time_text(each.starts_seconds),
                    "endsAt": "0001-01-01T00:00:00Z"
                    if each.status == "firing"
                    else time_text(each.starts_seconds + 60),
                    "generatorURL": each.generator_url,
                    "fingerprint": each.fingerprint,
                }
                for each in alerts
            ],
            **more,
        }
    ).encode()


def held(one: Alert, received: float = NOW) -> Held:
    """The alert as the store has it."""
    return Held(one, received)


def route(**settings: Any) -> Route:
    """A route that takes alerts to be retrained for, deciding at once."""
    own: Mapping[str, Any] = {
        "name": "retrain",
        "match": {"driftgauge_action": "retrain"},
        "target": "training",
        "group_wait": 0,
    }
    return Route.of(RouteSettings(**{**own, **settings}))


def settings_of(
    folder: Path, url: str = "http://127.0.0.1:9", *, more: str = "", group_wait: str = "0s", **environ: str
) -> BridgeSettings:
    """Settings of a file, which serves on any port; *more* goes into the route."""
    file = folder / "bridge.toml"
    file.write_text(TOML.format(folder=folder, url=url, group_wait=group_wait) + more, encoding="utf-8")
    return load_settings(file, environ=environ)
