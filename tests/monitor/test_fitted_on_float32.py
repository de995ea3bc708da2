"""A reference fitted on float32 and rows that come as float64, one by one: the same cells as all at once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import driftgauge as dg


@pytest.mark.parametrize("form", ["array", "pickled array", "dict"])
def test_one_row_at_a_time_meets_the_points_of_a_float32_reference(form: str) -> None:
    rng = np.random.default_rng(4)
    live = np.round(rng.normal(size=(400, 2)), 1)
    reference = dg.Reference.fit(live.astype(np.float32), names=["a", "b"])
    with dg.Monitor(reference, windows=[dg.rows(400)]) as monitor:
        for row in live:
            if form == "dict":
                monitor.observe(dict(zip("ab", row.tolist(), strict=True)))
            else:
                monitor.observe(pickle.loads(pickle.dumps(row)) if "pickled" in form else row)
        snapshot = monitor.snapshot()
    assert snapshot.rows_sampled == 400
    assert [feature.ks for feature in snapshot.windows[0].features] == [0.0, 0.0]
    assert [feature.psi for feature in snapshot.windows[0].features] == [0.0, 0.0]
