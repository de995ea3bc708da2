"""The command line. `main` is the entry point; each command's module loads what it needs when it runs."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Runs ``driftgauge`` with the process's arguments and exits with its status."""
    try:
        from driftgauge.cli._program import run

        run()
    except KeyboardInterrupt:
        # Ctrl-C while modules load, or a second one while the first is being answered.
        raise SystemExit(130) from None
