from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from services import unavailable

HERE = Path(__file__).parent
# Where `npm install` put @grafana/schema and typescript; the Makefile says which versions.
MODULES = Path(os.environ.get("DRIFTGAUGE_NODE_MODULES", HERE.parents[1] / ".venv" / "node_modules"))
TSC = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--target",
    "es2022",
    "--module",
    "es2022",
    "--moduleResolution",
    "bundler",
]


@pytest.fixture
def typed(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """What TypeScript says of boards as Grafana's own types; nothing is good."""
    node, compiler = shutil.which("node"), MODULES / "typescript" / "bin" / "tsc"
    if node is None or not compiler.is_file() or not (MODULES / "@grafana" / "schema").is_dir():
        unavailable(
            f"node, or typescript and @grafana/schema in {MODULES}, are not installed: "
            "`make test` brings them"
        )
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(HERE / "grafana.ts", tmp_path)

    def check(boards: dict[str, Any]) -> str:
        for name, board in boards.items():
            # A literal, not an import of JSON: TypeScript only looks for unknown properties in literals.
            text = json.dumps(board, indent=1)
            source = f'import type {{ Board }} from "./grafana";\nexport const board: Board = {text};\n'
            (tmp_path / f"{name}.ts").write_text(source, encoding="utf-8")
        files = [f"{name}.ts" for name in boards]
        command = [node, str(compiler), *TSC, *files]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        return done.stdout + done.stderr

    return check


@pytest.mark.slow
def test_every_board_has_the_types_that_grafana_has(
    typed: Callable[[dict[str, Any]], str], boards: dict[str, Any]
) -> None:
    assert typed(boards) == ""


@pytest.mark.slow
def test_the_types_see_what_grafana_would_silently_ignore(
    typed: Callable[[dict[str, Any]], str], boards: dict[str, Any]
) -> None:
    def spoiled(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        board = json.loads(json.dumps(boards["driftgauge-models"]))
        change(next(panel for panel in board["panels"] if panel["type"] == "stat"))
        return dict(board)

    mistakes: dict[str, Callable[[dict[str, Any]], None]] = {
        "option": lambda panel: panel["options"].update(graphmode="area"),
        "value": lambda panel: panel["options"].update(graphMode="bars"),
        "field": lambda panel: panel["fieldConfig"]["defaults"].update(units="s"),
        "kind": lambda panel: panel.update(type="stats"),
        "target": lambda panel: panel["targets"][0].update(expression="up"),
    }
    said = typed({name: spoiled(change) for name, change in mistakes.items()})
    assert [name for name in mistakes if f"{name}.ts(" not in said] == []
