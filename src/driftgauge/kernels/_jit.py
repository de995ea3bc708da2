"""The one place that touches numba's compiler: how a kernel is compiled, and the types it may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, cast

from numba import config, njit, types

from driftgauge.kernels._cache import cache_directory

__all__ = [
    "BINS",
    "BOOLEANS",
    "COUNTS",
    "ECELLS",
    "ECELL_ROWS",
    "FLAG",
    "FLOAT",
    "FLOATS",
    "FLOAT_COLUMN",
    "FLOAT_ROWS",
    "INDEX_BLOCK",
    "INDICES",
    "INTEGERS",
    "NUMBER",
    "OUT_BINS",
    "OUT_COUNTS",
    "OUT_ECELL_ROWS",
    "OUT_FLOATS",
    "OUT_FLOAT_ROWS",
    "OUT_INDEX_ROWS",
    "OUT_INDICES",
    "SCORE_ROWS",
    "SINGLES",
    "SMALL_INTEGERS",
    "VOID",
    "kernel",
]

F = TypeVar("F", bound=Callable[..., Any])


def _read(dtype: Any, dimensions: int = 1, order: Literal["A", "C"] = "C") -> Any:
    # A parameter declared read-only takes writable arrays too; the other way round numba refuses.
    return types.Array(dtype, dimensions, order, readonly=True)


VOID: Final = types.void
NUMBER: Final = types.int64
FLOAT: Final = types.float64
FLAG: Final = types.boolean
FLOATS: Final = _read(types.float64)
FLOAT_COLUMN: Final = _read(types.float64, order="A")
FLOAT_ROWS: Final = _read(types.float64, 2, "A")
SCORE_ROWS: Final = _read(types.float64, 2)
INDICES: Final = _read(types.uint16)
INDEX_BLOCK: Final = _read(types.uint16, 2, "A")
COUNTS: Final = _read(types.uint32)
BINS: Final = _read(types.int64)
INTEGERS: Final = BINS
SMALL_INTEGERS: Final = _read(types.int32)
ECELLS: Final = _read(types.uint8)
ECELL_ROWS: Final = _read(types.uint8, 2, "A")
SINGLES: Final = _read(types.float32)
BOOLEANS: Final = _read(types.boolean)
OUT_FLOATS: Final = types.float64[::1]
OUT_FLOAT_ROWS: Final = types.float64[:, ::1]
OUT_INDICES: Final = types.uint16[::1]
OUT_INDEX_ROWS: Final = types.uint16[:, ::1]
OUT_COUNTS: Final = types.uint32[::1]
OUT_ECELL_ROWS: Final = types.uint8[:, ::1]
OUT_BINS: Final = types.int64[::1]


def kernel(result: Any, *parameters: Any, reassociate: bool = False) -> Callable[[F], F]:
    """Compile a function of exactly these types, once, when its module is imported.

    It releases the GIL and is never parallel (threads of numba's do not survive a fork), and cached on disk
    only where `driftgauge.kernels._cache` has a directory for it. Division by zero is NaN or infinity as in
    NumPy. Of fast-math there is at most *reassociate*: sums may be taken in another order. NaN and infinity
    keep their meaning with it; the other flags would take it away.
    """
    directory = cache_directory()
    options: dict[str, Any] = {
        "nogil": True,
        "cache": directory is not None,
        "error_model": "numpy",
        "no_cfunc_wrapper": True,
    }
    if reassociate:
        options["fastmath"] = {"reassoc"}

    def compile_it(function: F) -> F:
        # For the moment of compiling only: where others in this process keep theirs is not ours to choose.
        settings: Any = config
        before = settings.CACHE_DIR
        settings.CACHE_DIR = directory or before
        try:
            return cast(F, njit([result(*parameters)], **options)(function))
        finally:
            settings.CACHE_DIR = before

    return compile_it
