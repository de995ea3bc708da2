"""Closing the loop: places, sidecars that run for real, and a bridge that is killed in between."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import ClientSession, web
from bridge_cases import alert, posted
from fake_trainers import Trainer
from services import free_port, until
from sidecar_cases import TOKEN, process, reference
from targets.recorded import RUN

from driftgauge.bridge.closing import Closings
from driftgauge.bridge.records import Facts, NotYet, Run
from driftgauge.bridge.settings import ClosingSettings, load_settings
from driftgauge.bridge.settings_closing import MlflowSettings
from driftgauge.bridge.store import Store
from driftgauge.errors import ConfigError

Answer = TypeVar("Answer")
OLD, NEW = reference(1), reference(2, created_seconds=1.7e9)
BEGAN = 1.65e9
NOTHING = Facts()


def run_of(before: Facts = NOTHING, *, model: str = "churn") -> Run:
    """A run between the making of `OLD` and that of `NEW`."""
    request = replace(RUN, model=model, reference_id="")
    return Run(request=request, state="closing", created_seconds=BEGAN, changed_seconds=BEGAN, before=before)


def asked(question: Callable[[ClientSession], Awaitable[Answer]]) -> Answer:
    async def story() -> Answer:
        async with ClientSession() as session:
            return await question(session)

    return asyncio.run(story())


def waits(closings: Closings, run: Run) -> NotYet:
    with pytest.raises(NotYet) as why:
        asked(lambda session: closings.after(session, run))
    return why.value


def closing(**settings: Any) -> Closings:
    return Closings([ClosingSettings(**settings)])


# ---------------------------------------------------------------------- files


def test_a_file_is_new_when_its_id_is_another(tmp_path: Path) -> None:
    path = tmp_path / "churn.reference"
    closings = closing(reference=str(tmp_path / "{model}.reference"))
    assert asked(lambda session: closings.before(session, run_of())) == Facts()
    assert "churn.reference" in waits(closings, run_of()).reason
    OLD.save(path)
    before = asked(lambda session: closings.before(session, run_of()))
    assert before == Facts(OLD.id)
    assert "still has the reference before the run" in waits(closings, run_of(before)).reason
    path.write_bytes(path.read_bytes()[:100])
    assert "cannot read reference" in waits(closings, run_of(before)).reason
    NEW.save(path)
    assert asked(lambda session: closings.after(session, run_of(before))) == Facts(NEW.id)


def test_without_an_id_from_before_the_time_of_making_tells(tmp_path: Path) -> None:
    closings = closing(reference=str(tmp_path / "r"))
    OLD.save(tmp_path / "r")
    waits(closings, run_of())
    NEW.save(tmp_path / "r")
    assert asked(lambda session: closings.after(session, run_of())) == Facts(NEW.id)


def test_of_a_folder_the_newest_reference_of_the_model_counts(tmp_path: Path) -> None:
    closings = closing(reference=str(tmp_path))
    OLD.save(tmp_path / "a")
    reference(3, model="fraud", created_seconds=1.8e9).save(tmp_path / "b")
    before = asked(lambda session: closings.before(session, run_of()))
    assert before == Facts(OLD.id)
    waits(closings, run_of(before))
    NEW.save(tmp_path / "c")
    assert asked(lambda session: closings.after(session, run_of(before))) == Facts(NEW.id)


@pytest.mark.parametrize("model", ["../../etc/passwd", "..", "a/b", "a\x00b", "", "x" * 300])
def test_a_name_from_an_alert_leads_to_no_other_folder(tmp_path: Path, model: str) -> None:
    closings = closing(reference=str(tmp_path / "{model}"))
    assert "cannot be part of a path" in waits(closings, run_of(model=model)).reason


def test_a_table_of_its_own_comes_before_that_of_all(tmp_path: Path) -> None:
    NEW.save(tmp_path / "all")
    both = [
        ClosingSettings(reference=str(tmp_path / "all")),
        ClosingSettings(model="churn", reference=str(tmp_path / "own")),
    ]
    assert Closings(both).knows("fraud")
    assert not Closings(both[1:]).knows("fraud")
    assert "own" in waits(Closings(both), run_of()).reason


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("", "nothing says where a new reference is seen"),
        ('reference = "models:/churn@champion"', "give mlflow"),
        ('reference = "models:/churn"', "a model of MLflow such as"),
        ('sidecars = ["ftp://x"]', "must be a URL"),
        ('sidecars = ["http://x"]\ntoken = "a"\ntoken_file = "b"', "leave one out"),
        ('reference = "x"\nmlflow = { url = "http://x", password_file = "y" }', "goes with username"),
    ],
)
def test_wrong_settings_are_told(tmp_path: Path, table: str, told: str) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(f"[[closings]]\n{table}\n")
    with pytest.raises(ConfigError, match=told):
        load_settings(file, environ={})


# ---------------------------------------------------------------------- MLflow and Prometheus


@contextmanager
def answering(answers: dict[str, Any]) -> Iterator[tuple[Callable[..., Any], list[str]]]:
    """Runs a question beside a server that answers by path; paths with queries that were asked."""
    seen: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.path_qs)
        key = next((key for key in answers if key in request.path_qs), "")
        return web.json_response(answers[key]) if key else web.json_response({"message": "no"}, status=404)

    def ask(question: Callable[[ClientSession, str], Awaitable[Any]]) -> Any:
        async def story() -> Any:
            runner = web.ServerRunner(web.Server(answer))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                async with ClientSession() as session:
                    return await question(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
            finally:
                await runner.cleanup()

        return asyncio.run(story())

    yield ask, seen


def version(number: int, created_seconds: float, **tags: str) -> dict[str, Any]:
    return {
        "name": "churn",
        "version": str(number),
        "creation_timestamp": int(created_seconds * 1000),
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("models:/{model}@champion", "/registered-models/alias?name=churn&alias=champion"),
        ("models:/churn/7", "/model-versions/get?name=churn&version=7"),
        ("models:/churn/latest", "/model-versions/search?filter=name%3D%27churn%27"),
    ],
)
def test_a_version_of_mlflow_is_known_by_its_tag_or_its_age(uri: str, path: str) -> None:
    for tags, expected in (({"driftgauge_reference_id": NEW.id}, NEW.id), ({}, "models:/churn/7")):
        one = version(7, 1.7e9, **tags)
        answers = {path.partition("?")[0]: {"model_version": one, "model_versions": [one]}}
        with answering(answers) as (ask, seen):

            async def question(session: ClientSession, url: str) -> Facts:
                closings = closing(reference=uri, mlflow={"url": url})
                return await closings.after(session, run_of(Facts(OLD.id)))

            assert ask(question) == Facts(expected)
            assert path in seen[0]


def test_no_version_an_old_one_and_an_odd_name_are_waited_for() -> None:
    answers: dict[str, Any] = {"name=old": {"model_version": version(1, 1.6e9)}}
    with answering(answers) as (ask, seen):

        async def question(session: ClientSession, url: str) -> list[str]:
            closings, reasons = closing(reference="models:/{model}@champion", mlflow={"url": url}), []
            for model in ("old", "new", "x' OR name='y"):
                with pytest.raises(NotYet) as why:
                    await closings.after(session, run_of(Facts(OLD.id), model=model))
                reasons.append(why.value.reason)
            return reasons

        reasons = ask(question)
    assert len(seen) == 2
    assert "still has the reference before" in reasons[0]
    assert "no version 'champion'" in reasons[1]
    assert "cannot be one of MLflow" in reasons[2]


def test_mlflow_is_told_a_user_and_the_password_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    own = MlflowSettings(url="http://x", username="bridge", password_file=str(tmp_path / "password"))
    assert own.credentials() == {"Authorization": "Basic YnJpZGdlOm9wZW4gc2VzYW1l"}
    (tmp_path / "password").unlink()
    closings = closing(reference="models:/{model}@champion", mlflow=own)
    assert "password_file" in waits(closings, run_of()).reason


def series(value: float, **labels: str) -> dict[str, Any]:
    return {"data": {"result": [{"metric": labels, "value": [1.7e9, str(value)]}]}}


def test_a_prometheus_tells_which_reference_is_in_force_and_how_far_it_is() -> None:
    answers: dict[str, Any] = {
        "driftgauge_reference_info": series(1, reference_id=OLD.id),
        "driftgauge_model_drift_score": series(1.4),
        "driftgauge_rows_total": series(5_000),
        "driftgauge_reference_created_timestamp_seconds": {"data": {"result": []}},
    }
    with answering(answers) as (ask, seen):

        async def question(session: ClientSession, url: str) -> Facts:
            closings, run = closing(prometheus=url), run_of(model='ch"urn')
            before = await closings.before(session, run)
            assert before == Facts(OLD.id, 1.4)
            run = replace(run, before=before)
            with pytest.raises(NotYet, match=f"Prometheus has the reference {OLD.id[:12]} in force"):
                await closings.after(session, run)
            answers["driftgauge_reference_info"] = series(1, reference_id=NEW.id)
            answers["driftgauge_rows_total"] = series(10)
            with pytest.raises(NotYet, match="10 of 1000 rows"):
                await closings.after(session, run)
            answers["driftgauge_rows_total"] = series(1_000)
            answers["driftgauge_model_drift_score"] = series(0.1)
            return await closings.after(session, run)

        assert ask(question) == Facts(NEW.id, 0.1)
    assert all("model%3D%22ch%5C%22urn%22" in path for path in seen), "the name is quoted"


# ---------------------------------------------------------------------- sidecars

SIDECAR = """
[server]
listen = "127.0.0.1:0"
not_ready = 0
drain = "1s"
token = "{token}"
token_for = "everything"
[reload]
interval = 0
[defaults]
windows = ["1000 rows"]
evaluate_every = "1s"
[[models]]
reference = "{path}"
[ingest]
[log]
format = "json"
"""


def observe(url: str, rows: int) -> None:
    body = json.dumps({"model": "churn", "columns": {"x": [0.001 * n for n in range(rows)]}}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(f"{url}/v1/observations", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status < 300


def test_two_sidecars_reload_and_the_score_is_read_when_there_are_rows(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        OLD.save(path)
        path.with_suffix(".toml").write_text(SIDECAR.format(token=TOKEN, path=path))
    with (
        process(tmp_path / "one.toml", tmp_path / "one.log") as one,
        process(tmp_path / "two.toml", tmp_path / "two.log") as two,
    ):
        own = {"sidecars": (one.url, two.url), "rows": 600, "token": TOKEN}
        closings = closing(**own, reference=str(paths[0]))
        before = asked(lambda session: closings.before(session, run_of()))
        assert before == Facts(OLD.id)
        run = run_of(before)
        waits(closings, run)
        NEW.save(paths[0])
        # The place has it, the first sidecar too, and the second would have to read another file.
        assert waits(closings, run).reason == (
            f"{two.url} has the reference {OLD.id[:12]} in force, not {NEW.id[:12]}"
        )
        NEW.save(paths[1])
        early = waits(closings, run)
        assert early.facts == Facts(NEW.id)
        assert "0 of 600 rows" in early.reason
        observe(one.url, 300)
        observe(two.url, 300)

        def scored() -> Facts | None:
            try:
                return asked(lambda session: closings.after(session, run))
            except NotYet:
                return None

        found = until(scored, "an evaluation")
        assert found.reference_id == NEW.id
        assert found.score is not None

        nobody = closing(**{**own, "token": "wrong"})
        assert "401" in waits(nobody, run).reason
        alone = closing(**own)
        assert asked(lambda session: alone.after(session, run)).reference_id == NEW.id, "without a place too"
    assert "cannot connect" in waits(closings, run).reason
    assert asked(lambda session: closings.before(session, run)) == Facts(NEW.id)


def test_rows_are_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    now = [0.0]
    NEW.save(tmp_path / "one")
    (tmp_path / "one.toml").write_text(SIDECAR.format(token=TOKEN, path=tmp_path / "one"))
    with process(tmp_path / "one.toml", tmp_path / "one.log") as one:
        settings = ClosingSettings(sidecars=(one.url,), token=TOKEN, settle=10)  # type: ignore[arg-type]
        closings = Closings([settings], clock=lambda: now[0])
        waits(closings, run_of(Facts(OLD.id)))
        now[0] = 10.0
        assert asked(lambda session: closings.after(session, run_of(Facts(OLD.id)))) == Facts(NEW.id)


# ---------------------------------------------------------------------- the bridge is killed

BRIDGE = """
[server]
listen = "127.0.0.1:{port}"
drain = "1s"
[store]
path = "{folder}/bridge.sqlite"
[retry]
first = "50ms"
follow = "50ms"
[[targets]]
name = "training"
kind = "http"
url = "{url}"
idempotent = true
state_url = "{url}/{{id}}"
[[routes]]
name = "retrain"
match = {{ driftgauge_action = "retrain" }}
target = "training"
group_wait = "0s"
[[closings]]
reference = "{folder}/{{model}}"
timeout = "{timeout}"
"""


@contextmanager
def bridge(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A bridge in a process of its own, killed at the end of the block."""
    command = [sys.executable, "-m", "driftgauge", "bridge", "serve", "-c", str(folder / "bridge.toml")]
    with (folder / "bridge.log").open("ab") as log:
        popen = subprocess.Popen(command, stdout=log, stderr=log)
        try:

            def ready() -> bool:
                assert popen.poll() is None, (folder / "bridge.log").read_text()
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                        return True
                except OSError:
                    return False

            until(ready, "the bridge to be ready")
            yield popen
        finally:
            popen.kill()
            popen.wait()


