"""One column of anything, as float64 or as category codes."""

from __future__ import annotations

import datetime
import hashlib
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import MISSING, Floats
from driftgauge.errors import DataError

__all__ = [
    "Categories",
    "Column",
    "Columns",
    "array_column",
    "encode",
    "label",
    "object_column",
    "tensor_array",
]

ColumnType = Literal["numeric", "boolean", "categorical", "date"]

LABEL_CHARACTERS: Final = (
    256  # our choice: longer text is no category; a label must not grow a file without bound
)
EXACT_INTEGER: Final = 2**53  # above it float64 holds only some integers

_DATES: Final = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_NUMBERS: Final = (numbers.Real, Decimal, np.bool_)
_NESTED: Final = (dict, list, tuple, set, frozenset, np.ndarray)
_MISSING_TYPES: Final = frozenset(
    {"NoneType", "NAType", "NaTType"}
)  # pd.NA and pd.NaT, without importing pandas


def label(value: object) -> str:
    """The one text of a category, whatever type it came as.

    Parameters
    ----------
    value : object
        A string is kept as it is, bytes are decoded as UTF-8, ``True`` is ``'true'``. A whole number is
        written without a point, so that 3, 3.0, ``numpy.int64(3)`` and ``Decimal('3.0')`` are one category.

    Returns
    -------
    str
        At most 256 characters: of a longer text the first 240, and 12 digits of its SHA-256.

    Examples
    --------
    >>> label(3.0), label(True), label(b"red"), label(0.1)
    ('3', 'true', 'red', '0.1')
    """
    if isinstance(value, str):
        text = str(value)
    elif isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
    elif isinstance(value, bool | np.bool_):
        text = "true" if value else "false"
    elif isinstance(value, int | np.integer):
        text = str(int(value))
    elif isinstance(value, float | np.floating | Decimal):
        number = float(value)
        whole = number.is_integer() and abs(number) <= EXACT_INTEGER
        text = str(int(number)) if whole else str(value)
    else:
        text = str(value)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written anywhere
    if len(text) > LABEL_CHARACTERS:
        digest = hashlib.sha256(text.encode()).hexdigest()
        text = f"{text[:240]}…{digest[:12]}"
    return text


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """A column of categories: one small number a row, and the text of each number.

    Parameters
    ----------
    codes : int32[rows]
        Index into `labels`; -1 where missing.
    labels : tuple of str
        Distinct, as `label` writes them. A label that no row has may be among them.
    """

    codes: NDArray[np.int32]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column and what is known of its type.

    `single` says that the values came as float32 or float16; `too_large` that integers beyond 2**53 were
    among them, which float64 cannot tell apart.
    """

    values: Floats | Categories
    dtype: ColumnType
    single: bool = False
    too_large: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Some columns of equal length, in one form whatever they came as.

    Parameters
    ----------
    names : tuple of str
    rows : int
    values : tuple of float64[rows] or Categories
        Numbers and booleans (1 and 0) as float64 with `cells.MISSING` for a null; everything else as
        `Categories`. A date has no values: all missing.
    dtypes : tuple of 'numeric', 'boolean', 'categorical' or 'date'
    single : frozenset of str
        Columns that came as float32 or float16.
    too_large : frozenset of str
        Columns that held integers beyond 2**53.
    """

    names: tuple[str, ...]
    rows: int
    values: tuple[Floats | Categories, ...]
    dtypes: tuple[ColumnType, ...]
    single: frozenset[str] = field(default_factory=frozenset)
    too_large: frozenset[str] = field(default_factory=frozenset)


def encode(codes: NDArray[Any], values: Iterable[object]) -> Categories:
    """Categories from *codes* into *values*; values with one label share a code, a NaN is missing."""
    labels: dict[str, int] = {}
    table = []
    for value in values:
        if _is_missing_object(value):
            table.append(-1)
        else:
            table.append(labels.setdefault(label(value), len(labels)))
    table.append(-1)  # code -1 reads the last
    return Categories(np.asarray(table, np.int32)[codes], tuple(labels))


def _is_missing_object(value: object) -> bool:
    if type(value).__name__ in _MISSING_TYPES:
        return True
    return isinstance(value, float | np.floating | Decimal) and value != value


def tensor_array(tensor: Any) -> NDArray[Any]:
    """The NumPy array of a tensor, told by what it can do, so that no framework is imported.

    It may share the tensor's memory.
    """
    if hasattr(tensor, "detach"):
        tensor = tensor.detach()
    if hasattr(tensor, "cpu"):
        tensor = tensor.cpu()
    if hasattr(tensor, "numpy"):
        try:
            return np.asarray(tensor.numpy())
        except TypeError:  # bfloat16 has no NumPy counterpart
            return np.asarray(tensor.float().numpy())
    return np.asarray(tensor)


