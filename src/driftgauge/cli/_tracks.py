"""What the demo remembers of each feature while the stream plays: PSI by day, and when drift was noticed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from driftgauge.cli._verdict import FeatureVerdict, Thresholds, judge
from driftgauge.snapshot import FeatureStatistics, Snapshot

__all__ = ["Track", "Tracks"]


@dataclass(slots=True)
class Track:
    """One feature over the stream."""

    name: str
    kind: str
    psi: list[float] = field(default_factory=list)
    """By day; NaN while the window was not full."""
    noticed: str | None = None
    """The first day on which it drifted."""
    days_in_drift: int = 0
    peak: FeatureStatistics | None = None
    peak_day: str = ""
    latest: FeatureVerdict | None = None

    @property
    def drifts(self) -> bool:
        """Whether it drifts now."""
        return self.latest is not None and self.latest.result == "drift"

    def add(self, date: str, verdict: FeatureVerdict) -> None:
        """One more day."""
        self.latest = verdict
        live = verdict.statistics
        if live is not None:
            self.psi[-1] = live.psi
            if self.peak is None or live.psi > self.peak.psi:
                self.peak, self.peak_day = live, date
        if verdict.result == "drift":
            self.noticed = self.noticed or date
            self.days_in_drift += 1


class Tracks:
    """All features of a monitor, fed with one snapshot a day.

    Parameters
    ----------
    snapshot : Snapshot
        Any of the monitor's: names and kinds are taken from it.
    thresholds : Thresholds
        As in ``driftgauge check``.
    """

    def __init__(self, snapshot: Snapshot, thresholds: Thresholds) -> None:
        self.features = [Track(feature.name, feature.kind) for feature in snapshot.features]
        self.days_judged = 0
        self._thresholds = thresholds

    def add(self, date: str, snapshot: Snapshot) -> None:
        """One more day; without numbers while the window is not full."""
        for track in self.features:
            track.psi.append(math.nan)
        if not snapshot.windows[0].features:
            return
        self.days_judged += 1
        verdict = judge(snapshot, self._thresholds, min_rows=1)
        for track, feature in zip(self.features, verdict.features, strict=True):
            track.add(date, feature)

    @property
    def drifted(self) -> list[Track]:
        """Features that drifted at some time, the first noticed first."""
        return sorted(
            (track for track in self.features if track.noticed), key=lambda track: track.noticed or ""
        )

    @property
    def quiet(self) -> list[Track]:
        """Features that never drifted."""
        return [track for track in self.features if not track.noticed]
