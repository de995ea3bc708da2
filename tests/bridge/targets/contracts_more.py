"""The same for Dagster, Argo, Kubeflow Pipelines, Kubernetes, Jenkins and any HTTP endpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlencode

from targets.contracts import (
    AIRFLOW,
    AIRFLOW2,
    AS_TEXT,
    BASIC,
    BEARER,
    GITHUB_OLD_SERVER,
    GITHUB_REPOSITORY,
    GITHUB_WORKFLOW,
    GITLAB,
    ID,
    PREFECT,
    Contract,
    states_of,
)
from targets.recorded import PAYLOAD, TOKEN, Exchange

from driftgauge.bridge.targets import Started
from driftgauge.bridge.targets.dagster import FIND, LAUNCH, STATE

_launched = "57d45c34-46e2-41f8-ac83-32bb38cd35f3"
_config = {"ops": {"train": {"config": {"model": "fraud"}}}}
_dagster = {"Dagster-Cloud-Api-Token": TOKEN}
_found = Exchange(
    "POST",
    "/graphql",
    headers=_dagster,
    body={"query": FIND, "variables": {"t": [{"key": "driftgauge/run_id", "value": ID}]}},
    answer={"data": {"runsOrError": {"__typename": "Runs", "results": [{"runId": _launched}]}}},
)


def _run(kind: str, **more: str) -> object:
    return {"data": {"runOrError": {"__typename": kind, **more}}}


_asked = Exchange("POST", "/graphql", headers=_dagster, body={"query": STATE, "variables": {"r": _launched}})
DAGSTER = Contract(
    "dagster",
    {"url": "URL", "location": "defs.py", "job": "retrain", "token": TOKEN},
    payload=_config,
    start=(
        Exchange(
            "POST",
            "/graphql",
            headers=_dagster,
            body={
                "query": LAUNCH,
                "variables": {
                    "p": {
                        "selector": {
                            "repositoryLocationName": "defs.py",
                            "repositoryName": "__repository__",
                            "jobName": "retrain",
                        },
                        "runConfigData": _config,
                        "executionMetadata": {
                            "tags": [
                                {"key": "driftgauge/run_id", "value": ID},
                                {"key": "driftgauge/model", "value": "fraud"},
                                {"key": "driftgauge/route", "value": "fraud"},
                            ]
                        },
                    }
                },
            },
            answer={
                "data": {
                    "launchRun": {
                        "__typename": "LaunchRunSuccess",
                        "run": {"runId": _launched, "status": "QUEUED"},
                    }
                }
            },
        ),
    ),
    started=Started(_launched, f"URL/runs/{_launched}"),
    found=(_found,),
    none=(replace(_found, answer={"data": {"runsOrError": {"__typename": "Runs", "results": []}}}),),
    states=(
        *states_of(
            _asked,
            unknown=False,
            running=[_run("Run", status=each) for each in ("QUEUED", "STARTING", "STARTED", "CANCELING")],
            succeeded=[_run("Run", status="SUCCESS")],
            failed=[_run("Run", status="FAILURE"), _run("Run", status="CANCELED")],
        ),
        ((replace(_asked, answer=_run("RunNotFoundError")),), "unknown"),
    ),
)
_argo = "/api/v1/workflows/ml"
_submit = Exchange(
    "POST",
    f"{_argo}/submit",
    200,
    headers=BEARER,
    body={
        "namespace": "ml",
        "resourceKind": "WorkflowTemplate",
        "resourceName": "retrain",
        "submitOptions": {
            "name": ID,
            "labels": f"driftgauge.io/run-id={ID}",
            "parameters": [f"{name}={value}" for name, value in AS_TEXT.items()],
        },
    },
    answer={"metadata": {"name": ID, "namespace": "ml"}},
)
_phase = Exchange("GET", f"{_argo}/{ID}?fields=status.phase", headers=BEARER)
_gone = {"code": 5, "message": f'workflows.argoproj.io "{ID}" not found'}
ARGO_WORKFLOWS = Contract(
    "argo_workflows",
    {"url": "URL", "namespace": "ml", "template": "retrain", "token": TOKEN},
    start=(_submit,),
    started=Started(ID, f"URL/workflows/ml/{ID}"),
    again=(
        replace(
            _submit,
            status=409,
            answer={"code": 6, "message": f'workflows.argoproj.io "{ID}" already exists'},
        ),
        replace(_phase, answer={"status": {"phase": "Running"}}),
    ),
    found=(replace(_phase, answer={"status": {"phase": "Running"}}),),
    none=(replace(_phase, status=404, answer=_gone),),
    states=states_of(
        _phase,
        running=[{"status": {}}, {"status": {"phase": "Pending"}}, {"status": {"phase": "Running"}}],
        succeeded=[{"status": {"phase": "Succeeded"}}],
        failed=[{"status": {"phase": "Failed"}}, {"status": {"phase": "Error"}}],
    ),
)
ARGO_EVENTS = Contract(
    "argo_events",
    {"url": "URL/retrain", "token": TOKEN, "idempotent": True},
    start=(
        Exchange("POST", "/retrain", 200, headers=BEARER, body={**PAYLOAD, "run_id": ID}, answer=b"success"),
    ),
    started=Started(),
)
_kfp_run = "7d0f4f4e-2c0a-4d3c-9d1e-4a1c2b3d4e5f"
_predicates = {"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": ID}]}
_kfp_query = urlencode({"filter": json.dumps(_predicates), "page_size": "1", "experiment_id": "exp-1"})
KUBEFLOW = Contract(
    "kubeflow",
    {
        "url": "URL/pipeline",
        "pipeline_id": "pipe-1",
        "pipeline_version_id": "version-1",
        "experiment_id": "exp-1",
        "token": TOKEN,
    },
    start=(
        Exchange(
            "POST",
            "/pipeline/apis/v2beta1/runs",
            200,
            headers=BEARER,
            body={
                "display_name": ID,
                "description": "started by driftgauge, route fraud",
                "pipeline_version_reference": {
                    "pipeline_id": "pipe-1",
                    "pipeline_version_id": "version-1",
                },
                "runtime_config": {"parameters": PAYLOAD},
                "experiment_id": "exp-1",
            },
            answer={"run_id": _kfp_run, "display_name": ID, "state": "PENDING"},
        ),
    ),
    started=Started(_kfp_run, f"URL/pipeline/#/runs/details/{_kfp_run}"),
    found=(
        Exchange(
            "GET",
            f"/pipeline/apis/v2beta1/runs?{_kfp_query}",
            headers=BEARER,
            answer={"runs": [{"run_id": _kfp_run}], "total_size": 1},
        ),
    ),
    none=(Exchange("GET", f"/pipeline/apis/v2beta1/runs?{_kfp_query}", headers=BEARER, answer={}),),
    states=states_of(
        Exchange("GET", f"/pipeline/apis/v2beta1/runs/{_kfp_run}", headers=BEARER),
        running=[{"state": each} for each in ("PENDING", "RUNNING", "CANCELING", "PAUSED")] + [{}],
        succeeded=[{"state": "SUCCEEDED"}],
        failed=[{"state": "FAILED"}, {"state": "CANCELED"}],
    ),
)
_jobs = "/apis/batch/v1/namespaces/ml/jobs"
_env = [
    {"name": "DRIFTGAUGE_RUN_ID", "value": ID},
    {"name": "DRIFTGAUGE_MODEL", "value": "fraud"},
    {"name": "DRIFTGAUGE_PAYLOAD", "value": json.dumps(PAYLOAD)},
]
_create = Exchange(
    "POST",
    _jobs,
    201,
    headers=BEARER,
    body={
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": ID,
            "labels": {"app": "trainer", "driftgauge.io/run-id": ID},
            "annotations": {"driftgauge.io/route": "fraud"},
        },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"driftgauge.io/run-id": ID}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "train",
                            "image": "trainer:1",
                            "env": [*_env, {"name": "BUCKET", "value": "models"}],
                        }
                    ],
                },
            },
        },
    },
    answer={"kind": "Job", "metadata": {"name": ID}},
)
_template = {
    "metadata": {"labels": {"app": "trainer"}},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "train",
                        "image": "trainer:1",
                        "env": [
                            {"name": "BUCKET", "value": "models"},
                            {"name": "DRIFTGAUGE_MODEL", "value": "none"},
                        ],
                    }
                ],
            }
        },
    },
}
_cron_job = Exchange(
    "GET",
    "/apis/batch/v1/namespaces/ml/cronjobs/retrain",
    headers=BEARER,
    answer={"kind": "CronJob", "spec": {"schedule": "0 0 1 1 *", "jobTemplate": _template}},
)
_job = Exchange("GET", f"{_jobs}/{ID}", headers=BEARER)
_ours = {"metadata": {"name": ID, "labels": {"driftgauge.io/run-id": ID}}}


def _condition(kind: str, status: str = "True") -> object:
    return {
        "status": {"conditions": [{"type": "Suspended", "status": "False"}, {"type": kind, "status": status}]}
    }


KUBERNETES = Contract(
    "kubernetes",
    {"url": "URL", "namespace": "ml", "cron_job": "retrain", "token": TOKEN},
    start=(_cron_job, _create),
    started=Started(ID),
    again=(
        _cron_job,
        replace(_create, status=409, answer={"kind": "Status", "reason": "AlreadyExists", "code": 409}),
        replace(_job, answer=_ours),
    ),
    found=(replace(_job, answer=_ours),),
    none=(replace(_job, status=404, answer={"kind": "Status", "reason": "NotFound"}),),
    states=states_of(
        _job,
        running=[{"status": {}}, {"status": {"active": 1}}, _condition("Complete", "False")],
        succeeded=[_condition("Complete"), _condition("SuccessCriteriaMet")],
        failed=[_condition("Failed"), _condition("FailureTarget")],
    ),
)
_parameters = [{"parameters": [{"name": "DRIFTGAUGE_RUN_ID", "value": ID}]}, {}]
_declared = [{"parameterDefinitions": [{"name": "DRIFTGAUGE_RUN_ID"}]}]
_queue = Exchange(
    "GET",
    "/queue/api/json?" + urlencode({"tree": "items[id,url,actions[parameters[name,value]]]"}),
    headers=BASIC,
)
_jenkins_job = Exchange(
    "GET",
    "/job/ml/job/retrain/api/json?"
    + urlencode(
        {
            "tree": "property[parameterDefinitions[name]],"
            "builds[number,url,building,result,queueId,actions[parameters[name,value]]]{0,100}"
        }
    ),
    headers=BASIC,
)
_item = Exchange("GET", "/queue/item/25/api/json?tree=cancelled", headers=BASIC)


def _builds(**build: object) -> object:
    return {
        "builds": [{"number": 8, "queueId": 26}, {"number": 7, "queueId": 25, **build}],
        "property": _declared,
    }


JENKINS = Contract(
    "jenkins",
    {"url": "URL", "job": "ml/retrain", "username": "bot", "password": TOKEN},
    start=(
        Exchange(
            "POST",
            "/job/ml/job/retrain/buildWithParameters",
            201,
            headers=BASIC,
            form={**AS_TEXT, "DRIFTGAUGE_RUN_ID": ID},
            answer_headers={"Location": "URL/queue/item/25/"},
        ),
    ),
    started=Started("25", "URL/queue/item/25/"),
    found=(
        replace(_queue, answer={"items": []}),
        replace(_jenkins_job, answer=_builds(actions=_parameters, url="URL/7")),
    ),
    none=(replace(_queue, answer={"items": []}), replace(_jenkins_job, answer=_builds())),
    states=(
        ((replace(_jenkins_job, answer=_builds(building=True, result=None)),), "running"),
        ((replace(_jenkins_job, answer=_builds(building=False, result="SUCCESS")),), "succeeded"),
        ((replace(_jenkins_job, answer=_builds(building=False, result="UNSTABLE")),), "failed"),
        ((replace(_jenkins_job, answer={"builds": []}), replace(_item, answer={})), "running"),
        (
            (replace(_jenkins_job, answer={"builds": []}), replace(_item, answer={"cancelled": True})),
            "failed",
        ),
        ((replace(_jenkins_job, answer={"builds": []}), replace(_item, status=404)), "unknown"),
    ),
)
_sent = Exchange(
    "POST",
    "/train?queue=gpu",
    202,
    headers={**BEARER, "Idempotency-Key": ID, "X-Team": "ml", "X-Api-Key": "other-secret"},
    body=PAYLOAD,
    answer={"run": {"id": "a/b", "link": "https://train.example.com/a"}},
)
HTTP = Contract(
    "http",
    {
        "url": "URL/train?queue=gpu",
        "token": TOKEN,
        "headers": {"X-Team": "ml"},
        "secret_headers": {"X-Api-Key": "other-secret"},
        "idempotent": True,
        "id_key": "run.id",
        "url_key": "run.link",
        "state_url": "URL/runs/{id}",
        "state_key": "run.state",
    },
    start=(_sent,),
    started=Started("a/b", "https://train.example.com/a"),
    again=(replace(_sent, status=409, answer={"run": {"id": "a/b"}}),),
    states=states_of(
        Exchange("GET", "/runs/a%2Fb", headers={**BEARER, "X-Api-Key": "other-secret"}),
        running=[{"run": {"state": "waiting"}}, {}],
        succeeded=[{"run": {"state": "succeeded"}}],
        failed=[{"run": {"state": "cancelled"}}],
    ),
)

CONTRACTS = (
    AIRFLOW,
    AIRFLOW2,
    ARGO_EVENTS,
    ARGO_WORKFLOWS,
    DAGSTER,
    GITHUB_OLD_SERVER,
    GITHUB_REPOSITORY,
    GITHUB_WORKFLOW,
    GITLAB,
    HTTP,
    JENKINS,
    KUBEFLOW,
    KUBERNETES,
    PREFECT,
)
