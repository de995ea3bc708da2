"""Monitors for the tests of the status page: one calm, one that drifts, one whose names are attacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge.budget import one_false_alert
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.snapshot import Snapshot
from driftgauge.windows import duration, rows

MARK = "driftgaugewashere"
HOSTILE = (
    f"<script>window.{MARK}=1</script>",
    f"<img src=x onerror=window.{MARK}=1>",
    f'"><svg onload=window.{MARK}=1>',
    f"' onmouseover='window.{MARK}=1",
    f"</title></svg></style><script>window.{MARK}=1</script>",
    f"{{{{ ''.__class__ }}}} {{% include 'x' %}} ${{window.{MARK}=1}}",
    f"javascript:window.{MARK}=1//",
    "pay\u202egnp.exe",
    "null\x00byte\nline\x1b[31mred",
    "z\u0335\u0321\u0322\u0327\u0328" * 40,
    "x" * 5_000,
    "\ud800 alone",
    "&lt;b&gt; &amp; &#x3c;",
    "年齢 🧑‍🚀 عمر",
    "<!-- ",
    "]]>",
)
MODEL = f"</h2><script>window.{MARK}=1</script>&model=other"
START = 1_790_000_000.0


def column(rng: np.random.Generator, size: int, moved: float = 0.0) -> Any:
    return rng.normal(40 + moved, 10, size)


def observed(monitor: Monitor, inputs: Any, outputs: Any, steps: int = 20) -> Snapshot:
    """Snapshot after rows that came in *steps* batches, one a minute."""
    for step in range(steps):
        part = slice(step * 100, (step + 1) * 100)
        cut = {name: values[part] for name, values in inputs.items()}
        monitor.observe(cut, outputs[part], now_seconds=START + 60 * step)
        monitor.snapshot(START + 60 * step)
    return monitor.snapshot(START + 60 * steps)


def churn(moved: float, model: str = "churn", budget: Any = ...) -> Snapshot:
    """2,000 rows of a model of three features; *age* moves."""
    rng = np.random.default_rng(5)
    train = {
        "age": column(rng, 5_000),
        "city": rng.choice(["Oslo", "Bergen", "Tromsø"], 5_000),
        "income": rng.lognormal(3, 1, 5_000),
        "score": rng.uniform(size=5_000),
    }
    live = {
        "age": column(rng, 2_000, moved),
        "city": rng.choice(["Oslo", "Bergen", "Tromsø"] if not moved else ["Oslo", "Paris"], 2_000),
        "income": rng.lognormal(3, 1, 2_000),
    }
    reference = Reference.fit(train, outputs=["score"], model=model, version="3")
    chosen = one_false_alert(per="90d") if budget is ... else budget
    with Monitor(reference, windows=[rows(1_000), duration("1h")], budget=chosen) as monitor:
        return observed(monitor, live, rng.uniform(size=2_000))


def hostile() -> Snapshot:
    """A model whose name, features and categories are attacks."""
    rng = np.random.default_rng(6)
    names = HOSTILE[:11] + HOSTILE[12:]  # text with half a character cannot be a column of text
    train: dict[str, Any] = {name: column(rng, 2_000) for name in names}
    train["category"] = rng.choice(list(names), 2_000)
    train["score"] = rng.uniform(size=2_000)
    reference = Reference.fit(train, outputs=["score"], model=MODEL, version=HOSTILE[1])
    live: dict[str, Any] = {name: column(rng, 2_000, 25) for name in names}
    live["category"] = rng.choice(list(names[:3]), 2_000)
    with Monitor(reference, windows=[rows(1_000)]) as monitor:
        return observed(monitor, live, rng.uniform(size=2_000))


def empty() -> Snapshot:
    """A model that was asked nothing yet."""
    rng = np.random.default_rng(7)
    train = {"age": column(rng, 2_000), "score": rng.uniform(size=2_000)}
    reference = Reference.fit(train, outputs=["score"], model="waiting", version="1")
    with Monitor(reference, windows=[rows(1_000)]) as monitor:
        return monitor.snapshot(START)
