"""What was found unreadable before it came to a decoder, counted where the others are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftgauge.protocols import Decoded, Decoder, Message, Names, Undecodable

if TYPE_CHECKING:
    from driftgauge._payload_intake import Intake
    from driftgauge.sidecar.models import ModelHandle

__all__ = ["Refusable", "intake_of", "refuse"]


@dataclass(frozen=True, slots=True)
class _Refused(Message):
    reason: str = "internal_error"
    detail: str = ""


def refuse(intake: Intake, reason: str, detail: str) -> None:
    """Have a payload counted as undecodable, and told in the log. The intake's decoder is a `Refusable`.

    Parameters
    ----------
    intake : Intake
    reason : str
        One of `driftgauge.protocols.REASONS`.
    detail : str
        Without values of rows.
    """
    message = _Refused(b"", reason=reason, detail=detail)
    intake.offer(message, message)


class Refusable:
    """A decoder that knows what `refuse` offers, and leaves everything else to another one.

    Parameters
    ----------
    inner : Decoder, optional
        None where rows come as columns.
    name : str
        Default that of *inner*.

    Examples
    --------
    >>> from driftgauge.protocols import decoder
    >>> reads = Refusable(decoder("kserve_v1"))
    >>> reads.request(Message(b'{"instances": [[33]]}'), Names(("age",), ())).columns
    {'age': [33]}
    """

    def __init__(self, inner: Decoder | None = None, name: str = "") -> None:
        self._inner = inner
        self._name = name or (inner.name if inner is not None else "")

    @property
    def name(self) -> str:
        """Of the other one."""
        return self._name

    @property
    def both_halves(self) -> bool:
        """Of the other one."""
        return self._inner is not None and self._inner.both_halves

    def request(self, message: Message, names: Names) -> Decoded | Undecodable:
        """The inputs of a request."""
        if isinstance(message, _Refused):
            return Undecodable(message.reason, message.detail)
        if self._inner is None:
            return Undecodable("internal_error", "there is no decoder")
        return self._inner.request(message, names)

    def response(self, message: Message, names: Names, request: Decoded | None) -> Decoded | Undecodable:
        """The outputs of a response."""
        if isinstance(message, _Refused):
            return Undecodable(message.reason, message.detail)
        if self._inner is None:
            return Undecodable("internal_error", "there is no decoder")
        return self._inner.response(message, names, request)


def intake_of(handle: ModelHandle, way: str, decoder: Refusable, *, sample: float = 1.0) -> Intake:
    """The intake of a model for a way and a decoder; the same each time, after a reload too."""
    return handle.intake(way, decoder.name, own=decoder, sample=sample)
