"""Spectra of every kind to Arrow tables that :class:`slipher.Model` reads."""

import glob as _glob
import os

import numpy as np
import pyarrow as pa

from . import _slipher


def read(paths, *, medium=None, wave_unit=None, flux_unit=None):
    """Spectra of files, as ``slipher redshift`` sees them.

    Parameters
    ----------
    paths : str, path, or a list of them
        Survey files of any format in ``slipher formats``; patterns with ``*`` are expanded.
    medium : {"air", "vacuum"}, optional
        What their wavelengths are measured in, whatever the files say.
    wave_unit, flux_unit : str, optional
        Units (``"um"``, ``"log(Angstrom)"``; ``"mJy"``) of files that do not state them.

    Returns
    -------
    pyarrow.Table
        ``object_id``, ``ra``, ``dec`` [deg], ``wave`` [Angstrom, vacuum], ``flux``, ``ivar`` (0 = bad), what the file says itself (``z``, ``spectype``,
        ``zwarn``), what was assumed (``warnings``), where it stood (``file``, ``hdu``, ``row``), and ``read_error`` for rows without a spectrum.

    Raises
    ------
    ValueError
        A file that cannot be read; the message says what was expected.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = []
    for path in map(os.fspath, paths):
        some = sorted(_glob.glob(path)) if any(c in path for c in "*?[") and not os.path.exists(path) else [path]
        if not some:
            raise ValueError(f"{path}: no file matches")
        found += [_slipher.read(p, medium, wave_unit, flux_unit) for p in some]
    return pa.Table.from_batches(found)


def simulate(n, instruments=("sdss", "boss", "desi", "euclid-red"), *, seed=1, templates=(), blank_sky=0.0, peculiar=0.0):
    """Simulated spectra of galaxies, quasars and stars. The same seed gives the same spectra on any number of threads.

    Parameters
    ----------
    n : int
        How many.
    instruments : list of str, or dict
        Names (:func:`slipher.instruments`) or TOML files; a dict gives each a weight.
    seed : int
    templates : list of paths
        Folders of SEDs beside those that are built in.
    blank_sky, peculiar : float
        Shares of spectra without an object, and of peculiar ones (supernovae, broken calibration, blazars).

    Returns
    -------
    pyarrow.Table
        ``wave`` [Angstrom], ``flux`` [1e-17 erg/s/cm2/Angstrom], ``ivar``, and the truth: ``z``, ``spectype``, ``subtype``, ``snr``.

    >>> import slipher
    >>> slipher.simulate(3, ["boss"], seed=7).column_names[:3]
    ['object_id', 'instrument', 'wave']
    """
    weights = instruments.items() if isinstance(instruments, dict) else [(i, 1.0) for i in ([instruments] if isinstance(instruments, str) else instruments)]
    weights = [(str(k), float(v)) for k, v in weights]
    simulator = _slipher.Simulator(weights, [os.fspath(t) for t in templates], blank_sky, peculiar, seed)
    return pa.Table.from_batches([simulator.draw(start, min(start + 4096, n)) for start in range(0, n, 4096) or (0,)])


def table(flux, ivar=None, wave=None, *, sigma=None, variance=None, mask=None, **columns):
    """Whatever :func:`slipher.redshift` takes, as a ``pyarrow.Table``. Arrays of one row a spectrum are not copied."""
    noise = {"ivar": ivar, "sigma": sigma, "variance": variance, "mask": mask}
    if wave is None:
        found = _known(flux)
        beside = [k for k, v in noise.items() if v is not None]
        if found is not None and beside:
            raise ValueError(f"{beside[0]}= beside a {type(flux).__name__}: expected errors and masks in it (for a table, as columns), or arrays with wave=")
        if found is not None:
            return _with(found, columns)
    if wave is None:
        raise ValueError(f"wave is missing: expected wavelengths [Angstrom, vacuum] beside flux, got {type(flux).__name__} alone")
    return _arrays(flux, wave, noise, columns)


def _with(table, columns):
    """More columns of one value a row."""
    fields, arrays = [], []
    _add_columns(columns, table.num_rows, fields, arrays)
    for field, array in zip(fields, arrays):
        at = table.schema.get_field_index(field.name)
        table = table.append_column(field, array) if at < 0 else table.set_column(at, field, array)
    return table


def _check_flux(flux):
    """Magnitudes, lengths and other units that are no flux raise ``ValueError``."""
    unit = _unit(flux)
    if unit is None:
        return
    import astropy.units as u

    if isinstance(unit, u.function.FunctionUnitBase) or "mag" in str(unit).lower():
        raise ValueError(f"flux in {unit}: magnitudes are no flux; convert them, flux = 10**(-0.4 * m)")
    plain = [u.dimensionless_unscaled, u.ct, u.electron, u.adu, u.photon, u.W / u.m**2]
    plain += [u.W / u.m**2 / u.AA, u.Jy, u.photon / u.s / u.m**2 / u.AA, u.photon / u.s / u.m**2 / u.Hz, 1 / u.s / u.m**2 / u.AA]
    counts = [u.ct / u.s, u.electron / u.s, u.adu / u.s, u.ct / u.AA, u.W / u.AA, u.W / u.Hz]
    kinds = plain + counts + [k / u.sr for k in plain]
    if not any(unit.is_equivalent(k) for k in kinds):
        raise ValueError(f"flux in {unit}: expected a flux density (erg/s/cm2/Angstrom, Jy), counts or numbers without a unit")


def _known(data):
    """Tables and objects that bring their wavelengths; a table with a pixel in each row is one spectrum."""
    found = _table_of(data)
    if found is not None and not any(pa.types.is_nested(f.type) or pa.types.is_dictionary(f.type) for f in found.schema):
        batches = found.combine_chunks().to_batches()
        one = _slipher.one_spectrum(batches[0]) if len(batches) == 1 else None
        if one is not None:
            return pa.Table.from_batches([one])
    return found


def _table_of(data):
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "colnames"):  # astropy's Table and QTable
        return _astropy(data)
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas and what is built on it
        return pa.Table.from_pandas(data, preserve_index=data.index.name is not None)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return pa.table(data)
    if hasattr(data, "spectral_axis"):  # specutils' Spectrum, and Spectrum1D before version 2
        return _spectrum(data)
    if isinstance(data, (list, tuple)) and data and all(hasattr(s, "spectral_axis") for s in data):
        return pa.concat_tables([_spectrum(s) for s in data], promote_options="permissive")
    return None


def _spectrum(s):
    noise = {}
    if s.uncertainty is not None:
        from astropy.nddata import InverseVariance

        try:
            # represent_as goes through the variance, which rounds an inverse variance too.
            same = isinstance(s.uncertainty, InverseVariance)
            ivar = s.uncertainty if same else s.uncertainty.represent_as(InverseVariance)
            noise["ivar"] = ivar.array if ivar.unit is None else ivar.array * ivar.unit
        except TypeError as e:
            raise ValueError(f"uncertainty {type(s.uncertainty).__name__}: expected a standard deviation, variance or inverse variance") from e
    return _arrays(s.flux, s.spectral_axis, {**noise, "mask": None if s.mask is None else np.broadcast_to(s.mask, s.flux.shape)}, {})


def _astropy(t):
    names, columns = [], []
    for name in t.colnames:
        if np.ndim(t[name]) == 1 and t[name].dtype.kind != "O":
            array, unit = _column(t[name])
        else:
            values, unit = _plain(t[name])
            array = _nested(values) if values.ndim >= 2 and values.dtype.kind in "fiub" else None
        if array is not None:
            names.append(pa.field(name, array.type, metadata={"unit": unit} if unit else None))
            columns.append(array)
    return pa.Table.from_arrays(columns, schema=pa.schema(names))


def _arrays(flux, wave, noise, columns):
    noise = {k: v if v is None or k == "mask" else _as_flux(k, v, flux) for k, v in noise.items()}
    _check_flux(flux)
    flux, flux_unit = _plain(flux)
    wave_unit = "" if _unit(wave) is None else "Angstrom"
    wave, _ = _plain(_angstrom(wave))
    one = flux.ndim == 1 and flux.dtype != object
    if one:
        flux = flux[None, :]
    if flux.dtype == object or flux.ndim != 2:
        if flux.ndim != 1:
            raise ValueError(f"flux has shape {flux.shape}: expected (pixels,), (spectra, pixels) or a list of arrays")
        return _ragged(flux, flux_unit, wave, wave_unit, noise, columns)
    n, pixels = flux.shape
    fields, arrays = [], []

    def add(name, values, unit=""):
        values, own = _plain(values)
        unit = unit or own
        if values.ndim == 1 and values.shape != (pixels,) or values.ndim == 2 and values.shape != (n, pixels) or values.ndim > 2:
            raise ValueError(f"{name} has shape {values.shape}: expected {(n, pixels)} as flux, or {(pixels,)} for all")
        if values.ndim == 0:
            values = np.full(pixels, values)
        if values.dtype == bool:
            values = values.astype(np.uint8)
        array = _lists(values) if values.ndim == 2 else _shared(values, n)
        fields.append(pa.field(name, array.type, metadata=_said(name, unit)))
        arrays.append(array)

    _add_columns(columns, n, fields, arrays)
    add("wave", wave, wave_unit)
    add("flux", flux, flux_unit)
    for name, values in noise.items():
        if values is not None:
            add(name, values)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _ragged(flux, flux_unit, wave, wave_unit, noise, columns):
    n = len(flux)
    fields, arrays = [], []
    _add_columns(columns, n, fields, arrays)
    shared = wave.dtype != object and wave.ndim == 1
    for name, values, unit in [("wave", wave, wave_unit), ("flux", flux, flux_unit), *((k, v, "") for k, v in noise.items() if v is not None)]:
        values = [values] * n if name == "wave" and shared else list(values)
        if len(values) != n:
            raise ValueError(f"{name} has {len(values)} rows: expected {n} as flux")
        array = pa.array([_native(np.asarray(getattr(v, "value", v), dtype=float)) for v in values], type=pa.list_(pa.float64()))
        fields.append(pa.field(name, array.type, metadata=_said(name, unit)))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _said(name, unit):
    """What a field says of itself: arrays of wavelengths are in vacuum, unless ``medium`` says otherwise."""
    said = {"unit": unit} if unit else {}
    return {**said, "medium": "vacuum"} if name == "wave" else said or None


def _add_columns(columns, n, fields, arrays):
    for name, values in columns.items():
        array, unit = _column(values)
        if len(array) != n:
            raise ValueError(f"{name} has {len(array)} rows: expected {n} as flux")
        fields.append(pa.field(name, array.type, metadata={"unit": unit} if unit else None))
        arrays.append(array)


def _column(values):
    """One value a row, and its unit as text: identifiers keep all digits, text of FITS (bytes) becomes text, what is masked is null."""
    unit = getattr(values, "unit", None)
    mask = getattr(values, "mask", None)
    values = getattr(values, "unmasked", values)
    if hasattr(values, "value") and unit is not None:
        values = values.value
    values = np.atleast_1d(np.ma.getdata(values))
    if mask is not None:
        mask = np.broadcast_to(mask, values.shape)
    if values.dtype.kind in "OUS":
        text = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()]
        array = pa.array(text if mask is None else [None if m else v for v, m in zip(text, mask)])
    else:
        array = pa.array(_native(values), mask=mask)
    return array, "" if unit is None else str(unit)


def _unit(values):
    """The unit of an array, or that of the first array of a list."""
    unit = getattr(values, "unit", None)
    if unit is None and isinstance(values, (list, tuple)) and values:
        unit = getattr(values[0], "unit", None)
    return unit


def _to(values, unit, **equivalencies):
    """A Quantity, or a list of them, in a unit."""
    import astropy.units as u

    if isinstance(values, (list, tuple)):
        return [u.Quantity(v).to(unit, **equivalencies) for v in values]
    return u.Quantity(values).to(unit, **equivalencies)


def _as_flux(name, noise, flux):
    """Noise in the unit of the flux, to its power; numbers without a unit are taken to be."""
    own, unit = _unit(noise), _unit(flux)
    if own is None:
        return noise
    if unit is not None:
        noise = _to(noise, unit ** {"sigma": 1, "variance": 2, "ivar": -2}[name])
    return [v.value for v in noise] if isinstance(noise, (list, tuple)) else noise.value


def _plain(values):
    """An array, and its unit as text."""
    unit = _unit(values)
    if isinstance(values, (list, tuple)) and unit is not None:
        values = [v.value for v in _to(values, unit)]
    if hasattr(values, "value") and unit is not None:
        values = values.value
    if isinstance(values, (list, tuple)) and values and np.ndim(values[0]) == 1:
        # Each with its own mask, which stacking would drop.
        values = [_filled(v) for v in values]
        if len({len(v) for v in values}) > 1:
            out = np.empty(len(values), dtype=object)
            out[:] = values
            return out, "" if unit is None else str(unit)
    return _filled(values), "" if unit is None else str(unit)


def _filled(values):
    """A plain array, NaN where it is masked."""
    values = getattr(values, "value", values)
    mask = getattr(values, "mask", None)
    if mask is None or not np.any(mask):
        return np.asarray(values)
    return np.ma.filled(np.ma.asarray(values).astype(float), np.nan)


def _angstrom(wave):
    """Quantities of any spectral unit; plain numbers as they are."""
    if _unit(wave) is None:
        return wave
    import astropy.units as u

    return _to(wave, u.AA, equivalencies=u.spectral())


def _native(values):
    """The bytes as this machine orders them, in one piece: copied only where they are not."""
    if values.dtype.kind == "f" and values.dtype.itemsize == 2 or values.dtype.kind == "b":
        values = values.astype(np.float32)
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _values(values):
    values = _native(values).reshape(-1)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), values.size, [None, pa.py_buffer(values)])


def _lists(values):
    """``(rows, pixels)`` as lists over the same memory."""
    return pa.FixedSizeListArray.from_arrays(_values(values), values.shape[1])


def _nested(values):
    """``(rows, …, pixels)`` as lists in lists, for images."""
    array = _values(values)
    for length in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _shared(values, n):
    """One list of pixels for ``n`` rows."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int8)), pa.ListArray.from_arrays([0, len(values)], _values(values)))
