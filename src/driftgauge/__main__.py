"""``python -m driftgauge`` is ``driftgauge``."""

from __future__ import annotations

from driftgauge.cli import main

if __name__ == "__main__":
    main()
