"""One environment a peer under ``benchmarks/.envs/`` (git-ignored), made from ``peers/NAME.txt``."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from measure import HERE, ONE_THREAD

__all__ = ["PEERS", "ensure", "environ", "interpreter"]

ENVIRONMENTS = HERE / ".envs"
PEERS = ("frouros", "evidently")


def interpreter(peer: str) -> Path:
    """Return the Python of *peer*'s environment, or this one for ``'driftgauge'``."""
    if peer == "driftgauge":
        return Path(sys.executable)
    return ENVIRONMENTS / peer / ("Scripts" if os.name == "nt" else "bin") / "python"


def environ() -> dict[str, str]:
    """Return this environment with every contender held to one thread."""
    return {**os.environ, **ONE_THREAD, "PYTHONHASHSEED": "0"}


def ensure(peer: str) -> Path:
    """Make *peer*'s environment unless it is there with these very requirements; its Python."""
    requirements = HERE / "peers" / f"{peer}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = ENVIRONMENTS / peer / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return interpreter(peer)
    print(f"making {stamp.parent.relative_to(HERE.parent)}", flush=True)  # noqa: T201
    venv.EnvBuilder(with_pip=True, clear=True).create(stamp.parent)
    pip = [str(interpreter(peer)), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--requirement", str(requirements)], check=True)
    stamp.write_text(digest)
    return interpreter(peer)
