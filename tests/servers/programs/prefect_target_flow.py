"""A flow that is served, and fails where it is asked to."""

from __future__ import annotations

from prefect import flow


@flow(name="retrain")
def retrain(model: str, fail: bool = False) -> str:
    if fail:
        message = f"{model} cannot be trained"
        raise ValueError(message)
    return model


if __name__ == "__main__":
    retrain.serve(name="nightly", print_starting_message=False)
