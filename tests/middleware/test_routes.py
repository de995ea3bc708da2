"""Routes say which requests carry rows; what is no route is refused when it is made."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_cases import monitor_of

from driftgauge.errors import ConfigError
from driftgauge.middleware import Route
from driftgauge.middleware.asgi import DriftgaugeMiddleware as OverAsgi
from driftgauge.middleware.wsgi import DriftgaugeMiddleware as OverWsgi

SEGMENT = st.text(st.characters(exclude_characters="/*{}"), min_size=1, max_size=8)


@given(st.lists(SEGMENT, min_size=1, max_size=4))
def test_a_path_without_places_matches_itself_only(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert Route(path).matches("POST", path)
    assert not Route(path).matches("POST", f"{path}/")
    assert not Route(path).matches("POST", f"{path}x")
    assert not Route(path).matches("POST", f"/x{path}")


@given(SEGMENT, SEGMENT)
def test_a_place_stands_for_one_segment_and_two_stars_for_any(first: str, second: str) -> None:
    for path in ("/models/{name}/infer", "/models/*/infer"):
        assert Route(path).matches("POST", f"/models/{first}/infer")
        assert not Route(path).matches("POST", f"/models/{first}/{second}/infer")
        assert not Route(path).matches("POST", "/models//infer")
    assert Route("/models/**").matches("POST", f"/models/{first}/{second}")
    assert Route("/**").matches("POST", f"/{first}/{second}")


@pytest.mark.parametrize(
    ("path", "matching", "other"),
    [
        ("/v1/models/{model}:predict", "/v1/models/fraud:predict", "/v1/models/fraud:explain"),
        ("/v2/models/*/infer", "/v2/models/fraud/infer", "/v2/models/fraud/versions/1/infer"),
        ("/v2/models/**/infer", "/v2/models/fraud/versions/1/infer", "/v2/models/fraud/ready"),
        ("/predict.json", "/predict.json", "/predictxjson"),
        ("/a(b|c)", "/a(b|c)", "/ab"),
        ("/predict*", "/predict2", "/predict/2"),
        ("/{x}/{y}", "/1/2", "/1/2/3"),
        ("/**", "/a/b\nc", "a"),
    ],
)
def test_paths_of_real_servers_are_told_apart(path: str, matching: str, other: str) -> None:
    assert Route(path).matches("POST", matching)
    assert not Route(path).matches("POST", other)


def test_only_the_methods_asked_for_match() -> None:
    assert not Route("/predict").matches("GET", "/predict")
    assert Route("/predict", methods=["PUT", "GET"]).matches("GET", "/predict")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"path": "predict"},
            "path must begin with a slash, and its braces hold one name",
        ),
        ({"path": ""}, "path must begin with a slash"),
        ({"path": 3}, "hold one name each, got 3; write '/v1/models/{model}:predict'"),
        ({"path": "/a/{b"}, "hold one name each, got '/a/{b'"),
        ({"path": "/a/{b c}"}, "hold one name each, got '/a/{b c}'"),
        ({"path": "/{b}/{b}"}, "hold one name each, got '/{b}/{b}'"),
        ({"path": "/a", "methods": "POST"}, "methods must be HTTP methods in capitals such as ('POST',)"),
        ({"path": "/a", "methods": ()}, "methods must be HTTP methods in capitals such as ('POST',)"),
        ({"path": "/a", "methods": ["post"]}, "got ['post']"),
        ({"path": "/a", "sample": 1.5}, "sample must be a probability from 0 to 1, got 1.5"),
        ({"path": "/a", "sample": float("nan")}, "sample must be a probability from 0 to 1, got nan"),
        ({"path": "/a", "sample": True}, "sample must be a probability from 0 to 1, got True"),
    ],
)
def test_a_route_that_is_none_is_refused_and_told_why(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        Route(**settings)


@pytest.mark.parametrize("middleware", [OverAsgi, OverWsgi])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"app": None}, "app must be an application that can be called, got None"),
        ({"monitor": "fraud"}, "monitor must be a Monitor, got 'fraud'"),
        ({"routes": []}, "routes must be at least one Route, got []"),
        ({"routes": "/predict"}, "routes must be at least one Route, got '/predict'"),
        ({"routes": [Route("/a", protocol="kserv")]}, "protocol must be one of 'auto', "),
        ({"routes": [Route("/a", protocol="json", mapping={"rows": "x"})]}, "takes no mapping"),
        ({"queue_bytes": 0}, "queue_bytes must be at least 1, got 1000, 0"),
    ],
)
def test_a_middleware_refuses_what_it_cannot_use(
    middleware: Any, settings: dict[str, Any], words: str
) -> None:
    given = {"app": print, "monitor": monitor_of(), "routes": [Route("/a", protocol="json")], **settings}
    with pytest.raises(ConfigError, match=re.escape(words)):
        middleware(**given)
