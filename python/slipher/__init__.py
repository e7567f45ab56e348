"""Redshifts you can trust, from spectra of any spectrograph.

>>> import numpy as np, slipher
>>> sky = slipher.simulate(4, instruments=["euclid-red"], seed=3)      # a table: wave, flux, ivar, true z
>>> found = slipher.redshift(sky)
>>> len(found), [name for name in ("z", "p_correct", "accepted") if name in found.columns]
(4, ['z', 'p_correct', 'accepted'])

Everything goes through one function on Arrow batches, :meth:`slipher.Model.predict`: as many rows out as in, in order; what identifies a row is
carried; spectra that cannot be measured are flagged (``zwarn``, ``error``), never dropped. ``slipher.lsdb``, ``slipher.spark`` and ``slipher.ray``
are a few lines on it.
"""

from ._slipher import ZWARN as _BITS
from ._slipher import __version__, instruments
from .model import Model
from .spectra import read, simulate
from .table import Redshifts, redshift

#: Bits of ``zwarn`` that Slipher sets: name → (bit value, meaning).
ZWARN = {name: (value, meaning) for value, name, meaning in _BITS}

__all__ = ["Model", "Redshifts", "ZWARN", "__version__", "instruments", "read", "redshift", "simulate"]
