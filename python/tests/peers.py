"""The programs that own a format open what Slipher writes: redrock, desispec, specutils and qp.

usage: python peers.py PATH_TO_SLIPHER        (pip install redrock desispec specutils qp-prob pyarrow; `cargo xtask peers` does both)
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq
import qp
import redrock.zwarning
from astropy import units as u
from astropy.io import fits
from astropy.nddata import InverseVariance
from astropy.table import Table
from desispec.io import read_table
from desispec.io.spectra import write_spectra
from desispec.maskbits import specmask
from desispec.spectra import Spectra
from specutils import Spectrum

slipher = sys.argv[1]
LINES = {3728.5: 20, 4862.7: 12, 4960.3: 10, 5008.2: 30, 6549.9: 6, 6564.6: 40, 6585.3: 14, 6718.3: 8, 6732.7: 6}
ZS = [0.1, 0.25, 0.4]


def galaxy(wave, z, seed, noise=0.1):
    rng = np.random.default_rng(seed)
    flux = 1 + 0.2 * (wave / 6500) ** -1.5
    for w, ew in LINES.items():
        s = w * (1 + z) * 150 / 299792.458
        flux += ew * 1.2 / (2.5066 * s) * np.exp(-0.5 * ((wave - w * (1 + z)) / s) ** 2)
    return flux + rng.normal(0, noise, wave.size)


def run(*args):
    p = subprocess.run([slipher, *map(str, args)], capture_output=True, text=True)
    assert p.returncode != 1, p.stderr


with tempfile.TemporaryDirectory() as d:
    coadd = os.path.join(d, "coadd-test.fits")
    bands = {"b": np.arange(3600, 5800.1, 0.8), "r": np.arange(5760, 7620.1, 0.8), "z": np.arange(7520, 9824.1, 0.8)}
    flux = {b: np.array([galaxy(w, z, i) for i, z in enumerate(ZS)]) for b, w in bands.items()}
    ids = [39627788403084375 + i for i in range(3)]
    fibermap = Table({"TARGETID": ids, "TARGET_RA": [10.0, 11.0, 12.0], "TARGET_DEC": [1.0, 2.0, 3.0]})
    mask = {b: np.zeros(f.shape, np.uint32) for b, f in flux.items()}
    mask["r"][:, 100:110] = specmask.ALLBADPIX
    written = Spectra(bands=list("brz"), wave=bands, flux=flux, ivar={b: np.full(f.shape, 100.0) for b, f in flux.items()}, mask=mask, fibermap=fibermap)
    write_spectra(coadd, written)

    # Redrock's own readers, and desispec's.
    out = os.path.join(d, "redrock.fits")
    run("redshift", coadd, "-o", out, "--layout", "redrock")
    table = read_table(out, "REDSHIFTS")
    assert list(table["TARGETID"]) == ids and np.allclose(table["Z"], ZS, atol=3e-4), table["TARGETID", "Z"]
    assert set(table["SPECTYPE"]) == {"GALAXY"} and not np.any(table["ZWARN"] & redrock.zwarning.ZWarningMask.NODATA)
    names = redrock.zwarning.ZWarningMask.flags()
    assert all(table["ZWARN"][table["TARGETID"] > 0] & 0xFFFF == 0), names
    print("ok     redrock REDSHIFTS: desispec.io.read_table, redrock.zwarning")

    # The density of z.
    native = os.path.join(d, "native.parquet")
    run("redshift", coadd, "-o", native, "--pz")
    t = pq.read_table(native)
    grid = np.array([float(x) for x in t.schema.metadata[b"pz_grid"].decode().strip("[]").split(",")])
    ens = qp.Ensemble(qp.interp, data={"xvals": grid, "yvals": np.array(t["pz"].to_pylist())})
    assert np.allclose(ens.mode(grid).ravel(), ZS, atol=1e-3), ens.mode(grid)
    share = ens.cdf(np.array(ZS) + 0.003).diagonal() - ens.cdf(np.array(ZS) - 0.003).diagonal()
    assert np.all(share > 0.9), share
    print("ok     p(z): qp.interp, mode and CDF")

    # A spectrum that specutils writes.
    w = np.arange(3800.0, 9200.0, 1.2)
    s = Spectrum(spectral_axis=w * u.AA, flux=galaxy(w, 0.3, 9) * u.Unit("1e-17 erg / (s cm2 Angstrom)"), uncertainty=InverseVariance(np.full(w.size, 100.0)))
    path = os.path.join(d, "specutils.fits")
    s.write(path, format="tabular-fits")
    run("redshift", path, "-o", native)
    row = pq.read_table(native).to_pylist()[0]
    assert abs(row["z"] - 0.3) < 4e-4 and not row["zwarn"] & (1 << 17), row
    print("ok     specutils tabular-fits")

    # SDSS columns, by astropy's unified reader.
    out = os.path.join(d, "spall.fits")
    run("redshift", coadd, "-o", out, "--layout", "sdss")
    t = Table.read(out, hdu=1)
    assert {"Z", "Z_ERR", "ZWARNING", "CLASS"} <= set(t.colnames) and np.allclose(t["Z"], ZS, atol=3e-4)
    with fits.open(out) as f:
        f.verify("exception")
    print("ok     SDSS spAll columns: astropy")
print("peers.py: all passed")
