"""PromQL of the feature's distribution by bin, as `queries_boards` for the boards.

Counters and ratios are cumulative over bins; what a bin holds by itself is taken here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from driftgauge.render.queries import by
from driftgauge.render.queries_boards import board_series, known
from driftgauge.render.settings import RenderSettings

__all__ = ["bin_excess", "bin_share", "reference_bin_share"]

_LAST: Final = 'next_bin=""'
_NOT_LAST: Final = 'next_bin!=""'
Cumulative = Callable[..., str]


def bin_share(settings: RenderSettings, range: str) -> str:
    """Share of all rows in *range* that fell into each bin, with the bin's label and what it holds."""
    return _with_range(settings, _share_in(settings, range))


def reference_bin_share(settings: RenderSettings) -> str:
    """Share of the reference's rows in each bin, with the bin's label and what it holds."""
    return _with_range(settings, _reference_share(settings))


def bin_excess(settings: RenderSettings, range: str) -> str:
    """Share of the rows in *range* in each bin, less the reference's."""
    return _with_range(settings, f"{_share_in(settings, range)} - {_reference_share(settings)}")


def _share_in(settings: RenderSettings, range: str) -> str:
    here = known(settings, feature=True)

    def grown(*matchers: str) -> str:
        counter = board_series(settings, "feature_bin_rows_total", *here, *matchers)
        return _of_reference(settings, f"increase({counter}[{range}])")

    return f"({_alone('sum', grown)}) / scalar(sum({grown(_LAST)}) > 0)"


def _reference_share(settings: RenderSettings) -> str:
    here = known(settings, feature=True)

    def ratio(*matchers: str) -> str:
        return _of_reference(
            settings, board_series(settings, "feature_reference_bin_ratio", *here, *matchers)
        )

    return f"({_alone('max', ratio)})"


def _of_reference(settings: RenderSettings, expression: str) -> str:
    """Series of replicas whose reference is the one chosen: bins of two references have nothing in common."""
    labels = settings.labels
    matchers = (*known(settings), 'reference_id=~"$reference"')
    return f"{expression} and on {by(labels.job, labels.instance, labels.one_version)} " + board_series(
        settings, "reference_info", *matchers
    )


def _alone(operation: str, cumulative: Cumulative) -> str:
    """Bins by themselves, from bins that hold all before them: each less the one that names it as next."""
    before = f"{operation} by (next_bin) ({cumulative(_NOT_LAST)})"
    shifted = f'sum by (bin) (label_replace({before}, "bin", "$1", "next_bin", "(.+)"))'
    own = f"{operation} by (bin) ({cumulative()})"
    return f"{own} - ({shifted} or 0 * {own})"


def _with_range(settings: RenderSettings, expression: str) -> str:
    info = _of_reference(settings, board_series(settings, "feature_bin_info", *known(settings, feature=True)))
    one = f"topk by (bin) (1, max by (bin, range) ({info}))"
    return f"({expression}) * on (bin) group_left (range) {one}"
