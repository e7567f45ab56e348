"""Calibrated redshifts from spectra of any spectrograph, and classifiers of images.

>>> import numpy as np, slipher
>>> sky = slipher.simulate(4, instruments=["euclid-red"], seed=3)      # a table: wave, flux, ivar, true z
>>> found = slipher.redshift(sky)
>>> len(found), [name for name in ("z", "p_correct", "accepted") if name in found.columns]
(4, ['z', 'p_correct', 'accepted'])

Everything goes through one function on Arrow batches, :meth:`slipher.Model.predict`: as many rows out as in, in order; what identifies a row is
carried; spectra that cannot be measured are flagged (``zwarn``, ``error``), never dropped. ``slipher.lsdb``, ``slipher.spark`` and ``slipher.ray``
are a few lines on it.
"""

from ._slipher import WARNINGS as _WARNINGS
from ._slipher import ZWARN as _BITS
from ._slipher import __version__, instruments, systems as _systems
from .model import Model
from .spectra import read, simulate
from .table import Redshifts, predict, redshift

#: Bits of ``zwarn`` that Slipher sets: name → (bit value, meaning).
ZWARN = {name: (value, meaning) for value, name, meaning in _BITS}

#: Names in the column ``warnings``: name → meaning. With ``wave-unit-assumed`` and ``file-damaged`` no redshift is accepted.
WARNINGS = dict(_WARNINGS)

#: Systems: name → (title, what it is asked about).
SYSTEMS = {name: (title, kind) for name, title, kind in _systems()}

__all__ = ["Model", "Redshifts", "SYSTEMS", "WARNINGS", "ZWARN", "__version__", "instruments", "predict", "read", "redshift", "simulate"]
