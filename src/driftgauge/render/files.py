"""The rendered files: their texts, how they are written, and how they differ from those on disk."""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.render.alerts import alert_groups
from driftgauge.render.kubernetes import pod_monitor, prometheus_rule
from driftgauge.render.recording import recording_groups
from driftgauge.render.settings import RenderSettings

__all__ = ["What", "differences", "rendered", "write"]

What = Literal["alerts", "dashboards"]

_HEADER: Final = "# Written by `driftgauge render alerts`, do not edit.\n"


def rendered(what: What, settings: RenderSettings) -> dict[str, str]:
    """Text of each file by its name: rules and manifests for alerts, one JSON a board for dashboards.

    Raises
    ------
    MissingExtraError
        For alerts, without PyYAML.
    """
    if what == "dashboards":
        from driftgauge.render.boards import boards

        return {f"{name}.json": _json(board) for name, board in boards(settings).items()}
    groups = [*recording_groups(settings), *alert_groups(settings)]
    return {
        "driftgauge.rules.yaml": _yaml({"groups": groups}),
        # For mixin.libsonnet: jsonnet 0.18 ends with an abort on YAML's texts of several lines.
        "driftgauge.rules.json": _json({"groups": groups}),
        "prometheusrule.yaml": _yaml(prometheus_rule(settings, groups)),
        "podmonitor.yaml": _yaml(pod_monitor(settings)),
    }


def write(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Write each text under *folder*, whole or not at all; names of the files that changed.

    Raises
    ------
    ConfigError
        The folder cannot be made or written to.
    """
    changed = []
    for name, text in texts.items():
        path = folder / name
        try:
            if _on_disk(path) == text:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
        except OSError as error:
            message = f"cannot write {str(path)!r}: {error.strerror or error}"
            raise ConfigError(message) from error
        changed.append(name)
    return changed


def differences(folder: Path, texts: Mapping[str, str]) -> str:
    """Unified diff from the files under *folder* to *texts*; empty when they are the same.

    Raises
    ------
    ConfigError
        A file is there but cannot be read.
    """
    parts = []
    for name, text in texts.items():
        path = folder / name
        try:
            before = _on_disk(path)
        except OSError as error:
            message = f"cannot read {str(path)!r}: {error.strerror or error}"
            raise ConfigError(message) from error
        if before != text:
            old = str(path) if before is not None else os.devnull
            lines = difflib.unified_diff(
                (before or "").splitlines(keepends=True),
                text.splitlines(keepends=True),
                old,
                f"rendered {name}",
            )
            parts += [line if line.endswith("\n") else f"{line}\n" for line in lines]
    return "".join(parts)


def _on_disk(path: Path) -> str | None:
    """Text of a file with its line ends, None if it is not there; what is no UTF-8 will differ."""
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        mask = os.umask(0)  # mkstemp makes files for the owner only; these are for all, as the mask allows
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _json(board: Mapping[str, Any]) -> str:
    return json.dumps(board, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _yaml(document: Mapping[str, Any]) -> str:
    try:
        import yaml
    except ImportError as error:
        message = "rendering alerts needs PyYAML; install it with: pip install 'driftgauge[render]'"
        raise MissingExtraError(message) from error

    class Dumper(yaml.SafeDumper):
        """Texts of several lines as they are, and no anchors."""

        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    body = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"{_HEADER}{body}"
