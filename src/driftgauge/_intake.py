"""One watched function's way into the buffer: find its inputs, sample, snapshot, account. It never raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from driftgauge._arguments import Arguments, Selector, quoted
from driftgauge._buffer import Buffer
from driftgauge._capture import (
    ATOMS,
    FLOAT32,
    FLOAT64,
    NAMED,
    RECORD,
    SHAPE,
    VALUES,
    Call,
    Named,
    Refused,
    count_rows,
    freeze,
    freeze_frame,
    is_atom,
    kind_of,
    open_series,
)
from driftgauge._outputs import NOT_RECORDED, Reordered, freeze_output
from driftgauge._single_rows import FrameRows, record_of
from driftgauge.errors import ConfigError
from driftgauge.sampling import Sampler, subset

__all__ = ["STREAM_ITEMS", "Intake", "Row", "Streamed"]

UNKNOWN: Final = -1  # rows of a call whose inputs are not watched, until its result is there
STREAM_ITEMS: Final = 65_536  # a stream is held until its end; a longer one is not

Row = tuple[Any, Any]
"""One row: bytes and their dtype, a dict and `RECORD`, `Named` and `NAMED`, or `FrameRow` and `VALUES`."""

_FLOATS: Final = (FLOAT64, FLOAT32)


class Streamed(list[Any]):
    """What a generator has yielded."""


class Intake:
    """What turns calls into entries of the buffer.

    Parameters
    ----------
    buffer : Buffer
    input_names, output_names : tuple of str
        Of the reference.
    numeric : bool
        Whether all inputs of the reference are numeric.
    sampler : Sampler or None
        None takes every row.
    inputs, outputs : callable or sequence of str, optional
        See `Monitor.watch`.
    function : callable, optional
        The watched function, for the names of its parameters.

    Raises
    ------
    ConfigError
        When `inputs` or `outputs` name nothing that the reference has.
    """

    def __init__(
        self,
        buffer: Buffer,
        input_names: tuple[str, ...],
        output_names: tuple[str, ...],
        *,
        numeric: bool,
        sampler: Sampler | None = None,
        inputs: Selector | None = None,
        outputs: Selector | None = None,
        function: Callable[..., Any] | None = None,
    ) -> None:
        self.buffer = buffer
        self.bounded = True
        self.sampler = sampler
        self._arguments = Arguments(input_names, inputs, function)
        self._inputs = input_names
        self._known = frozenset(input_names)
        self._first = next(iter(input_names), None)
        self.names = self._arguments.names
        self._outputs_known = output_names
        self._output = outputs if callable(outputs) else None
        self.output_names = output_names if outputs is None or callable(outputs) else tuple(outputs)
        unknown = sorted(set(self.output_names) - set(output_names))
        if unknown:
            message = (
                f"outputs has {unknown!r}, which the reference does not have; it has {sorted(output_names)!r}"
            )
            raise ConfigError(message)
        self._frames = FrameRows(self._known, numeric=numeric)
        self._frame_class: type | None = None
        self._rng = np.random.default_rng()
        self._skip = self._arguments.skip
        self.plain_input = self._arguments.plain
        self.plain_output = len(output_names) == 1 == len(self.output_names) and self._output is None
        self._one_row = ((len(input_names),), (1, len(input_names)))
        self.shapes: tuple[Any, Any] = self._one_row if self.plain_input and self._skip == 0 else (None, None)

    # ------------------------------------------------------------------ before predict

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | Row | None:
        """A snapshot of the inputs of a call; None when no row of it is to be recorded."""
        data: Any = None
        try:
            if self.plain_input and len(args) > self._skip:
                data = args[self._skip]
                form = self._short_form(data)
                if form is not None:
                    # Look at the room first: sampling and counting are in `_one` for when there is none.
                    room = self.sampler is None and len(self.buffer.ready) < self.buffer.buffer_rows
                    if not (room or self._one()):
                        return None
                    if form is not RECORD and form is not NAMED:
                        return data.tobytes(), form
                    if form is RECORD:
                        return data.copy(), RECORD
                    row = self._frame_row(data)
                    if row is not None:
                        return row
                    call = Call(total=1, rows=1, chosen=None, tokens=0, names=self.names)
                    call.data = freeze_frame(data, None)
                    return call
            if not self._inputs:
                return Call(total=UNKNOWN, rows=1, chosen=None, tokens=0, names=())
            data = self._arguments.find(args, kwargs)
        except Refused as refused:
            self._refuse(refused, refused.rows)
            return None
        except Exception as error:
            self.buffer.failed("inputs", error)
            self.buffer.dropped["internal_error"].one()
            return None
        return self.take(data)

    def _short_form(self, data: Any) -> Any:
        """What one row of the usual kinds is: a dtype, `RECORD`, `NAMED` for a frame; None for others."""
        cls = type(data)
        if cls is np.ndarray:
            form = data.dtype
            # `in` looks for the very object first; a dtype that came through pickle is equal, not the same
            return form if data.shape in self._one_row and form in _FLOATS else None
        if cls is dict:
            # Looking at all of 20 values costs 1 µs. None may stand for a column that did not come.
            value = data.get(self._first)
            return RECORD if value is not None and type(value) in ATOMS else None
        return NAMED if cls is self._frame_class and len(data) == 1 else None

    def _frame_row(self, frame: Any) -> Row | None:
        """The row of a frame of one row; None where it must be kept as a frame."""
        row = self._frames.read(frame)
        if row is None:
            return None
        return row, NAMED if type(row) is Named else VALUES

    def take(self, data: Any) -> Call | Row | None:
        """A snapshot of *data*; None when no row of it is to be recorded."""
        buffer = self.buffer
        rows, tokens = 1, 0
        try:
            data = open_series(data, self._known)
            total = count_rows(data, len(self.names), self._known)
            rows = total
            call = self._admit(total)
            if call is None:
                return None
            rows, tokens = call.rows, call.tokens
            if total == 1 and type(data) is np.ndarray and self.names is self._inputs:
                dtype = data.dtype
                if dtype in _FLOATS:
                    return data.tobytes(), dtype
            if total == 1 and kind_of(type(data)) == "frame" and hasattr(type(data), "__len__"):
                row = self._frame_row(data)
                if row is not None:
                    self._frame_class = type(data)
                    return row
            frozen = freeze(data, call.chosen, only=self._known)
            if total == 1:
                if type(frozen) is list and type(frozen[0]) is dict and frozen[0]:
                    return frozen[0], RECORD
                if type(frozen) is dict:
                    if all(map(is_atom, frozen.values())):
                        return frozen, RECORD
                    record = record_of(frozen, self._known)
                    if record:
                        return record, RECORD
            call.data = frozen
            return call
        except Refused as refused:
            self._refuse(refused, max(rows, refused.rows) if tokens == 0 else rows)
        except Exception as error:
            buffer.failed("capture", error)
            buffer.dropped["internal_error"].add(rows)
        buffer.give_back(tokens)
        return None

    def _one(self) -> bool:
        """Sample and find room for one row."""
        buffer = self.buffer
        if self.sampler is not None and not self.sampler.one():
            buffer.sampled_out.one()
            return False
        if len(buffer.ready) >= buffer.buffer_rows and self.bounded:
            buffer.dropped["buffer_full"].one()
            return False
        return True

    def _admit(self, total: int) -> Call | None:
        """Sample and find room for a call of *total* rows."""
        buffer = self.buffer
        if total == 0 or (total == 1 and not self._one()):
            return None
        if total == 1:
            return Call(total=1, rows=1, chosen=None, tokens=0, names=self.names)
        rows = total
        chosen = None if self.sampler is None else self.sampler.many(total)
        if chosen is not None:
            rows = int(chosen.size)
            buffer.sampled_out.add(total - rows)
            if rows == 0:
                return None
        granted, tokens = buffer.grant(rows) if self.bounded else (rows, 0)
        if granted < rows:
            buffer.dropped["buffer_full"].add(rows - granted)
            if granted == 0:
                return None
            # A random part and not the first rows: batches are often sorted.
            kept = subset(self._rng, rows, granted)
            chosen = kept if chosen is None else chosen[kept]
        return Call(total=total, rows=granted, chosen=chosen, tokens=tokens, names=self.names)

    def _refuse(self, refused: Refused, rows: int) -> None:
        buffer = self.buffer
        buffer.dropped[refused.reason].add(rows)
        buffer.note(
            f"inputs/{refused.reason}",
            f"inputs do not match the reference and are not recorded: it has {quoted(self.names)}, "
            f"what came is {refused.came}; further ones are only counted",
        )

    # ------------------------------------------------------------------ after predict

    def finish(self, begun: Call | Row, result: Any) -> None:
        """Append a call, with a snapshot of its result, to the buffer."""
        if type(begun) is tuple and self.plain_output and type(result) in ATOMS:
            self.buffer.ready.append((*begun, result))
            if self.buffer.asleep:
                self.buffer.wake()
            return
        entry = self.complete(begun, result)
        if entry is not None:
            self.buffer.ready.append(entry)
            if self.buffer.asleep:
                self.buffer.wake()

    def complete(self, begun: Call | Row, result: Any) -> Call | tuple[Any, Any, Any] | None:
        """A call with a snapshot of its result: what the buffer holds. None when it is not to be recorded."""
        call = begun
        try:
            if isinstance(call, tuple):
                return (*call, self._outputs(result, 1, None))
            if call.total == UNKNOWN:
                admitted = self._admit(count_rows(result, len(self.output_names)))
                if admitted is None:
                    return None
                call = admitted
            call.result = self._outputs(result, call.total, call.chosen)
            return call
        except Refused as refused:
            self._refuse(refused, refused.rows)
        except Exception as error:
            self.buffer.failed("capture", error)
            self.abandon(call, "internal_error")
        return None

    def abandon(self, begun: Call | Row, reason: str = "predict_error") -> None:
        """Count the rows of a call that will not be recorded, and give its room back."""
        rows = begun.rows if isinstance(begun, Call) else 1
        self.buffer.dropped[reason].add(rows)
        if isinstance(begun, Call):
            self.buffer.give_back(begun.tokens)

    def _outputs(self, result: Any, total: int, chosen: Any) -> Any:
        names = self.output_names
        if not names:
            return None
        buffer = self.buffer
        try:
            if self._output is not None:
                result = self._output(list(result) if isinstance(result, Streamed) else result)
            elif isinstance(result, Streamed):
                result = _last_of(result, total)
            frozen = freeze_output(result, total, chosen, names)
            return frozen if names == self._outputs_known else Reordered(names, frozen)
        except Refused as refused:
            buffer.errors["outputs"].one()
            buffer.note(
                f"outputs/{refused.reason}",
                f"outputs do not match the reference and are recorded as missing: it has {quoted(names)}, "
                f"what came is {refused.came}; give outputs= to pick them; further ones are only counted",
            )
        except Exception as error:
            buffer.failed("outputs", error)
        return NOT_RECORDED


def _last_of(items: Streamed, total: int) -> Any:
    """The output of a stream: an item a row; for one row the text that its parts make, or the last item."""
    if len(items) >= STREAM_ITEMS:
        raise Refused(SHAPE, total, f"a stream of {STREAM_ITEMS:,} items or more")
    if total > 1:
        return list(items)
    if items and all(isinstance(item, str) for item in items):
        return "".join(items)
    return items[-1] if items else None
