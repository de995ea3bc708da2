"""Saves the small model as MLflow does."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import mlflow
import pandas as pd
from small_model import draw

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    # Some forms of its requests are understood only by a model that says what its columns are.
    signature = mlflow.models.infer_signature(pd.DataFrame(draw(5, seed=3)))
    mlflow.sklearn.save_model(joblib.load(folder / "model.joblib"), folder / "mlflow", signature=signature)
