"""Fixtures of the monitor's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from monitor_cases import mixed_reference, numbers_reference

from driftgauge.reference import Reference


@pytest.fixture(scope="session")
def numbers() -> Reference:
    return numbers_reference()


@pytest.fixture(scope="session")
def mixed() -> Reference:
    return mixed_reference()
