"""Makes ``bike_sharing_hours.csv.gz`` from the original ``hour.csv`` of the Bike Sharing data set (UCI 275).

``python -m driftgauge._demo.make_data path/to/hour.csv``

Fields are copied as text, so no number is rounded. The gzip header carries neither name nor time: the same
zlib gives the same bytes, and any zlib gives the same rows (tests/cli/test_demo_data.py compares rows).
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from pathlib import Path

__all__ = ["COLUMNS", "FILE", "make", "trimmed"]

FILE = Path(__file__).with_name("bike_sharing_hours.csv.gz")

# What the demo's model sees, when it was, and the truth. Left out: instant (a row number), season, yr and
# mnth (they follow from the date), casual and registered (they add up to cnt).
COLUMNS = (
    "dteday",
    "hr",
    "holiday",
    "weekday",
    "workingday",
    "weathersit",
    "temp",
    "atemp",
    "hum",
    "windspeed",
    "cnt",
)


def trimmed(original: Path) -> bytes:
    """The CSV text of `COLUMNS` from *original*, rows in the original's order, lines ending in ``\\n``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    with original.open(newline="", encoding="ascii") as file:
        writer.writerows([row[name] for name in COLUMNS] for row in csv.DictReader(file))
    return text.getvalue().encode("ascii")


def make(original: Path, target: Path = FILE) -> None:
    """Writes *target* from *original*."""
    with target.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
        packed.write(trimmed(original))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
