"""The whole loop with a real Prefect server, whose flow refits the reference."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from closed_loop import Trainer, check_loop, training
from prefect_server import prefect

pytestmark = [pytest.mark.servers, pytest.mark.prometheus]


def test_prefect_refits_the_reference_once_and_the_alert_ends(tmp_path: Path) -> None:
    with prefect(tmp_path, "prefect_refit_flow", **training(tmp_path)) as api:

        def started() -> int:
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{api}/flow_runs/count", data=b"{}", headers=headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(json.load(answer))

        target = f'kind = "prefect"\nurl = "{api}"\ndeployment = "retrain/nightly"\n'
        check_loop(tmp_path, Trainer(target, started))
