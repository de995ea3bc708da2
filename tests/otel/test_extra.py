"""Without OpenTelemetry everything else works, and the exporter says what installs it."""

from __future__ import annotations

import subprocess
import sys

HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("opentelemetry", "grpc"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
import driftgauge as dg
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN + code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_exporter_says_which_extra_it_lacks() -> None:
    code = """
try:
    dg.exporter("otel")
except dg.MissingExtraError as error:
    print(error)
"""
    missing = "No module named 'opentelemetry'"
    assert (
        run(code) == f"the exporter 'otel' needs OpenTelemetry ({missing}); pip install 'driftgauge[otel]'\n"
    )


def test_monitors_and_the_other_exporter_do_not_need_it() -> None:
    code = """
monitor = dg.Monitor(dg.Reference.fit({"age": [1.0, 2.0, 3.0]}))
monitor.listen(print)
print(dg.exporter("prometheus").collector(monitor) is not None)
monitor.close()
"""
    assert run(code) == "True\n"


def test_importing_the_exporter_loads_no_grpc_and_starts_nothing() -> None:
    code = """
import sys, threading
import driftgauge as dg
dg.exporter("otel")
print("grpc" in sys.modules, "requests" in sys.modules, threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "False False 1\n", done.stderr
