"""The end of a sidecar: not ready, then drain, then stop; and signals on the way."""

from __future__ import annotations

import asyncio
import logging
import signal
from io import StringIO
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from services import until
from sidecar_cases import process, reference, settings_of, while_running

from driftgauge import kernels
from driftgauge.errors import ConfigError
from driftgauge.sidecar.app import Sidecar
from driftgauge.sidecar.logs import set_up_logs
from driftgauge.windows import WindowState


def config_of(tmp_path: Path, text: str = "") -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    reference(1).save(folder / "a.reference")
    config = tmp_path / "driftgauge.toml"
    config.write_text(
        f'models_folder = "{folder}"\n[state]\ndirectory = "{tmp_path}/state"\nsave_interval = "1h"\n'
        f"[server]\nlisten = '127.0.0.1:0'\n{text}"
    )
    return config


@pytest.mark.slow
def test_on_sigterm_it_is_not_ready_then_drains_then_stops_with_all_rows_saved(tmp_path: Path) -> None:
    config = config_of(tmp_path, 'not_ready = "3s"\n')
    with process(config, tmp_path / "log") as sidecar:
        until(lambda: sidecar.ask("/-/ready")[0] == 200, "it to be ready")
        sidecar.signal(signal.SIGTERM)
        until(lambda: sidecar.ask("/-/ready")[0] == 503, "it to be ready no more")
        assert sidecar.ask("/-/healthy")[0] == 200
        body = b'{"columns": {"x": [1, 2, 3]}}'
        assert sidecar.ask("/v1/observations", body)[0] == 202, "what still comes is still taken"
        assert sidecar.popen.wait(timeout=60) == 0
        events = [event for event in sidecar.events() if event.startswith(("SIGTERM", "draining", "stopped"))]
    assert events == ["SIGTERM: stopping", "draining, at most 15 s", "stopped"]
    (saved,) = (tmp_path / "state").rglob("*.window")
    assert WindowState.load(saved).rows == 3


@pytest.mark.slow
def test_ctrl_c_leaves_out_the_waiting_and_no_compiler_is_waited_for(tmp_path: Path) -> None:
    with process(config_of(tmp_path, 'not_ready = "10m"\n'), tmp_path / "log") as sidecar:
        until(lambda: sidecar.ask("/-/healthy")[0] == 200, "it to answer")
        sidecar.signal(signal.SIGINT)
        assert sidecar.popen.wait(timeout=60) == 0
        assert sidecar.events()[-1] == "stopped"


@pytest.mark.slow
def test_on_sighup_references_are_read_again(tmp_path: Path) -> None:
    with process(config_of(tmp_path, "[reload]\ninterval = 0\n"), tmp_path / "log") as sidecar:
        until(lambda: "model 'churn' added" in " ".join(sidecar.events()), "the model")
        reference(2).save(tmp_path / "models" / "a.reference")
        sidecar.signal(signal.SIGHUP)
        until(lambda: "model 'churn' changed" in " ".join(sidecar.events()), "the model to change")
        sidecar.signal(signal.SIGINT)
        assert sidecar.popen.wait(timeout=60) == 0


class Witness:
    """A way that notes when it is started and stopped."""

    def __init__(self, notes: list[str], name: str, *, routes: bool = False, fails: str = "") -> None:
        self._notes, self._name, self._routes, self._fails = notes, name, routes, fails

    def routes(self) -> list[aiohttp.web.RouteDef]:
        async def slow(_: aiohttp.web.Request) -> aiohttp.web.Response:
            self._notes.append("asked")
            await asyncio.sleep(0.3)
            self._notes.append("answered")
            return aiohttp.web.Response()

        return [aiohttp.web.get("/slow", slow)] if self._routes else []

    async def start(self) -> None:
        self._notes.append(f"{self._name} starts")
        if self._fails == "start":
            message = "proxy.listen is taken"
            raise ConfigError(message)

    async def stop(self, drain_seconds: float) -> None:
        assert drain_seconds >= 0
        self._notes.append(f"{self._name} stops")
        if self._fails == "stop":
            raise OSError


@pytest.fixture
def _twins_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "warm_up", lambda: None)


@pytest.mark.usefixtures("_twins_serve")
def test_ways_with_a_port_stop_first_and_those_with_routes_when_nothing_can_come(tmp_path: Path) -> None:
    notes: list[str] = []

    async def story() -> int:
        from driftgauge.sidecar.models import ModelRegistry

        settings = settings_of(tmp_path)
        ways = [Witness(notes, "sink", routes=True), Witness(notes, "proxy", fails="stop")]
        sidecar = Sidecar(settings, ModelRegistry(settings), ways)
        await sidecar.start()
        async with aiohttp.ClientSession() as client:

            async def get() -> int:
                async with client.get(f"http://127.0.0.1:{sidecar.ports[0]}/slow") as answer:
                    return answer.status

            asking = asyncio.create_task(get())
            while "asked" not in notes:
                await asyncio.sleep(0.01)
            await sidecar.stop()
            return await asking

    assert asyncio.run(story()) == 200, "what had begun is answered"
    assert notes == ["sink starts", "proxy starts", "asked", "proxy stops", "answered", "sink stops"]


@pytest.mark.usefixtures("_twins_serve")
def test_a_way_that_cannot_start_stops_the_others_and_says_why(tmp_path: Path) -> None:
    notes: list[str] = []

    async def story() -> None:
        from driftgauge.sidecar.models import ModelRegistry

        settings = settings_of(tmp_path)
        ways = [Witness(notes, "sink", routes=True), Witness(notes, "proxy", fails="start")]
        await Sidecar(settings, ModelRegistry(settings), ways).start()

    with pytest.raises(ConfigError, match=r"proxy.listen is taken"):
        asyncio.run(story())
    assert notes[-2:] == ["proxy stops", "sink stops"]


@pytest.mark.usefixtures("_twins_serve")
def test_rows_that_wait_are_counted_and_saved_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    reference(1).save(folder / "a.reference")
    settings = settings_of(
        tmp_path, f'models_folder = "{folder}"\n[state]\ndirectory = "{tmp_path}/state"\nsave_interval = "1h"'
    )

    async def talk(sidecar: Sidecar, _: aiohttp.ClientSession, __: str) -> None:
        handle = sidecar.registry.get()
        assert handle is not None
        intake = handle.intake("ingest", "json", columns=True)
        for _ in range(50):
            assert intake.offer_columns({"x": np.arange(10.0)}, None)

    while_running(settings, talk)
    (saved,) = (tmp_path / "state").rglob("*.window")
    assert WindowState.load(saved).rows == 500


def test_logs_are_json_and_tell_no_message_of_a_strange_exception() -> None:
    stream = StringIO()
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.raiseExceptions)
    try:
        set_up_logs("info", "json", stream)
        log = logging.getLogger("driftgauge.test")
        log.debug("too little")
        try:
            int("the age of Alice")
        except ValueError:
            log.exception("it failed for %s", "a reason")
        log.error("refused", exc_info=ConfigError("x must be 3"))
    finally:
        root.handlers[:], root.level, logging.raiseExceptions = before
    import json

    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["level"], first["error"]) == (
        "it failed for a reason",
        "error",
        "ValueError",
    )
    assert first["places"][-1].startswith("test_drain.py:")
    assert "Alice" not in stream.getvalue()
    assert second["error"] == "x must be 3", "our own messages hold no rows"
