"""Tables of the bridge's file, and runs as rows of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any, Final

from driftgauge.bridge.records import Facts, Run
from driftgauge.bridge.targets import Feature, RunRequest

__all__ = ["RUN_COLUMNS", "SCHEMA", "VERSION", "row_of", "run_of"]

VERSION: Final = 1

RUN_COLUMNS: Final = (
    "id",
    "key",
    "route",
    "target",
    "model",
    "request",
    "state",
    "reason",
    "attempts",
    "next_at",
    "created",
    "changed",
    "started",
    "external_id",
    "url",
    "score_before",
    "reference_before",
    "score_after",
    "reference_after",
)

# `covered` says which alerts have had a run of a route. The log can be added to, and shortened by retention.
SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS alerts (
    fingerprint TEXT NOT NULL, starts_at TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL,
    labels TEXT NOT NULL, annotations TEXT NOT NULL, generator_url TEXT NOT NULL,
    starts REAL NOT NULL, ends REAL, received REAL NOT NULL, seen REAL NOT NULL,
    PRIMARY KEY (fingerprint, starts_at)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alerts_by_model ON alerts (model, status);
CREATE INDEX IF NOT EXISTS alerts_by_age ON alerts (seen);
CREATE TABLE IF NOT EXISTS covered (
    route TEXT NOT NULL, fingerprint TEXT NOT NULL, starts_at TEXT NOT NULL, run_id TEXT NOT NULL,
    PRIMARY KEY (route, fingerprint, starts_at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, route TEXT NOT NULL, target TEXT NOT NULL,
    model TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_at REAL NOT NULL, created REAL NOT NULL, changed REAL NOT NULL,
    started REAL NOT NULL, external_id TEXT NOT NULL, url TEXT NOT NULL,
    score_before REAL, reference_before TEXT NOT NULL, score_after REAL, reference_after TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_model ON runs (model, created);
CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state, next_at);
CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, what TEXT NOT NULL, model TEXT NOT NULL,
    route TEXT NOT NULL, brake TEXT NOT NULL, reason TEXT NOT NULL, run_id TEXT NOT NULL,
    alerts INTEGER NOT NULL, alert_keys TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
PRAGMA user_version = {VERSION};
COMMIT;
"""


def row_of(run: Run) -> tuple[Any, ...]:
    """Values of `RUN_COLUMNS`."""
    request = run.request
    values = {
        "id": request.run_id,
        "key": request.key,
        "route": request.route,
        "target": request.target,
        "model": request.model,
        "request": json.dumps(asdict(request)),
        "state": run.state,
        "reason": run.reason,
        "attempts": run.attempts,
        "next_at": run.next_seconds,
        "created": run.created_seconds,
        "changed": run.changed_seconds,
        "started": run.started_seconds,
        "external_id": run.external_id,
        "url": run.url,
        "score_before": run.before.score,
        "reference_before": run.before.reference_id,
        "score_after": run.after.score,
        "reference_after": run.after.reference_id,
    }
    return tuple(values[name] for name in RUN_COLUMNS)


def run_of(row: dict[str, Any]) -> Run:
    """The run of a row, by column."""
    given = json.loads(row["request"])
    features = tuple(Feature(**each) for each in given.pop("features"))
    request = RunRequest(**{**given, "alert_keys": tuple(given["alert_keys"]), "features": features})
    run = Run(
        request=request,
        state=row["state"],
        reason=row["reason"],
        attempts=row["attempts"],
        next_seconds=row["next_at"],
        created_seconds=row["created"],
        changed_seconds=row["changed"],
        started_seconds=row["started"],
        external_id=row["external_id"],
        url=row["url"],
    )
    before = Facts(row["reference_before"], row["score_before"])
    return replace(run, before=before, after=Facts(row["reference_after"], row["score_after"]))
