from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from driftgauge.render import load_settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dashboards"
README = (FOLDER / "README.md").read_text("utf-8")


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / "provisioning" / name).read_text("utf-8"))


def mounts() -> dict[str, Path]:
    """Where the README's command puts which folder of the repository."""
    return {inside: ROOT / outside for outside, inside in re.findall(r'-v "\$PWD/(\S+?):(\S+?):ro"', README)}


def test_grafana_finds_the_provisioning_files_where_the_command_puts_them() -> None:
    folder = mounts()["/etc/grafana/provisioning"]
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {
        "dashboards/driftgauge.yaml",
        "datasources/prometheus.yaml",
    }


def test_the_provider_loads_the_five_boards_and_nothing_else(boards: dict[str, Any]) -> None:
    (provider,) = load("dashboards/driftgauge.yaml")["providers"]
    assert provider["type"] == "file"
    # Grafana walks the folder with all below it and takes every *.json for a board.
    assert {path.stem for path in mounts()[provider["options"]["path"]].rglob("*.json")} == set(boards)


def test_the_boards_start_with_the_data_source_that_is_provisioned(boards: dict[str, Any]) -> None:
    (source,) = load("datasources/prometheus.yaml")["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    for board in boards.values():
        assert board["templating"]["list"][0]["current"]["value"] in ("default", source["name"])


def test_the_settings_of_the_readme_are_settings(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    path = tmp_path / "render.toml"
    path.write_text(text, encoding="utf-8")
    assert load_settings(path).thresholds.psi == 0.1


def test_every_picture_of_the_readme_is_there_and_small() -> None:
    pictures = re.findall(r"\((pictures/\S+\.png)\)", README)
    assert len(set(pictures)) == 5
    for name in pictures:
        assert (FOLDER / name).stat().st_size < 120_000, name
