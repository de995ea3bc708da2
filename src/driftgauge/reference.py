"""What normal looks like: frozen cells, counts and bins of every feature, in one file. No raw rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Unpack

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._archive import content_id, damaged, read_archive, write_archive
from driftgauge._fit import FitOptions
from driftgauge._index import index_columns, index_matrix
from driftgauge._partial import PartialReference
from driftgauge._reference_file import pack_features, unpack_features
from driftgauge.cells import Counts, FeatureReference
from driftgauge.errors import ConfigError, DataError
from driftgauge.frames import Columns, to_columns
from driftgauge.layout import Layout

__all__ = ["PartialReference", "Reference"]

_KIND: Final = "reference"


class Reference:
    """What normal looks like for one model: its features with their cells, reference counts and bins.

    Made by `fit`, `fit_batches`, `merge` or `load`, and never changed after.

    Parameters
    ----------
    model, version : str
    created_timestamp_seconds : float
        Seconds since 1970.
    features : tuple of FeatureReference
        Inputs in the order of the data, then outputs in the order they were named.
    unnamed_counts : dict
        By categorical feature: pairs (count, how many categories of the reference had that count), of the
        categories too rare to be named.
    """

    def __init__(
        self,
        *,
        model: str,
        version: str,
        created_timestamp_seconds: float,
        features: tuple[FeatureReference, ...],
        unnamed_counts: Mapping[str, Sequence[Sequence[int]]] | None = None,
    ) -> None:
        self.model = model
        self.version = version
        self.created_timestamp_seconds = created_timestamp_seconds
        self.layout = Layout.of(features)
        self.features = self.layout.features
        self.unnamed_counts = {
            name: tuple((int(count), int(number)) for count, number in pairs)
            for name, pairs in (unnamed_counts or {}).items()
        }
        self._numbers = {feature.name: number for number, feature in enumerate(self.features)}

    def __repr__(self) -> str:
        return (
            f"<Reference {self.model!r} version {self.version!r}: {len(self.features)} features, "
            f"{self.rows:,} rows, id {self.id[:12]}>"
        )

    @property
    def rows(self) -> int:
        """Number of reference rows."""
        return self.features[0].rows

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features, inputs first."""
        return tuple(self._numbers)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the features that are model inputs."""
        return tuple(feature.name for feature in self.features if feature.kind == "input")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the features that are model outputs."""
        return tuple(feature.name for feature in self.features if feature.kind == "output")

    def feature(self, name: str) -> FeatureReference:
        """The feature of that name; `DataError` lists the names there are."""
        if name not in self._numbers:
            message = f"no feature {name!r} in this reference; there are {', '.join(sorted(self._numbers))}"
            raise DataError(message)
        return self.features[self._numbers[name]]

    def number(self, name: str) -> int:
        """Place of a feature in `features`; `DataError` lists the names there are."""
        self.feature(name)
        return self._numbers[name]

    @cached_property
    def id(self) -> str:
        """SHA-256 of the content, as 64 hexadecimal digits.

        Model, version, features, cells and counts are in it; the time of creation, the file's name and
        driftgauge's version are not, so that replicas which fit the same rows agree and their counts may be
        added.
        """
        header, arrays = self._content()
        return content_id(_KIND, header, arrays)

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        features, arrays = pack_features(self.features)
        unnamed = {
            name: [list(pair) for pair in pairs] for name, pairs in sorted(self.unnamed_counts.items())
        }
        header = {
            "model": self.model,
            "version": self.version,
            "features": features,
            "unnamed_counts": unnamed,
        }
        return header, arrays

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        model: str = "model",
        version: str = "1",
        outputs: str | Sequence[str] = (),
        names: Sequence[str] | None = None,
        exclude: str | Collection[str] = (),
        categorical: str | Collection[str] = (),
        resolution: int = 1023,
        bins: int = 10,
        category_bins: int = 20,
        min_category_count: int = 5,
        created_timestamp_seconds: float | None = None,
    ) -> Reference:
        """Reference of *data*, which is in memory as a whole.

        Parameters
        ----------
        data : pandas, polars or pyarrow frame, dict of columns, list of dicts, array
            See `frames.to_columns`.
        model, version : str
            Labels of every metric.
        outputs : name or sequence of names
            Columns that are model outputs; all others are inputs.
        names : sequence of str, optional
            Column names for arrays.
        exclude : name or collection of names
            Columns that are no features. A name that is no column is passed over.
        categorical : name or collection of names
            Columns of numbers that are names of categories.
        resolution : int
            Quantile points of a numeric feature with more than 32,000 distinct values, from twice *bins* to
            32,000.
        bins : int
            Quantile bins of a numeric feature at most, 2 to 1,000; one more at either end where a single
            value fills the tail, and one for what is missing.
        category_bins : int
            The most frequent categories with a bin of their own, 1 to 1,000.
        min_category_count : int
            A category seen less often is not named in the reference; it counts as unseen.
        created_timestamp_seconds : float, optional
            Seconds since 1970; now where left out.

        Returns
        -------
        Reference

        Raises
        ------
        DataError
            No rows, a column of dates, of integers beyond 2**53, without any value, or of categories none of
            which is frequent enough; an output that is not a column; two columns of one name.
        ConfigError
            A setting out of its range.

        Examples
        --------
        >>> data = {"age": [31, 40, 40, None], "score": [0.1, 0.7, 0.9, 0.2]}
        >>> reference = Reference.fit(data, outputs="score")
        >>> reference.inputs, reference.outputs, reference.feature("age").points.tolist()
        (('age',), ('score',), [31.0, 40.0])
        >>> reference.index({"age": [40.0, 41.0], "score": [0.1, 0.2]}).tolist()
        [[4, 5], [2, 4]]

        Notes
        -----
        The default *resolution* is our choice: benchmarks/measure_resolution.py; the others are what PSI is
        customarily shown with (10 bins) and what a dashboard can draw (20 categories).
        """
        partial = PartialReference(
            model=model,
            version=version,
            outputs=outputs,
            names=names,
            exclude=exclude,
            categorical=categorical,
            resolution=resolution,
            bins=bins,
            category_bins=category_bins,
            min_category_count=min_category_count,
            bounded=False,
        )
        return partial.update(data).finish(created_timestamp_seconds=created_timestamp_seconds)

    @classmethod
    def fit_batches(
        cls,
        batches: Iterable[Any],
        *,
        on_rows: Callable[[int], object] | None = None,
        created_timestamp_seconds: float | None = None,
        **settings: Unpack[FitOptions],
    ) -> Reference:
        """Reference of more rows than fit in memory, in one pass; how they are cut into batches makes no
        difference.

        Parameters
        ----------
        batches : iterable of data
            Each as `fit` takes it, all with the same columns.
        on_rows : callable, optional
            Called after each batch with the number of rows in it, for a progress bar.
        created_timestamp_seconds : float, optional
            Seconds since 1970; now where left out.
        **settings
            Those of `fit`.

        Notes
        -----
        A numeric column is exact up to 32,000 distinct values, as with `fit`. Beyond, it is summarised with
        a rank error of at most 0.03 % at ten million rows, which `FeatureReference.ks_error_bound` includes.
        """
        partial = PartialReference(**settings)
        for batch in batches:
            before = partial.rows
            partial.update(batch)
            if on_rows is not None:
                on_rows(partial.rows - before)
        return partial.finish(created_timestamp_seconds=created_timestamp_seconds)

    @classmethod
    def merge(
        cls, partials: Iterable[PartialReference], *, created_timestamp_seconds: float | None = None
    ) -> Reference:
        """Reference of the rows of all *partials* together, which are left as they were."""
        merged: PartialReference | None = None
        for partial in partials:
            if merged is None:
                merged = PartialReference(**partial.options)
            merged.merge(partial)
        if merged is None:
            message = "there is nothing to merge; give at least one PartialReference"
            raise ConfigError(message)
        return merged.finish(created_timestamp_seconds=created_timestamp_seconds)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to one file, atomically; equal references with one time of creation give equal bytes."""
        header, arrays = self._content()
        write_archive(
            path,
            _KIND,
            {**header, "id": self.id, "created_timestamp_seconds": self.created_timestamp_seconds},
            arrays,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Reference:
        """Read what `save` wrote.

        Raises
        ------
        ReferenceFileError
            No such file, or anything in it is not as it was written; the message says what.
        """
        header, arrays = read_archive(path, _KIND)
        try:
            reference = cls(
                model=header["model"],
                version=header["version"],
                created_timestamp_seconds=float(header["created_timestamp_seconds"]),
                features=unpack_features(header["features"], arrays),
                unnamed_counts=header["unnamed_counts"],
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error
        if reference.id != header.get("id"):
            raise damaged(path, "its content does not have the id that it states")
        return reference

    def columns(self, data: Any) -> Columns:
        """The columns of *data* that this reference has features for; what an array's columns are, goes by
        position.

        An array as wide as there are features holds all of them in order; one as wide as there are inputs,
        the inputs.
        """
        if isinstance(data, Columns):
            return data
        categorical = [feature.name for feature in self.features if feature.dtype == "categorical"]
        inputs = self.inputs
        only_inputs = _width(data) == len(inputs) != len(self.features)
        names = inputs if only_inputs else self.names
        return to_columns(data, names=names, only=self._numbers, categorical=categorical)

    def index(self, data: Any) -> NDArray[np.uint16]:
        """Cell of each value: uint16[features, rows], in the order of `cells`.

        Parameters
        ----------
        data : as `fit` takes it, or Columns
            A feature that is absent falls into its missing cell in every row; columns that are no features
            are passed over. Nothing of the data raises but what cannot be read at all.

        Notes
        -----
        Types need not be those of the reference. Text in a numeric feature counts as the number it spells,
        else as not a number. Numbers in a categorical feature count as their `label`. A boolean feature
        takes 0, 1 and the words.

        A column that comes as float32 or float16 is compared in that precision: 0.1 in it is the reference's
        0.1. Where several points are one float32, the value counts as the least of them. A feature that was
        fitted on float32 is compared in it whatever comes, so that a float64 0.1 is the reference's 0.1 too.
        """
        cells = index_matrix(data, self.layout)
        return index_columns(self.columns(data), self.layout, self._numbers) if cells is None else cells

    def count(self, data: Any) -> Counts:
        """Rows of *data* by cell, all features end to end: uint32[cells], as a window keeps them."""
        counts = np.zeros(self.layout.cells, np.uint32)
        kernels.add_counts(self.index(data), self.layout.cell_offsets, counts)
        return counts


def _width(data: Any) -> int | None:
    """Values a row of an array, a tensor or a list of rows; of one row given as one dimension, its length."""
    shape = getattr(data, "shape", None)
    if shape is None and isinstance(data, list | tuple) and data:
        return len(data[0]) if isinstance(data[0], list | tuple) else len(data)
    return int(shape[-1]) if shape else None
