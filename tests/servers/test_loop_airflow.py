"""The whole loop with a real Airflow 3, whose DAG refits the reference."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from closed_loop import PATIENCE_SECONDS, Trainer, check_loop, training
from model_servers import PROGRAMS, alone, get, python_of, serving
from services import free_port, until

pytestmark = [pytest.mark.servers, pytest.mark.prometheus]

PASSWORD = "of this test"


class Api:
    """Airflow's API, as its user ``bridge``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._token = ""

    def ask(self, path: str) -> dict[str, Any]:
        if not self._token:
            body = json.dumps({"username": "bridge", "password": PASSWORD}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{self.url}/auth/token", data=body, headers=headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                self._token = json.load(answer)["access_token"]
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"{self.url}/api/v2/{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))


@contextmanager
def airflow(folder: Path) -> Iterator[Api]:
    """API server, scheduler and DAG processor, on one SQLite file and on loopback only."""
    python, port = python_of("airflow"), free_port()
    url = f"http://127.0.0.1:{port}"
    home = folder / "airflow"
    (home / "dags").mkdir(parents=True)
    shutil.copy(PROGRAMS / "airflow_dags.py", home / "dags" / "retrain.py")
    (home / "passwords.json").write_text(json.dumps({"bridge": PASSWORD}))
    environ = alone(
        **training(folder),
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="false",
        AIRFLOW__CORE__EXECUTOR="LocalExecutor",
        AIRFLOW__CORE__PARALLELISM="2",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="bridge:op",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(home / "passwords.json"),
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__BASE_URL=url,
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API_AUTH__JWT_SECRET="a secret of this test, which is long enough to sign with: 64 bytes",
        AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES="1",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(home / "logs"),
        AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="false",
    )
    program = [python, str(Path(python).with_name("airflow"))]
    health = f"{url}/api/v2/monitor/health"
    with ExitStack() as stack:

        def start(name: str, *command: str) -> None:
            log = folder / f"airflow-{name}.log"
            stack.enter_context(serving([*program, *command], log, health, environ))

        migrate(program, folder, environ)
        start("api", "api-server")
        # Without --skip-serve-logs it would serve logs on all interfaces.
        start("scheduler", "scheduler", "--skip-serve-logs")
        start("dag-processor", "dag-processor")
        api = Api(url)

        def ready() -> bool:
            parts = json.loads(get(health))
            healthy = all(parts[each]["status"] == "healthy" for each in ("scheduler", "dag_processor"))
            with suppress(OSError):
                return healthy and not api.ask("dags/retrain")["is_paused"]
            return False

        until(ready, "Airflow to know the DAG", PATIENCE_SECONDS)
        yield api


def migrate(program: list[str], folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        [*program, "db", "migrate"], capture_output=True, text=True, timeout=300, check=False, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "airflow-migrate.log").write_text(done.stdout + done.stderr)


def test_airflow_refits_the_reference_once_and_the_alert_ends(tmp_path: Path) -> None:
    with airflow(tmp_path) as api:
        password = tmp_path / "airflow" / "password"
        password.write_text(PASSWORD)
        target = (
            f'kind = "airflow"\nurl = "{api.url}"\ndag = "retrain"\n'
            f'username = "bridge"\npassword = {{ file = "{password}" }}\n'
        )
        check_loop(tmp_path, Trainer(target, lambda: api.ask("dags/retrain/dagRuns")["total_entries"]))
