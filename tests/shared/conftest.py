"""Fixtures of the tests of shared directories."""

from __future__ import annotations

import pytest
import shared_cases

from driftgauge.reference import Reference


@pytest.fixture(scope="session")
def people() -> Reference:
    return shared_cases.reference()
