"""Redshifts as a table that astropy, pandas and Arrow take."""

import html
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from . import _slipher
from . import model as models
from . import spectra


#: Options of the redshift system, which :func:`redshift` takes beside the spectra.
OPTIONS = ("purity", "pz", "prior", "medium", "wave_unit", "flux_unit", "precision")
#: Columns that a single spectrum has one value of.
CARRIED = ("object_id", "targetid", "objid", "source_id", "specid", "name", "id", "ra", "dec", "z", "spectype", "zwarn", "_healpix_29")


class Redshifts:
    """One row for each spectrum, in the order in which they were given. ``found["z"]`` is an array; :meth:`to_qtable` has units.

    The columns are those of the command line (``docs/redshift.md``): ``z``, ``z_err``, ``p_correct`` (the probability that class and redshift are
    right), ``accepted`` (1: trust it at the purity asked for; 0: no redshift), ``spectype``, ``zwarn``, ``solutions`` and more.
    """

    def __init__(self, arrow):
        self._arrow = arrow

    @property
    def arrow(self):
        """The ``pyarrow.Table``."""
        return self._arrow

    @property
    def columns(self):
        """Names of the columns."""
        return self._arrow.column_names

    def __len__(self):
        return self._arrow.num_rows

    def __getitem__(self, name):
        """A column as an array: numbers with NaN, text with ``''``, for what is missing."""
        return _numpy(self._arrow.column(name))

    def __arrow_c_stream__(self, requested_schema=None):
        return self._arrow.__arrow_c_stream__(requested_schema)

    def to_pandas(self):
        return self._arrow.to_pandas()

    def to_qtable(self):
        """As ``astropy.table.QTable``, with units and descriptions."""
        from astropy import units
        from astropy.table import QTable

        table = QTable()
        for field, column in zip(self._arrow.schema, self._arrow.columns):
            meta = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
            values = _numpy(column)
            unit = meta.get("unit")
            table[field.name] = units.Quantity(values, unit, copy=False) if unit and values.dtype.kind == "f" else values
            table[field.name].info.description = meta.get("description")
        return table

    def write(self, path):
        """As Parquet."""
        pyarrow.parquet.write_table(self._arrow, path, compression="zstd")

    def _short(self):
        names = [n for n in ("object_id", "spectype", "z", "z_err", "p_correct", "accepted", "zwarn", "lines", "error") if n in self.columns]
        return names, [[self[n][i] for n in names] for i in range(min(len(self), 20))]

    def __repr__(self):
        names, rows = self._short()
        text = [[f"{v:.5g}" if isinstance(v, float) else str(v)[:28] for v in r] for r in rows]
        widths = [max(len(x) for x in c) for c in zip(names, *text)]
        line = lambda r: "  ".join(x.rjust(w) for x, w in zip(r, widths))
        more = [] if len(self) <= len(rows) else [f"… {len(self)} rows"]
        return "\n".join([line(names), *map(line, text), *more])

    def _repr_html_(self):
        names, rows = self._short()
        cells = lambda tag, r: "<tr>" + "".join(f"<{tag}>{html.escape(f'{v:.5g}' if isinstance(v, float) else str(v))}</{tag}>" for v in r) + "</tr>"
        return f"<table>{cells('th', names)}{''.join(cells('td', r) for r in rows)}</table><p>{len(self)} spectra, {len(self.columns)} columns</p>"


def _numpy(column):
    column = column.combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.asarray(["" if v is None else v for v in column.to_pylist()], dtype=str)
    if pa.types.is_nested(column.type):
        out = np.empty(len(column), dtype=object)
        out[:] = column.to_pylist()
        return out
    return column.to_numpy(zero_copy_only=False)


