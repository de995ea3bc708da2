"""Snapshots to HTML: one page, whole in itself, without a script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from driftgauge import __version__
from driftgauge.errors import MissingExtraError
from driftgauge.sidecar.page_text import instant, shown
from driftgauge.sidecar.page_view import model_lines, model_view
from driftgauge.snapshot import Snapshot

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["REFRESH_SECONDS", "Asked", "headers", "status_page"]

REFRESH_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a reader wants to see, from the query of the address. Anything may be in it.

    Parameters
    ----------
    model, version, window : str or None
        None: the first there is.
    refresh : bool
        Whether the page is to be loaded again every `REFRESH_SECONDS`.
    """

    model: str | None = None
    version: str | None = None
    window: str | None = None
    refresh: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """From the parameters of an address; those with other names are passed over."""
        return cls(
            model=query.get("model"),
            version=query.get("version"),
            window=query.get("window"),
            refresh=query.get("refresh") == "on",
        )


def status_page(
    snapshots: Sequence[Snapshot],
    asked: Asked | None = None,
    *,
    now_seconds: float,
    troubles: Sequence[str] = (),
) -> str:
    """The page as text.

    Parameters
    ----------
    snapshots : sequence of Snapshot
        One a model.
    asked : Asked, optional
        What to show; by default the only model, or the overview where there are several.
    now_seconds : float
        Seconds since the epoch.
    troubles : sequence of str
        What keeps models from being watched, such as a reference that cannot be read.

    Raises
    ------
    MissingExtraError
        jinja2 is not installed.

    Examples
    --------
    >>> status_page([], now_seconds=0.0).split("<h2>")[1].split("</h2>")[0]
    'No models yet'

    Notes
    -----
    Every text goes through the escaping of Jinja, and names through `driftgauge.sidecar.page_text.shown`
    before: no character that hides, breaks a line or turns the direction of writing reaches the page.
    """
    asked = asked or Asked()
    chosen = _chosen(snapshots, asked)
    return _template().render(
        version=__version__,
        now=instant(now_seconds),
        home=".",
        refresh_text="stop loading anew" if asked.refresh else f"load anew every {REFRESH_SECONDS} s",
        refresh_link=_refresh_link(asked),
        unknown=shown(asked.model or "") if asked.model is not None and chosen is None else "",
        troubles=[shown(each, 500) for each in troubles],
        models=model_lines(snapshots),
        model=model_view(chosen, asked.window) if chosen else None,
    )


def headers(*, refresh: bool = False) -> dict[str, str]:
    """Headers of an answer with the page: no script, no frame, nothing from elsewhere, never stored.

    Examples
    --------
    >>> headers()["X-Frame-Options"]
    'DENY'
    """
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    made = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return made | {"Refresh": str(REFRESH_SECONDS)} if refresh else made


def _chosen(snapshots: Sequence[Snapshot], asked: Asked) -> Snapshot | None:
    if asked.model is None:
        return snapshots[0] if len(snapshots) == 1 else None
    found = [each for each in snapshots if each.model == asked.model]
    exact = [each for each in found if each.model_version == asked.version]
    return next(iter(exact or found), None)


def _refresh_link(asked: Asked) -> str:
    kept = {"model": asked.model, "version": asked.version, "window": asked.window}
    query = {name: value for name, value in kept.items() if value is not None}
    if not asked.refresh:
        query["refresh"] = "on"
    return "?" + urlencode(query, errors="replace")


@lru_cache(maxsize=1)
def _style() -> str:
    return (files("driftgauge.sidecar") / "templates" / "page.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _template() -> Template:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        message = "the status page needs jinja2; pip install driftgauge[sidecar]"
        raise MissingExtraError(message) from error
    environment: Any = Environment(
        loader=PackageLoader("driftgauge.sidecar"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The one text that is not escaped: our own file, whose hash the policy names.
    environment.globals["style"] = Markup(_style())
    page: Template = environment.get_template("page.html.j2")
    return page
