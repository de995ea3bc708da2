"""The proxy at full load for ten minutes: resident memory, requests a second, and whether payloads add up.

python benchmarks/soak.py [--minutes 10] [--rows 20] [--clients 16]

Prints a line each tenth of the time, and fails when memory after the first fifth grows by more than 5 %.
Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from proxy_programs import asked, load, request_of, started

FRACTIONS = 10
SETTLED = 2  # tenths until caches and windows are full
MOST_GROWTH = 1.05


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, from the kernel."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    return 0


async def soak(minutes: float, rows: int, clients: int) -> int:
    """Load the proxy, print what it takes; the exit status."""
    taken: list[int] = []
    sent = 0
    told: dict[str, Any] = {}
    with (
        started("upstream") as (upstream, _),
        started("driftgauge", f"http://127.0.0.1:{upstream}") as (port, ours),
    ):
        print(f"{minutes:g} minutes, {clients} clients, {rows} rows a request", flush=True)  # noqa: T201
        for part in range(FRACTIONS):
            times, took = await load(port, request_of(rows), clients, 60 * minutes / FRACTIONS)
            sent += len(times)
            told = await asyncio.to_thread(asked, ours)
            taken.append(resident_bytes(ours.pid))
            print(  # noqa: T201
                f"{(part + 1) * minutes / FRACTIONS:6.1f} min  {taken[-1] / 2**20:7.1f} MiB  "
                f"{len(times) / took:8,.0f} requests/s  payloads {told['payloads']:,}: decoded "
                f"{told['decoded']:,}, dropped {told['dropped']}, undecodable {told['undecodable']}; "
                f"rows {told['rows']:,}",
                flush=True,
            )
    settled = taken[SETTLED - 1 :]
    growth = max(settled) / settled[0]
    # A client that leaves may leave a request under way, which is counted once it is answered or aborted.
    adds_up = (
        sent <= told["payloads"] <= sent + FRACTIONS * clients and told["rows"] == rows * told["decoded"]
    )
    print(  # noqa: T201
        f"memory after the first fifth: {min(settled) / 2**20:.1f} to {max(settled) / 2**20:.1f} MiB, "
        f"growth {100 * (growth - 1):.1f} %; payloads {'add up' if adds_up else 'DO NOT ADD UP'}",
        flush=True,
    )
    return 0 if growth <= MOST_GROWTH and adds_up else 1


def main(arguments: list[str] | None = None) -> int:
    """Run with the given options; the exit status."""
    import uvloop

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--clients", type=int, default=16)
    chosen = parser.parse_args(arguments)
    return uvloop.run(soak(chosen.minutes, chosen.rows, chosen.clients))


if __name__ == "__main__":
    sys.exit(main())
