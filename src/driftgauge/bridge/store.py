"""One SQLite file that holds everything: alerts, runs and the log. Used by one thread at a time.

Write-ahead log with ``synchronous=FULL``: what a committed transaction wrote is there after a power cut. Many
messages share one transaction, so that a flood costs few of them. The command line writes to the same file
from its own process; whoever decides does so in one transaction that began with the write lock.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Final

from driftgauge.bridge.alerts import Alert, time_text
from driftgauge.bridge.decide import Held
from driftgauge.bridge.records import IN_FLIGHT, Entry, Run
from driftgauge.bridge.store_schema import RUN_COLUMNS, SCHEMA, VERSION, row_of, run_of
from driftgauge.errors import ConfigError

__all__ = ["Store"]

BUSY_SECONDS: Final = 10.0
SEEN_SECONDS: Final = 600.0  # a repeated alert is written again after it, which is what `stale_after` needs
LOGGED_KEYS: Final = 50
PRUNED_AT_A_TIME: Final = 5_000
FREED_PAGES: Final = 2_000


class Store:
    """The file.

    Parameters
    ----------
    path : str or path
        Made when it is absent.

    Raises
    ------
    ConfigError
        It cannot be opened, is no such file, or is of a newer version.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        try:
            # The lock is ours: `check_same_thread` would forbid the executor's thread to be replaced.
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                message = (
                    f"{str(path)!r} is of version {version}, and this driftgauge knows {VERSION}; upgrade it"
                )
                raise ConfigError(message)
            if not version:
                self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA journal_size_limit=16777216")
            if not version:
                self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            message = (
                f"store.path {str(path)!r} cannot be used: {error}; give a file in a folder of this user"
            )
            raise ConfigError(message) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that holds the write lock from its beginning; nothing of it stays if it fails."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def changed_by_others(self) -> int:
        """A number that differs from the one before when another process has written."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    # ------------------------------------------------------------------ alerts

    def put_alerts(
        self, messages: Sequence[Iterable[Alert]], now_seconds: float
    ) -> tuple[list[Counter[str]], set[str]]:
        """Write the alerts of some messages in one transaction.

        Returns
        -------
        outcomes : list of Counter
            Of each message: ``'new'``, ``'resolved'`` and ``'duplicate'``.
        models : set of str
            Those with something new.
        """
        outcomes, models = [], set()
        with self.writing():
            for alerts in messages:
                outcome: Counter[str] = Counter()
                for alert in alerts:
                    what = self._put(alert, now_seconds)
                    outcome[what] += 1
                    if what != "duplicate":
                        models.add(alert.model)
                outcomes.append(outcome)
        return outcomes, models

    def _put(self, alert: Alert, now_seconds: float) -> str:
        starts = time_text(alert.starts_seconds)
        place = (alert.fingerprint, starts)
        before = self._db.execute(
            "SELECT status, seen FROM alerts WHERE fingerprint = ? AND starts_at = ?", place
        ).fetchone()
        if before is None:
            self._db.execute(
                "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *place,
                    alert.model,
                    alert.status,
                    json.dumps(dict(alert.labels)),
                    json.dumps(dict(alert.annotations)),
                    alert.generator_url,
                    alert.starts_seconds,
                    alert.ends_seconds,
                    now_seconds,
                    now_seconds,
                ),
            )
            return "new" if alert.status == "firing" else "resolved"
        status, seen = before
        if alert.status == "resolved" and status == "firing":
            self._db.execute(
                "UPDATE alerts SET status = 'resolved', ends = ?, seen = ?"
                " WHERE fingerprint = ? AND starts_at = ?",
                (alert.ends_seconds, now_seconds, *place),
            )
            return "resolved"
        # A firing alert that comes after its end is late, not new: messages overtake each other.
        if now_seconds - seen > SEEN_SECONDS:
            self._db.execute(
                "UPDATE alerts SET seen = ? WHERE fingerprint = ? AND starts_at = ?", (now_seconds, *place)
            )
        return "duplicate"

    def firing(self, model: str, since_seconds: float = 0.0) -> list[Held]:
        """Alerts of a model that fire and were sent since a time, the oldest first."""
        rows = self._db.execute(
            "SELECT fingerprint, labels, annotations, starts, generator_url, received FROM alerts"
            " WHERE model = ? AND status = 'firing' AND seen >= ? ORDER BY received, fingerprint, starts_at",
            (model, since_seconds),
        )
        return [
            Held(
                Alert(row[0], "firing", json.loads(row[1]), json.loads(row[2]), row[3], None, row[4]), row[5]
            )
            for row in rows
        ]

    def models_firing(self) -> set[str]:
        """Models with an alert that fires."""
        return {
            row[0] for row in self._db.execute("SELECT DISTINCT model FROM alerts WHERE status = 'firing'")
        }

    def covered(self, route: str, model: str) -> set[str]:
        """Keys of the model's firing alerts that have had a run of this route; dry runs are told apart."""
        rows = self._db.execute(
            "SELECT c.fingerprint || '@' || c.starts_at FROM alerts a"
            " JOIN covered c USING (fingerprint, starts_at)"
            " WHERE a.model = ? AND a.status = 'firing' AND c.route = ?",
            (model, route),
        )
        return {row[0] for row in rows}

    # ------------------------------------------------------------------ runs

    def add_run(self, run: Run, *, covers: str = "") -> bool:
        """Write a new run, and that its alerts have had one of *covers*; False if its key is known."""
        request = run.request
        for key in request.alert_keys if covers else ():
            fingerprint, _, starts = key.partition("@")
            self._db.execute(
                "INSERT OR IGNORE INTO covered VALUES (?, ?, ?, ?)",
                (covers, fingerprint, starts, request.run_id),
            )
        marks = ", ".join("?" * len(RUN_COLUMNS))
        done = self._db.execute(
            f"INSERT OR IGNORE INTO runs ({', '.join(RUN_COLUMNS)}) VALUES ({marks})", row_of(run)
        )
        return done.rowcount == 1

    def put_run(self, run: Run) -> None:
        """Write what has become of a run."""
        marks = ", ".join(f"{name} = ?" for name in RUN_COLUMNS)
        self._db.execute(f"UPDATE runs SET {marks} WHERE id = ?", (*row_of(run), run.id))

    def run(self, run_id: str) -> Run | None:
        """The run with this id."""
        found = self._runs("WHERE id = ?", run_id)
        return found[0] if found else None

    def runs_of(self, model: str, since_seconds: float) -> list[Run]:
        """Runs of a model that are not over, or were decided after a time, the newest first."""
        return self._runs(
            f"WHERE model = ? AND (created > ? OR state IN ({_quoted(IN_FLIGHT)})) ORDER BY created DESC, id",
            model,
            since_seconds,
        )

    def runs_due(self, now_seconds: float, limit: int) -> list[Run]:
        """Runs that are not over and are to be looked at, those first that have waited longest for it."""
        return self._runs(
            f"WHERE state IN ({_quoted(IN_FLIGHT)}) AND next_at <= ? ORDER BY next_at, id LIMIT ?",
            now_seconds,
            limit,
        )

    def runs(self, state: str = "", model: str = "", limit: int = 1_000) -> list[Run]:
        """Runs of a state and a model, where these are given, the newest first."""
        return self._runs(
            "WHERE (? = '' OR state = ?) AND (? = '' OR model = ?) ORDER BY created DESC, id LIMIT ?",
            state,
            state,
            model,
            model,
            limit,
        )

    def _runs(self, where: str, *values: Any) -> list[Run]:
        rows = self._db.execute(f"SELECT {', '.join(RUN_COLUMNS)} FROM runs {where}", values)
        return [run_of(dict(zip(RUN_COLUMNS, row, strict=True))) for row in rows]

    def pending(self) -> tuple[int, float | None, int]:
        """How many runs wait to be started, since when the oldest does, and how many are dead letters."""
        waiting, oldest = self._db.execute(
            "SELECT count(*), min(created) FROM runs WHERE state IN ('proposed', 'pending', 'starting')"
        ).fetchone()
        dead = self._db.execute("SELECT count(*) FROM runs WHERE state = 'dead'").fetchone()[0]
        return int(waiting), oldest, int(dead)

    def last_success(self) -> float | None:
        """When a run last succeeded."""
        found = self._db.execute("SELECT max(changed) FROM runs WHERE state = 'succeeded'").fetchone()[0]
        return None if found is None else float(found)

    # ------------------------------------------------------------------ log

    def log(self, entry: Entry) -> None:
        """Append a line to the audit log."""
        keys = json.dumps(entry.alert_keys[:LOGGED_KEYS])
        self._db.execute(
            "INSERT INTO decisions (time, what, model, route, brake, reason, run_id, alerts, alert_keys)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.seconds,
                entry.what,
                entry.model,
                entry.route,
                entry.brake,
                entry.reason,
                entry.run_id,
                entry.alerts or len(entry.alert_keys),
                keys,
            ),
        )

    def entries(self, model: str = "", limit: int = 100) -> list[Entry]:
        """Last lines of the audit log, the oldest of them first."""
        rows = self._db.execute(
            "SELECT time, what, model, route, brake, reason, run_id, alert_keys, alerts FROM decisions"
            " WHERE ? = '' OR model = ? ORDER BY id DESC LIMIT ?",
            (model, model, limit),
        ).fetchall()
        names = ("seconds", "what", "model", "route", "brake", "reason", "run_id", "alert_keys", "alerts")
        found = [dict(zip(names, row, strict=True)) for row in reversed(rows)]
        return [Entry(**{**each, "alert_keys": tuple(json.loads(each["alert_keys"]))}) for each in found]

    # ------------------------------------------------------------------ retention

    def prune(self, before_seconds: float, runs_before_seconds: float, most_rows: int) -> int:
        """Take away alerts and lines that are older, and runs that are over; how many rows went.

        Of more than *most_rows* resolved alerts, or lines, the oldest go too, or a flood would fill the disk
        long before it is old. Some thousands at a time, so that no message waits long; call it again while it
        returns many.
        """
        with self.writing():
            gone = 0
            for table, keys, order, where in _COUNTED:
                count = self._db.execute(f"SELECT count(*) FROM {table} {where}").fetchone()[0]
                if (excess := min(count - most_rows, PRUNED_AT_A_TIME)) > 0:
                    old = f"SELECT {keys} FROM {table} {where} ORDER BY {order} LIMIT {excess}"
                    gone += self._db.execute(f"DELETE FROM {table} WHERE ({keys}) IN ({old})").rowcount
            for table, keys, age, when in _AGED:
                old = f"SELECT {keys} FROM {table} WHERE {age} < ? {when} LIMIT {PRUNED_AT_A_TIME}"
                limit = runs_before_seconds if table == "runs" else before_seconds
                gone += self._db.execute(f"DELETE FROM {table} WHERE ({keys}) IN ({old})", (limit,)).rowcount
            # What covers an alert stays as long as the alert, or a late copy of it would start a second run.
            gone += self._db.execute(
                "DELETE FROM covered WHERE NOT EXISTS (SELECT 1 FROM alerts a WHERE"
                " a.fingerprint = covered.fingerprint AND a.starts_at = covered.starts_at)"
            ).rowcount
        if gone:
            self._db.execute(f"PRAGMA incremental_vacuum({FREED_PAGES})").fetchall()
        return gone


def _quoted(states: Iterable[str]) -> str:
    return ", ".join(f"'{state}'" for state in sorted(states))


# An alert that fires is sent again, so without its row it would be a new one, and start a second run.
_COUNTED: Final = (
    ("alerts", "fingerprint, starts_at", "seen", "WHERE status = 'resolved'"),
    ("decisions", "id", "id", ""),
)
_AGED: Final = (
    ("alerts", "fingerprint, starts_at", "seen", ""),
    ("decisions", "id", "time", "ORDER BY id"),
    ("runs", "id", "changed", f"AND state NOT IN ({_quoted(IN_FLIGHT)})"),
)
