"""The five boards as values, by the names of their files."""

from __future__ import annotations

from driftgauge.render.boards.feature import feature_board
from driftgauge.render.boards.fleet import fleet_board
from driftgauge.render.boards.itself import itself_board
from driftgauge.render.boards.model import model_board
from driftgauge.render.boards.models import models_board
from driftgauge.render.panels import Json
from driftgauge.render.settings import BOARD_UIDS, RenderSettings

__all__ = ["boards"]


def boards(settings: RenderSettings) -> dict[str, Json]:
    """Boards by the names of their files, without the ending.

    Examples
    --------
    >>> list(boards(RenderSettings()))
    ['driftgauge-models', 'driftgauge-model', 'driftgauge-feature', 'driftgauge-fleet', 'driftgauge-itself']
    """
    made = {
        "models": models_board,
        "model": model_board,
        "feature": feature_board,
        "fleet": fleet_board,
        "itself": itself_board,
    }
    return {uid: made[short](settings) for short, uid in BOARD_UIDS.items()}