def redshift(flux, ivar=None, wave=None, *, sigma=None, variance=None, mask=None, model=None, progress=None, **columns):
    """Class, redshift and the probability of being right, for spectra of any spectrograph.

    Parameters
    ----------
    flux : array, Quantity, ``specutils.Spectrum``, pandas, astropy or Arrow table
        ``(pixels,)``, ``(spectra, pixels)`` or a list of arrays; flux density of any scale. Tables and spectra that bring wavelengths of their own
        (columns like ``wave``, ``flux``, ``ivar``) need nothing else.
    ivar, sigma, variance : array, optional
        Noise, one of the three, shaped as ``flux`` (or one row for all). Without one it is estimated from the scatter, and flagged.
    wave : array or Quantity
        Wavelengths in vacuum, one row for all spectra or one for each. Numbers without a unit are Angstrom where their size allows nothing else
        (``wave_unit`` says it); ``warnings`` tells where it does not.
    mask : array of bool, optional
        True for pixels that are not to be used.
    model : Model or path, optional
        With its options: ``slipher.Model(purity=0.99, prior="0.9..1.8")``.
    progress : bool, optional
        A progress bar; by default where it takes more than a moment.
    **columns
        Identifiers and whatever else is to be carried, a value for each spectrum: ``object_id=…``, ``ra=…``; and options of the model:
        ``purity``, ``pz``, ``prior``, ``medium``, ``wave_unit``, ``flux_unit``, ``precision``. Other single values raise ``ValueError``.

    Returns
    -------
    Redshifts
        A row for each spectrum, in order. Bad spectra are flagged in ``zwarn``, with the reason in ``error``.

    Examples
    --------
    >>> import numpy as np, slipher
    >>> wave = np.linspace(4000, 9000, 2000)                                         # Angstrom
    >>> line = lambda w: np.exp(-0.5 * ((wave - 1.3 * w) / 4) ** 2)                  # a galaxy at z = 0.3
    >>> flux = 1 + 4 * line(6564.6) + 1.3 * line(6585.3) + line(4862.7) + 2 * line(5008.2) + 0.7 * line(4960.3) + 2 * line(3728.5)
    >>> found = slipher.redshift(flux, ivar=np.full(2000, 100.0), wave=wave)
    >>> round(float(found["z"][0]), 3), str(found["spectype"][0])
    (0.3, 'GALAXY')
    """
    options = {k: columns.pop(k) for k in OPTIONS if k in columns}
    for name, value in columns.items():
        if np.ndim(value) == 0 and name not in CARRIED:
            raise ValueError(f"{name}= is no option of redshift: expected {', '.join(OPTIONS)}, or columns with a value for each spectrum")
    table = spectra.table(flux, ivar, wave, sigma=sigma, variance=variance, mask=mask, **columns)
    return Redshifts(models.of(model, "redshift", **options).table(table, progress))


def predict(system, data, *, model=None, progress=None, **options):
    """Answers of any system (:data:`slipher.SYSTEMS`), for images, alerts or spectra.

    Parameters
    ----------
    system : str
        ``"radio"``, ``"star-galaxy"``, ``"transients"``, ``"morphology"``, ``"redshift"``, …
    data : paths, array, pandas, astropy or Arrow table
        Files, folders or patterns (a string, a path or a list of them); images ``(rows, columns)``, ``(objects, rows, columns)`` or
        ``(objects, bands, rows, columns)``; or a table as :meth:`slipher.Model.predict` takes it.
    model : Model or path, optional
        Default: the model that comes with the package.
    progress : bool, optional
        A progress bar; by default where it takes more than a moment.
    **options
        Those of the system (:class:`slipher.Model`); others raise ``ValueError``.

    Returns
    -------
    pyarrow.Table
        A row for each object, in order: for classifiers ``class``, ``p_class``, a probability for each class, ``flags`` and ``error``.

    Examples
    --------
    >>> import numpy as np, slipher
    >>> y, x = np.mgrid[-32:32, -32:32]
    >>> lobes = np.exp(-((x - 12) ** 2 + y**2) / 18.0) + np.exp(-((x + 12) ** 2 + y**2) / 18.0)
    >>> found = slipher.predict("radio", lobes + 0.01 * np.random.default_rng(1).normal(size=lobes.shape))
    >>> found["class"].to_pylist()
    ['FRII']
    """
    chosen = models.of(model, system, **options)
    if isinstance(data, (str, os.PathLike)) or (isinstance(data, (list, tuple)) and data and all(isinstance(d, (str, os.PathLike)) for d in data)):
        return chosen.predict_files(*([data] if isinstance(data, (str, os.PathLike)) else data))
    kind = dict((name, kind) for name, _, kind in _slipher.systems()).get(chosen.system)
    if kind == "images" and isinstance(data, (np.ndarray, list)):
        return chosen.table(_images(np.asarray(data)), progress)
    if hasattr(data, "__arrow_c_array__") and not hasattr(data, "__arrow_c_stream__"):
        data = pa.Table.from_batches([pa.record_batch(data)])
    if kind == "images" and hasattr(data, "__arrow_c_stream__"):
        return chosen.table(data if isinstance(data, pa.Table) else pa.table(data), progress)
    if kind == "images" and isinstance(data, dict):
        return chosen.table(pa.table(data), progress)
    if kind == "images" and hasattr(data, "to_dict") and hasattr(data, "columns"):
        return chosen.table(pa.Table.from_pandas(data, preserve_index=False), progress)
    return chosen.table(spectra.table(data), progress)


def _images(a):
    """Images as a table: one column of pixels, one of shapes."""
    if not 2 <= a.ndim <= 4 or not a.size or a.dtype.kind not in "fiub":
        raise ValueError(f"images of shape {a.shape} and type {a.dtype}: expected (rows, columns), (objects, rows, columns) or (objects, bands, rows, columns) of numbers")
    a = a.reshape((1,) * (4 - a.ndim) + a.shape) if a.ndim == 2 else a[:, None] if a.ndim == 3 else a
    pixels = pa.array(np.ascontiguousarray(a, dtype=np.float32).reshape(-1))
    image = pa.FixedSizeListArray.from_arrays(pixels, int(np.prod(a.shape[1:])))
    shape = pa.array([list(map(float, a.shape[1:]))] * len(a), pa.list_(pa.float32()))
    return pa.table({"image": image, "shape": shape})
