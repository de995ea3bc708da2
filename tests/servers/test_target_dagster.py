"""The Dagster target at a real Dagster webserver, with a real job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import ClientSession
from model_servers import PROGRAMS, alone, python_of, serving
from services import free_port, until
from targets.recorded import RUN, made

from driftgauge.bridge.targets import Permanent, Target

pytestmark = pytest.mark.servers

Result = TypeVar("Result")
HOME = """
telemetry:
  enabled: false
run_coordinator:  # without the daemon, which would take runs from a queue
  module: dagster.core.run_coordinator
  class: DefaultRunCoordinator
"""


@contextmanager
def dagster(folder: Path) -> Iterator[str]:
    """URL of a webserver with the job."""
    python, port = python_of("dagster"), free_port()
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(HOME)
    webserver = str(Path(python).with_name("dagster-webserver"))
    file = str(PROGRAMS / "dagster_target_job.py")
    command = [python, webserver, "-f", file, "-h", "127.0.0.1", "-p", str(port)]
    environ = alone(DAGSTER_HOME=str(home), PATH=f"{Path(python).parent}:/usr/bin:/bin")
    url = f"http://127.0.0.1:{port}"
    with serving(command, folder / "webserver.log", f"{url}/server_info", environ):
        yield url


def config(*, fail: bool = False) -> dict[str, Any]:
    return {"ops": {"train": {"config": {"model": "fraud", "fail": fail}}}}


def test_a_job_is_launched_found_and_followed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftgauge.bridge.targets.calls.SETTLE_SECONDS", 0.0)
    with dagster(tmp_path) as url:
        settings = {"url": url, "location": "dagster_target_job.py", "job": "retrain"}

        def asked(question: Callable[[Target, ClientSession], Awaitable[Result]], **other: Any) -> Result:
            async def story() -> Result:
                async with ClientSession() as session:
                    return await question(made("dagster", settings | other), session)

            return asyncio.run(story())

        assert asked(lambda target, session: target.find(session, RUN)) is False
        first = asked(lambda target, session: target.start(session, RUN, config()))
        assert not first.already
        assert asked(lambda target, session: target.find(session, RUN)) == replace(first, already=True)

        other = replace(RUN, run_id="driftgauge-fraud-ba9876543210")
        assert asked(lambda target, session: target.find(session, other)) is False
        failing = asked(lambda target, session: target.start(session, other, config(fail=True)))

        with pytest.raises(Permanent, match="RunConfigValidationInvalid, Missing required config"):
            asked(lambda target, session: target.start(session, RUN, {}))
        with pytest.raises(Permanent, match="PipelineNotFoundError"):
            asked(lambda target, session: target.start(session, RUN, config()), job="none")

        def over(external_id: str) -> str | None:
            state = asked(lambda target, session: target.state(session, external_id))
            return None if state == "running" else state

        assert until(lambda: over(first.external_id), "the job to end") == "succeeded"
        assert until(lambda: over(failing.external_id), "the other job to end") == "failed"
        assert over("57d45c34-46e2-41f8-ac83-32bb38cd35f3") == "unknown"
