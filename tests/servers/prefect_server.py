"""A real Prefect server on loopback, and a flow that is served beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_servers import PROGRAMS, alone, python_of, serving
from services import free_port

__all__ = ["prefect"]


@contextmanager
def prefect(folder: Path, program: str, **environ: str) -> Iterator[str]:
    """URL of the API of a server beside which *program* serves the flow ``retrain/nightly``."""
    python, port = python_of("prefect"), free_port()
    api = f"http://127.0.0.1:{port}/api"
    environ = alone(
        **environ,
        PREFECT_HOME=str(folder / "home"),
        PREFECT_API_URL=api,
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_RUNNER_POLL_FREQUENCY="1",
        DO_NOT_TRACK="1",
    )
    server = [
        python,
        str(Path(python).with_name("prefect")),
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    flow = [python, str(PROGRAMS / f"{program}.py")]
    with (
        serving(server, folder / "server.log", f"{api}/health", environ),
        serving(flow, folder / "flow.log", f"{api}/deployments/name/retrain/nightly", environ),
    ):
        yield api
