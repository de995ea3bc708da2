"""Every kernel test runs on the twins and on the compiled functions."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where oracles.py lies

from driftgauge.kernels import _compiled, twins


@pytest.fixture(scope="session", params=[twins, _compiled], ids=["twin", "compiled"])
def served_by(request: pytest.FixtureRequest) -> ModuleType:
    """The module that serves: the NumPy twins, then the compiled kernels."""
    module: ModuleType = request.param
    return module
