"""Every system is asked what its contract says, and every answer means what it means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession
from targets.contracts import Contract
from targets.contracts_more import CONTRACTS
from targets.recorded import RUN, TOKEN, Exchange, play

from driftgauge.bridge.targets import (
    Permanent,
    Retryable,
    RunState,
    Started,
    Target,
    TargetError,
    target_class,
    target_kinds,
)

each_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=str)
knowing_ids = pytest.mark.parametrize("contract", [each for each in CONTRACTS if each.again], ids=str)
finding = pytest.mark.parametrize("contract", [each for each in CONTRACTS if each.found], ids=str)
STATES = [
    pytest.param(contract, exchanges, state, id=f"{contract}-{number}-{state}")
    for contract in CONTRACTS
    for number, (exchanges, state) in enumerate(contract.states)
]


def start(contract: Contract, exchanges: tuple[Exchange, ...], **more: Any) -> Started:
    """What starting gives, the address of the server taken out of the link."""

    async def story(target: Target, session: ClientSession) -> Started:
        found = await target.start(session, RUN, contract.payload)
        place = str(getattr(target, "_settings").url).partition("/runs/{id}")[0]  # noqa: B009
        origin = "/".join(place.split("/")[:3])
        return replace(found, url=found.url.replace(origin, "URL"))

    return play(contract.kind, contract.settings | more, exchanges, story)


def failing(contract: Contract, last: Exchange, **more: Any) -> TargetError:
    """The error of a start whose last call fails so."""
    with pytest.raises(TargetError) as caught:
        start(contract, (*contract.start[:-1], last), **more)
    return caught.value


def test_every_kind_that_is_called_by_http_has_a_contract() -> None:
    assert {each.kind for each in CONTRACTS} == set(target_kinds()) - {"command"}


@pytest.mark.parametrize("kind", target_kinds())
def test_a_kind_keeps_to_the_protocol(kind: str) -> None:
    found = target_class(kind)
    assert found.name == kind
    assert isinstance(found.idempotent, bool)
    assert all(callable(getattr(found, each)) for each in ("start", "state", "find"))
    for name, field in found.settings.model_fields.items():
        assert field.description, f"{kind}.{name} says what it is"


@each_contract
def test_a_start_asks_what_the_contract_says(contract: Contract) -> None:
    assert start(contract, contract.start) == contract.started


@knowing_ids
def test_the_same_id_again_counts_as_started(contract: Contract) -> None:
    assert start(contract, contract.again) == replace(
        contract.started, already=True, url="" if contract.kind == "http" else contract.started.url
    )


@finding
def test_a_run_of_an_earlier_call_is_found(contract: Contract) -> None:
    async def story(target: Target, session: ClientSession) -> Any:
        return await target.find(session, RUN)

    found = play(contract.kind, contract.settings, contract.found, story)
    assert found.already
    assert found.external_id


@finding
def test_a_run_that_nobody_started_is_not_found(contract: Contract) -> None:
    async def story(target: Target, session: ClientSession) -> Any:
        return await target.find(session, RUN)

    looks = 1 if target_class(contract.kind).idempotent else 2  # as a first call may be at work still
    assert play(contract.kind, contract.settings, contract.none * looks, story) is False


@pytest.mark.parametrize(("contract", "exchanges", "state"), STATES)
def test_a_state_is_read(contract: Contract, exchanges: tuple[Exchange, ...], state: RunState) -> None:
    async def story(target: Target, session: ClientSession) -> RunState | None:
        return await target.state(session, contract.started.external_id)

    assert play(contract.kind, contract.settings, exchanges, story) == state


@each_contract
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_a_refusal_is_permanent_and_gives_the_systems_own_words(contract: Contract, status: int) -> None:
    answer = {"message": f"no such thing for {TOKEN}", "input": "not for people"}
    error = failing(contract, replace(contract.start[-1], status=status, answer=answer))
    assert isinstance(error, Permanent)
    assert f": {status}, no such thing for ***" in error.reason
    assert "not for people" not in error.reason


@each_contract
def test_too_many_requests_are_tried_again_when_it_says(contract: Contract) -> None:
    for headers, wait in (
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "Sat, 21 Nov 2026 10:01:00 GMT", "Date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 60.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "99999999999"}, 6 * 3600.0),
        ({}, None),
    ):
        error = failing(contract, replace(contract.start[-1], status=429, answer_headers=headers))
        assert isinstance(error, Retryable)
        assert (error.retry_after_seconds, error.maybe_started) == (wait, False)


def test_a_rate_limit_of_github_is_no_lack_of_permission() -> None:
    contract = next(each for each in CONTRACTS if each.kind == "github_workflow")
    limited = {
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1795255260",
        "Date": "Sat, 21 Nov 2026 10:00:00 GMT",
    }
    error = failing(contract, replace(contract.start[-1], status=403, answer_headers=limited))
    assert isinstance(error, Retryable)
    assert error.retry_after_seconds == 60.0
    error = failing(contract, replace(contract.start[-1], status=403, answer_headers={"Retry-After": "5"}))
    assert isinstance(error, Retryable)


@each_contract
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_may_have_started_it(contract: Contract, status: int) -> None:
    error = failing(contract, replace(contract.start[-1], status=status, answer=b"<html>Bad Gateway"))
    assert isinstance(error, Retryable)
    assert error.maybe_started
    assert "html" not in error.reason


@each_contract
def test_a_server_that_turns_it_away_has_not_started_it(contract: Contract) -> None:
    busy = replace(contract.start[-1], status=503, answer_headers={"Retry-After": "3"})
    error = failing(contract, busy)
    assert isinstance(error, Retryable)
    assert not error.maybe_started


@each_contract
def test_an_answer_that_is_lost_or_late_may_have_started_it(contract: Contract) -> None:
    for status in (0, -1):
        error = failing(contract, replace(contract.start[-1], status=status), timeout=0.5)
        assert isinstance(error, Retryable)
        assert error.maybe_started


@pytest.mark.parametrize("contract", [each for each in CONTRACTS if len(each.start) > 1], ids=str)
def test_a_call_before_the_start_starts_nothing(contract: Contract) -> None:
    with pytest.raises(Retryable) as caught:
        start(contract, (replace(contract.start[0], status=502),))
    assert not caught.value.maybe_started


@each_contract
def test_no_connection_is_tried_again_and_started_nothing(contract: Contract) -> None:
    async def story(target: Target, session: ClientSession) -> None:
        await target.start(session, RUN, contract.payload)

    nowhere = contract.settings | {"url": "http://127.0.0.1:1"}
    nowhere.pop("state_url", None)
    with pytest.raises(Retryable, match="cannot connect") as caught:
        play(contract.kind, nowhere, (), story)
    assert not caught.value.maybe_started


# Old servers of Jenkins redirect to the place in the queue, which is read and not visited.
@pytest.mark.parametrize("contract", [each for each in CONTRACTS if each.kind != "jenkins"], ids=str)
def test_a_redirect_is_not_followed(contract: Contract) -> None:
    elsewhere = {"Location": "http://user:pw@attacker.example.com/x?y=z"}
    error = failing(contract, replace(contract.start[-1], status=302, answer_headers=elsewhere))
    assert isinstance(error, Permanent)
    assert "attacker.example.com" in error.reason
    assert "pw@" not in error.reason


@each_contract
def test_no_error_shows_a_secret(contract: Contract) -> None:
    echo = {"detail": f"Bearer {TOKEN} and {contract.start[-1].headers} {contract.settings}"}
    error = failing(contract, replace(contract.start[-1], status=401, answer=echo))
    for secret in (TOKEN, "glptt-secret", "other-secret", "eyJhbGciOi.jwt"):
        assert secret not in error.reason
    plain = {**contract.settings, "url": "http://h", **({"state_url": ""} if contract.kind == "http" else {})}
    settings = target_class(contract.kind).settings.model_validate(plain)
    assert not any(secret in f"{settings!r} {settings}" for secret in (TOKEN, "glptt-secret", "other-secret"))


NAMED = [
    each
    for each in CONTRACTS
    if each.kind not in ("argo_events", "github_repository", "github_workflow", "jenkins", "kubernetes")
]


@pytest.mark.parametrize("contract", NAMED, ids=str)
def test_a_login_page_is_no_started_run(contract: Contract) -> None:
    error = failing(contract, replace(contract.start[-1], status=200, answer=b"<html>Log in</html>"))
    assert isinstance(error, Permanent)
    assert not isinstance(error, Retryable)
