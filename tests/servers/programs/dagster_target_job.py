"""A job that fails where it is asked to."""

from __future__ import annotations

import dagster


@dagster.op(config_schema={"model": str, "fail": bool})
def train(context) -> None:  # type: ignore[no-untyped-def]
    if context.op_config["fail"]:
        message = f"{context.op_config['model']} cannot be trained"
        raise ValueError(message)


@dagster.job(executor_def=dagster.in_process_executor)
def retrain() -> None:
    train()


defs = dagster.Definitions(jobs=[retrain])
