"""What single systems do beyond their contracts, and what settings refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import ValidationError
from targets.contracts import AIRFLOW, GITHUB_REPOSITORY, GITHUB_WORKFLOW, GITLAB, PREFECT, Contract
from targets.contracts_more import (
    ARGO_EVENTS,
    ARGO_WORKFLOWS,
    DAGSTER,
    HTTP,
    JENKINS,
    KUBEFLOW,
    KUBERNETES,
)
from targets.recorded import PAYLOAD, RUN, TOKEN, Exchange, made, play

from driftgauge.bridge import targets
from driftgauge.bridge.targets import Permanent, Retryable, Target, target_class, target_kinds
from driftgauge.bridge.targets.calls import ANSWER_BYTES
from driftgauge.bridge.targets.secrets import hidden
from driftgauge.errors import ConfigError

HOSTILE = "$CI_JOB_TOKEN {{workflow.name}} $(PASSWORD) %PATH% ${{ secrets.X }}"


def started_with(contract: Contract, payload: Any, change: Callable[[Any], Any], **settings: Any) -> None:
    """Start with a payload; *change* makes the contract's body what must then be sent."""
    last = contract.start[-1]
    body = None if last.body is None else change(json.loads(json.dumps(last.body)))
    form = None if last.form is None else change(dict(last.form))
    exchanges = (*contract.start[:-1], replace(last, body=body, form=form))

    async def story(target: Target, session: ClientSession) -> None:
        await target.start(session, RUN, payload)

    play(contract.kind, contract.settings | settings, exchanges, story)


def put(*path: Any, value: Any) -> Callable[[Any], Any]:
    def change(body: Any) -> Any:
        inner = body
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        return body

    return change


def ask(contract: Contract, exchanges: tuple[Exchange, ...], **settings: Any) -> Any:
    async def story(target: Target, session: ClientSession) -> Any:
        return await target.find(session, RUN)

    return play(contract.kind, contract.settings | settings, exchanges, story)


def state(contract: Contract, external_id: str, exchanges: tuple[Exchange, ...] = (), **settings: Any) -> Any:
    async def story(target: Target, session: ClientSession) -> Any:
        return await target.state(session, external_id)

    return play(contract.kind, contract.settings | settings, exchanges, story)


def start(contract: Contract, *exchanges: Exchange) -> Any:
    async def story(target: Target, session: ClientSession) -> Any:
        return await target.start(session, RUN, contract.payload)

    return play(contract.kind, contract.settings, exchanges, story)


# What a label holds stays text


def test_gitlab_expands_nothing_of_a_label() -> None:
    safe = "$$CI_JOB_TOKEN {{workflow.name}} $$(PASSWORD) %%PATH% $${{ secrets.X }}"
    variables = {"model": safe, "all": json.dumps([safe]), "DRIFTGAUGE_RUN_ID": RUN.run_id}
    started_with(GITLAB, {"model": HOSTILE, "all": [HOSTILE]}, put("variables", value=variables))


def test_argo_expands_nothing_of_a_label() -> None:
    safe = HOSTILE.replace("{{", "{ {")
    parameters = [f"model={safe}", f"all={json.dumps([{'n': safe}])}"]
    change = put("submitOptions", "parameters", value=parameters)
    started_with(ARGO_WORKFLOWS, {"model": HOSTILE, "all": [{"n": HOSTILE}]}, change)
    started_with(ARGO_EVENTS, {"model": HOSTILE}, lambda _: {"model": safe, "run_id": RUN.run_id})
    started_with(KUBEFLOW, {"model": HOSTILE}, put("runtime_config", "parameters", value={"model": safe}))


def test_kubernetes_expands_nothing_of_a_label() -> None:
    def change(body: Any) -> Any:
        env = body["spec"]["template"]["spec"]["containers"][0]["env"]
        env[2]["value"] = json.dumps({"model": HOSTILE.replace("$(", "$$(")})
        return body

    started_with(KUBERNETES, {"model": HOSTILE}, change)


def test_a_score_that_is_no_number_is_null() -> None:
    change = put("conf", value={"score": None, "features": [None]})
    started_with(AIRFLOW, {"score": float("nan"), "features": [float("inf")]}, change)
    inputs = {"features": "[null]", "run_id": RUN.run_id}
    started_with(GITHUB_WORKFLOW, {"features": [float("nan")]}, put("inputs", value=inputs))


