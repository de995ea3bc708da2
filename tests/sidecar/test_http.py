"""What the sidecar answers, to whom, and within which limits."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client.parser import text_string_to_metric_families
from sidecar_cases import TOKEN, reference, settings_of, while_running

from driftgauge import kernels
from driftgauge.errors import ConfigError
from driftgauge.sidecar.app import Sidecar, build
from driftgauge.sidecar.auth import Guard
from driftgauge.sidecar.listener import Tls
from driftgauge.sidecar.settings import ServerSettings
from driftgauge.windows import WindowState


@pytest.fixture(autouse=True)
def _twins_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes 10 s and changes no answer."""
    monkeypatch.setattr(kernels, "warm_up", lambda: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two references."""
    made = tmp_path / "models"
    made.mkdir()
    reference(1, model="churn").save(made / "a.reference")
    reference(2, model="fraud", version="7").save(made / "b.reference")
    return made


def models(folder: Path, text: str = "") -> str:
    return f'models_folder = "{folder}"\n{text}'


async def ask(client: aiohttp.ClientSession, method: str, url: str, **more: Any) -> tuple[int, str, Any]:
    async with client.request(method, url, **more) as answer:
        return answer.status, await answer.text(errors="replace"), answer.headers


async def ready(sidecar: Sidecar) -> None:
    while sidecar.why_not_ready:
        await asyncio.sleep(0.01)


def test_one_scrape_has_every_model_and_each_family_once(tmp_path: Path, folder: Path) -> None:
    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> tuple[int, str, Any]:
        for handle in sidecar.registry:
            handle.observe({"x": np.arange(200.0)})
        return await ask(client, "GET", f"{url}/metrics")

    status, text, headers = while_running(settings_of(tmp_path, models(folder)), talk)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert headers["Server"] == "driftgauge"
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    rows = next(family for family in families if family.name == "driftgauge_rows")
    assert {(each.labels["model"], each.value) for each in rows.samples} == {("churn", 200), ("fraud", 200)}
    assert 'driftgauge_feature_psi{feature="x",kind="input",model="fraud"' in text


def test_a_scrape_may_be_openmetrics_compressed_or_a_part(tmp_path: Path, folder: Path) -> None:
    async def talk(_: Sidecar, client: aiohttp.ClientSession, url: str) -> list[tuple[int, str, Any]]:
        openmetrics = {"Accept": "application/openmetrics-text; version=1.0.0"}
        part = {"name[]": "driftgauge_reference_rows"}
        return [
            await ask(client, "GET", f"{url}/metrics", headers=openmetrics),
            await ask(client, "GET", f"{url}/metrics", params=part),
            await ask(client, "GET", f"{url}/metrics", headers={"Accept-Encoding": "identity"}),
        ]

    whole, part, plain = while_running(settings_of(tmp_path, models(folder)), talk)
    assert whole[1].endswith("# EOF\n")
    assert whole[2]["Content-Encoding"] == "gzip", "aiohttp's client accepts it"
    assert {line.split("{")[0] for line in part[1].splitlines() if not line.startswith("#")} == {
        "driftgauge_reference_rows"
    }
    assert "Content-Encoding" not in plain[2]


def test_probes_follow_the_life_of_the_sidecar(tmp_path: Path, folder: Path) -> None:
    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> list[Any]:
        await ready(sidecar)
        found = [await ask(client, "GET", f"{url}/-/{probe}") for probe in ("healthy", "ready")]
        sidecar.why_not_ready = "stopping"
        found += [await ask(client, "GET", f"{url}/-/{probe}") for probe in ("healthy", "ready")]
        return [(status, text) for status, text, _ in found]

    assert while_running(settings_of(tmp_path, models(folder)), talk) == [
        (200, "healthy\n"),
        (200, "ready\n"),
        (200, "healthy\n"),
        (503, "not ready: stopping\n"),
    ]


def test_without_any_model_it_is_ready_all_the_same(tmp_path: Path) -> None:
    """Whoever passes traffic through must not lose it for want of a reference."""

    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> Any:
        await ready(sidecar)
        return [
            (await ask(client, "GET", f"{url}/-/ready"))[0],
            json.loads((await ask(client, "GET", f"{url}/api/v1/state"))[1])["troubles"],
            (await ask(client, "GET", f"{url}/metrics"))[0],
        ]

    settings = settings_of(tmp_path, '[[models]]\nreference = "/nowhere"')
    status, troubles, scraped = while_running(settings, talk)
    assert (status, scraped) == (200, 200)
    assert troubles[0].startswith("cannot read reference '/nowhere': ")


def test_reload_says_what_it_did_and_500_when_something_failed(tmp_path: Path, folder: Path) -> None:
    async def talk(_: Sidecar, client: aiohttp.ClientSession, url: str) -> list[Any]:
        reference(3, model="churn", version="2").save(folder / "a.reference")
        first = await ask(client, "POST", f"{url}/-/reload")
        (folder / "b.reference").write_bytes(b"no")
        second = await ask(client, "POST", f"{url}/-/reload")
        return [(status, json.loads(text)) for status, text, _ in (first, second)]

    (ok, done), (bad, failed) = while_running(settings_of(tmp_path, models(folder)), talk)
    assert (ok, done["changed"], done["kept"], done["failed"]) == (200, ["churn"], ["fraud"], [])
    assert (bad, failed["kept"], failed["failed"]) == (500, ["churn", "fraud"], [str(folder / "b.reference")])
    assert failed["troubles"][0].endswith("; the reference before it stays in force")


def test_a_changed_file_is_noticed_without_being_told(tmp_path: Path, folder: Path) -> None:
    async def talk(sidecar: Sidecar, _: aiohttp.ClientSession, __: str) -> str:
        fresh = reference(3, model="churn", version="2")
        fresh.save(folder / "a.reference")
        handle = sidecar.registry.get("churn")
        assert handle is not None
        async with asyncio.timeout(20):
            while handle.reference.id != fresh.id:
                await asyncio.sleep(0.02)
        return handle.snapshot().model_version

    text = models(folder, '[reload]\ninterval = "100ms"')
    assert while_running(settings_of(tmp_path, text), talk) == "2"


def test_snapshots_are_plain_json(tmp_path: Path, folder: Path) -> None:
    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> list[Any]:
        handle = sidecar.registry.get("fraud")
        assert handle is not None
        handle.observe({"x": [1.0, None, float("nan"), float("inf")] * 50})
        return [
            await ask(client, "GET", f"{url}/api/v1/snapshot"),
            await ask(client, "GET", f"{url}/api/v1/snapshot?model=fraud"),
            await ask(client, "GET", f"{url}/api/v1/snapshot?model=nobody"),
        ]

    both, one, none = while_running(settings_of(tmp_path, models(folder)), talk)

    def strict(text: str) -> Any:
        return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    assert [each["model"] for each in strict(both[1])["snapshots"]] == ["churn", "fraud"]
    (fraud,) = strict(one[1])["snapshots"]
    assert (fraud["model_version"], fraud["windows"][0]["rows"]) == ("7", 200)
    assert none[0] == 404
    assert strict(none[1])["detail"] == "there is no model of that name; there are: 'churn', 'fraud'"


def test_the_state_of_a_window_can_be_loaded_and_merged(tmp_path: Path, folder: Path) -> None:
    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> list[Any]:
        handle = sidecar.registry.get("churn")
        assert handle is not None
        handle.observe({"x": np.arange(30.0)})
        async with client.get(f"{url}/api/v1/state?model=churn&window=10000rows") as answer:
            body = await answer.read()
        listing = await ask(client, "GET", f"{url}/api/v1/state")
        wrong = await ask(client, "GET", f"{url}/api/v1/state?model=churn&window=9h")
        unnamed = await ask(client, "GET", f"{url}/api/v1/state?window=9h")
        alone = await ask(client, "GET", f"{url}/api/v1/state?model=churn")
        absent = await ask(client, "GET", f"{url}/api/v1/state?model=no")
        assert [each["model"] for each in json.loads(alone[1])["models"]] == ["churn"]
        assert absent[0] == 404
        return [body, json.loads(listing[1]), wrong, unnamed]

    body, listing, wrong, unnamed = while_running(settings_of(tmp_path, models(folder)), talk)
    (tmp_path / "w").write_bytes(body)
    state = WindowState.load(tmp_path / "w")
    assert (state.rows, state.reference_id) == (30, reference(1).id)
    assert WindowState.merge([state, state]).rows == 60
    assert listing["models"][0]["windows"][0] == {
        "name": "10000rows",
        "rows": 30,
        "seconds": listing["models"][0]["windows"][0]["seconds"],
    }
    assert listing["models"][0]["drift_evaluations"] == 0
    assert wrong[0] == 404
    assert "it has '10000rows'" in wrong[1]
    assert unnamed[0] == 404


def test_unknown_paths_and_methods_are_problems_in_json(tmp_path: Path) -> None:
    async def talk(_: Sidecar, client: aiohttp.ClientSession, url: str) -> list[Any]:
        return [await ask(client, "GET", f"{url}/no"), await ask(client, "POST", f"{url}/metrics")]

    missing, method = while_running(settings_of(tmp_path), talk)
    assert (missing[0], json.loads(missing[1])["title"]) == (404, "Not Found")
    assert (method[0], method[2]["Allow"]) == (405, "GET,HEAD")


def test_a_fault_in_a_handler_tells_strangers_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> tuple[int, str, Any]:
        monkeypatch.setattr(sidecar.registry, "snapshots", lambda: 1 / 0)
        return await ask(client, "GET", f"{url}/metrics")

    status, text, _ = while_running(settings_of(tmp_path, models(folder)), talk)
    assert status == 500
    assert "ZeroDivision" not in text
    assert json.loads(text)["reason"] == "internal_error"


def test_long_headers_are_refused(tmp_path: Path) -> None:
    async def talk(_: Sidecar, client: aiohttp.ClientSession, url: str) -> int:
        return (await ask(client, "GET", f"{url}/-/healthy", headers={"X-Long": "a" * 20_000}))[0]

    assert while_running(settings_of(tmp_path), talk) == 400


def test_the_description_names_every_address(tmp_path: Path) -> None:
    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> Any:
        assert sidecar._runner is not None
        there = {
            (route.resource.canonical, route.method.lower())
            for route in sidecar._runner.app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
        return there, json.loads((await ask(client, "GET", f"{url}/openapi.json"))[1])

    there, described = while_running(settings_of(tmp_path, '[sink]\npath = "/events"'), talk)
    told = {(path, method) for path, each in described["paths"].items() for method in each}
    assert told >= {
        (path, method) for path, method in there if not path.startswith(("/events", "/v1/observations"))
    }
    operations = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    assert len(set(operations)) == len(operations)


def test_a_unix_socket_has_the_same_surface(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "s"

    async def talk(sidecar: Sidecar, _: aiohttp.ClientSession, __: str) -> Any:
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession(connector=connector) as client:
            write = await ask(client, "POST", "http://x/-/reload")
        return write[0], path.stat().st_mode & 0o777, sidecar.places

    settings = settings_of(
        tmp_path,
        models(folder),
        DRIFTGAUGE_SERVER__UDS=str(path),
        DRIFTGAUGE_SERVER__LISTEN="",
        DRIFTGAUGE_SERVER__TOKEN=TOKEN,
        DRIFTGAUGE_SERVER__TOKEN_FOR="everything",
    )
    assert while_running(settings, talk) == (200, 0o660, [f"unix:{path}"])
    assert not path.exists()


def test_a_socket_that_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    left = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])"
    subprocess.run(["python3", "-c", left, str(path)], check=True)
    settings = settings_of(tmp_path, DRIFTGAUGE_SERVER__UDS=str(path))

    async def talk(_: Sidecar, __: aiohttp.ClientSession, ___: str) -> bool:
        twin = build(settings)
        with pytest.raises(ConfigError, match="another process listens there"):
            await twin.start()
        return path.exists()

    assert while_running(settings, talk)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    async def talk(sidecar: Sidecar, _: aiohttp.ClientSession, __: str) -> None:
        place = f"127.0.0.1:{sidecar.ports[0]}"
        twin = build(settings_of(tmp_path, DRIFTGAUGE_SERVER__LISTEN=place))
        with pytest.raises(ConfigError, match=rf"server.listen '{place}' is taken; stop what listens there"):
            await twin.start()

    while_running(settings_of(tmp_path), talk)


# ------------------------------------------------------------------ who may

READ, WRITE, STATE, PROBE = (
    ("GET", "/metrics"),
    ("POST", "/-/reload"),
    ("GET", "/api/v1/state?model=churn&window=1h"),
    ("GET", "/-/ready"),
)
HERE, AWAY, SOCKET = ("127.0.0.1", 5), ("10.1.2.3", 5), ""
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()}


def refused(
    settings: ServerSettings, what: tuple[str, str], peer: Any, headers: dict[str, str] | None = None
) -> int:
    class Transport:
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return {"peername": peer, "sockname": "/run/s" if peer == SOCKET else ("0.0.0.0", 9)}.get(
                name, default
            )

    request = make_mocked_request(*what, headers=headers or {}, transport=Transport())
    found = Guard(settings).refuses(request)
    return 0 if found is None else found[0]


OPEN = ServerSettings()
LOCKED = ServerSettings(token=TOKEN)
WRITES = ServerSettings(token=TOKEN, token_for="writes")
EVERYTHING = ServerSettings(token=TOKEN, token_for="everything")


@pytest.mark.parametrize(
    ("settings", "what", "peer", "headers", "status"),
    [
        (OPEN, READ, AWAY, {}, 0),
        (OPEN, WRITE, HERE, {}, 0),
        (OPEN, WRITE, ("::1", 5, 0, 0), {}, 0),
        (OPEN, WRITE, ("::ffff:127.0.0.1", 5, 0, 0), {}, 0),
        (OPEN, WRITE, AWAY, {}, 403),
        (OPEN, WRITE, ("::ffff:10.1.2.3", 5, 0, 0), {}, 403),
        (OPEN, WRITE, AWAY, BEARER, 403),
        (OPEN, STATE, AWAY, {}, 403),
        (OPEN, STATE, HERE, {}, 0),
        (OPEN, WRITE, SOCKET, {}, 0),
        (OPEN, WRITE, HERE, {"X-Forwarded-For": "10.1.2.3"}, 403),
        (OPEN, WRITE, HERE, {"Origin": "https://evil.example"}, 403),
        (OPEN, WRITE, HERE, {"Origin": "http://[", "Host": "["}, 403),
        (OPEN, WRITE, HERE, {"Origin": "", "Host": ""}, 403),
        (OPEN, WRITE, HERE, {"Origin": "null"}, 403),
        (OPEN, WRITE, HERE, {"Sec-Fetch-Site": "cross-site"}, 403),
        (OPEN, WRITE, HERE, {"Origin": "http://localhost:9109", "Host": "localhost:9109"}, 0),
        (OPEN, WRITE, HERE, {"Origin": "http://127.0.0.1:9109", "Host": "127.0.0.1:9109"}, 0),
        (OPEN, WRITE, HERE, {"Origin": "http://evil.example:9109", "Host": "evil.example:9109"}, 403),
        (LOCKED, WRITE, AWAY, {**BEARER, "Origin": "http://me:9109", "Host": "me:9109"}, 0),
        (LOCKED, WRITE, HERE, {}, 0),
        (LOCKED, WRITE, AWAY, {}, 401),
        (LOCKED, WRITE, AWAY, BEARER, 0),
        (LOCKED, WRITE, AWAY, {"authorization": f"bearer {TOKEN}"}, 0),
        (LOCKED, WRITE, AWAY, BASIC, 0),
        (LOCKED, WRITE, AWAY, {"Authorization": "Bearer wrong"}, 401),
        (LOCKED, WRITE, AWAY, {"Authorization": "Bearer "}, 401),
        (LOCKED, WRITE, AWAY, {"Authorization": "Basic !!"}, 401),
        (LOCKED, WRITE, AWAY, {"Authorization": "Digest x"}, 401),
        (LOCKED, READ, AWAY, {}, 0),
        (WRITES, WRITE, HERE, {}, 401),
        (WRITES, WRITE, SOCKET, {}, 0),
        (WRITES, READ, AWAY, {}, 0),
        (EVERYTHING, READ, HERE, {}, 401),
        (EVERYTHING, READ, HERE, BEARER, 0),
        (EVERYTHING, PROBE, AWAY, {}, 0),
        (EVERYTHING, READ, SOCKET, {}, 0),
    ],
)
def test_who_may(
    settings: ServerSettings, what: tuple[str, str], peer: Any, headers: dict[str, str], status: int
) -> None:
    assert refused(settings, what, peer, headers) == status


def test_a_token_is_read_again_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    guard = Guard(ServerSettings(token_file=str(file)))
    assert guard._token == b"first"
    file.write_text("second")
    guard.refresh()
    assert guard._token == b"second"
    file.unlink()
    guard.refresh()
    assert guard._token == b"second", "a file that is gone for a moment locks nobody out"


@pytest.mark.parametrize(("content", "part"), [(None, "cannot be read"), ("\n", "is empty")])
def test_a_token_that_cannot_be_had_is_told(tmp_path: Path, content: str | None, part: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=part):
        Guard(ServerSettings(token_file=str(file)))


def test_whoever_is_refused_is_told_how_to_do_better(tmp_path: Path) -> None:
    async def talk(_: Sidecar, client: aiohttp.ClientSession, url: str) -> tuple[int, str, Any]:
        return await ask(client, "GET", f"{url}/metrics")

    settings = settings_of(
        tmp_path, DRIFTGAUGE_SERVER__TOKEN=TOKEN, DRIFTGAUGE_SERVER__TOKEN_FOR="everything"
    )
    status, text, headers = while_running(settings, talk)
    assert status == 401
    assert headers["WWW-Authenticate"].startswith("Bearer ")
    assert json.loads(text)["detail"] == "send the header Authorization: Bearer TOKEN"


# ------------------------------------------------------------------ TLS


def certificate(folder: Path, name: str) -> tuple[str, str]:
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {key} -out {pem}"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return str(pem), str(key)


def test_tls_is_served_and_clients_are_checked(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path, "server")
    client_pem, client_key = certificate(tmp_path, "client")

    async def talk(_: Sidecar, client: aiohttp.ClientSession, url: str) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=pem)
        with pytest.raises(aiohttp.ClientError):
            await ask(client, "GET", f"{url}/-/healthy", ssl=context)
        context.load_cert_chain(client_pem, client_key)
        status, _, _ = await ask(client, "GET", f"{url}/-/healthy", ssl=context)
        return status, url.split(":", maxsplit=1)[0]

    settings = settings_of(
        tmp_path,
        DRIFTGAUGE_SERVER__TLS_CERTIFICATE=pem,
        DRIFTGAUGE_SERVER__TLS_KEY=key,
        DRIFTGAUGE_SERVER__TLS_CLIENT_CA=client_pem,
    )
    assert while_running(settings, talk) == (200, "https")


def test_a_renewed_certificate_is_served_and_a_bad_one_is_not(tmp_path: Path) -> None:
    (first, key), (second, second_key) = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    tls = Tls("server", first, key)
    Path(key).write_bytes(Path(second_key).read_bytes())
    with pytest.raises(
        ConfigError, match=r"server.tls_certificate .* cannot be used: .*; give two PEM files"
    ):
        tls.refresh()
    Path(first).write_bytes(Path(second).read_bytes())
    tls.refresh()
    tls.refresh()


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, DRIFTGAUGE_SERVER__TLS_CERTIFICATE="/no.pem", DRIFTGAUGE_SERVER__TLS_KEY="/no.key"
    )
    with pytest.raises(ConfigError, match=r"server.tls_certificate '/no.pem' and tls_key '/no.key' cannot"):
        build(settings)


# ------------------------------------------------------------------ what is of no model


def test_what_is_of_no_model_is_counted_in_the_state(tmp_path: Path, folder: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        reference(seed, model=name).save(folder / f"{name}.reference")

    async def talk(_: Any, client: aiohttp.ClientSession, url: str) -> Any:
        headers = {"Ce-Id": "1", "Ce-Type": "org.kubeflow.serving.inference.request"}
        for _ in range(2):
            await client.post(f"{url}/events", data=b"{}", headers=headers)
        for _ in range(200):
            found = json.loads((await ask(client, "GET", f"{url}/api/v1/state"))[1])["of_no_model"]
            if found == {"sink": {"unknown_model": 2}}:
                return found
            await asyncio.sleep(0.05)
        return found

    settings = settings_of(tmp_path, f'models_folder = "{folder}"\n[sink]\npath = "/events"')
    assert while_running(settings, talk) == {"sink": {"unknown_model": 2}}
