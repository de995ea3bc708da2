"""Write the tables of README.md and benchmarks/README.md from ``results/*.json``.

    python benchmarks/tables.py            # writes between the markers
    python benchmarks/tables.py --check    # exit status 1 if a table is not what the results say

README.md gets every goal, met or missed, and three benchmarks' headlines; benchmarks/README.md all tables.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "BEGIN",
    "END",
    "cell",
    "check",
    "documents",
    "full",
    "goal_row",
    "short",
    "verdict",
    "with_tables",
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"

ORDER = (
    "real_data",
    "operating",
    "detection",
    "detection_short",
    "peers",
    "binning",
    "evidence",
    "profile",
    "watch",
    "proxy",
    "bridge",
    "memory",
    "import",
    "scrape",
    "otel",
    "resolution",
)
HEADS = {
    "real_data": "Real data",
    "operating": "False alarms of the drift score",
    "detection": "How soon a change is seen",
    "detection_short": "How soon, against alibi-detect",
    "peers": "KS and PSI against peers",
    "binning": "Binning",
    "evidence": "Evidence of drift",
    "profile": "Learning a reference",
    "watch": "A watched predict function",
    "proxy": "The proxy of the sidecar",
    "bridge": "Alerts into the bridge",
    "memory": "Memory",
    "import": "Import time",
    "scrape": "One scrape",
    "otel": "One export over OTLP",
    "resolution": "Quantile cells: resolution against error",
}
SHOWN = (
    "real_data",
    "operating",
    "detection",
    "peers",
    "binning",
    "evidence",
    "watch",
)  # in README.md; the others are one click further, in benchmarks/README.md

Document = Mapping[str, Any]


def _significant(value: float, digits: int = 3) -> str:
    """*value* with so many significant digits, never in exponents, thousands set apart."""
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    number = float(text)
    decimals = 0
    while decimals < 12 and float(f"{number:.{decimals}f}") != number:
        decimals += 1
    return f"{number:,.{decimals}f}"


def _scaled(value: float, steps: Sequence[tuple[float, str]]) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return f"{_significant(value / size)} {name}"
    size, name = steps[-1]
    return f"{_significant(value / size)} {name}"


def cell(value: Any, unit: str) -> str:
    """Return one cell's text; a dash for ``None``.

    Examples
    --------
    >>> cell(1_500_000, "ns"), cell(20.04, "ratio"), cell(65_536, "bytes"), cell(3e-16, "error")
    ('1.5 ms', '20 ×', '64 KiB', '3e-16')
    """
    if value is None:
        return "–"
    if unit == "text" or isinstance(value, str):
        return str(value).replace("|", "\\|")
    if unit == "count":
        return f"{round(value):,}"
    if unit == "ns":
        return _scaled(value, ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")))
    if unit == "bytes":
        if abs(value) < 2**10:
            return f"{round(value)} B"
        return _scaled(value, ((2**20, "MiB"), (2**10, "KiB")))
    if unit == "ratio":
        return f"{_significant(value)} ×"
    if unit == "error":
        return "0" if value == 0 else f"{value:.1g}"
    if unit == "number":
        return _significant(value)
    if unit == "percent":
        return f"{_significant(value)} %"
    message = f"unit must be one of bytes, count, error, number, ns, percent, ratio, text, got {unit!r}"
    raise ValueError(message)


def verdict(entry: Mapping[str, Any]) -> str:
    """Return ``'met'`` or by how much the goal is missed.

    Examples
    --------
    >>> verdict({"goal": 20, "measured": 16, "better": "higher"})
    'missed by 20 %'
    >>> verdict({"goal": 0.1, "measured": 0.04, "better": "lower"})
    'met'
    """
    target, measured = entry["goal"], entry["measured"]
    higher = entry["better"] == "higher"
    if (measured >= target) if higher else (measured <= target):
        return "met"
    if target == 0:
        return "**missed**"
    share = (target - measured) / target if higher else (measured - target) / target
    if share >= 1:
        return f"missed: {_significant(1 + share)} times the goal"
    return f"missed by {_significant(100 * share, 2)} %"


def goal_row(entry: Mapping[str, Any]) -> list[str]:
    """Return a goal as one row: what, goal, measured, verdict."""
    bound = "at least" if entry["better"] == "higher" else "at most"
    unit = entry["unit"]
    return [
        str(entry["what"]),
        f"{bound} {cell(entry['goal'], unit)}",
        cell(entry["measured"], unit),
        verdict(entry),
    ]


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |"]
    lines.append("| " + " | ".join("---:" if to_right else "---" for to_right in right) + " |")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return lines


def _table(entry: Mapping[str, Any]) -> list[str]:
    units = [column["unit"] for column in entry["columns"]]
    rows = [[cell(value, unit) for value, unit in zip(row, units, strict=True)] for row in entry["rows"]]
    return _markdown(
        [column["name"] for column in entry["columns"]], rows, [unit != "text" for unit in units]
    )


def _where(document: Document) -> str:
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    busy = machine.get("load_average_1_minute")
    load = "" if busy is None else f", load average {busy}"
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}{load}"
    return f"`{document['script']}`, {document['taken']}; {where}; {versions}."


def documents(folder: Path = HERE / "results") -> dict[str, Document]:
    """Return every result by its benchmark's name, in the order of `ORDER`, unknown ones after."""
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    }
    known = [name for name in ORDER if name in found]
    return {name: found[name] for name in [*known, *(name for name in found if name not in ORDER)]}


