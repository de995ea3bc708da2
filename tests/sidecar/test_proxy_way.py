"""The proxy as settings make it: which route, which model, and nothing that is not configured."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy_world import ANSWERED, World, answer, connect, received, reference, request, world
from services import until

from driftgauge.errors import ConfigError
from driftgauge.sidecar.models import ModelRegistry
from driftgauge.sidecar.proxy import ProxyWay
from driftgauge.sidecar.proxy_routes import Routes
from driftgauge.sidecar.proxy_server import connector
from driftgauge.sidecar.settings import ProxySettings, RouteSettings, SidecarSettings


@pytest.fixture
def models(tmp_path: Path) -> Iterator[ModelRegistry]:
    """Two models, ``churn`` and ``fraud``."""
    for name in ("churn", "fraud"):
        reference().save(tmp_path / f"{name}.reference")
    own = [{"name": name, "reference": str(tmp_path / f"{name}.reference")} for name in ("churn", "fraud")]
    registry = ModelRegistry(SidecarSettings.model_validate({"models": own}))
    registry.reload()
    yield registry
    registry.close()


@pytest.fixture
def at() -> Iterator[World]:
    with world() as made:
        yield made


def routes(models: ModelRegistry, *given: dict[str, Any]) -> Routes:
    return Routes([RouteSettings.model_validate(each) for each in given], models)


@pytest.mark.parametrize("path", ["predict", "/{", "/{a b}", "/{x}/{x}", "/}"])
def test_a_path_that_is_none_is_told(models: ModelRegistry, path: str) -> None:
    with pytest.raises(ConfigError, match=r"routes\.path must begin with a slash"):
        routes(models, {"path": path})


def test_the_path_names_the_model(models: ModelRegistry) -> None:
    found = routes(models, {"path": "/v1/models/{model}:predict", "protocol": "kserve_v1"})
    churn = found.find("POST", "/v1/models/churn:predict")
    fraud = found.find("POST", "/v1/models/fraud:predict")
    assert churn is not None
    assert fraud is not None
    assert churn is not fraud
    assert churn is found.find("POST", "/v1/models/churn:predict")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/churn:predict"),
        ("POST", "/v1/models/churn"),
        ("POST", "/v1/models/nobody:predict"),
        ("POST", "/v1/models/" + "x" * 10_000 + ":predict"),
    ],
)
def test_what_is_no_route_of_a_known_model_goes_nowhere(
    models: ModelRegistry, method: str, path: str
) -> None:
    assert routes(models, {"path": "/v1/models/{model}:predict"}).find(method, path) is None
    matches = method == "POST" and path.endswith(":predict")
    assert models.strays() == ({"proxy": {"unknown_model": 1}} if matches else {})


def test_a_model_called_otherwise_in_paths_is_the_only_one() -> None:
    class One:
        def get(self, name: str = "") -> Any:
            return None if name else self

        def intake(self, *_: Any, **__: Any) -> str:
            return "the only one's"

    found = Routes([RouteSettings(path="/models/{model}")], One())  # type: ignore[arg-type]
    assert found.find("POST", "/models/whatever") == "the only one's"


def test_the_first_route_counts(models: ModelRegistry) -> None:
    first = {"path": "/a*", "model": "churn", "protocol": "kserve_v1"}
    found = routes(models, first, {"path": "/**", "model": "fraud", "protocol": "seldon"})
    one, two = found.find("POST", "/ab"), found.find("POST", "/b")
    assert one is not None
    assert two is not None
    assert (one.protocol, two.protocol) == ("kserve_v1", "seldon")


def test_a_mapping_that_is_none_is_told_at_once(models: ModelRegistry) -> None:
    with pytest.raises(ConfigError):
        routes(models, {"path": "/p", "protocol": "mapping", "mapping": {"rows": "][", "inputs": {}}})


@pytest.mark.parametrize(
    "upstream",
    [
        "localhost:80",
        "ftp://a",
        "http://",
        "http://a/base",
        "http://u:p@a",
        "http://a:x",
        "unix:",
        "http://a?b",
    ],
)
def test_an_upstream_that_is_none_is_told_by_settings_and_proxy(upstream: str) -> None:
    with pytest.raises(ConfigError, match="upstream"):
        connector(upstream)
    with pytest.raises(ValueError, match="upstream"):
        ProxySettings(listen="127.0.0.1:0", upstream=upstream)


@pytest.mark.parametrize("upstream", ["http://a", "https://[::1]:8443/", "unix:/run/model.sock"])
def test_an_upstream_is_one_for_settings_and_proxy(upstream: str) -> None:
    connector(upstream)
    assert ProxySettings(listen="127.0.0.1:0", upstream=upstream).upstream == upstream


def test_a_certificate_that_cannot_be_read_is_told(models: ModelRegistry) -> None:
    wrong = ProxySettings(listen="127.0.0.1:0", upstream="https://a", upstream_ca="/nowhere.pem")
    with pytest.raises(ConfigError, match=r"proxy.upstream_ca .*'/nowhere.pem'"):
        ProxyWay(wrong, (), models)


def test_without_an_address_there_is_no_proxy(models: ModelRegistry) -> None:
    way = ProxyWay(ProxySettings(), (), models)
    asyncio.run(way.start())
    asyncio.run(way.stop(1.0))
    assert (way.routes(), way.connections, way.port) == ([], 0, 0)


def test_rows_of_a_route_are_counted_for_its_model_and_others_are_not(
    at: World, models: ModelRegistry
) -> None:
    upstream = at.scripted(answer() * 3, after=3 * len(request()))
    own = ProxySettings(listen="127.0.0.1:0", upstream=f"http://127.0.0.1:{upstream}")
    route = RouteSettings(path="/v1/models/{model}:predict", protocol="kserve_v1")

    async def made() -> ProxyWay:
        way = ProxyWay(own, [route], models)
        await way.start()
        return way

    way = at.run(made())
    paths = ("/v1/models/churn:predict", "/v1/models/fraud:predict", "/v2/nobody/churn:predict")
    asked = b"".join(request(path=path) for path in paths)
    assert len(asked) == 3 * len(request())
    with connect(way.port) as client:
        client.sendall(asked)
        assert received(client, 3 * len(answer())) == answer() * 3
    assert bytes(at.seen) == asked
    until(lambda: models.drain(10) and all(each.rows == 2 for each in models.snapshots()), "both to count")
    for snapshot in models.snapshots():
        (counts,) = snapshot.payloads
        assert (counts.way, counts.protocol, counts.payloads, counts.decoded) == ("proxy", "kserve_v1", 1, 1)
    at.run(way.stop(1.0))
    assert ANSWERED in answer()
