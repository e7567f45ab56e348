"""The compiled half; use :mod:`slipher`."""

from os import PathLike
from typing import Sequence

import pyarrow as pa

__version__: str
ZWARN: list[tuple[int, str, str]]

class Predictor:
    id: str
    sha256: str
    pz_grid: list[float]
    def __init__(self, path: str | None, purity: float, pz: bool, prior: str | None, medium: str | None) -> None: ...
    def predict(self, batch: pa.RecordBatch) -> pa.RecordBatch: ...
    def schema(self, batches: pa.Schema) -> pa.Schema: ...

class Simulator:
    def __init__(
        self, instruments: Sequence[tuple[str, float]], templates: Sequence[str], blank_sky: float, peculiar: float, seed: int
    ) -> None: ...
    def draw(self, start: int, stop: int) -> pa.RecordBatch: ...

def read(path: str | PathLike[str], medium: str | None = None) -> pa.RecordBatch: ...
def instruments() -> list[str]: ...
