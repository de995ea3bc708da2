"""The commands, on a file that no bridge has open."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from contextlib import closing as shut
from pathlib import Path
from typing import Any

import pytest
from bridge_cases import NOW, alert, held, route, settings_of
from click.testing import CliRunner, Result

from driftgauge.bridge.decide import decide
from driftgauge.bridge.records import Entry, Run
from driftgauge.bridge.settings import load_settings
from driftgauge.bridge.store import Store
from driftgauge.bridge.wiring import wire
from driftgauge.cli.bridge import command
from driftgauge.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = settings_of(tmp_path)
    store = Store(settings.store.path)
    for model, state in (("churn", "proposed"), ("fraud", "dead"), ("spam", "failed")):
        found = decide(route(), [held(alert(model))], (), (), NOW)
        assert found.run is not None
        store.add_run(Run(request=found.run, state=state, created_seconds=NOW))  # type: ignore[arg-type]
    store.log(
        Entry(seconds=NOW, what="no", model="ch\x1b[31murn", route="retrain", brake="quorum", reason="1 of 3")
    )
    store.close()
    return tmp_path


def call(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        command, [arguments[0], "-c", str(folder / "bridge.toml"), *arguments[1:]], catch_exceptions=False
    )


def test_list_shows_runs(folder: Path) -> None:
    lines = call(folder, "list").output.splitlines()
    assert lines[0].split() == ["run", "state", "decided", "route", "target", "reason"]
    assert len(lines) == 4
    found = [
        json.loads(line) for line in call(folder, "list", "--json", "--state", "dead").output.splitlines()
    ]
    assert [each["request"]["model"] for each in found] == ["fraud"]
    wrong = call(folder, "list", "--state", "ded")
    assert wrong.exit_code == 2
    assert "'ded' is no state; there are proposed, pending" in wrong.output


def test_log_cannot_steer_a_terminal(folder: Path) -> None:
    output = call(folder, "log").output
    assert "\x1b" not in output
    assert "quorum" in output


def test_a_person_decides(folder: Path) -> None:
    store = Store(folder / "bridge.sqlite")
    ids = {run.request.model: run.id for run in store.runs()}
    assert call(folder, "approve", ids["churn"]).output == f"{ids['churn']} is pending\n"
    assert call(folder, "replay", ids["fraud"][-12:]).output == f"{ids['fraud']} is pending\n"
    fresh = call(folder, "replay", ids["spam"]).output.split()[0]
    assert fresh != ids["spam"]
    assert call(folder, "deny", ids["churn"]).output == f"{ids['churn']} is denied\n"
    assert [each.what for each in store.entries()][1:] == ["approved", "replayed", "replayed", "denied"]
    with pytest.raises(ConfigError, match="no run is called"):
        call(folder, "approve", "nothing")


def test_check_prints_settings_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_TOKEN", "very secret")
    settings_of(tmp_path)
    file = tmp_path / "bridge.toml"
    text = file.read_text().replace(
        "idempotent = true",
        'token = { env = "TRAINING_TOKEN" }\nheaders = { X-Key = { env = "TRAINING_TOKEN" } }',
    )
    file.write_text(text)
    output = call(tmp_path, "check").output
    assert "very secret" not in output
    assert "********" in output
    monkeypatch.delenv("TRAINING_TOKEN")
    with pytest.raises(ConfigError, match=r"TRAINING_TOKEN.*not set"):
        call(tmp_path, "check")


def test_what_was_looked_up_is_masked_where_it_is_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A user is often called as something else is: "retrain" is the name of the route too.
    monkeypatch.setenv("TRAINING_USER", "retrain")
    monkeypatch.setenv("TRAINING_URL", "http://127.0.0.1:9/very-secret/")
    settings_of(tmp_path)
    file = tmp_path / "bridge.toml"
    given = tomllib.loads(file.read_text())
    (url,) = (each["url"] for each in given["targets"])
    changed = file.read_text().replace(f'url = "{url}"', 'url = { env = "TRAINING_URL" }')
    assert changed != file.read_text()
    changed = changed.replace(
        "idempotent = true", 'idempotent = true\nusername = { env = "TRAINING_USER" }\npassword = "p"'
    )
    file.write_text(changed)
    output = call(tmp_path, "check").output
    assert "very-secret" not in output
    printed = tomllib.loads(output)
    (target,) = printed["targets"]
    assert {target[key] for key in ("url", "username", "password")} == {"********"}
    assert [each["name"] for each in printed["routes"]] == ["retrain"]


def test_the_secrets_of_a_closing_are_looked_up_when_they_are_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "password").write_text("very-secret-3\n")
    with (folder / "bridge.toml").open("a") as file:
        file.write(f"""
