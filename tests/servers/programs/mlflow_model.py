"""Saves the small model as MLflow does."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import mlflow

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    mlflow.sklearn.save_model(
        joblib.load(folder / "model.joblib"), folder / "mlflow", pyfunc_predict_fn="predict"
    )
