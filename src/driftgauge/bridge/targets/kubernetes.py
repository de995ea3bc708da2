"""Kubernetes: a Job from a manifest, or from the template of a CronJob that is there.

The run id is the name of the Job, and the API server refuses a second one of the same name with 409.
Nothing of an alert gets into the manifest but the values of three variables, ``DRIFTGAUGE_RUN_ID``,
``DRIFTGAUGE_MODEL`` and ``DRIFTGAUGE_PAYLOAD``, which is JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from driftgauge.bridge.targets import Permanent, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, bearer
from driftgauge.bridge.targets.payloads import RUN_ID, as_json, pick, without_references
from driftgauge.bridge.targets.secrets import in_file
from driftgauge.bridge.targets.settings import TokenSettings, Url
from driftgauge.errors import ConfigError

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Kubernetes", "KubernetesSettings"]

ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
LABEL: Final = "driftgauge.io/run-id"
STATES: Final[Mapping[str, RunState]] = {
    "Complete": "succeeded",
    "SuccessCriteriaMet": "succeeded",
    "Failed": "failed",
    "FailureTarget": "failed",
}


class KubernetesSettings(TokenSettings):
    """``[[targets]]`` with ``kind = "kubernetes"``. In a pod only `namespace` and a template are needed."""

    url: Url = Field(default="https://kubernetes.default.svc", description="of the API server")
    ca_file: str = Field(
        default=f"{ACCOUNT}/ca.crt", description="PEM file that its certificate is checked by"
    )
    namespace: str = Field(min_length=1, description="where the Job will be")
    manifest: str = Field(default="", description="file with a Job, JSON or YAML")
    cron_job: str = Field(default="", description="CronJob whose template is used, in place of a file")

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if bool(self.manifest) == bool(self.cron_job):
            message = "give manifest or cron_job, one of them"
            raise ValueError(message)
        return self

    def the_token(self) -> str:
        """The token; that of the pod's service account where none is given."""
        found = super().the_token()
        return found or in_file(f"{ACCOUNT}/token", "token_file")


class Kubernetes:
    """Creates a Job. The payload is JSON in a variable of each of its containers."""

    name: ClassVar[str] = "kubernetes"
    settings: ClassVar[type[BaseModel]] = KubernetesSettings
    idempotent: ClassVar[bool] = True

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        plain = settings.url.startswith("http://")
        self._call = Caller(settings.model_copy(update={"ca_file": ""}) if plain else settings)
        self._batch = ("apis", "batch", "v1", "namespaces", settings.namespace)
        self._manifest = _manifest(Path(settings.manifest)) if settings.manifest else None

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Create the Job; see `driftgauge.bridge.targets.Target`."""
        job = copy.deepcopy(self._manifest) or await self._of_cron_job(session)
        _fill(job, run, payload)
        answer = await self._ask(session, "POST", "jobs", json_body=job, also=(409,), starts=True)
        if answer.status == 409 and not await self._ours(session, run.run_id):
            message = (
                f"{self._settings.namespace} has a Job {run.run_id} that driftgauge did not make; rename it"
            )
            raise Permanent(message)
        return Started(run.run_id, already=answer.status == 409)

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The Job by its name."""
        return Started(run.run_id, already=True) if await self._ours(session, run.run_id) else False

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        answer = await self._ask(session, "GET", "jobs", external_id, also=(404,))
        if answer.status == 404:
            return "unknown"
        for each in pick(answer.body, "status", "conditions", default=[]):
            if pick(each, "status") == "True" and pick(each, "type") in STATES:
                return STATES[pick(each, "type")]
        return "running"

    async def _ours(self, session: ClientSession, name: str) -> bool:
        answer = await self._ask(session, "GET", "jobs", name, also=(404,))
        return answer.status == 200 and pick(answer.body, "metadata", "labels", LABEL) == name

    async def _of_cron_job(self, session: ClientSession) -> dict[str, Any]:
        answer = await self._ask(session, "GET", "cronjobs", self._settings.cron_job)
        found = pick(answer.body, "spec", "jobTemplate", default={})
        return _checked(found, f"CronJob {self._settings.cron_job}", Permanent)

    async def _ask(self, session: ClientSession, method: str, *path: str, **more: Any) -> Answer:
        return await self._call(session, method, *self._batch, *path, headers=bearer(self._settings), **more)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = (
            f"manifest {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        )
        raise ConfigError(message) from error
    try:
        found = json.loads(text)
    except ValueError:
        found = _yaml(text, path)
    if pick(found, "kind", default="Job") != "Job":
        message = f"manifest {str(path)!r} is of kind {pick(found, 'kind')!r}; it must be a Job"
        raise ConfigError(message)
    return _checked(found, f"manifest {str(path)!r}", ConfigError)


def _yaml(text: str, path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        message = f"manifest {str(path)!r} is no JSON; write it as JSON, or pip install pyyaml for YAML"
        raise ConfigError(message) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        message = f"manifest {str(path)!r} is neither JSON nor one document of YAML"
        raise ConfigError(message) from error


def _checked(found: Any, what: str, kind: type[Permanent] | type[ConfigError]) -> dict[str, Any]:
    containers = pick(found, "spec", "template", "spec", "containers", default=None)
    if (
        not isinstance(containers, list)
        or not all(isinstance(each, dict) for each in containers)
        or not containers
    ):
        message = f"{what} has no spec.template.spec.containers; it must be a Job"
        raise kind(message)
    return {key: copy.deepcopy(dict(found[key])) for key in ("metadata", "spec") if found.get(key)}


def _fill(job: dict[str, Any], run: RunRequest, payload: Mapping[str, Any]) -> None:
    """Name, labels and variables."""
    given = job.get("metadata") or {}
    job["apiVersion"], job["kind"] = "batch/v1", "Job"
    job["metadata"] = {
        "name": run.run_id,
        "labels": {**(given.get("labels") or {}), LABEL: run.run_id},
        "annotations": {**(given.get("annotations") or {}), "driftgauge.io/route": run.route},
    }
    pod = job["spec"]["template"]
    about = pod["metadata"] = dict(pod.get("metadata") or {})
    about["labels"] = {**(about.get("labels") or {}), LABEL: run.run_id}
    text = as_json(dict(payload))
    values = {RUN_ID: run.run_id, "DRIFTGAUGE_MODEL": run.model, "DRIFTGAUGE_PAYLOAD": text}
    ours = [{"name": name, "value": without_references(value)} for name, value in values.items()]
    inner = pod["spec"]
    for container in (*inner["containers"], *(inner.get("initContainers") or ())):
        kept = [each for each in container.get("env") or () if pick(each, "name") not in values]
        container["env"] = ours + kept  # first, so that the manifest's own may refer to them