[[closings]]
reference = "models:/m/latest"
sidecars = ["http://127.0.0.1:9"]
token = {{ env = "SIDECAR_TOKEN" }}
[closings.mlflow]
url = "http://127.0.0.1:9"
username = "bridge"
password = {{ file = "{folder}/password" }}
secret_headers = {{ X-Key = {{ env = "MLFLOW_KEY" }} }}
""")
    assert len(call(folder, "list").output.splitlines()) == 4  # nobody needs a secret for it
    with pytest.raises(
        ConfigError, match=r"closings\[0\].mlflow.secret_headers.X-Key .*MLFLOW_KEY.* not set"
    ):
        call(folder, "check")
    environ = {"SIDECAR_TOKEN": "very-secret-1", "MLFLOW_KEY": "very-secret-2"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    output = call(folder, "check").output
    assert "very-secret" not in output
    assert output.count("********") == 3
    closer: Any = wire(load_settings(folder / "bridge.toml", environ={}), environ).closer
    own = closer._of("m")
    assert own.settings.token.get_secret_value() == "very-secret-1"
    assert own.settings.mlflow.secret_headers["X-Key"].get_secret_value() == "very-secret-2"
    assert own.settings.mlflow.password.get_secret_value() == "very-secret-3"


@pytest.mark.parametrize("name", ["list", "approve"])
def test_a_file_that_cannot_be_had_is_no_fault_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("driftgauge.bridge.store.BUSY_SECONDS", 0.01)
    with shut(sqlite3.connect(folder / "bridge.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE" if name == "approve" else "DROP TABLE runs")
        with pytest.raises(ConfigError, match=r"bridge\.sqlite' cannot be used: .*try again"):
            call(folder, name, *["0123456789ab"][: name == "approve"])


@pytest.mark.parametrize(
    "closing",
    [
        'prometheus = "http://driftgauge:very-secret@prometheus"',
        'sidecars = ["http://driftgauge:very/secret@sidecar"]',
        'reference = "models:/m/1"\nmlflow = { url = "http://driftgauge:very-secret@mlflow" }',
    ],
)
def test_a_password_in_a_url_is_refused_and_not_told(tmp_path: Path, closing: str) -> None:
    settings_of(tmp_path)
    file = tmp_path / "bridge.toml"
    file.write_text(f"{file.read_text()}\n[[closings]]\n{closing}\n")
    with pytest.raises(ConfigError, match=r"must (be a URL|have no user and password in it)") as caught:
        call(tmp_path, "check")
    assert "secret" not in str(caught.value)


def test_settings_from_a_variable_that_are_no_json_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_of(tmp_path)
    monkeypatch.setenv("DRIFTGAUGE_CLOSINGS", '[{"reference": "/r", "token": "very-secret",}]')
    with pytest.raises(ConfigError, match="closings must be JSON such as") as caught:
        call(tmp_path, "check")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('target = "training"', 'target = "trainnig"', "no target 'trainnig'; there are: 'training'"),
        ('kind = "http"', 'kind = "htpp"', r"targets\[0\].kind \(training\): no target of kind 'htpp'"),
        ("idempotent = true", "idempotnt = true", r"targets\[0\].idempotnt"),
        ("group_wait", "grup_wait", "did you mean 'group_wait'"),
        ('group_wait = "0s"', 'quiet_hours = ["late"]', "must be such as '22:00-06:00'"),
        ('group_wait = "0s"', 'payload = { a = "{{ modell }}" }', "'modell' is undefined"),
        ('group_wait = "0s"', 'match_regex = { model = "(" }', "must be patterns"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    settings_of(tmp_path)
    file = tmp_path / "bridge.toml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=words):
        call(tmp_path, "check")
