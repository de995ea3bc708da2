"""Waits are waited for elsewhere."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is looked for the second time at once."""
    monkeypatch.setattr("driftgauge.bridge.targets.calls.SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("driftgauge.bridge.targets.github.LISTED_SECONDS", 0.0)
