"""Run every benchmark, one after the other, and write the tables: what ``make bench`` does.

    python benchmarks/run.py [--only peers --only import]

The first run makes the peers' environments (about 4.7 GB). A whole run takes about 50 minutes and wants the
machine to itself: nothing is refused, but the load average is written into each result.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from time import monotonic

from environments import environ
from measure import HERE

__all__ = ["SCRIPTS", "main"]

SCRIPTS = {
    "real_data": "real_data.py",
    "operating": "operating.py",
    "detection": "detection.py",
    "detection_short": "detection_short.py",
    "peers": "bench_peers.py",
    "binning": "bench_binning.py",
    "evidence": "bench_evidence.py",
    "profile": "bench_profile.py",
    "watch": "bench_watch.py",
    "proxy": "bench_proxy.py",
    "bridge": "bench_bridge.py",
    "memory": "bench_memory.py",
    "import": "bench_import.py",
    "scrape": "bench_scrape.py",
    "otel": "bench_otel.py",
    "resolution": "measure_resolution.py",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen benchmarks; exit status 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", action="append", choices=sorted(SCRIPTS), help="may be given more than once"
    )
    chosen = parser.parse_args(arguments)
    failed = []
    for name in chosen.only or SCRIPTS:
        script = HERE / SCRIPTS[name]
        start = monotonic()
        print(f"{name}: {script.name}", flush=True)  # noqa: T201
        done = subprocess.run([sys.executable, str(script)], env=environ(), check=False)
        print(f"{name}: {monotonic() - start:.0f} s, exit status {done.returncode}", flush=True)  # noqa: T201
        if done.returncode:
            failed.append(name)
    subprocess.run([sys.executable, str(HERE / "tables.py")], check=True)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
