"""A model of any system with its options: the contract ``RecordBatch -> RecordBatch``."""

import hashlib
import os

import pyarrow as pa

from . import _slipher

#: Predictors of this process, by path and options: a model is read once, however often its handle is pickled.
_LOADED = {}


class Model:
    """A model of a system, with its options.

    Parameters
    ----------
    path : str or path, optional
        A file written by ``slipher train``. Default: the model that comes with the package.
    system : str, optional
        Name of the system (:data:`slipher.SYSTEMS`). Default: the one that the file was trained for; ``"redshift"`` without a file.
    **options
        Those of the system; what it does not have raises ``ValueError``.

        Redshift: ``purity`` (of ``accepted`` redshifts, 0 to 1, default 0.98); ``pz`` (True adds the column ``pz``, the density of z at
        :attr:`pz_grid`); ``prior`` (as ``--prior`` of the command line: ``"0.9..1.8"``, or a CSV file of photometric redshifts); ``medium``
        (``"air"`` or ``"vacuum"``, whatever the data say; tables of :func:`slipher.read` and :func:`slipher.simulate` are in vacuum already
        and stay so); ``wave_unit`` and ``flux_unit`` (``"um"``, ``"log(Angstrom)"``; ``"mJy"``: of columns that do not state theirs).

        Images: ``bands`` (a list of names in the order of the planes).

        All: ``precision`` (``"f32"`` or ``"bf16"``).

    Notes
    -----
    Pickles as (path, SHA-256 of the model and of a prior's file, options), never as weights: Dask, Spark and Ray send a few hundred bytes. A worker
    that finds another file under the path raises ``ValueError``.

    >>> import pickle, slipher
    >>> model = slipher.Model(purity=0.99)
    >>> len(pickle.dumps(model)) < 500, pickle.loads(pickle.dumps(model)) == model
    (True, True)
    >>> slipher.Model(system="radio").system
    'radio'
    """

    def __init__(self, path=None, *, system=None, **options):
        self._set(None if path is None else os.fspath(path), system, tuple(sorted((k, _text(k, v)) for k, v in options.items() if v is not None)))
        self.system, self.sha256 = self._predictor().system, self._predictor().sha256

    def _set(self, path, system, options, prior_sha256=None):
        self.path, self._system, self._options = path, system, options
        self._prior_sha256 = prior_sha256 or _sha256(self._prior)

    @property
    def _prior(self):
        return dict(self._options).get("prior")

    def _predictor(self):
        # A file that was written anew is read anew.
        key = (self.path, self._system, self._options, _stamp(self.path), _stamp(self._prior))
        if key not in _LOADED:
            if self._prior_sha256 != _sha256(self._prior):
                raise ValueError(f"prior {self._prior}: another file than the one that this model was made with; the same is needed on every worker")
            _LOADED[key] = _slipher.Predictor(self._system, self.path, dict(self._options))
        found = _LOADED[key]
        expected = getattr(self, "sha256", found.sha256)
        if found.sha256 != expected:
            raise ValueError(
                f"{self.path or 'the shipped model'}: its SHA-256 is {found.sha256[:12]}…, expected {expected[:12]}…: "
                "the same file (or version of slipher) is needed on every worker"
            )
        return found

    @property
    def id(self):
        """Name of the model."""
        return self._predictor().id

    @property
    def pz_grid(self):
        """Redshifts of the column ``pz``."""
        return self._predictor().pz_grid

    def predict(self, batch):
        """Answers of a batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch or anything with ``__arrow_c_array__``
            A row for each observation. Images: a column ``image`` of numbers (nested lists, or a list beside a column ``shape``) or of bytes of
            FITS, PNG or JPEG, or ``cutoutScience``, ``cutoutTemplate`` and ``cutoutDifference``. Spectra: lists (or a struct, or list of structs, for each arm) named like ``wave`` [Angstrom unless the field's metadata
            ``unit`` says otherwise], ``flux`` and ``ivar`` (or ``sigma``, ``variance``), ``mask``. Read where it lies: nothing is copied.

        Returns
        -------
        pyarrow.RecordBatch
            As many rows in the same order: the columns of numbers and text of ``batch`` (one whose name is taken, as a true ``z``, ends in ``_in``),
            then those of the catalogue: ``z``, ``z_err``, ``p_correct``, ``accepted``, ``spectype``, ``zwarn``, ``solutions`` … of redshifts;
            ``class``, ``p_class``, a probability for each class, ``flags``, ``error`` of classifiers.

        Raises
        ------
        ValueError
            No columns that the system can read. A row that is bad is no error: it is flagged.
        """
        return self._predictor().predict(batch)

    def predict_files(self, *paths):
        """Answers of files, folders or patterns, as a ``pyarrow.Table``: what ``slipher predict`` writes."""
        batches = self._predictor().predict_files([os.fspath(p) for p in paths])
        return pa.Table.from_batches(batches) if batches else pa.table({})

    def schema(self, schema):
        """Columns of :meth:`predict`'s result for batches of a ``pyarrow.Schema``."""
        return self._predictor().schema(schema)

    def batches(self, batches, rows=1024):
        """Answers of an iterable of batches, one by one; each is cut to ``rows`` rows, so that Ctrl-C is heard within a second or so."""
        for batch in batches:
            for start in range(0, batch.num_rows, rows) or (0,):
                yield self.predict(batch.slice(start, rows))

    def table(self, table, progress=None):
        """Answers of a ``pyarrow.Table``, with a progress bar (see :func:`slipher.redshift`)."""
        from .progress import Progress

        with Progress(table.num_rows, progress) as bar:
            found = []
            for batch in self.batches(table.to_batches() or [_empty(table)]):
                found.append(batch)
                bar.add(batch.num_rows)
        return pa.Table.from_batches(found)

    def __eq__(self, other):
        return isinstance(other, Model) and self.__reduce__()[1] == other.__reduce__()[1]

    def __hash__(self):
        return hash(self.__reduce__()[1])

    def __reduce__(self):
        return _restore, (self.path, self.sha256, self._system or self.system, self._options, self._prior_sha256)

    def __repr__(self):
        options = "".join(f", {k}={v!r}" for k, v in self._options)
        return f"slipher.Model({self.path!r}, system={self.system!r}{options})  # {self.id}, {self.sha256[:12]}"


def _text(name, value):
    """An option as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return repr(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _empty(table):
    return pa.RecordBatch.from_arrays([c.combine_chunks() for c in table.columns], schema=table.schema)


def _stamp(path):
    """Size and time of a file; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, TypeError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _sha256(path):
    """Of a prior's file; "" where the prior is a range."""
    if path is None or _stamp(path) is None:
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _restore(path, sha256, system, options, prior_sha256):
    model = Model.__new__(Model)
    model._set(path, system, options, prior_sha256)
    model.system, model.sha256 = system, sha256
    return model


def of(model, system=None, **options):
    """A model given as itself, as a path, or not at all."""
    if isinstance(model, Model):
        if options or system not in (None, model.system):
            raise ValueError(f"{model!r} has its options and its system ({model.system}): give them to slipher.Model, not here")
        return model
    return Model(model, system=system, **options)