def test_more_keys_than_github_takes_go_one_deeper() -> None:
    for keys, sent in ((9, None), (10, "deeper")):
        payload = {f"k{number}": number for number in range(keys)}
        body = {"run_id": RUN.run_id, **payload}
        if sent:
            body = {"run_id": RUN.run_id, "model": "fraud", "run": payload}
        started_with(GITHUB_REPOSITORY, payload, put("client_payload", value=body))


def test_everything_that_is_known_can_be_sent() -> None:
    """What a route without a template sends."""
    known = json.loads(json.dumps(RUN.as_dict()))
    assert len(known) > 10
    started_with(AIRFLOW, RUN.as_dict(), put("conf", value=known))
    inner = {"run_id": RUN.run_id, "model": "fraud", "run": known}
    started_with(GITHUB_REPOSITORY, RUN.as_dict(), put("client_payload", value=inner))
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in known.items()}
    started_with(JENKINS, RUN.as_dict(), lambda _: {**texts, "DRIFTGAUGE_RUN_ID": RUN.run_id})


def test_a_variable_of_gitlab_has_a_name_that_it_takes() -> None:
    async def story(target: Target, session: ClientSession) -> None:
        await target.start(session, RUN, {"no-name": 1})

    with pytest.raises(Permanent, match="'no-name', no name of a variable"):
        play("gitlab", GITLAB.settings, (), story)


# Lost answers


@pytest.mark.parametrize(
    "contract", [DAGSTER, GITHUB_WORKFLOW, GITHUB_REPOSITORY, GITLAB, JENKINS, KUBEFLOW], ids=str
)
def test_a_run_that_is_listed_late_is_found(contract: Contract) -> None:
    """The first call was answered too late, and was at work still."""
    assert ask(contract, (*contract.none, *contract.found)).already


def test_where_nobody_can_tell_find_says_so() -> None:
    assert ask(GITHUB_REPOSITORY, (), run_name=False) is None
    assert ask(GITHUB_WORKFLOW, (), run_name=False) is None
    assert ask(GITLAB, (), pipeline_name=False) is None
    assert ask(GITLAB, (), token="") is None
    assert ask(ARGO_EVENTS, (), idempotent=False) is None
    assert ask(HTTP, (), idempotent=False) is None
    queue, job = JENKINS.none
    bare = replace(job, answer={"builds": [], "property": [{}]})
    assert ask(JENKINS, (queue, bare, queue, bare)) is None


def test_where_a_repeated_request_does_no_harm_nothing_is_looked_for() -> None:
    assert ask(ARGO_EVENTS, ()) is False
    assert ask(HTTP, ()) is False


def test_a_build_in_the_queue_is_found() -> None:
    parameters = [{"parameters": [{"name": "DRIFTGAUGE_RUN_ID", "value": RUN.run_id}]}]
    items = {"items": [{"id": 24}, {"id": 25, "url": "queue/item/25/", "actions": parameters}]}
    found = ask(JENKINS, (replace(JENKINS.none[0], answer=items), JENKINS.none[1]))
    assert (found.external_id, found.already) == ("25", True)


def test_a_run_that_has_no_id_is_not_followed() -> None:
    for contract in (GITHUB_REPOSITORY, GITHUB_WORKFLOW, JENKINS, HTTP, ARGO_EVENTS):
        assert state(contract, "") is None
    assert state(GITLAB, "257", token="") is None
    assert state(HTTP, "7", state_url="") is None


def test_an_old_jenkins_redirects_to_the_queue() -> None:
    assert start(JENKINS, replace(JENKINS.start[-1], status=302)).external_id == "25"
    nowhere = replace(JENKINS.start[-1], answer_headers={"Location": "URL/job/ml"})
    assert start(JENKINS, nowhere).external_id == ""


# 409 that is no success


def test_409_without_such_a_run_is_no_success() -> None:
    for contract in (AIRFLOW, ARGO_WORKFLOWS):
        *before, last = contract.again
        with pytest.raises(Retryable, match="409"):
            start(contract, *before, replace(last, status=404, answer={}))


def test_409_of_prefect_is_about_parameters() -> None:
    refused = replace(PREFECT.start[-1], status=409, answer={"detail": "Validation failed for 'model'"})
    with pytest.raises(Permanent, match="409, Validation failed for 'model'"):
        start(PREFECT, PREFECT.start[0], refused)


def test_a_job_of_somebody_else_is_not_ours() -> None:
    *before, last = KUBERNETES.again
    with pytest.raises(Permanent, match="did not make"):
        start(KUBERNETES, *before, replace(last, answer={"metadata": {"name": RUN.run_id}}))


