"""A DAG that refits the reference of the model that it is asked for, in a file that Airflow reads.

What the alert said comes as variables of the shell and never as part of its command.
"""

from __future__ import annotations

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

REFIT = """
set -eu
PYTHONPATH="$TRAINING_PATH" "$TRAINING_PYTHON" -m driftgauge profile "$TRAINING_ROWS" \
    --output "$TRAINING_REFERENCE" --model "$MODEL" --model-version "$((VERSION + 1))"
"""

with DAG("retrain", schedule=None, catchup=False, is_paused_upon_creation=False):
    BashOperator(
        task_id="refit",
        bash_command=REFIT,
        env={"MODEL": "{{ dag_run.conf['model'] }}", "VERSION": "{{ dag_run.conf['model_version'] }}"},
        append_env=True,
    )
