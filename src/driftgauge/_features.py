"""The features of a model in a fixed order, and the cells that data fall into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._index import index_columns, index_matrix
from driftgauge.cells import Counts, FeatureReference
from driftgauge.ecells import ECells, ecells_of
from driftgauge.errors import DataError
from driftgauge.frames import Columns, to_columns
from driftgauge.layout import Layout

__all__ = ["FeatureSet"]


class FeatureSet:
    """Features with their cells, and what can be told of data by them alone.

    Parameters
    ----------
    features : tuple of FeatureReference
        Inputs in the order of the data, then outputs in the order they were named.
    unnamed_counts : dict
        By categorical feature: pairs (count, how many categories of the reference had that count), of the
        categories too rare to be named.
    """

    def __init__(
        self,
        features: tuple[FeatureReference, ...],
        unnamed_counts: Mapping[str, Sequence[Sequence[int]]] | None = None,
    ) -> None:
        self.layout = Layout.of(features)
        self.features = self.layout.features
        self.unnamed_counts = {
            name: tuple((int(count), int(number)) for count, number in pairs)
            for name, pairs in (unnamed_counts or {}).items()
        }
        self._numbers = {feature.name: number for number, feature in enumerate(self.features)}

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
    def ecells(self) -> tuple[ECells, ...]:
        """The e-cells of each feature, on which evidence of drift is gathered."""
        return tuple(
            ecells_of(feature, self.unnamed_counts.get(feature.name, ())) for feature in self.features
        )

    def columns(self, data: Any) -> Columns:
        """The columns of *data* that there are features for; what an array's columns are, goes by position.

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
