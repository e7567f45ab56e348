"""Redshifts, and answers of any system, in Ray Data: actors that hold the model, for pools of workers.

>>> slipher.ray.redshift(ray.data.read_parquet("spectra/")).write_parquet("z/")   # doctest: +SKIP

Give the pool fewer actors than the cluster has CPUs: Ray needs some for reading, and waits for ever otherwise.
"""

import pyarrow as pa

from . import model as models


class Predictor:
    """An actor of ``Dataset.map_batches(..., batch_format="pyarrow")``: the model is read once for each."""

    def __init__(self, model=None):
        self.model = models.of(model)
        self.model.id  # read it now, not in the first batch

    def __call__(self, table: pa.Table) -> pa.Table:
        return self.model.table(table, progress=False)


def predict(system, dataset, model=None, actors=1, **resources):
    """A Dataset with the answers of a system (``"radio"``, ``"transients"``, …); ``resources`` go to ``map_batches`` (``num_cpus``, ``batch_size``)."""
    resources = {"batch_size": 1024, **resources}
    model = models.of(model, system)
    return dataset.map_batches(Predictor, fn_constructor_args=[model], batch_format="pyarrow", zero_copy_batch=True, concurrency=actors, **resources)


def redshift(dataset, model=None, actors=1, **resources):
    """A Dataset with redshifts."""
    return predict("redshift", dataset, model, actors, **resources)