# Dagster says everything with 200


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ({"__typename": "PipelineNotFoundError", "message": "no job"}, Permanent, "no job"),
        ({"__typename": "UnauthorizedError", "message": "not you"}, Permanent, "not you"),
        (
            {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "a"}, {"message": "b"}]},
            Permanent,
            "a; b",
        ),
        ({"__typename": "PythonError", "message": "it broke"}, Retryable, "it broke"),
    ],
)
def test_dagster_says_why_it_did_not_launch(answer: Any, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        start(DAGSTER, replace(DAGSTER.start[-1], answer={"data": {"launchRun": answer}}))


def test_dagster_that_breaks_when_asked_is_asked_again() -> None:
    broken = {"__typename": "PythonError", "message": "database is locked"}
    with pytest.raises(Retryable, match="locked"):
        ask(DAGSTER, (replace(DAGSTER.none[0], answer={"data": {"runsOrError": broken}}),))
    question = DAGSTER.states[0][0][0]
    with pytest.raises(Retryable, match="locked"):
        state(
            DAGSTER,
            DAGSTER.started.external_id,
            (replace(question, answer={"data": {"runOrError": broken}}),),
        )
    with pytest.raises(Permanent, match="Cannot query field"):
        start(DAGSTER, replace(DAGSTER.start[-1], answer={"errors": [{"message": "Cannot query field"}]}))


# Answers that are not answers


def test_an_answer_without_an_end_is_not_read_to_its_end() -> None:
    with pytest.raises(Permanent, match="more than"):
        start(AIRFLOW, AIRFLOW.start[0], replace(AIRFLOW.start[1], answer=b" " * (ANSWER_BYTES + 1)))


def test_an_id_leads_to_no_other_path() -> None:
    question = AIRFLOW.states[0][0][1]
    for external_id, path in (
        ("../../x", "..%2F..%2Fx"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("a b\r\n", "a%20b%0D%0A"),
    ):
        asked = replace(
            question, path=f"/api/v2/dags/retrain_fraud/dagRuns/{path}", answer={"state": "running"}
        )
        assert state(AIRFLOW, external_id, (AIRFLOW.start[0], asked)) == "running"
    for external_id in ("..", ".", ""):
        with pytest.raises(Permanent, match="no part of a path"):
            state(AIRFLOW, external_id, (AIRFLOW.start[0],))


def test_a_name_in_the_settings_is_one_segment() -> None:
    settings = {**PREFECT.settings, "deployment": "re train/night/ly"}
    asked = replace(PREFECT.start[0], path="/api/deployments/name/re%20train/night%2Fly")

    async def story(target: Target, session: ClientSession) -> None:
        await target.start(session, RUN, PAYLOAD)

    play("prefect", settings, (asked, PREFECT.start[1]), story)


# Secrets


def test_a_token_file_is_read_at_every_call(tmp_path: Path) -> None:
    file = tmp_path / "token"
    question = ARGO_WORKFLOWS.found[0]

    async def story(target: Target, session: ClientSession) -> None:
        for token in ("first", "second"):
            file.write_text(f" {token}\n")
            await target.state(session, RUN.run_id)
        for wrong in ("", "two\nlines"):
            file.write_text(wrong)
            with pytest.raises(Permanent, match="one line"):
                await target.state(session, RUN.run_id)
        file.unlink()
        with pytest.raises(Permanent, match="cannot be read"):
            await target.state(session, RUN.run_id)

    settings = {**ARGO_WORKFLOWS.settings, "token": "", "token_file": str(file)}
    asked = [replace(question, headers={"Authorization": f"Bearer {each}"}) for each in ("first", "second")]
    play("argo_workflows", settings, asked, story)


def test_a_secret_is_hidden_wherever_it_is() -> None:
    assert hidden("a tok3n, tok3n-long and abc", ["tok3n", "tok3n-long", "abc", ""]) == "a ***, *** and abc"


def test_a_token_with_a_line_break_makes_no_header() -> None:
    settings = {**ARGO_EVENTS.settings, "token": f"{TOKEN}\r\nX-Evil: 1"}
    with pytest.raises(Permanent, match="several lines") as caught:
        play("argo_events", settings, (), _start)
    assert TOKEN not in caught.value.reason


# Settings


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        ("http", {"url": "ftp://host/x"}, "must be a URL"),
        ("http", {"url": "host:80/x"}, "must be a URL"),
        ("http", {"url": "http://host\r\nX: y/"}, "must be a URL"),
        ("http", {"url": "http://user:pw@host/"}, "no user and password"),
        ("http", {"url": "http://h/", "headers": {"X-A": "b\r\nX-C: d"}}, "one line"),
        ("http", {"url": "http://h/", "headers": {"X A": "b"}}, "name of an HTTP header"),
        ("http", {"url": "http://h/", "token": "a", "token_file": "/b"}, "both given"),
        ("http", {"url": "http://h/", "token": "a", "username": "b"}, "both given"),
        ("http", {"url": "http://h/", "state_url": "http://h/x"}, "{id}"),
        ("http", {"url": "http://h/", "state_url": "http://{id}/x"}, "{id}"),
        ("http", {"url": "http://h/", "state_url": "http://other/{id}"}, "scheme, host and port"),
        ("http", {"url": "http://h/", "state_url": "http://h/{id"}, "{id}"),
        ("http", {"url": "http://h/", "metod": "PUT"}, "Extra inputs"),
        ("github_workflow", {"repository": "owner", "workflow": "a.yml"}, "repository"),
        ("github_repository", {"repository": "o/r", "event_type": "x" * 101}, "100"),
        ("kubernetes", {"namespace": "ml"}, "one of them"),
        ("kubernetes", {"namespace": "ml", "manifest": "a", "cron_job": "b"}, "one of them"),
        (
            "argo_workflows",
            {"url": "http://h", "namespace": "a", "template": "b", "template_kind": "Pod"},
            "kind",
        ),
        ("command", {"command": [], "directory": "x"}, "command"),
    ],
)
def test_settings_refuse_what_cannot_be(kind: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        target_class(kind).settings.model_validate(settings)
    assert told in str(caught.value)
    assert "pw@" not in str(caught.value)


def test_a_deployment_that_is_no_id_is_refused() -> None:
    with pytest.raises(Permanent, match="flow/deployment"):
        play("prefect", {**PREFECT.settings, "deployment": "nightly"}, (), _start)


async def _start(target: Target, session: ClientSession) -> Any:
    return await target.start(session, RUN, PAYLOAD)


JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "ignored", "labels": {"app": "trainer"}},
    "spec": KUBERNETES.start[0].answer["spec"]["jobTemplate"]["spec"],
}


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_manifest_is_json_or_yaml(form: str, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    file = tmp_path / "job"
    file.write_text(json.dumps(JOB) if form == "json" else yaml.safe_dump(JOB))
    settings = {"url": "URL", "namespace": "ml", "manifest": str(file), "token": TOKEN}

    async def twice(target: Target, session: ClientSession) -> Any:
        await target.start(session, RUN, PAYLOAD)
        return await target.start(session, RUN, PAYLOAD)  # the template is as it was

    play("kubernetes", settings, [KUBERNETES.start[1]] * 2, twice)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"kind": "Pod"}', "must be a Job"),
        ("{}", "containers"),
        ("[1]", "containers"),
        ('{"spec": {"template": {"spec": {"containers": "x"}}}}', "containers"),
        ("a: b: c", "neither JSON"),
    ],
)
def test_a_manifest_that_is_no_job_is_refused(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "job"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        made("kubernetes", {"namespace": "ml", "manifest": str(file)})
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        made("kubernetes", {"namespace": "ml", "manifest": str(file)})


def test_a_pod_needs_no_token_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr("driftgauge.bridge.targets.kubernetes.ACCOUNT", str(tmp_path))
    settings = {name: value for name, value in KUBERNETES.settings.items() if name != "token"}
    play("kubernetes", settings, KUBERNETES.start, _start)


# Others add theirs


def test_a_target_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = SimpleNamespace(name="theirs", load=lambda: target_class("http"))
    monkeypatch.setattr(
        targets, "entry_points", lambda group: [theirs] if group == "driftgauge.targets" else []
    )
    assert "theirs" in target_kinds()
    assert target_class("theirs") is target_class("http")
    with pytest.raises(ConfigError, match="no target of kind 'thiers'"):
        target_class("thiers")
    broken = SimpleNamespace(name="theirs", load=lambda: __import__("no_such_module"))
    monkeypatch.setattr(targets, "entry_points", lambda group: [broken] if group else [])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        target_class("theirs")


def test_the_recorded_server_notices_what_is_wrong() -> None:
    """The contracts can fail: another body, header or path, a request too many, one too few."""
    last = ARGO_EVENTS.start[-1]
    for wrong in (
        replace(last, body={}),
        replace(last, headers={"Authorization": "Bearer other"}),
        replace(last, path="/other"),
        replace(last, method="PUT"),
    ):
        with pytest.raises(AssertionError):
            play("argo_events", ARGO_EVENTS.settings, (wrong,), _start)
    with pytest.raises(AssertionError):
        play("argo_events", ARGO_EVENTS.settings, (last, last), _start)
