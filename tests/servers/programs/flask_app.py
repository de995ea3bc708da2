"""A Flask application with JSON of its own; with driftgauge inside where that is asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
from flask import Flask, Response, abort, request

folder = Path(os.environ["MODEL_FOLDER"])
model = joblib.load(folder / "model.joblib")
app = Flask(__name__)


def risks() -> list[dict[str, float]]:
    customers = request.get_json()["customers"]
    if not isinstance(customers, list):
        abort(422)
    rows = [[one["age"], one["amount"], one["visits"]] for one in customers]
    return [{"risk": risk} for risk in model.predict_proba(rows)[:, 1].tolist()]


@app.post("/predict")
def predict() -> dict[str, Any]:
    return {"answers": risks()}


@app.post("/stream")
def stream() -> Response:
    answers = risks()

    def parts() -> Iterator[str]:
        yield '{"answers": ['
        for position, answer in enumerate(answers):
            yield f"{', ' if position else ''}{json.dumps(answer)}"
        yield "]}"

    return Response(parts(), mimetype="application/json")


@app.get("/healthz")
def healthz() -> str:
    return '"ok"'


if os.environ.get("WATCHED"):
    import driftgauge_prometheus
    from driftgauge import Monitor, Reference
    from driftgauge.middleware.wsgi import DriftgaugeMiddleware, Route

    monitor = Monitor(
        Reference.load(folder / "risk.reference"),
        budget=None,
        shared_directory=os.environ.get("SHARED_DIRECTORY"),
    )
    mapping = {
        "inputs": {name: f"customers[].{name}" for name in ("age", "amount", "visits")},
        "outputs": {"risk": "answers[].risk"},
    }
    routes = [Route(path, protocol="mapping", mapping=mapping) for path in ("/predict", "/stream")]
    watched = DriftgaugeMiddleware(app.wsgi_app, monitor, routes)
    metrics = driftgauge_prometheus.wsgi_app(monitor)

    def dispatch(environ: dict[str, Any], start_response: Any) -> Any:
        inner = metrics if environ["PATH_INFO"].startswith("/metrics") else watched
        return inner(environ, start_response)

    app.wsgi_app = dispatch
