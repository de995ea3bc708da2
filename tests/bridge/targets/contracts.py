"""What each system is asked and what it answers, as recorded from it or as its own client and documents say.

Airflow 3.3, Prefect 3.8 and Dagster 1.13 are recordings, shortened. The others follow the vendors' documents
of their APIs and these clients: apache-airflow-client 2.10, argo-workflows 6.7, kfp-server-api 2.17 and
python-jenkins 1.8.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import Any

from targets.recorded import PAYLOAD, RUN, TOKEN, Exchange

from driftgauge.bridge.targets import RunState, Started

ID = RUN.run_id
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BASIC = {"Authorization": "Basic " + b64encode(f"bot:{TOKEN}".encode()).decode()}
AS_TEXT = {"model": "fraud", "features": '["age"]', "score": "0.41"}


@dataclass(frozen=True)
class Contract:
    """How a system is driven: the calls of `start`, the last of which starts, of `find`, and of `state`."""

    kind: str
    settings: dict[str, Any]
    start: tuple[Exchange, ...]
    started: Started
    again: tuple[Exchange, ...] = ()
    """The same start once more where the system knows the id; it must say `already`."""
    found: tuple[Exchange, ...] = ()
    none: tuple[Exchange, ...] = ()
    states: tuple[tuple[tuple[Exchange, ...], RunState | None], ...] = ()
    payload: dict[str, Any] = field(default_factory=lambda: dict(PAYLOAD))
    note: str = ""

    def __str__(self) -> str:
        return f"{self.kind}{self.note and '-' + self.note}"


def states_of(asked: Exchange, *, unknown: bool = True, **answers: Any) -> Any:
    """The same question with several answers; 404 is 'unknown'."""
    found: list[Any] = []
    for state, many in answers.items():
        found += [((replace(asked, answer=each),), state) for each in many]
    gone = replace(asked, status=404, answer={"message": "Not Found"})
    return (*found, *([((gone,), "unknown")] if unknown else []))


GITHUB = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28", **BEARER}
_runs = {"id": 42, "display_title": f"Retrain {ID}", "html_url": "https://github.com/o/r/actions/runs/42"}


def _listed(path: str, event: str, *runs: Any) -> Exchange:
    query = f"?event={event}&per_page=100"
    return Exchange("GET", path + query, headers=GITHUB, answer={"workflow_runs": list(runs)})


_other = {"id": 41, "display_title": f"{ID}0", "status": "completed", "conclusion": "failure"}
GITHUB_REPOSITORY = Contract(
    "github_repository",
    {"url": "URL", "repository": "o/r", "token": TOKEN, "run_name": True},
    start=(
        Exchange(
            "POST",
            "/repos/o/r/dispatches",
            204,
            headers=GITHUB,
            body={"event_type": "driftgauge-retrain", "client_payload": {"run_id": ID, **PAYLOAD}},
        ),
    ),
    started=Started(ID),
    found=(_listed("/repos/o/r/actions/runs", "repository_dispatch", _other, _runs),),
    none=(_listed("/repos/o/r/actions/runs", "repository_dispatch", _other),),
    states=tuple(
        ((_listed("/repos/o/r/actions/runs", "repository_dispatch", *runs),), state)
        for runs, state in (
            (({**_runs, "status": "queued", "conclusion": None},), "running"),
            (({**_runs, "status": "completed", "conclusion": "success"},), "succeeded"),
            (({**_runs, "status": "completed", "conclusion": "failure"},), "failed"),
            (({**_runs, "status": "completed", "conclusion": "cancelled"},), "failed"),
            ((_other,), "unknown"),
        )
    ),
)
_workflow = "/repos/o/r/actions/workflows/retrain.yml"
_asked = {"ref": "main", "inputs": {**AS_TEXT, "run_id": ID}}
GITHUB_WORKFLOW = Contract(
    "github_workflow",
    {"url": "URL", "repository": "o/r", "workflow": "retrain.yml", "token": TOKEN, "run_name": True},
    start=(
        Exchange(
            "POST",
            f"{_workflow}/dispatches",
            200,
            headers=GITHUB,
            body={**_asked, "return_run_details": True},
            answer={
                "workflow_run_id": 42,
                "run_url": "https://api.github.com/repos/o/r/actions/runs/42",
                "html_url": "https://github.com/o/r/actions/runs/42",
            },
        ),
    ),
    started=Started("42", "https://github.com/o/r/actions/runs/42"),
    found=(_listed(f"{_workflow}/runs", "workflow_dispatch", _other, _runs),),
    none=(_listed(f"{_workflow}/runs", "workflow_dispatch", _other),),
    states=states_of(
        Exchange("GET", "/repos/o/r/actions/runs/42", headers=GITHUB),
        running=[{"status": "queued", "conclusion": None}, {"status": "in_progress"}],
        succeeded=[{"status": "completed", "conclusion": each} for each in ("success", "neutral")],
        failed=[
            {"status": "completed", "conclusion": each} for each in ("failure", "timed_out", "cancelled")
        ],
    ),
)
GITHUB_OLD_SERVER = replace(
    GITHUB_WORKFLOW,
    note="old-server",
    settings={**GITHUB_WORKFLOW.settings, "return_run_details": False, "url": "URL/api/v3"},
    start=(Exchange("POST", f"/api/v3{_workflow}/dispatches", 204, headers=GITHUB, body=_asked),),
    started=Started(ID),
    found=(),
    none=(),
    states=(
        (
            (_listed(f"/api/v3{_workflow}/runs", "workflow_dispatch", {**_runs, "status": "queued"}),),
            "running",
        ),
    ),
)
_pipeline = {"id": 257, "web_url": "https://gitlab.com/g/p/-/pipelines/257", "status": "created"}
_gitlab = "/api/v4/projects/g%2Fp"
_gitlab_read = {"PRIVATE-TOKEN": TOKEN}
GITLAB = Contract(
    "gitlab",
    {
        "url": "URL",
        "project": "g/p",
        "trigger_token": "glptt-secret",
        "token": TOKEN,
        "pipeline_name": True,
    },
    start=(
        Exchange(
            "POST",
            f"{_gitlab}/trigger/pipeline",
            201,
            answer=_pipeline,
            body={
                "token": "glptt-secret",
                "ref": "main",
                "variables": {**AS_TEXT, "DRIFTGAUGE_RUN_ID": ID},
            },
        ),
    ),
    started=Started("257", "https://gitlab.com/g/p/-/pipelines/257"),
    found=(
        Exchange(
            "GET", f"{_gitlab}/pipelines?name={ID}&per_page=1", headers=_gitlab_read, answer=[_pipeline]
        ),
    ),
    none=(Exchange("GET", f"{_gitlab}/pipelines?name={ID}&per_page=1", headers=_gitlab_read, answer=[]),),
    states=states_of(
        Exchange("GET", f"{_gitlab}/pipelines/257", headers=_gitlab_read),
        running=[{"status": each} for each in ("created", "pending", "running", "manual")],
        succeeded=[{"status": "success"}],
        failed=[{"status": "failed"}, {"status": "canceled"}],
    ),
)
_login = Exchange(
    "POST",
    "/auth/token",
    201,
    body={"username": "bot", "password": TOKEN},
    answer={"access_token": "eyJhbGciOi.jwt"},
)
_jwt = {"Authorization": "Bearer eyJhbGciOi.jwt"}
_dag = "/api/v2/dags/retrain_fraud/dagRuns"
_dag_run = Exchange(
    "POST",
    _dag,
    200,
    headers=_jwt,
    body={
        "dag_run_id": ID,
        "logical_date": None,
        "conf": PAYLOAD,
        "note": "started by driftgauge, route fraud",
    },
    answer={"dag_run_id": ID, "dag_id": "retrain_fraud", "logical_date": None, "state": "queued"},
)
_dag_state = Exchange("GET", f"{_dag}/{ID}", headers=_jwt)
_twice = {"detail": {"reason": "Unique constraint violation", "message": "Serious error when handling"}}
AIRFLOW = Contract(
    "airflow",
    {"url": "URL", "dag": "retrain_fraud", "username": "bot", "password": TOKEN},
    start=(_login, _dag_run),
    started=Started(ID, f"URL/dags/retrain_fraud/runs/{ID}"),
    again=(
        _login,
        replace(_dag_run, status=409, answer=_twice),
        _login,
        replace(_dag_state, answer={"state": "running"}),
    ),
    found=(_login, replace(_dag_state, answer={"state": "running"})),
    none=(_login, replace(_dag_state, status=404, answer={"detail": "not found"})),
    states=tuple(
        ((_login, exchange[0]), state)
        for exchange, state in states_of(
            _dag_state,
            running=[{"state": "queued"}, {"state": "running"}],
            succeeded=[{"state": "success"}],
            failed=[{"state": "failed"}],
        )
    ),
)
_dag2 = "/api/v1/dags/retrain_fraud/dagRuns"
_dag_run2 = Exchange(
    "POST",
    _dag2,
    200,
    headers=BASIC,
    body={"dag_run_id": ID, "conf": PAYLOAD, "note": "started by driftgauge, route fraud"},
    answer={"dag_run_id": ID, "dag_id": "retrain_fraud", "state": "queued"},
)
_dag_state2 = Exchange("GET", f"{_dag2}/{ID}", headers=BASIC)
AIRFLOW2 = Contract(
    "airflow2",
    AIRFLOW.settings,
    start=(_dag_run2,),
    started=Started(ID, f"URL/dags/retrain_fraud/grid?dag_run_id={ID}"),
    again=(
        replace(_dag_run2, status=409, answer={"title": "Conflict", "detail": "DAGRun already exists"}),
        replace(_dag_state2, answer={"state": "queued"}),
    ),
    found=(replace(_dag_state2, answer={"state": "queued"}),),
    none=(replace(_dag_state2, status=404, answer={"title": "DAGRun not found"}),),
    states=states_of(
        _dag_state2,
        running=[{"state": "queued"}],
        succeeded=[{"state": "success"}],
        failed=[{"state": "failed"}],
    ),
)
_deployment = Exchange(
    "GET",
    "/api/deployments/name/retrain/nightly",
    headers=BEARER,
    answer={"id": "2c532bbe-c1df-42b8-b796-b75f1cf0df8d"},
)
_flow_run = "e9275f0a-393e-4b95-bc90-ec5acb3d401c"
_create = Exchange(
    "POST",
    "/api/deployments/2c532bbe-c1df-42b8-b796-b75f1cf0df8d/create_flow_run",
    201,
    headers=BEARER,
    body={
        "name": ID,
        "parameters": PAYLOAD,
        "idempotency_key": ID,
        "tags": ["driftgauge"],
        "state": {"type": "SCHEDULED"},
    },
    answer={"id": _flow_run, "idempotency_key": ID, "state_type": "SCHEDULED"},
)
_filter = Exchange(
    "POST",
    "/api/flow_runs/filter",
    headers=BEARER,
    body={"flow_runs": {"idempotency_key": {"any_": [ID]}}, "limit": 1},
    answer=[{"id": _flow_run}],
)
PREFECT = Contract(
    "prefect",
    {"url": "URL/api", "deployment": "retrain/nightly", "token": TOKEN},
    start=(_deployment, _create),
    started=Started(_flow_run, f"URL/runs/flow-run/{_flow_run}"),
    again=(_deployment, replace(_create, status=200)),
    found=(_filter,),
    none=(replace(_filter, answer=[]),),
    states=states_of(
        Exchange("GET", f"/api/flow_runs/{_flow_run}", headers=BEARER),
        running=[{"state_type": each} for each in ("SCHEDULED", "PENDING", "RUNNING", "PAUSED")],
        succeeded=[{"state_type": "COMPLETED"}],
        failed=[{"state_type": each} for each in ("FAILED", "CRASHED", "CANCELLED")],
    ),
)
