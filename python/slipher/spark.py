"""Redshifts, and answers of any system, in Spark, and in engines that speak its API (Sail, Databricks Connect).

>>> slipher.spark.redshift(spark.read.parquet("spectra/")).write.parquet("z/")    # doctest: +SKIP
"""

import pyarrow as pa

from . import model as models

_PLAIN = {pa.string(): "string", pa.float64(): "double", pa.float32(): "float", pa.int64(): "bigint", pa.int32(): "int", pa.int16(): "smallint"}
_PLAIN |= {pa.int8(): "tinyint", pa.bool_(): "boolean", pa.large_string(): "string", pa.date32(): "date"}


def batches(model=None):
    """A function for ``DataFrame.mapInArrow``: an iterator of batches to one of batches."""
    model = models.of(model)
    return model.batches


def schema(frame, model=None):
    """Spark's words for the columns of the result."""
    empty = frame.limit(0).toArrow().schema
    found = models.of(model).schema(empty)
    return ", ".join(f"`{f.name}` {_type(f.type)}" for f in found)


def predict(system, frame, model=None):
    """A DataFrame with the answers of a system (``"radio"``, ``"transients"``, …) for the rows of another. Lazy, as Spark is."""
    model = models.of(model, system)
    return frame.mapInArrow(batches(model), schema(frame, model))


def redshift(frame, model=None):
    """A DataFrame with redshifts for the spectra of another (array columns like ``wave``, ``flux``, ``ivar``). Lazy, as Spark is."""
    return predict("redshift", frame, model)


def _type(t):
    if pa.types.is_struct(t):
        return "struct<" + ", ".join(f"`{t.field(i).name}`: {_type(t.field(i).type)}" for i in range(t.num_fields)) + ">"
    if pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t):
        return f"array<{_type(t.value_type)}>"
    if pa.types.is_timestamp(t):
        return "timestamp"
    if t not in _PLAIN:
        raise ValueError(f"columns of type {t} are not known to Spark: leave them out with select()")
    return _PLAIN[t]
