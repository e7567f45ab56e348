"""Redshifts in LSDB catalogues (HATS on Dask).

>>> import lsdb, slipher.lsdb                                                    # doctest: +SKIP
>>> slipher.lsdb.redshift(lsdb.open_catalog("desi.hats")).write_catalog("z.hats")  # doctest: +SKIP
"""

import pandas as pd
import pyarrow as pa

from . import model as models


def predict(frame, model=None):
    """Redshifts of one partition (a pandas or nested-pandas frame); for ``map_partitions``. Its index is kept."""
    found = models.of(model).table(pa.Table.from_pandas(frame, preserve_index=False), progress=False)
    out = found.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    out.index = frame.index
    return out


def meta(catalog, model=None):
    """What :func:`predict` gives for partitions of a catalogue: a frame without rows."""
    return predict(catalog.meta, model)


def redshift(catalog, model=None):
    """A catalogue with redshifts for spectra (nested columns like ``spectra_b``, or lists). Nothing is computed until it is asked for."""
    model = models.of(model)
    return catalog.map_partitions(predict, model=model, meta=meta(catalog, model))
