"""Pieces of an alert's annotations, in the template language of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from driftgauge.render.settings import BOARD_UIDS, RenderSettings

__all__ = [
    "PERCENT",
    "VALUE",
    "WHOLE",
    "Alert",
    "Sentence",
    "board_url",
    "feature",
    "label",
    "labelled",
    "looked_up",
    "model",
]

NUMBER: Final = 'printf "%.3g"'  # humanize would write 0.4 as 400m
VALUE: Final = f"{{{{ $value | {NUMBER} }}}}"
WHOLE: Final = '{{ $value | printf "%.0f" }}'
PERCENT: Final = "{{ $value | humanizePercentage }}"


@dataclass(frozen=True, slots=True)
class Alert:
    """What an alert is about; when and how it is raised is in the settings.

    Parameters
    ----------
    labels : tuple of str
        That each instance of the alert has, for links.
    expression : str
        PromQL; its value and labels are what `description` may use.
    summary : str
        The same for every instance of the alert.
    description : str
        A template of Prometheus.
    board : str
        Short name of the dashboard to open, a key of `BOARD_UIDS`.
    """

    labels: tuple[str, ...]
    expression: str
    summary: str
    description: str
    board: str


class Sentence(Protocol):
    """Makes a text around what was looked up; nothing at all where nothing was found."""

    def __call__(self, before: str, after: str, *, space: str = " ") -> str:
        """The template of *space*, *before*, what was found, and *after*."""
        ...


def label(name: str) -> str:
    """The alert's own label of this name."""
    return f"{{{{ $labels.{name} }}}}"


def looked_up(series: str, labels: Iterable[str], shown: str = NUMBER) -> Sentence:
    """The largest value of *series* with the alert's own *labels*: windows and references are in no order."""
    query = _query(series, labels, "max(%s)")

    def sentence(before: str, after: str, *, space: str = " ") -> str:
        return (
            f"{{{{ with {query} }}}}{space}{before}{{{{ . | first | value | {shown} }}}}{after}{{{{ end }}}}"
        )

    return sentence


def labelled(
    series: str,
    labels: Iterable[str],
    told_apart: tuple[str, ...],
    shown: str,
    *,
    made: str = "",
    none: str = "",
) -> Sentence:
    """Every sample of *series* with the alert's own *labels*, each as the template *shown*.

    They come in the order of the first of the labels *told_apart*, by which they are summed, unless *made*
    says what to make of the series, ``%s``. Where there is no sample the sentence is *none*.
    """
    made = made or f"sum by ({', '.join(told_apart)}) (%s)"
    query = f'{_query(series, labels, made)} | sortByLabel "{told_apart[0]}"'

    def sentence(before: str, after: str, *, space: str = " ") -> str:
        each = f"{{{{ range $number, $sample := . }}}}{{{{ if $number }}}}, {{{{ end }}}}{shown}{{{{ end }}}}"
        otherwise = f"{{{{ else }}}}{none}" if none else ""
        return f"{{{{ with {query} }}}}{space}{before}{each}{after}{otherwise}{{{{ end }}}}"

    return sentence


def model(settings: RenderSettings) -> str:
    """The model and its version."""
    return f"{label(settings.labels.model)} version {label(settings.labels.model_version)}"


def feature(settings: RenderSettings) -> str:
    """The feature, its model and its version."""
    return f"{label(settings.labels.feature)} of {model(settings)}"


def board_url(settings: RenderSettings, alert: Alert) -> str:
    """Address of the alert's dashboard with its variables set to what the alert is about."""
    labels = settings.labels
    variables = {
        "model": labels.model,
        "version": labels.model_version,
        "feature": labels.feature,
        "instance": labels.instance,
    }
    given = [
        f"var-{variable}={{{{ $labels.{name} | urlquery }}}}"
        for variable, name in variables.items()
        if name in alert.labels
    ]
    address = f"{settings.dashboard_base}/d/{BOARD_UIDS[alert.board]}"
    return f"{address}?{'&'.join(given)}" if given else address


def _query(series: str, labels: Iterable[str], around: str) -> str:
    """A call of the template function ``query`` for *series* with the labels of the alert, in *around*."""
    names = list(labels)
    matchers = ",".join(f"{name}=%q" for name in names)
    own = series.removesuffix("}")
    inside = f"{own},{matchers}}}" if own != series else f"{series}{{{matchers}}}"
    text = (around % inside).replace('"', '\\"')
    return f'printf "{text}" {" ".join(f"$labels.{name}" for name in names)} | query'