def runs(folder: Path) -> list[Run]:
    store = Store(folder / "bridge.sqlite")
    try:
        return store.runs()
    finally:
        store.close()


def in_state(folder: Path, state: str) -> Run:
    found = until(lambda: [run for run in runs(folder) if run.state == state], f"a run to be {state}")
    return found[0]  # type: ignore[no-any-return]


def test_a_bridge_that_is_killed_between_all_steps_closes_the_run_once(tmp_path: Path) -> None:
    OLD.save(tmp_path / "churn")
    port = free_port()
    with Trainer() as trainer:
        text = BRIDGE.format(port=port, folder=tmp_path, url=trainer.url, timeout="1h")
        (tmp_path / "bridge.toml").write_text(text)
        with bridge(tmp_path, port):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/v1/alerts", data=posted(alert()), method="POST"
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        for _ in range(3):
            with bridge(tmp_path, port):
                waiting = in_state(tmp_path, "closing")
        assert waiting.before == Facts(OLD.id)
        NEW.save(tmp_path / "churn")
        with bridge(tmp_path, port):
            done = in_state(tmp_path, "succeeded")
        assert done.after == Facts(NEW.id)
        assert [run.id for run in runs(tmp_path)] == [waiting.id]
        assert list(trainer.starts.values()) == [1]


def test_a_reference_that_does_not_come_in_time_is_recorded_with_its_reason(tmp_path: Path) -> None:
    OLD.save(tmp_path / "churn")
    port = free_port()
    with Trainer() as trainer:
        text = BRIDGE.format(port=port, folder=tmp_path, url=trainer.url, timeout="300ms")
        (tmp_path / "bridge.toml").write_text(text)
        with bridge(tmp_path, port):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/v1/alerts", data=posted(alert()), method="POST"
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
            failed = in_state(tmp_path, "failed")
    assert failed.reason.startswith("no new reference in time; ")
    assert failed.reason.endswith("churn still has the reference before the run")
