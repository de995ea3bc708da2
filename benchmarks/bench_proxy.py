"""The sidecar's proxy against a bare proxy of aiohttp and against none: requests a second and added latency.

python benchmarks/bench_proxy.py [--smoke --folder DIR] [--rounds 9] [--seconds 1.5]
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from measure import column, goal, median, options, save, table, versions
from proxy_programs import FEATURES, asked, load, request_of, started

FORMS = {"1 row": (1, True), "100 rows": (100, True), "1 row, not a route": (1, False)}
CONTENDERS = ("none", "aiohttp", "driftgauge")
CLIENTS = 16


async def _measure(rounds: int, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Requests a second and latencies by form and contender, one contender after the other in each round."""
    found: dict[str, Any] = {
        form: {name: {"rate": [], "p50": [], "p99": []} for name in CONTENDERS} for form in FORMS
    }
    with ExitStack() as stack:
        upstream, _ = stack.enter_context(started("upstream"))
        url = f"http://127.0.0.1:{upstream}"
        aiohttp, _ = stack.enter_context(started("aiohttp", url))
        ours, process = stack.enter_context(started("driftgauge", url))
        ports = dict(zip(CONTENDERS, (upstream, aiohttp, ours), strict=True))
        for form, (rows, watched) in FORMS.items():
            request = request_of(rows) if watched else request_of(rows, "/other")
            for turn in range(rounds + 1):
                for name, port in ports.items():
                    alone, _ = await load(port, request, 1, seconds)
                    many, took = await load(port, request, CLIENTS, seconds)
                    if turn:  # the first round warms up
                        kept = found[form][name]
                        kept["rate"].append(len(many) / took)
                        kept["p50"].append(float(np.percentile(alone, 50)) * 1e9)
                        kept["p99"].append(float(np.percentile(alone, 99)) * 1e9)
        told = asked(process)
    return found, told


def main(arguments: list[str] | None = None) -> Path:
    """Run, write the result and return its path."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5)
    chosen = parser.parse_args(arguments)
    rounds, seconds = (1, 0.1) if chosen.smoke else (chosen.rounds, chosen.seconds)
    import uvloop

    found, told = uvloop.run(_measure(rounds, seconds))
    rows = []
    ratios = {}
    for form, contenders in found.items():
        middle = {
            name: {key: median(values) for key, values in kept.items()} for name, kept in contenders.items()
        }
        for name in CONTENDERS:
            own, bare, none = middle[name], middle["aiohttp"], middle["none"]
            # Ratios and differences are taken within a round, whose contenders met the same machine.
            over = [
                a / b for a, b in zip(contenders[name]["rate"], contenders["aiohttp"]["rate"], strict=True)
            ]
            added = [
                a - b for a, b in zip(contenders[name]["p50"], contenders["aiohttp"]["p50"], strict=True)
            ]
            rows.append(
                [
                    form,
                    {"none": "no proxy", "aiohttp": "bare aiohttp", "driftgauge": "driftgauge"}[name],
                    own["rate"],
                    median(over),
                    own["p50"],
                    own["p50"] - none["p50"],
                    own["p50"] - bare["p50"],
                    own["p99"],
                ]
            )
            ratios[form, name] = (median(over), median(added) / 1e6)
    dropped = sum(told["dropped"].values())
    note = (
        f"{FEATURES} inputs and a score, KServe V1, keep-alive; a server that only answers, clients and each "
        "proxy in a process of its own with uvloop, on this machine's cores together. Requests a second: "
        f"{CLIENTS} clients; latency: one. Medians of {rounds} rounds of {seconds:g} s, contenders in turn. "
        f"Of {told['payloads']:,} payloads of the route {told['decoded']:,} were decoded and counted, "
        f"{dropped:,} dropped because the queue was full; {told['rows']:,} rows. The bare proxy copies "
        "headers and whole bodies and does nothing else."
    )
    return save(
        "proxy",
        tables=[
            table(
                "A proxy in front of a model server",
                [
                    column("request"),
                    column("proxy"),
                    column("requests a second", "count"),
                    column("over bare aiohttp", "ratio"),
                    column("p50", "ns"),
                    column("added to no proxy, p50", "ns"),
                    column("added to bare aiohttp, p50", "ns"),
                    column("p99", "ns"),
                ],
                rows,
                note,
                headline=True,
            )
        ],
        goals=[
            goal(
                "The sidecar's proxy, 1 row x 20 decoded: requests a second over a bare aiohttp proxy's",
                0.85,
                ratios["1 row", "driftgauge"][0],
                better="higher",
                unit="ratio",
            ),
            goal(
                "The same, 100 rows x 20",
                0.85,
                ratios["100 rows", "driftgauge"][0],
                better="higher",
                unit="ratio",
            ),
            goal(
                "The sidecar's proxy, 1 row x 20: p50 added to a bare aiohttp proxy's, in ms",
                0.1,
                ratios["1 row", "driftgauge"][1],
                better="lower",
                unit="number",
            ),
        ],
        versions=versions("driftgauge", "aiohttp", "uvloop", "msgspec", "numpy", "numba"),
        raw={"rounds": found, "intake": told},
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201
