"""Alerts as the webhooks of Alertmanager, version 4, and of Grafana bring them: read within limits.

What is not known is left alone, so that newer versions can be read. What is wrong about one alert costs
that alert and is counted by its reason; only a body that is no such message at all is refused as a whole.
An alert is known by fingerprint and start: its annotations change from message to message, and its group is
sent again whenever a member joins.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

__all__ = ["REASONS", "Alert", "AlertLimits", "Message", "Unreadable", "read_message", "time_text"]

REASONS: Final = (
    "bad_time",
    "long_text",
    "no_model",
    "not_json",
    "not_utf8",
    "too_deep",
    "too_large",
    "too_many",
    "too_many_labels",
    "wrong_shape",
)
"""Why something was not taken."""

Status = Literal["firing", "resolved"]

_FINGERPRINT: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LABEL: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_LATEST: Final = 253_402_300_799.0  # the end of the year 9999


@dataclass(frozen=True, slots=True)
class AlertLimits:
    """How large a message may be.

    Parameters
    ----------
    body_bytes : int
    alerts : int
        Of one message; more are not taken.
    labels : int
        Of one alert, and annotations as many.
    label_chars, annotation_chars : int
        A longer label costs the alert, a longer annotation is cut.
    """

    body_bytes: int = 4 << 20
    alerts: int = 10_000
    labels: int = 64
    label_chars: int = 1_024
    annotation_chars: int = 4_096


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a message.

    Parameters
    ----------
    fingerprint : str
        As Alertmanager gives it, or a hash of the labels.
    status : 'firing' or 'resolved'
    labels, annotations : mapping of str to str
    starts_seconds, ends_seconds : float
        Unix time; the second is None while it fires.
    generator_url : str
        Never followed.

    Examples
    --------
    >>> alert = Alert("a032", "firing", {"model": "churn"}, {}, 1.7e9)
    >>> alert.key, alert.model
    ('a032@2023-11-14T22:13:20.000000Z', 'churn')
    """

    fingerprint: str
    status: Status
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_seconds: float
    ends_seconds: float | None = None
    generator_url: str = ""

    @property
    def key(self) -> str:
        """Fingerprint and start: the same for every message about this alert."""
        return f"{self.fingerprint}@{time_text(self.starts_seconds)}"

    @property
    def model(self) -> str:
        """Its label; empty where it has none."""
        return self.labels.get("model", "")


@dataclass(frozen=True, slots=True)
class Message:
    """What was read: the alerts, and how many were not taken, by reason."""

    alerts: tuple[Alert, ...]
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that is no message; `detail` holds nothing of it."""

    reason: str
    detail: str


class _Refused(Exception):  # noqa: N818 - caught in this module, never seen by anybody
    pass


def read_message(body: bytes, limits: AlertLimits = AlertLimits()) -> Message | Unreadable:
    """Alerts of a webhook's body.

    Parameters
    ----------
    body : bytes
    limits : AlertLimits, optional

    Returns
    -------
    Message or Unreadable

    Examples
    --------
    >>> body = b'{"alerts": [{"labels": {"model": "m"}, "startsAt": "2026-01-01T00:00:00Z"}]}'
    >>> read_message(body).alerts[0].key
    '94c9a3a71483b429@2026-01-01T00:00:00.000000Z'
    >>> read_message(b"[]").reason
    'wrong_shape'
    """
    if len(body) > limits.body_bytes:
        return Unreadable("too_large", f"at most {limits.body_bytes} bytes are taken")
    try:
        found = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        return Unreadable("not_utf8", "the body must be UTF-8")
    except RecursionError:
        return Unreadable("too_deep", "lists and objects are nested too deeply")
    except ValueError:
        return Unreadable("not_json", "the body must be JSON")
    alerts = found.get("alerts") if isinstance(found, dict) else None
    if not isinstance(alerts, list):
        return Unreadable(
            "wrong_shape", "the body must be an object with a list 'alerts', as version 4 has it"
        )
    refused: Counter[str] = Counter()
    if len(alerts) > limits.alerts:
        refused["too_many"] += len(alerts) - limits.alerts
    taken = []
    for each in alerts[: limits.alerts]:
        try:
            taken.append(_alert(each, limits))
        except _Refused as why:
            refused[str(why)] += 1
    return Message(tuple(taken), refused)


def _alert(given: Any, limits: AlertLimits) -> Alert:
    if not isinstance(given, dict):
        raise _Refused("wrong_shape")  # noqa: EM101 - a word that is counted
    status = given.get("status", "firing")
    if status not in ("firing", "resolved"):
        raise _Refused("wrong_shape")  # noqa: EM101
    labels = _texts(given.get("labels"), limits, cut=False)
    annotations = _texts(given.get("annotations", {}), limits, cut=True)
    _add_grafana(given, annotations, limits)
    starts = _time(given.get("startsAt"))
    if starts is None:
        raise _Refused("bad_time")  # noqa: EM101
    if not labels.get("model"):
        raise _Refused("no_model")  # noqa: EM101
    fingerprint = given.get("fingerprint")
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
        fingerprint = hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:16]
    url = given.get("generatorURL", "")
    return Alert(
        fingerprint=fingerprint,
        status=status,
        labels=labels,
        annotations=annotations,
        starts_seconds=starts,
        ends_seconds=_time(given.get("endsAt")) if status == "resolved" else None,
        generator_url=_plain(url)[: limits.annotation_chars] if isinstance(url, str) else "",
    )


def _texts(given: Any, limits: AlertLimits, *, cut: bool) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _Refused("wrong_shape")  # noqa: EM101
    if len(given) > limits.labels:
        raise _Refused("too_many_labels")  # noqa: EM101
    found = {}
    for name, value in given.items():
        if not isinstance(value, str):
            raise _Refused("wrong_shape")  # noqa: EM101
        if not _LABEL.fullmatch(name) or (len(value) > limits.label_chars and not cut):
            raise _Refused("long_text")  # noqa: EM101
        found[_plain(name)] = _plain(value)[: limits.annotation_chars if cut else limits.label_chars]
    return found


def _add_grafana(given: Mapping[str, Any], annotations: dict[str, str], limits: AlertLimits) -> None:
    """What Grafana says beside the annotations: a link to the board, and the numbers of the rule."""
    link = given.get("dashboardURL")
    if isinstance(link, str) and link:
        annotations.setdefault("dashboard_url", _plain(link)[: limits.annotation_chars])
    values = given.get("values")
    if isinstance(values, dict) and len(values) == 1:
        (value,) = values.values()
        if isinstance(value, int | float) and not isinstance(value, bool):
            annotations.setdefault("value", f"{value:.6g}" if abs(value) < 1e300 else "")


def _plain(text: str) -> str:
    """Half a surrogate, which JSON can write and UTF-8 cannot, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _time(given: Any) -> float | None:
    """Unix time of RFC 3339; None for none, for the year 1, which means none, and for what is no time."""
    if not isinstance(given, str) or len(given) > 40:
        return None
    try:
        moment = datetime.fromisoformat(given)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < _LATEST else None


def time_text(seconds: float) -> str:
    """RFC 3339 to the microsecond, in UTC.

    Examples
    --------
    >>> time_text(1.7e9)
    '2023-11-14T22:13:20.000000Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