def _goals(found: Mapping[str, Document]) -> list[str]:
    rows = [goal_row(entry) for document in found.values() for entry in document["goals"]]
    return _markdown(["what", "goal", "measured", ""], rows, [False, True, True, False])


def short(found: Mapping[str, Document]) -> str:
    """Return what README.md shows: all goals, then the headline tables of `SHOWN`, folded."""
    lines = [*_goals(found), ""]
    for name in SHOWN:
        if name not in found:
            continue
        document = found[name]
        chosen = [entry for entry in document["tables"] if entry.get("headline")] or document["tables"][:1]
        lines += [f"<details><summary>{HEADS[name]}</summary>", ""]
        for entry in chosen:
            lines += [f"**{entry['title']}**", "", *_table(entry), ""]
        lines += [f"<sub>{_where(document)}</sub>", "", "</details>", ""]
    lines += [
        "All tables, what they leave out and how to run them: [benchmarks/README.md](benchmarks/README.md)."
    ]
    return "\n".join(lines)


def full(found: Mapping[str, Document]) -> str:
    """Return what benchmarks/README.md shows: all goals and all tables with their notes."""
    lines = ["### Goals", "", *_goals(found), ""]
    for name, document in found.items():
        lines += [f"### {HEADS.get(name, name)}", "", _where(document), ""]
        for entry in document["tables"]:
            lines += [f"**{entry['title']}**", "", *_table(entry), ""]
            if entry["note"]:
                lines += [entry["note"], ""]
    return "\n".join(lines).rstrip("\n")


def with_tables(text: str, tables: str) -> str:
    """Return *text* with *tables* between the markers.

    Raises
    ------
    ValueError
        When a marker is not there exactly once.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        message = f"expected {BEGIN} and {END} once each, found {text.count(BEGIN)} and {text.count(END)}"
        raise ValueError(message)
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables}\n{END}{tail}"


def targets(found: Mapping[str, Document]) -> dict[Path, str]:
    """Return the files that hold tables and what belongs between their markers."""
    wanted = {ROOT / "README.md": short(found), HERE / "README.md": full(found)}
    return {path: tables for path, tables in wanted.items() if BEGIN in path.read_text(encoding="utf-8")}


def check(found: Mapping[str, Document]) -> list[str]:
    """Return the difference between the files and what the results say, as lines of a diff; empty if none."""
    lines: list[str] = []
    for path, tables in targets(found).items():
        text = path.read_text(encoding="utf-8")
        wanted = with_tables(text, tables)
        names = (str(path.relative_to(ROOT)), "what benchmarks/results say")
        lines += difflib.unified_diff(text.splitlines(), wanted.splitlines(), *names, lineterm="")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    found = documents()
    if chosen.check:
        lines = check(found)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return 1 if lines else 0
    for path, tables in targets(found).items():
        path.write_text(with_tables(path.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