def array_column(array: NDArray[Any], *, categorical: bool = False) -> Column:
    """A column from a one-dimensional array of any dtype; `DataError` for complex numbers and records."""
    if isinstance(array, np.ma.MaskedArray):
        return _masked_column(array, categorical=categorical)
    kind = array.dtype.kind
    if kind == "O":
        return object_column(array.tolist(), categorical=categorical)
    if kind in "mM":
        return Column(np.full(array.size, MISSING), "date")
    if kind in "USTV" and array.dtype.names is None:
        distinct, codes = np.unique(array, return_inverse=True)
        return Column(encode(codes, distinct.tolist()), "categorical")
    if kind not in "biuf":
        message = f"an array of dtype {array.dtype} is neither numbers nor text; give a column for each part"
        raise DataError(message)
    if categorical:
        distinct, codes = np.unique(array, return_inverse=True)  # NaNs are one value here
        return Column(encode(codes, list(distinct)), "categorical")
    values = array.astype(np.float64)
    if kind == "b":
        return Column(values, "boolean")
    large = kind in "iu" and array.dtype.itemsize == 8 and array.size > 0
    too_large = bool(large and (int(array.max()) > EXACT_INTEGER or int(array.min()) < -EXACT_INTEGER))
    return Column(values, "numeric", kind == "f" and array.dtype.itemsize < 8, too_large)


def _masked_column(array: Any, *, categorical: bool) -> Column:
    missing = np.ma.getmaskarray(array)
    column = array_column(array.filled() if array.dtype.kind != "O" else array.data, categorical=categorical)
    if isinstance(column.values, Categories):
        codes = np.where(missing, np.int32(-1), column.values.codes)
        return Column(Categories(codes, column.values.labels), column.dtype)
    values = np.where(missing, MISSING, column.values)
    return Column(values, column.dtype, column.single, column.too_large)


def object_column(values: Sequence[Any], *, categorical: bool = False) -> Column:
    """A column from Python objects.

    All booleans make a boolean column, NaNs among them too: pandas writes one where a join found no row. All
    numbers (booleans among them count 1 and 0) make a numeric one, any text a categorical one. None,
    ``pd.NA`` and ``pd.NaT`` are missing; a column of nothing else is numeric.
    """
    types = set(map(type, values))
    known = {kind for kind in types if kind.__name__ not in _MISSING_TYPES}
    if any(issubclass(kind, _NESTED) for kind in known):
        nested = sorted(kind.__name__ for kind in known if issubclass(kind, _NESTED))
        message = (
            f"a value is a {nested[0]}; a feature is one number or category, give a column for each part"
        )
        raise DataError(message)
    if any(issubclass(kind, complex | np.complexfloating) for kind in known):
        message = "a value is a complex number; give its real and imaginary part as two columns"
        raise DataError(message)
    if known and all(issubclass(kind, _DATES) for kind in known):
        return Column(np.full(len(values), MISSING), "date")
    if categorical or not all(issubclass(kind, _NUMBERS) for kind in known):
        return Column(_encode_objects(values), "categorical")
    try:
        numbers_only = np.array(values if types == known else _without_missing(values, types), np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        message = f"a number does not fit a float64: {error}"
        raise DataError(message) from error
    others = {kind for kind in known if not issubclass(kind, bool | np.bool_)}
    if len(others) < len(known) and _only_nan(values, others):
        return Column(numbers_only, "boolean")
    integers = any(issubclass(kind, numbers.Integral) for kind in known)
    too_large = integers and any(
        isinstance(value, numbers.Integral) and abs(int(value)) > EXACT_INTEGER for value in values
    )
    single = known <= {np.float32, np.float16} and bool(known)
    return Column(numbers_only, "numeric", single, too_large)


def _only_nan(values: Sequence[Any], kinds: set[type]) -> bool:
    """Whether every value of these types is a NaN."""
    return all(value != value for value in values if type(value) in kinds) if kinds else True


def _without_missing(values: Sequence[Any], types: set[type]) -> list[float]:
    sentinels = tuple(kind for kind in types if kind.__name__ in _MISSING_TYPES)
    # a Decimal or Fraction becomes a float here; a float64 array takes the marker's bits as they are
    return [MISSING if isinstance(value, sentinels) else float(value) for value in values]


def _encode_objects(values: Sequence[Any]) -> Categories:
    seen: dict[Any, int] = {}
    distinct: list[Any] = []
    codes = np.empty(len(values), np.int32)
    for row, value in enumerate(values):
        key = (type(value), value) if not isinstance(value, float | Fraction) else str(value)
        try:
            code = seen.get(key)
        except TypeError:  # unhashable, so its text must do
            key = str(value)
            code = seen.get(key)
        if code is None:
            code = seen[key] = len(distinct)
            distinct.append(value)
        codes[row] = code
    return encode(codes, distinct)
