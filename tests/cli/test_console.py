"""Tables on screens that have no room for them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from driftgauge.cli._console import plain_table, print_table
from driftgauge.cli.check import COLUMNS, SPARE

FEATURES = (
    "age",
    "income",
    "feature_number_007",
    "a name of a feature that is longer than anybody would think",
)


def printed(width: int, *, features: tuple[str, ...] = FEATURES[:3], terminal: bool = True) -> list[str]:
    file = io.StringIO()
    screen = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    table = plain_table(*COLUMNS, right=COLUMNS[1:-1])
    for name in features:
        numbers = ("1.47", "0.235", "0.029", "0.203", "0.063", "0.0%", "0.0%", "0.1%")
        table.add_row(name, *numbers, "could not tell")
    print_table(screen, table, spare=SPARE)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [70, 80, 100, 120])
def test_a_row_is_a_line_and_no_line_is_longer_than_the_screen(width: int) -> None:
    lines = printed(width)
    assert len(lines) == 2 + 3
    assert max(len(line) for line in lines) <= width
    for name, line in zip(FEATURES, lines[2:], strict=False):
        assert line.split()[0] == name
        assert line.rstrip().endswith("could not tell")
        assert "1.47   0.235   0.029" in line


def test_a_screen_has_as_many_columns_as_it_has_room_for() -> None:
    heads = [printed(width)[0].split() for width in (70, 80, 100, 120)]
    assert [len(head) for head in heads] == sorted({len(head) for head in heads})
    assert "KS" not in heads[0]
    assert heads[-1] == " ".join(COLUMNS).split()


def test_only_a_long_name_is_folded() -> None:
    lines = printed(80, features=FEATURES)
    assert len(lines) > 2 + 4
    folded = "".join(line[: lines[0].index("score")].strip() for line in lines[5:])
    assert folded.replace(" ", "") == FEATURES[3].replace(" ", "")
    assert sum("could not tell" in line for line in lines) == 4


def test_a_file_has_no_blanks_at_the_ends_of_its_lines() -> None:
    lines = printed(120, terminal=False)
    assert lines == [line.rstrip() for line in lines]
