"""A model with its options: the contract ``RecordBatch -> RecordBatch``."""

import hashlib
import os

import pyarrow as pa

from . import _slipher

#: Predictors of this process, by path and options: a model is read once, however often its handle is pickled.
_LOADED = {}


class Model:
    """A redshift model and what is wanted of it.

    Parameters
    ----------
    path : str or path, optional
        A file written by ``slipher train redshift``. Default: the model that comes with the package.
    purity : float
        Purity wanted of ``accepted`` redshifts, 0 to 1.
    pz : bool
        Add the column ``pz``, the density of z at :attr:`pz_grid`.
    prior : str, optional
        As ``--prior`` of the command line: ``"0.9..1.8"``, or a CSV file of photometric redshifts.
    medium : {"air", "vacuum"}, optional
        What the wavelengths are measured in, whatever the data say. Default: as the data say, else vacuum. Tables of :func:`slipher.read` and
        :func:`slipher.simulate` are in vacuum already and stay so.

    Notes
    -----
    Pickles as (path, SHA-256 of the model and of a prior's file, options), never as weights: Dask, Spark and Ray send a few hundred bytes. A worker
    that finds another file under the path raises ``ValueError``.

    >>> import pickle, slipher
    >>> model = slipher.Model(purity=0.99)
    >>> len(pickle.dumps(model)) < 500, pickle.loads(pickle.dumps(model)) == model
    (True, True)
    """

    def __init__(self, path=None, *, purity=0.98, pz=False, prior=None, medium=None):
        self._set(None if path is None else os.fspath(path), (float(purity), bool(pz), None if prior is None else str(prior), medium))
        self.sha256 = self._predictor().sha256

    def _set(self, path, options, prior_sha256=None):
        self.path, self._options = path, options
        self._prior_sha256 = prior_sha256 or _sha256(options[2])

    def _predictor(self):
        # A file that was written anew is read anew.
        key = (self.path, self._options, _stamp(self.path), _stamp(self._options[2]))
        if key not in _LOADED:
            if self._prior_sha256 != _sha256(self._options[2]):
                raise ValueError(f"prior {self._options[2]}: another file than the one that this model was made with; the same is needed on every worker")
            _LOADED[key] = _slipher.Predictor(self.path, *self._options)
        found = _LOADED[key]
        wanted = getattr(self, "sha256", found.sha256)
        if found.sha256 != wanted:
            raise ValueError(
                f"{self.path or 'the shipped model'}: its SHA-256 is {found.sha256[:12]}…, expected {wanted[:12]}…: "
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
        """Redshifts of a batch of spectra.

        Parameters
        ----------
        batch : pyarrow.RecordBatch or anything with ``__arrow_c_array__``
            A row for each spectrum: lists (or a struct, or list of structs, for each arm) named like ``wave`` [Angstrom unless the field's metadata
            ``unit`` says otherwise], ``flux`` and ``ivar`` (or ``sigma``, ``variance``), ``mask``. Read where it lies: nothing is copied.

        Returns
        -------
        pyarrow.RecordBatch
            As many rows in the same order: the columns of numbers and text of ``batch`` (one whose name is taken, as a true ``z``, ends in ``_in``),
            then ``z``, ``z_err``, ``p_correct``, ``accepted``, ``spectype``, ``zwarn``, ``solutions`` ….

        Raises
        ------
        ValueError
            No columns of wavelengths and fluxes. A row that is bad is no error: it is flagged.
        """
        return self._predictor().predict(batch)

    def schema(self, schema):
        """Columns of :meth:`predict`'s result for batches of a ``pyarrow.Schema``."""
        return self._predictor().schema(schema)

    def batches(self, batches, rows=1024):
        """Redshifts of an iterable of batches, one by one; each is cut to ``rows`` rows, so that Ctrl-C is heard within a second or so."""
        for batch in batches:
            for start in range(0, batch.num_rows, rows) or (0,):
                yield self.predict(batch.slice(start, rows))

    def table(self, table, progress=None):
        """Redshifts of a ``pyarrow.Table``, with a progress bar (see :func:`slipher.redshift`)."""
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
        return _restore, (self.path, self.sha256, self._options, self._prior_sha256)

    def __repr__(self):
        purity, pz, prior, medium = self._options
        return f"slipher.Model({self.path!r}, purity={purity}, pz={pz}, prior={prior!r}, medium={medium!r})  # {self.id}, {self.sha256[:12]}"


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


def _restore(path, sha256, options, prior_sha256):
    model = Model.__new__(Model)
    model._set(path, options, prior_sha256)
    model.sha256 = sha256
    return model


def of(model):
    """A model given as itself, as a path, or not at all."""
    return model if isinstance(model, Model) else Model(model)
