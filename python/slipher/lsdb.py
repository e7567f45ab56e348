"""Redshifts, and answers of any system, in LSDB catalogues (HATS on Dask).

>>> import lsdb, slipher.lsdb                                                    # doctest: +SKIP
>>> slipher.lsdb.redshift(lsdb.open_catalog("desi.hats")).write_catalog("z.hats")  # doctest: +SKIP
"""

import pandas as pd
import pyarrow as pa

from . import model as models


def partition(frame, model=None):
    """Answers of one partition (a pandas or nested-pandas frame); for ``map_partitions``. Its index is kept."""
    found = models.of(model).table(pa.Table.from_pandas(frame, preserve_index=False), progress=False)
    out = found.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    out.index = frame.index
    return out


def meta(catalog, model=None):
    """What :func:`partition` gives for partitions of a catalogue: a frame without rows."""
    return partition(catalog.meta, model)


def predict(system, catalog=None, model=None):
    """A catalogue with the answers of a system (``"radio"``, ``"transients"``, …). Nothing is computed until it is asked for."""
    if not isinstance(system, str):  # of 0.1: predict(frame, model), which is partition now; kept for one release
        return partition(system, catalog if model is None else model)
    model = models.of(model, system)
    return catalog.map_partitions(partition, model=model, meta=meta(catalog, model))


def redshift(catalog, model=None):
    """A catalogue with redshifts for spectra (nested columns like ``spectra_b``, or lists). Nothing is computed until it is asked for."""
    return predict("redshift", catalog, model)
