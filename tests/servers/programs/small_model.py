"""A small model, what it was trained on, and customers who have changed since. Runs in every environment."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

FEATURES = ("age", "amount", "visits")
TRAINING_ROWS = 2_000
BATCHES = (1, 1, 7, 30, 1, 200, 60)  # rows of each request: 300 together


def draw(count: int, seed: int, *, older: float = 0.0) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {
        "age": (rng.normal(40.0 + older, 10.0, count)).round(1).tolist(),
        "amount": rng.exponential(50.0, count).round(2).tolist(),
        "visits": rng.poisson(3.0, count).astype(float).tolist(),
    }


def matrix(columns: dict[str, list[float]]) -> Any:
    return np.column_stack([columns[name] for name in FEATURES])


def fit() -> tuple[LogisticRegression, dict[str, list[float]]]:
    training = draw(TRAINING_ROWS, seed=1)
    rows = matrix(training)
    late = (rows[:, 0] + rows[:, 1] / 5.0 + np.random.default_rng(2).normal(0, 5, TRAINING_ROWS)) > 52.0
    return LogisticRegression(max_iter=2_000).fit(rows, late), training


def requests() -> list[dict[str, list[float]]]:
    """What is asked, one request an item: customers are 6 years older than those of the training."""
    return [draw(count, seed=100 + number, older=6.0) for number, count in enumerate(BATCHES)]


def main(folder: Path) -> None:
    """Write the model, and a table of what it was trained on with what it said of it."""
    model, training = fit()
    joblib.dump(model, folder / "model.joblib")
    training["late"] = model.predict(matrix(training)).astype(float).tolist()
    training["risk"] = model.predict_proba(matrix(training))[:, 1].tolist()
    with (folder / "training.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(training)
        writer.writerows(zip(*training.values(), strict=True))
    (folder / "requests.json").write_text(json.dumps(requests()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
