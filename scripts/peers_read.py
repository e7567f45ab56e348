"""Seconds to read SDSS spec files with astropy and fitsio: flux, loglam, ivar and the catalogue row.

usage: python scripts/peers_read.py REPETITIONS FILES…   (prints {"astropy": [...], "fitsio": [...]})
"""
import json
import sys
import time

import numpy as np
from astropy.io import fits

reps, files = int(sys.argv[1]), sys.argv[2:]


def astropy(path):
    with fits.open(path, memmap=False) as f:
        t = f[1].data
        out = [np.asarray(t[c], dtype=np.float64) for c in ("flux", "loglam", "ivar")]
        if len(f) > 2:
            out.append(f[2].data[0])
        return out, f[0].header.get("PLUG_RA")


def times(one):
    def once():
        t = time.perf_counter()
        for f in files:
            one(f)
        return time.perf_counter() - t

    once()
    return [once() for _ in range(reps)]


result = {"astropy": times(astropy)}
try:
    import fitsio

    def fast(path):
        with fitsio.FITS(path) as f:
            t = f[1].read(columns=["flux", "loglam", "ivar"], lower=True)
            out = [t[c].astype(np.float64) for c in ("flux", "loglam", "ivar")]
            if len(f) > 2:
                out.append(f[2].read(columns=[c for c in ("Z", "CLASS", "ZWARNING") if c in f[2].get_colnames()]))
            return out, f[0].read_header().get("PLUG_RA")

    result["fitsio"] = times(fast)
except ImportError as e:
    print(f"fitsio is not here: {e}", file=sys.stderr)
print(json.dumps(result))
