"""Where a new reference appears: a file, a folder, or a version of a model in MLflow's registry.

A place tells what lies in it now; whether that is new is not its matter. The name of a model comes from an
alert: only a plain name is ever put into a path.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from driftgauge.bridge.records import NotYet
from driftgauge.bridge.settings_closing import MLFLOW_URI, ClosingSettings, MlflowSettings
from driftgauge.bridge.targets import TargetError
from driftgauge.bridge.targets.calls import Caller
from driftgauge.bridge.targets.payloads import pick
from driftgauge.sidecar.discovery import Discovery
from driftgauge.sidecar.settings import ModelSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["FilePlace", "MlflowPlace", "Place", "Seen", "place_of"]

_PLAIN: Final = re.compile(r"(?!\.)[\w.+@ -]{1,200}")
MOST_KNOWN: Final = 1_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A reference that was seen somewhere.

    Parameters
    ----------
    reference_id : str
        Empty where the place does not tell it.
    created_seconds : float
        When it was made, Unix time.
    where : str
        For people.
    """

    reference_id: str
    created_seconds: float
    where: str


class Place(Protocol):
    """Where references of a model appear."""

    async def look(self, session: ClientSession, model: str) -> Seen:
        """What lies there now.

        Raises
        ------
        NotYet
            Nothing that can be read.
        """
        ...


def place_of(settings: ClosingSettings) -> Place | None:
    """The place that *settings* name; None for none."""
    if not settings.reference:
        return None
    if settings.mlflow is not None and settings.reference.startswith("models:"):
        return MlflowPlace(settings.reference, settings.mlflow)
    return FilePlace(settings.reference)


class FilePlace:
    """A file, or the newest reference of the model in a folder.

    Parameters
    ----------
    path : str
        ``{model}`` in it is the model's name.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[str, Discovery] = {}
        self._lock = threading.Lock()

    async def look(self, _: ClientSession, model: str) -> Seen:
        """What lies there; see `Place`."""
        return await asyncio.to_thread(self._look, model)

    def _look(self, model: str) -> Seen:
        if "{model}" in self._path and not _PLAIN.fullmatch(model):
            message = f"the model's name {model[:80]!r} cannot be part of a path"
            raise NotYet(message)
        path = Path(self._path.replace("{model}", model))
        folder = path.is_dir()
        key = str(path) if folder else f"{path} of {model}"
        with self._lock:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            if key not in self._known:
                alone = () if folder else (ModelSettings(reference=str(path), name=model),)
                self._known[key] = Discovery(alone, path if folder else None)
            found = self._known[key].look()
        candidate = found.models.get(model)
        # What was read before does not count when it cannot be read now: it may be half written.
        if candidate is None or candidate.reference is None or candidate.error:
            trouble = next(iter(found.troubles), f"there is no reference of {model!r} in {str(path)!r}")
            raise NotYet(trouble)
        reference = candidate.reference
        return Seen(reference.id, reference.created_timestamp_seconds, str(candidate.path))


class MlflowPlace:
    """A version of a registered model, by alias, number or as the latest.

    A tag of the version tells the id of its reference. Without the tag a version is known by its age.

    Parameters
    ----------
    uri : str
        ``models:/name@alias``, ``models:/name/7`` or ``models:/name/latest``.
    settings : MlflowSettings
    """

    def __init__(self, uri: str, settings: MlflowSettings) -> None:
        found = MLFLOW_URI.fullmatch(uri)
        assert found is not None, "the settings are checked"
        self._name, self._alias, self._version = found[1], found[2], found[3]
        self._settings = settings
        self._call = Caller(settings)

    async def look(self, session: ClientSession, model: str) -> Seen:
        """The version; see `Place`."""
        name = self._name.replace("{model}", model)
        if not _PLAIN.fullmatch(name):
            message = f"the model's name {model[:80]!r} cannot be one of MLflow"
            raise NotYet(message)
        if self._alias:
            version = await self._get(session, "registered-models", "alias", name=name, alias=self._alias)
            version = version.get("model_version", {})
        elif self._version == "latest":
            asked = {"filter": f"name='{name}'", "order_by": "version_number DESC", "max_results": "1"}
            found = await self._get(session, "model-versions", "search", **asked)
            version = next(iter(found.get("model_versions", [])), {})
        else:
            version = await self._get(session, "model-versions", "get", name=name, version=self._version)
            version = version.get("model_version", {})
        number = str(pick(version, "version"))
        if not number:
            message = f"MLflow has no version {self._alias or self._version!r} of model {name!r}"
            raise NotYet(message)
        tags = {str(pick(tag, "key")): str(pick(tag, "value")) for tag in version.get("tags", [])}
        made = str(pick(version, "creation_timestamp"))
        created = float(made) / 1000.0 if made.isdecimal() else 0.0
        return Seen(tags.get(self._settings.tag, ""), created, f"models:/{name}/{number}")

    async def _get(self, session: ClientSession, *path: str, **query: str) -> Mapping[str, Any]:
        try:
            answer = await self._call(
                session,
                "GET",
                *("api", "2.0", "mlflow", *path),
                query=query,
                headers=self._settings.credentials(),
                also=(404,),
            )
        except TargetError as error:
            raise NotYet(error.reason) from error
        return answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}
