"""What normal looks like: frozen cells, counts and bins of every feature, in one file. No raw rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Unpack

from numpy.typing import NDArray

from driftgauge._archive import content_id, damaged, read_archive, write_archive
from driftgauge._calibration_file import pack_calibration, unpack_calibration
from driftgauge._features import FeatureSet
from driftgauge._fit import FitOptions
from driftgauge._fitting import Batches, calibrate_batches, fit_batches, fit_rows
from driftgauge._partial import PartialReference
from driftgauge._reference_file import pack_features, unpack_features
from driftgauge.calibration import Calibration
from driftgauge.cells import FeatureReference
from driftgauge.errors import ConfigError

__all__ = ["PartialReference", "Reference"]

_KIND: Final = "reference"


class Reference(FeatureSet):
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
    calibration : Calibration, optional
        What a second pass over the rows said of their order and of features together. None where there was
        none: a merged reference, or a file of an older version.
    """

    def __init__(
        self,
        *,
        model: str,
        version: str,
        created_timestamp_seconds: float,
        features: tuple[FeatureReference, ...],
        unnamed_counts: Mapping[str, Sequence[Sequence[int]]] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(features, unnamed_counts)
        self.model = model
        self.version = version
        self.created_timestamp_seconds = created_timestamp_seconds
        self.calibration = calibration

    def __repr__(self) -> str:
        return (
            f"<Reference {self.model!r} version {self.version!r}: {len(self.features)} features, "
            f"{self.rows:,} rows, id {self.id[:12]}>"
        )

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
        if self.calibration is not None:  # without one, the id is that of versions that knew none
            header["calibration"], more = pack_calibration(self.calibration)
            arrays |= more
        return header, arrays

    def with_calibration(self, calibration: Calibration | None) -> Reference:
        """This reference with another *calibration*, or without one."""
        return Reference(
            model=self.model,
            version=self.version,
            created_timestamp_seconds=self.created_timestamp_seconds,
            features=self.features,
            unnamed_counts=self.unnamed_counts,
            calibration=calibration,
        )

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        time: str | None = None,
        timezone: str = "UTC",
        joint: bool = True,
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
        time : str, optional
            Column of datetimes, ISO text or seconds since 1970, which is no feature. With it is learned how
            much neighbouring rows repeat each other and what changes with the hour and the weekday; without
            it rows are taken as independent.
        timezone : str
            IANA name of the zone in which hours and weekdays are counted, and which times are in that say
            none of their own.
        joint : bool
            Whether relations between features are watched, by `calibration.VirtualFeature`.
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
        return fit_rows(
            data,
            time=time,
            timezone=timezone,
            joint=joint,
            created_timestamp_seconds=created_timestamp_seconds,
            settings={
                "model": model,
                "version": version,
                "outputs": outputs,
                "names": names,
                "exclude": exclude,
                "categorical": categorical,
                "resolution": resolution,
                "bins": bins,
                "category_bins": category_bins,
                "min_category_count": min_category_count,
            },
        )

    @classmethod
    def fit_batches(
        cls,
        batches: Batches,
        *,
        time: str | None = None,
        timezone: str = "UTC",
        joint: bool = True,
        on_rows: Callable[[int], object] | None = None,
        created_timestamp_seconds: float | None = None,
        **settings: Unpack[FitOptions],
    ) -> Reference:
        """Reference of more rows than fit in memory; how they are cut into batches makes no difference.

        Parameters
        ----------
        batches : iterable of data, or function that returns one
            Each as `fit` takes it, all with the same columns, and in the order of their times if there is a
            time column. They are read twice: counts first, then what `calibration` holds. An iterator can be
            read only once; its reference has no calibration, until `calibrate` is given the rows again.
        time, timezone, joint
            As for `fit`.
        on_rows : callable, optional
            Called after each batch of each reading with the number of rows in it, for a progress bar.
        created_timestamp_seconds : float, optional
            Seconds since 1970; now where left out.
        **settings
            Those of `fit`.

        Raises
        ------
        ConfigError
            *time* with an iterator, which cannot be read twice.

        Notes
        -----
        A numeric column is exact up to 32,000 distinct values, as with `fit`. Beyond, it is summarised with
        a rank error of at most 0.03 % at ten million rows, which `FeatureReference.ks_error_bound` includes.
        """
        return fit_batches(
            batches,
            time=time,
            timezone=timezone,
            joint=joint,
            on_rows=on_rows,
            created_timestamp_seconds=created_timestamp_seconds,
            settings=settings,
        )

    def calibrate(
        self,
        batches: Batches,
        *,
        time: str | None = None,
        timezone: str = "UTC",
        joint: bool = True,
        on_rows: Callable[[int], object] | None = None,
    ) -> Reference:
        """This reference with a calibration learned from its rows, which are read twice.

        For one that was merged, or fitted from an iterator. Parameters are those of `fit_batches`; the rows
        must be those that the reference was made of.

        Raises
        ------
        ConfigError
            *batches* is an iterator, which cannot be read twice.
        DataError
            Another number of rows.

        Examples
        --------
        >>> rows = [{"x": [float(i), i % 7.0], "y": [i % 3.0, 0.0]} for i in range(500)]
        >>> merged = Reference.merge(PartialReference().update(part) for part in rows)
        >>> [virtual.name for virtual in merged.calibrate(rows).calibration.virtual]
        ['x + y', 'x - y', 'sum of squares']
        """
        return calibrate_batches(self, batches, time=time, timezone=timezone, joint=joint, on_rows=on_rows)

    @classmethod
    def merge(
        cls, partials: Iterable[PartialReference], *, created_timestamp_seconds: float | None = None
    ) -> Reference:
        """Reference of the rows of all *partials* together, which are left as they were.

        It has no calibration: partials do not know the order of their rows. `calibrate` learns it after.
        """
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
            if "calibration" in header:
                calibration = unpack_calibration(header["calibration"], arrays, reference)
                reference = reference.with_calibration(calibration)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error
        if reference.id != header.get("id"):
            raise damaged(path, "its content does not have the id that it states")
        return reference
