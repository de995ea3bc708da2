"""Settings: every key by file and by environment, and messages that say what would do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from driftgauge.errors import ConfigError
from driftgauge.sidecar.settings import SidecarSettings, load_settings
from driftgauge.sidecar.settings_sources import environment_name

# A value other than the default for each kind of field, as a variable has it.
OTHER: dict[str, str] = {
    "otel.protocol": "grpc",
    "otel.preset": "datadog",
    "server.listen": "127.0.0.1:9200",
    "server.uds_mode": "600",
    "server.token_for": "remote_writes",
    "proxy.listen": "127.0.0.1:9300",
    "proxy.upstream": "http://127.0.0.1:1",
    "sink.unpaired": "inputs",
    "log.level": "debug",
    "log.format": "text",
    "defaults.windows": "5 rows,2h",
    "sink.protocol": "mlflow",
    "sink.mapping": '{"rows": "a"}',
    "defaults.budget": "30d",
    "defaults.evaluate_every": "30s",
}
TOGETHER = {  # keys that are refused alone
    "proxy.listen": {"proxy.upstream": "http://127.0.0.1:1"},
    "proxy.upstream": {"proxy.listen": "127.0.0.1:9300"},
    "server.tls_certificate": {"server.tls_key": "a"},
    "server.tls_key": {"server.tls_certificate": "a"},
    "server.tls_client_ca": {"server.tls_certificate": "a", "server.tls_key": "a"},
    "proxy.tls_certificate": {"proxy.tls_key": "a"},
    "proxy.tls_key": {"proxy.tls_certificate": "a"},
    "sink.mapping": {"sink.protocol": "mapping"},
}


def keys() -> list[str]:
    """Every key of every table that is there once."""
    found = []
    for name, field in SidecarSettings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += [f"{name}.{key}" for key in kind.model_fields]
    return [*found, "models_folder"]


def at(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = getattr(settings, part)
    return settings.get_secret_value() if isinstance(settings, SecretStr) else settings


def variable(key: str) -> str:
    return environment_name(key.split("."))


def another(key: str) -> str:
    default = at(SidecarSettings(), key)
    if key in OTHER:
        return OTHER[key]
    if isinstance(default, bool):
        return str(not default).lower()
    return {int: "7", float: "0.25", str: "/somewhere"}[type(default)]


@pytest.mark.parametrize("key", keys())
def test_every_key_is_an_environment_variable_too(key: str) -> None:
    given = {variable(key): another(key)}
    given |= {variable(other): value for other, value in TOGETHER.get(key, {}).items()}
    settings = load_settings(None, environ=given)
    if key != "server.token_for":  # whose other values need a token
        assert at(settings, key) != at(SidecarSettings(), key)


@pytest.mark.parametrize("key", keys())
def test_every_key_says_what_it_is(key: str) -> None:
    model: Any = SidecarSettings
    for part in key.split("."):
        field = model.model_fields[part]
        model = field.annotation
    assert field.description


def test_the_environment_wins_over_the_file_and_leaves_the_rest_of_a_list(tmp_path: Path) -> None:
    file = tmp_path / "driftgauge.toml"
    file.write_text('[[models]]\nreference = "a"\n[[models]]\nreference = "b"\nname = "second"\n')
    settings = load_settings(file, environ={"DRIFTGAUGE_MODELS__1__REFERENCE": "c"})
    assert [(each.reference, each.name) for each in settings.models] == [("a", ""), ("c", "second")]


def test_elements_of_a_list_come_in_the_order_of_their_numbers() -> None:
    environ = {f"DRIFTGAUGE_MODELS__{n}__REFERENCE": str(n) for n in range(12)}
    settings = load_settings(None, environ=environ)
    assert [each.reference for each in settings.models] == [str(n) for n in range(12)]


def test_a_whole_list_may_be_json_and_its_elements_be_changed() -> None:
    environ = {
        "DRIFTGAUGE_MODELS": '[{"reference": "a"}, {"reference": "b"}]',
        "DRIFTGAUGE_MODELS__0__NAME": "first",
        "DRIFTGAUGE_MODELS__0__WEIGHTS": '{"Age": 2}',
    }
    first, second = load_settings(None, environ=environ).models
    assert (first.name, first.weights, second.name) == ("first", {"Age": 2.0}, "")


WRONG = {
    "listen": (
        {"DRIFTGAUGE_SERVER__LISTEN": "9109"},
        "server.listen must be host:port, such as '127.0.0.1:9109', '[::1]:9109' or '0.0.0.0:9109', got "
        "'9109' (DRIFTGAUGE_SERVER__LISTEN)",
    ),
    "mistyped key": (
        {"DRIFTGAUGE_SERVER__LISTNE": "x"},
        "DRIFTGAUGE_SERVER__LISTNE names no key; did you mean DRIFTGAUGE_SERVER__LISTEN?",
    ),
    "mistyped table": (
        {"DRIFTGAUGE_SERVR__LISTEN": "x"},
        "DRIFTGAUGE_SERVR__LISTEN names no key; did you mean DRIFTGAUGE_SERVER?",
    ),
    "negative time": (
        {"DRIFTGAUGE_STATE__SAVE_INTERVAL": "-1"},
        "state.save_interval must be a length of time, such as '10s', '500ms' or '1h', got '-1' "
        "(DRIFTGAUGE_STATE__SAVE_INTERVAL)",
    ),
    "missing": (
        {"DRIFTGAUGE_MODELS__0__NAME": "x"},
        "models[0].reference is missing; give path of a file that `driftgauge profile` wrote, or set "
        "DRIFTGAUGE_MODELS__0__REFERENCE",
    ),
    "place in a list": (
        {"DRIFTGAUGE_MODELS__3__NAME": "x"},
        "DRIFTGAUGE_MODELS__3__NAME: '3' is no place in models, which has 0 so far; use "
        "DRIFTGAUGE_MODELS__0, or the whole list as JSON",
    ),
    "choice": (
        {"DRIFTGAUGE_LOG__FORMAT": "xml"},
        "log.format must be 'json' or 'text', got 'xml' (DRIFTGAUGE_LOG__FORMAT); it is: one JSON object a "
        "line, or text for people",
    ),
    "number": (
        {"DRIFTGAUGE_DEFAULTS__MIN_EFFECT": "2"},
        "defaults.min_effect must be less than or equal to 1, got '2' (DRIFTGAUGE_DEFAULTS__MIN_EFFECT); it "
        "is: changes of at most this PSI are no drift",
    ),
    "window": (
        {"DRIFTGAUGE_DEFAULTS__WINDOWS": "24 hrs"},
        "defaults.windows[0] must be a number of rows such as '10000 rows', or a length of time such as "
        "'24h', got '24 hrs' (DRIFTGAUGE_DEFAULTS__WINDOWS)",
    ),
    "upstream with a path": (
        {"DRIFTGAUGE_PROXY__LISTEN": ":80", "DRIFTGAUGE_PROXY__UPSTREAM": "http://m:8080/v1"},
        "proxy.upstream must be http://host:port, https://host:port or unix:/path of a socket; it has no "
        "path, query or user, because requests are passed on as they are, got 'http://m:8080/v1' "
        "(DRIFTGAUGE_PROXY__UPSTREAM)",
    ),
    "mode of a socket": (
        {"DRIFTGAUGE_SERVER__UDS_MODE": "6600x"},
        "server.uds_mode must match pattern '^[0-7]{3}$', got '6600x' "
        "(DRIFTGAUGE_SERVER__UDS_MODE); it is: who may use the socket, octal",
    ),
    "half of two": (
        {"DRIFTGAUGE_SERVER__TLS_KEY": "k"},
        "server: tls_certificate and tls_key go together; give both or neither",
    ),
    "no JSON": (
        {"DRIFTGAUGE_MODELS__0": "churn"},
        'models[0] must be JSON such as {"key": value} (DRIFTGAUGE_MODELS__0): '
        "Expecting value: line 1 column 1 (char 0)",
    ),
    "key of a text": (
        {"DRIFTGAUGE_MODELS_FOLDER__X": "1"},
        "DRIFTGAUGE_MODELS_FOLDER__X: models_folder has no keys; use DRIFTGAUGE_MODELS_FOLDER",
    ),
    "names twice": (
        {"DRIFTGAUGE_MODELS": '[{"reference":"a","name":"n"},{"reference":"b","name":"n"}]'},
        "models has 'n' twice; give each model a name of its own",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_key_value_and_remedy(case: str) -> None:
    environ, message = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environ=environ)
    assert message in str(caught.value).splitlines()


def test_an_unknown_key_of_the_file_is_told_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "driftgauge.toml"
    file.write_text('[server]\nlistne = "x"\n[stat]\na = 1\n')
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ={})
    assert str(caught.value).splitlines() == [
        f"server.listne is no key ({file}); did you mean 'listen'?",
        f"stat is no key ({file}); did you mean 'state'?",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [("[server", "is no TOML"), ("\udcff", "is no TOML")],
)
def test_a_file_that_is_no_toml_is_told(tmp_path: Path, text: str, part: str) -> None:
    file = tmp_path / "driftgauge.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=part):
        load_settings(file, environ={})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*; give the path of a settings file"):
        load_settings(tmp_path / "no.toml", environ={})


def test_a_secret_is_in_no_message() -> None:
    environ = {"DRIFTGAUGE_SERVER__TOKEN": "hush", "DRIFTGAUGE_SERVER__TOKEN_FILE": "f"}
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environ=environ)
    assert "hush" not in str(caught.value)
    assert "token and token_file are both given; leave one out" in str(caught.value)


def test_what_kubernetes_sets_for_a_service_called_driftgauge_is_no_setting() -> None:
    environ = {
        "DRIFTGAUGE_SERVICE_HOST": "10.0.0.1",
        "DRIFTGAUGE_SERVICE_PORT": "9109",
        "DRIFTGAUGE_SERVICE_PORT_METRICS": "9109",
        "DRIFTGAUGE_PORT": "tcp://10.0.0.1:9109",
        "DRIFTGAUGE_PORT_9109_TCP": "tcp://10.0.0.1:9109",
        "DRIFTGAUGE_PORT_9109_TCP_ADDR": "10.0.0.1",
        "DRIFTGAUGE_SERVER_SERVICE_HOST": "10.0.0.2",
    }
    assert load_settings(None, environ=environ) == SidecarSettings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        SidecarSettings().server.listen = "x"


def test_what_is_printed_gives_the_same_settings(tmp_path: Path) -> None:
    file = tmp_path / "driftgauge.toml"
    file.write_text(
        'models_folder = "m"\n[[models]]\nreference = "a"\nwindows = ["1h"]\n'
        'weights = { "a b" = 2, "é" = 0.5 }\n'
        '[[routes]]\npath = "/p"\nprotocol = "mapping"\nmapping = { rows = "a", inputs = { x = "b[].c" } }\n'
        '[proxy]\nlisten = ":9300"\nupstream = "http://a:1"\n[state]\nsave_interval = "500ms"\n'
        '[limits]\nbody_bytes = "1 MiB"\n'
    )
    settings = load_settings(file, environ={})
    printed = tmp_path / "printed.toml"
    printed.write_text(settings.to_toml(), encoding="utf-8")
    assert load_settings(printed, environ={}) == settings
    assert settings.state.save_interval == 0.5
    assert settings.limits.of_payloads().body_bytes == 1 << 20


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_being_printed(text: str) -> None:
    settings = SidecarSettings(models_folder=text)
    assert tomllib.loads(settings.to_toml())["models_folder"] == settings.models_folder


def test_a_token_is_masked_when_printed() -> None:
    environ = {"DRIFTGAUGE_SERVER__TOKEN": "hush"}
    text = load_settings(None, environ=environ).to_toml()
    assert "hush" not in text
    assert 'token = "********"' in text
