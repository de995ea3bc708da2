"""A flow that refits the reference of the model that it is asked for, and is served."""

from __future__ import annotations

import os
import subprocess

from prefect import flow


@flow(name="retrain")
def retrain(model: str, model_version: str) -> None:
    environ = os.environ
    subprocess.run(
        [
            *(environ["TRAINING_PYTHON"], "-m", "driftgauge", "profile", environ["TRAINING_ROWS"]),
            *("--output", environ["TRAINING_REFERENCE"]),
            *("--model", model, "--model-version", str(int(model_version) + 1)),
        ],
        env={**environ, "PYTHONPATH": environ["TRAINING_PATH"]},
        check=True,
    )


if __name__ == "__main__":
    retrain.serve(name="nightly", print_starting_message=False)
