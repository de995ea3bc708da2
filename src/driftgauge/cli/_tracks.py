"""What the demo remembers of each feature while the stream plays: scores by day, and when drift was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

from driftgauge.cli._verdict import FeatureVerdict, Thresholds, judge
from driftgauge.snapshot import FeatureDrift, FeatureStatistics, Snapshot

__all__ = ["Track", "Tracks"]


@dataclass(slots=True)
class Track:
    """One feature over the stream."""

    name: str
    kind: str
    score: list[float] = field(default_factory=list)
    """Drift score by day."""
    noticed: str | None = None
    """The first day on which the drift score was over 1."""
    began: str | None = None
    """Where the evidence of that day put the beginning."""
    peak_evidence: FeatureDrift | None = None
    """On the day of the highest score."""
    psi: list[float] = field(default_factory=list)
    """By day; NaN while the window was not full."""
    over_psi: str | None = None
    """The first day on which PSI, or the share of a kind of row, was over its threshold and its noise."""
    peak: FeatureStatistics | None = None
    peak_day: str = ""
    latest: FeatureVerdict | None = None

    @property
    def drifts(self) -> bool:
        """Whether the drift score is over 1 now."""
        return bool(self.score) and self.score[-1] > 1

    def add_evidence(self, date: str, evidence: FeatureDrift) -> None:
        """One more day of evidence."""
        self.score.append(evidence.score)
        if self.peak_evidence is None or evidence.score > self.peak_evidence.score:
            self.peak_evidence = evidence
        if evidence.score > 1 and self.noticed is None:
            self.noticed = date
            if evidence.onset_timestamp_seconds is not None:
                self.began = datetime.fromtimestamp(evidence.onset_timestamp_seconds, UTC).date().isoformat()

    def add_statistics(self, date: str, verdict: FeatureVerdict) -> None:
        """One more day with a full window."""
        self.latest = verdict
        live = verdict.statistics
        if live is not None:
            self.psi[-1] = live.psi
            if self.peak is None or live.psi > self.peak.psi:
                self.peak, self.peak_day = live, date
        if verdict.result == "drift":
            self.over_psi = self.over_psi or date


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
        self.model = Track(snapshot.model, "model")
        self.days = 0
        self._thresholds = thresholds

    def add(self, date: str, snapshot: Snapshot) -> None:
        """One more day; without statistics while the window is not full."""
        self.days += 1
        drift = snapshot.drift
        if drift is not None:
            self.model.score.append(drift.score)
            if drift.score > 1:
                self.model.noticed = self.model.noticed or date
            for track, evidence in zip(self.features, drift.features, strict=True):
                track.add_evidence(date, evidence)
        for track in self.features:
            track.psi.append(math.nan)
        if not snapshot.windows[0].features:
            return
        verdict = judge(snapshot, self._thresholds, min_rows=1)
        for track, feature in zip(self.features, verdict.features, strict=True):
            track.add_statistics(date, feature)

    @property
    def drifted(self) -> list[Track]:
        """Features whose score was over 1 at some time, the first noticed first."""
        return sorted(
            (track for track in self.features if track.noticed), key=lambda track: track.noticed or ""
        )

    @property
    def only_psi(self) -> list[Track]:
        """Features that only a threshold of an effect size called drifted, at some time."""
        return [track for track in self.features if track.over_psi and not track.noticed]

    @property
    def quiet(self) -> list[Track]:
        """Features that nothing called drifted, ever."""
        return [track for track in self.features if not track.noticed and not track.over_psi]
