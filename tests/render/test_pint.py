"""Cloudflare's pint on the committed rules, without a server. Nothing is left out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from services import unavailable

ROOT = Path(__file__).resolve().parents[2]


def test_pint_finds_nothing_to_say() -> None:
    binary = shutil.which("pint")
    if binary is None:
        unavailable("pint is not installed: `make test` brings it")
    done = subprocess.run(
        [binary, "--no-color", "--offline", "lint", "--min-severity=info", "alerts/driftgauge.rules.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Problems found" not in done.stderr, done.stdout + done.stderr
