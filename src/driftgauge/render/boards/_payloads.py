"""Panels of payloads: requests and answers that came as bytes, and what became of them."""

from __future__ import annotations

from typing import Final

from driftgauge.render.panels import Json, Query, lines
from driftgauge.render.queries_boards import board_series, of_payloads, rate
from driftgauge.render.settings import RenderSettings

__all__ = ["payloads"]

_NONE: Final = "No payloads: rows come from Python"
_NONE_LOST: Final = "None"


def payloads(settings: RenderSettings, model: str) -> list[tuple[int, int, Json]]:
    """Payloads by way, and the shares that were dropped, unreadable, without outputs or passed on."""
    thresholds = settings.thresholds
    came = lines(
        "Payloads",
        "Payloads a second, by the way in which they come and their protocol. A way that falls to nothing "
        "while the others go on: see who should send there. All fall: see the traffic of the model.",
        [
            Query(
                rate(board_series(settings, "payloads_total", model), "way", "protocol"),
                "{{way}} {{protocol}}",
            )
        ],
        axis="payloads per second",
        unit="cps",
        noValue=_NONE,
    )
    dropped = lines(
        "Payloads dropped, by reason",
        "Share of all payloads that were not looked into. sampled_out: as configured. queue_full: sample, or "
        "give the sidecar more CPU. not_ok: the model's own errors. unpaired: an answer came without its "
        "request.",
        [Query(of_payloads(settings, "dropped", "reason", model), "{{reason}}")],
        axis="share of payloads",
        unit="percentunit",
        noValue=_NONE_LOST,
        custom={"axisSoftMax": thresholds.payloads_dropped_ratio},
    )
    undecodable = lines(
        "Payloads undecodable, by reason",
        "Share of the payloads looked into that could not be read. wrong_shape, missing_key or "
        "unknown_columns from one day on: a caller or the model changed its format; see protocol and mapping "
        "of the route.",
        [Query(of_payloads(settings, "undecodable", "reason", model), "{{reason}}")],
        axis="share of payloads",
        unit="percentunit",
        noValue=_NONE_LOST,
        custom={"axisSoftMax": thresholds.payloads_undecodable_ratio},
    )
    without = lines(
        "Payloads without outputs, by reason",
        "Share of the payloads looked into whose answer could not be read: inputs are counted, outputs are "
        "missing values. Above zero for long: the outputs of the reference are not those that the model "
        "sends.",
        [Query(of_payloads(settings, "without_outputs", "reason", model), "{{reason}}")],
        axis="share of payloads",
        unit="percentunit",
        noValue=_NONE_LOST,
        custom={"axisSoftMax": thresholds.payloads_undecodable_ratio},
    )
    forwarded = lines(
        "Payloads forwarded, by outcome",
        "Payloads a second passed on to another sink. delivered is well; refused: it does not take them; "
        "failed: it could not be reached; queue_full: it is too slow, and nothing was tried.",
        [Query(rate(board_series(settings, "payloads_forwarded_total", model), "outcome"), "{{outcome}}")],
        axis="payloads per second",
        unit="cps",
        noValue="None are passed on",
    )
    return [*((8, 8, panel) for panel in (came, dropped, undecodable)), (12, 7, without), (12, 7, forwarded)]
