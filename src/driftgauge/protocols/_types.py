"""What goes into a decoder and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from driftgauge.reference import Reference

__all__ = ["REASONS", "Column", "Decoded", "Decoder", "Exchange", "Limits", "Message", "Names", "Undecodable"]

REASONS: Final = (
    "bad_encoding",
    "bad_mapping",
    "empty",
    "internal_error",
    "missing_key",
    "not_csv",
    "not_json",
    "not_protobuf",
    "not_utf8",
    "several_keys",
    "too_deep",
    "too_large",
    "too_many_columns",
    "too_many_rows",
    "too_many_values",
    "truncated",
    "unknown_columns",
    "unsupported_content_type",
    "unsupported_datatype",
    "unsupported_encoding",
    "wrong_length",
    "wrong_shape",
    "wrong_type",
)
"""Why a payload could not be decoded. Nothing else is ever said, so that counters by reason are bounded."""

Column = Sequence[Any] | NDArray[Any]
"""Values of one feature, one a row: numbers, booleans, texts and None; an array is one-dimensional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a payload may be before it is refused.

    Parameters
    ----------
    body_bytes : int
        Of the body as it came. Default 16 MiB.
    decompressed_bytes : int
        Of the body after its content encoding is undone, held while it is undone. Default 64 MiB.
    rows, columns : int
        Of one payload. Default 100,000 and 10,000.
    values : int
        In one body, counted by the commas and brackets before it is read: small objects take 25 times their
        text in memory. Default 2,000,000: 400 MB at most, 16 MB for as many zeros.
    depth : int
        Lists within lists. Default 32.
    text_chars : int
        A longer text is replaced by the label that windows would know it by, at most 256 characters.
        Nothing is lost by it: windows do the same. Default 1,000.
    """

    body_bytes: int = 16 << 20
    decompressed_bytes: int = 64 << 20
    rows: int = 100_000
    columns: int = 10_000
    values: int = 2_000_000
    depth: int = 32
    text_chars: int = 1_000


@dataclass(frozen=True, slots=True)
class Message:
    """One half of an exchange, as it went over the wire.

    Parameters
    ----------
    body : bytes
    headers : mapping of str to str
        Names in lower case. Only content type, content encoding and inference header length are read.
    path : str
        Of the request, on both halves. Only the decoder ``auto`` reads it.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """The features that are wanted, in the order of the model: what positional data is named by.

    Parameters
    ----------
    inputs, outputs : tuple of str
    categorical : frozenset of str
        Features whose texts stay texts where the form has no types, such as CSV: ``007`` is not 7.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    categorical: frozenset[str] = frozenset()

    @classmethod
    def of(cls, reference: Reference) -> Names:
        """The features of a reference."""
        return cls(
            inputs=tuple(reference.inputs),
            outputs=tuple(reference.outputs),
            categorical=frozenset(each.name for each in reference.features if each.dtype == "categorical"),
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """Named columns of one half of an exchange.

    Parameters
    ----------
    columns : mapping of str to column
        Features that the reference knows and the payload has; a feature that did not come is absent.
    rows : int
        At least 1; every column has as many values.
    names_given : bool
        Whether the payload named its columns; otherwise they were named by their position.
    protocol : str
        Of the decoder that read it, which ``auto`` needs for the response.
    seconds : float or None
        When it happened, seconds since the epoch, where the payload says so.
    """

    columns: Mapping[str, Column]
    rows: int
    names_given: bool
    protocol: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why a payload could not be decoded.

    Parameters
    ----------
    reason : str
        One of `REASONS`.
    detail : str
        For a log: shapes, types and names of the reference, and never a value or a name from the payload.
    """

    reason: str
    detail: str


class Decoder(Protocol):
    """One protocol: bytes and headers in, named columns out, or a reason. Never an exception."""

    @property
    def name(self) -> str:
        """As in the configuration, such as ``kserve_v1``."""
        ...

    @property
    def both_halves(self) -> bool:
        """Whether one message holds request and response, as in a file of captured data."""
        ...

    def request(self, message: Message, names: Names) -> Decoded | Undecodable:
        """The inputs of a request."""
        ...

    def response(self, message: Message, names: Names, request: Decoded | None) -> Decoded | Undecodable:
        """The outputs of a response; *request* is what its request gave."""
        ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """Inputs and outputs of the same rows.

    Parameters
    ----------
    inputs : mapping of str to column
        Empty where the reference has no inputs.
    outputs : mapping of str to column, or None
        None where there was no response or it could not be used.
    rows : int
    notes : tuple of str
        Empty, or ``("response", reason)`` where the response was left out.
    seconds : float or None
        When it happened, where the payload says so.
    """

    inputs: Mapping[str, Column]
    outputs: Mapping[str, Column] | None
    rows: int
    notes: tuple[str, ...] = ()
    seconds: float | None = None
