"""The Prefect target at a real Prefect server, with a real flow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import ClientSession
from model_servers import PROGRAMS, alone, python_of, serving
from services import free_port, until
from targets.recorded import RUN, made

from driftgauge.bridge.targets import Permanent, Target

pytestmark = pytest.mark.servers

Result = TypeVar("Result")


@contextmanager
def prefect(folder: Path) -> Iterator[str]:
    """URL of the API of a server beside which the flow is served."""
    python, port = python_of("prefect"), free_port()
    api = f"http://127.0.0.1:{port}/api"
    environ = alone(
        PREFECT_HOME=str(folder / "home"),
        PREFECT_API_URL=api,
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_RUNNER_POLL_FREQUENCY="1",
        DO_NOT_TRACK="1",
    )
    program = str(Path(python).with_name("prefect"))
    server = [python, program, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    flow = [python, str(PROGRAMS / "prefect_target_flow.py")]
    with (
        serving(server, folder / "server.log", f"{api}/health", environ),
        serving(flow, folder / "flow.log", f"{api}/deployments/name/retrain/nightly", environ),
    ):
        yield api


def test_a_flow_is_started_once_and_followed_to_its_end(tmp_path: Path) -> None:
    with prefect(tmp_path) as api:
        target = made("prefect", {"url": api, "deployment": "retrain/nightly"})

        def asked(question: Callable[[Target, ClientSession], Awaitable[Result]]) -> Result:
            async def story() -> Result:
                async with ClientSession() as session:
                    return await question(target, session)

            return asyncio.run(story())

        payload = {"model": "fraud"}
        assert asked(lambda target, session: target.find(session, RUN)) is False
        first = asked(lambda target, session: target.start(session, RUN, payload))
        again = asked(lambda target, session: target.start(session, RUN, payload))
        assert (first.already, again) == (False, replace(first, already=True))
        assert asked(lambda target, session: target.find(session, RUN)) == again

        other = replace(RUN, run_id="driftgauge-fraud-ba9876543210")
        failing = asked(lambda target, session: target.start(session, other, {**payload, "fail": True}))
        assert failing.external_id != first.external_id

        third = replace(RUN, run_id="driftgauge-fraud-000000000000")
        with pytest.raises(Permanent, match="'model' is a required property"):
            asked(lambda target, session: target.start(session, third, {}))

        def over(external_id: str) -> str | None:
            state = asked(lambda target, session: target.state(session, external_id))
            return None if state == "running" else state

        assert until(lambda: over(first.external_id), "the flow to end") == "succeeded"
        assert until(lambda: over(failing.external_id), "the other flow to end") == "failed"
        assert over("e9275f0a-393e-4b95-bc90-ec5acb3d401c") == "unknown"
    # Prefect's own words to the person who serves the flow.
    assert f"View at {first.url}" in (tmp_path / "flow.log").read_text()
