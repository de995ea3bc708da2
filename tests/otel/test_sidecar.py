"""A sidecar sends its models over OTLP too, by one key of its settings."""

from __future__ import annotations

import asyncio
import typing
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from otlp_sink import Sink, sink, values_of
from services import free_port
from sidecar_cases import reference, settings_of, while_running

from driftgauge.errors import ConfigError
from driftgauge.sidecar.app import Sidecar
from driftgauge.sidecar.settings_otel import OtelSettings
from driftgauge_otel import PRESETS


def folder(path: Path) -> Path:
    """Of the references."""
    (path / "models").mkdir(exist_ok=True)
    return path / "models"


def rows_by_model(found: Sink) -> dict[str, int]:
    """The last that was said of each."""
    return {
        labels["model"]: int(point["asInt"])
        for _, metric, labels, point in found.points()
        if metric["name"] == "driftgauge.rows"
    }


def test_what_came_until_the_end_is_sent_for_each_model(tmp_path: Path) -> None:
    reference(1, model="churn").save(folder(tmp_path) / "churn.reference")

    async def talk(sidecar: Sidecar, client: aiohttp.ClientSession, url: str) -> None:
        reference(2, model="fraud").save(folder(tmp_path) / "fraud.reference")
        await sidecar.reload()
        for model, count in (("churn", 3), ("fraud", 5)):
            body = {"rows": [{"x": 0.1}] * count}
            async with client.post(f"{url}/v1/observations?model={model}", json=body) as answer:
                assert answer.status in (200, 202), await answer.text()

    with sink() as found:
        text = f'models_folder = "{folder(tmp_path)}"\n[otel]\nendpoint = "{found.url}"\n'
        while_running(settings_of(tmp_path, text), talk)
        assert rows_by_model(found) == {"churn": 3, "fraud": 5}
        services = {resource["service.name"] for resource, *_ in found.points()}
    assert services == {"churn", "fraud"}


def test_events_go_on_when_the_reference_changes(tmp_path: Path) -> None:
    file = folder(tmp_path) / "churn.reference"
    reference(1, model="churn").save(file)

    async def talk(sidecar: Sidecar, _: aiohttp.ClientSession, __: str) -> None:
        drifted = {"x": np.random.default_rng(3).normal(3, 1, 500)}
        for seed in (2, 3):
            for minute in range(3):
                handle = sidecar.registry.get()
                assert handle is not None
                await asyncio.to_thread(handle.observe, drifted, now_seconds=1.8e9 + 60 * minute)
            if seed == 2:
                reference(seed, model="churn").save(file)
                await sidecar.reload()

    with sink() as found:
        text = f'models_folder = "{folder(tmp_path)}"\n[otel]\nendpoint = "{found.url}"\npreset = "datadog"\n'
        while_running(settings_of(tmp_path, text), talk)
        ids = [values_of(each)["driftgauge.reference.id"] for each in found.records()]
        kinds = {
            metric["sum"]["aggregationTemporality"] for _, metric, *_ in found.points() if "sum" in metric
        }
    assert len(ids) >= 4, "the model and its feature, under each reference"
    assert len(set(ids)) == 2
    assert kinds == {"AGGREGATION_TEMPORALITY_DELTA"}


def test_an_endpoint_that_is_not_there_shows_on_the_metrics_page(tmp_path: Path) -> None:
    reference(1, model="churn").save(folder(tmp_path) / "churn.reference")

    async def talk(_: Sidecar, client: aiohttp.ClientSession, url: str) -> str:
        for _attempt in range(600):
            async with client.get(f"{url}/metrics") as answer:
                lines = [line for line in (await answer.text()).splitlines() if 'stage="export"' in line]
            if lines and float(lines[0].split()[-1]) > 0:
                return lines[0]
            await asyncio.sleep(0.1)
        return ""

    endpoint = f"http://127.0.0.1:{free_port()}"
    text = f'models_folder = "{folder(tmp_path)}"\n[otel]\nendpoint = "{endpoint}"\ninterval = 0.1\n'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
        line = while_running(settings_of(tmp_path, text), talk)
    assert line.startswith('driftgauge_internal_errors_total{model="churn"')


def test_an_endpoint_that_is_none_stops_the_sidecar_before_it_begins(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, '[otel]\nendpoint = "collector:4318"\n')
    with pytest.raises(ConfigError, match="endpoint must be a URL such as 'http://collector:4318'"):
        while_running(settings, lambda *_: None)


def test_nothing_of_opentelemetry_is_loaded_without_an_endpoint(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert settings.otel.endpoint == ""

    async def talk(sidecar: Sidecar, *_: Any) -> bool:
        return sidecar._telemetry is None

    assert while_running(settings, talk)


def test_the_presets_of_the_settings_are_those_there_are() -> None:
    (literal,) = [OtelSettings.model_fields["preset"].annotation]
    assert set(typing.get_args(literal)) == {"", *PRESETS}
