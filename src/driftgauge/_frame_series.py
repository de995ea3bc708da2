"""One column of a data frame of any library, by way of narwhals. Nothing here loops over rows in Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge._columns import EXACT_INTEGER, Categories, Column, array_column, encode, object_column
from driftgauge.cells import MISSING

__all__ = ["series_column"]


def series_column(series: Any, *, categorical: bool = False) -> Column:
    """A column from a narwhals series. pandas, polars and pyarrow each by the road that keeps their nulls."""
    if series.dtype.is_temporal():
        return Column(np.full(len(series), MISSING), "date")
    native = series.to_native()
    implementation = series.implementation
    if implementation.is_polars():
        return _polars_column(series, native, categorical=categorical)
    if implementation.is_pyarrow():
        return _arrow_column(series, native, categorical=categorical)
    if implementation.is_pandas():
        return _pandas_column(series, native, categorical=categorical)
    return object_column(series.to_list(), categorical=categorical)


def _numbers(values: Any, missing: Any, series: Any) -> Column:
    values = np.array(values, np.float64)  # a copy: the library's own memory may be read-only
    values[missing] = MISSING
    if series.dtype.is_boolean():
        return Column(values, "boolean")
    too_large = False
    if series.dtype.is_integer() and len(series) and not missing.all():
        too_large = int(series.max()) > EXACT_INTEGER or int(series.min()) < -EXACT_INTEGER
    return Column(values, "numeric", str(series.dtype) in {"Float32", "Float16"}, too_large)


def _is_number(series: Any) -> bool:
    return bool(series.dtype.is_numeric() or series.dtype.is_boolean())


def _pandas_column(series: Any, native: Any, *, categorical: bool) -> Column:
    dtype = native.dtype
    if hasattr(native, "cat") and dtype.name == "category":
        return Column(encode(native.cat.codes.to_numpy(), native.cat.categories.tolist()), "categorical")
    if isinstance(dtype, np.dtype):
        if dtype.kind != "O":
            return array_column(native.to_numpy(), categorical=categorical)
        return _pandas_objects(native, categorical=categorical)
    if _is_number(series) and not categorical:
        missing = native.isna().to_numpy()
        return _numbers(native.to_numpy(dtype=np.float64, na_value=np.nan), missing, series)
    if str(series.dtype) in {"String", "Categorical", "Enum"} or _is_number(series):
        codes, distinct = native.factorize()
        return Column(encode(codes, distinct.tolist()), "categorical")
    return object_column(native.tolist(), categorical=categorical)


def _pandas_objects(native: Any, *, categorical: bool) -> Column:
    import pandas  # the caller's frame is pandas, so this costs nothing

    if pandas.api.types.infer_dtype(native, skipna=True) == "string":
        codes, distinct = native.factorize()  # hashes in C; 25 times the speed of a loop over str objects
        return Column(encode(codes, distinct.tolist()), "categorical")
    return object_column(native.tolist(), categorical=categorical)


def _polars_column(series: Any, native: Any, *, categorical: bool) -> Column:
    import polars

    missing = native.is_null().to_numpy()
    if _is_number(series) and not categorical:
        return _numbers(native.cast(polars.Float64).to_numpy(), missing, series)
    if (
        str(series.dtype) == "String"
        or series.dtype.is_numeric()
        or str(series.dtype).startswith(("Cat", "Enum"))
    ):
        distinct = native.drop_nulls().unique(maintain_order=True)
        if series.dtype.is_numeric():
            rank = native.rank("dense")  # an Enum takes text only
            codes = rank.fill_null(0).to_numpy().astype(np.int64) - 1
            return Column(encode(codes, distinct.sort().to_numpy()), "categorical")
        text = distinct.cast(polars.String)
        codes = native.cast(polars.String).cast(polars.Enum(text)).to_physical()
        return Column(
            encode(codes.cast(polars.Int64).fill_null(-1).to_numpy(), text.to_list()), "categorical"
        )
    return object_column(native.to_list(), categorical=categorical)


def _arrow_column(series: Any, native: Any, *, categorical: bool) -> Column:
    import pyarrow

    missing = native.is_null().to_numpy()
    if _is_number(series) and not categorical:
        values = native.cast(pyarrow.float64(), safe=False).to_numpy()
        return _numbers(values, missing, series)
    types = pyarrow.types
    dictionary = types.is_dictionary(native.type)
    texts = (
        types.is_string,
        types.is_large_string,
        types.is_binary,
        types.is_large_binary,
        types.is_string_view,
    )
    if dictionary or any(is_text(native.type) for is_text in texts) or series.dtype.is_numeric():
        encoded = (native.unify_dictionaries() if dictionary else native.dictionary_encode()).combine_chunks()
        if isinstance(encoded, pyarrow.ChunkedArray):  # no chunk at all stays chunked in some versions
            return Column(Categories(np.empty(0, np.int32), ()), "categorical")
        codes = (
            encoded.indices.cast(pyarrow.int64()).fill_null(-1).to_numpy()
        )  # polars writes unsigned indices
        distinct = encoded.dictionary
        kept = distinct.to_numpy(zero_copy_only=False) if series.dtype.is_numeric() else distinct.to_pylist()
        return Column(encode(codes, kept), "categorical")
    return object_column(native.to_pylist(), categorical=categorical)
