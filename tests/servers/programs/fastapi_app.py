"""A FastAPI application with JSON of its own; with driftgauge inside where that is asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

folder = Path(os.environ["MODEL_FOLDER"])
model = joblib.load(folder / "model.joblib")
app = FastAPI()


class Customer(BaseModel):
    age: float
    amount: float
    visits: float


class Asked(BaseModel):
    customers: list[Customer]


def risks(asked: Asked) -> list[dict[str, float]]:
    rows = [[one.age, one.amount, one.visits] for one in asked.customers]
    return [{"risk": risk} for risk in model.predict_proba(rows)[:, 1].tolist()]


@app.post("/predict")
def predict(asked: Asked) -> dict[str, Any]:
    if len(asked.customers) > 1_000:
        raise HTTPException(413, "too many customers")
    return {"answers": risks(asked)}


@app.post("/stream")
def stream(asked: Asked) -> StreamingResponse:
    def parts() -> Iterator[str]:
        yield '{"answers": ['
        for position, answer in enumerate(risks(asked)):
            yield f"{', ' if position else ''}{json.dumps(answer)}"
        yield "]}"

    return StreamingResponse(parts(), media_type="application/json")


@app.get("/healthz")
def healthz() -> str:
    return "ok"


if os.environ.get("WATCHED"):
    import driftgauge_prometheus
    from driftgauge import Monitor, Reference
    from driftgauge.middleware.asgi import DriftgaugeMiddleware, Route

    monitor = Monitor(
        Reference.load(folder / "risk.reference"),
        budget=None,
        shared_directory=os.environ.get("SHARED_DIRECTORY"),
    )
    mapping = {
        "inputs": {name: f"customers[].{name}" for name in ("age", "amount", "visits")},
        "outputs": {"risk": "answers[].risk"},
    }
    app.mount("/metrics", driftgauge_prometheus.asgi_app(monitor))
    app.add_middleware(
        DriftgaugeMiddleware,
        monitor=monitor,
        routes=[Route(path, protocol="mapping", mapping=mapping) for path in ("/predict", "/stream")],
    )
