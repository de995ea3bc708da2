"""Where the bridge sees a new version of a model: a real registry of MLflow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from aiohttp import ClientSession
from model_servers import alone, python_of, run, serving
from services import free_port
from targets.recorded import RUN

from driftgauge.bridge.closing import Closings
from driftgauge.bridge.records import Facts, NotYet, Run
from driftgauge.bridge.settings import ClosingSettings

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("registry")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [python_of("mlflow"), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'registry.sqlite'}", "--workers", "1"]
    command += ["--default-artifact-root", str(folder / "artifacts")]
    environ = alone(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    with serving(command, folder / "mlflow.log", f"{url}/health", environ):
        yield url


def look(url: str, uri: str, run: Run) -> Facts:
    async def story() -> Facts:
        settings = ClosingSettings(reference=uri, mlflow={"url": url})  # type: ignore[arg-type]
        async with ClientSession() as session:
            return await Closings([settings]).after(session, run)

    return asyncio.run(story())


def test_a_new_version_of_the_registry_is_seen(registry: str) -> None:
    began = Run(
        request=replace(RUN, model="churn"), state="closing", created_seconds=1.7e9, before=Facts("old")
    )
    for absent in ("@champion", "/latest", "/7"):
        with pytest.raises(NotYet, match="MLflow has no version"):
            look(registry, "models:/{model}" + absent, began)
    run("mlflow", "mlflow_versions", registry, "churn", "shadow=old", "champion=new", "untagged=")
    for old in ("@shadow", "/1"):
        with pytest.raises(NotYet, match="models:/churn/1 still has the reference before the run"):
            look(registry, "models:/{model}" + old, began)
    for new in ("@champion", "/2"):
        assert look(registry, "models:/{model}" + new, began) == Facts("new")
    for untagged in ("@untagged", "/latest"):
        assert look(registry, "models:/{model}" + untagged, began) == Facts("models:/churn/3")
        with pytest.raises(NotYet, match="still has"):
            look(registry, "models:/{model}" + untagged, replace(began, created_seconds=4e9))
