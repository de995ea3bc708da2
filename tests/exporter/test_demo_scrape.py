from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from services import Prometheus, until

pytestmark = [pytest.mark.prometheus, pytest.mark.slow]


def test_prometheus_scrapes_the_demo_and_sees_the_drift(
    prometheus_server: Callable[[int], Prometheus], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "driftgauge", "demo", "--port", "0", "--speed", "max", "--hold"]
    log = tmp_path / "demo.log"
    with log.open("wb") as output:
        demo = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:

        def address() -> re.Match[str] | None:
            assert demo.poll() is None, log.read_text()
            return re.search(r"metrics on http://127\.0\.0\.1:(\d+)/metrics", log.read_text())

        port = int(until(address, "the demo to say where its metrics are")[1])
        prometheus = prometheus_server(port)
        until(lambda: "Metrics stay on" in log.read_text(), "the demo to reach the end of its data")
        psi, critical = "driftgauge_feature_psi", "driftgauge_feature_psi_critical"
        assert prometheus.wait_for(f"{psi} > 0.2 and {psi} > {critical}")
        assert prometheus.wait_for("driftgauge_model_drift_score > 1")
        what = 'driftgauge_feature_drift_score{feature="temperature"} > 1'
        why = f"({what}) * on (feature) group_left (cause, cell) driftgauge_feature_drift_info"
        (labels,) = prometheus.wait_for(why)
        assert dict(labels)["cause"] != "none"
        (target,) = prometheus.get("targets")["activeTargets"]
        assert target["health"] == "up", target["lastError"]
        known = "driftgauge_rows_sampled_total + on () group_left () sum(driftgauge_rows_dropped_total)"
        assert set(prometheus.wait_for(f"driftgauge_rows_total - ({known})").values()) == {0.0}
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=30) in (0, 130), log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
