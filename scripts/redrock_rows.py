"""The real Redrock on SDSS and BOSS spectra, beside Slipher on the same files, in turns:

    python -m venv rr && rr/bin/pip install redrock==0.21.0 pyarrow
    rr/bin/python scripts/redrock_rows.py BINARY TEMPLATES spec-*.fits

TEMPLATES is a folder of rrtemplate-*.fits; its first galaxy set has no RRIGM (set it to Calura12 in a
copy) and ends at 10,000 A, so that Redrock sees spectra to 9900 A. One process, one thread for both. Right: the class of the
file's SPALL, |dz|/(1+z) < 0.0033 (QSO 0.01), |dv| < 1000 km/s for stars; ZWARNING 0 only."""
import csv
import os
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import scipy.sparse
from astropy.io import fits
from redrock.targets import DistTargetsCopy, Spectrum, Target
from redrock.templates import load_dist_templates, load_templates
from redrock.zfind import zfind


def read(path):
    with fits.open(path) as h:
        d, s = h[1].data, h[2].data
        wave = 10.0 ** d["loglam"].astype(float)
        ivar = d["ivar"].astype(float) * (d["and_mask"] == 0)
        return (wave, d["flux"].astype(float), ivar, str(s["CLASS"][0]).strip(), float(s["Z"][0]),
                int(s["ZWARNING"][0]))


def right(kind, z, true_kind, true_z):
    if kind != true_kind:
        return False
    limit = {"GALAXY": 0.0033, "QSO": 0.01, "STAR": 1000 / 299792.458}[kind]
    return abs(z - true_z) / (1 + true_z) < limit


def wilson(k, n):
    p, x = k / n, 1.96
    m, h = (p + x * x / 2 / n) / (1 + x * x / n), x * np.sqrt(p * (1 - p) / n + x * x / 4 / n / n) / (1 + x * x / n)
    return f"{100 * p:.1f} % ({k}/{n}, 95 %: {100 * (m - h):.1f}-{100 * (m + h):.1f})"


def main():
    binary, folder, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    rows = [(f, *read(f)) for f in files]
    rows = [r for r in rows if r[6] == 0]
    templates = load_templates(folder)
    targets = []
    for i, (f, wave, flux, ivar, *_) in enumerate(rows):
        keep = wave < 9900
        wave, flux, ivar = wave[keep], flux[keep], ivar[keep]
        r = scipy.sparse.identity(len(wave), format="dia")
        targets.append(Target(i, [Spectrum(wave, flux, ivar, r, r.tocsr())]))
    start = time.perf_counter()
    own = {}
    for i, t in enumerate(targets):
        d = DistTargetsCopy([t])
        scan = load_dist_templates(d.wavegrids(), templates=folder)
        _, fit = zfind(d, scan, mp_procs=1)
        own[i] = (str(fit["spectype"][0]).strip(), float(fit["z"][0]))
    theirs = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as d:
        open(f"{d}/list", "w").write("\n".join(r[0] for r in rows))
        start = time.perf_counter()
        subprocess.run([binary, "-q", "-j", "1", "redshift", f"@{d}/list", "-o", f"{d}/z.csv"], check=False)
        ours = time.perf_counter() - start
        z = {r["file"]: r for r in csv.DictReader(open(f"{d}/z.csv"))}
    n = len(rows)
    a = sum(right(*own[i], r[4], r[5]) for i, r in enumerate(rows))
    b = sum(right(z[r[0]]["spectype"], float(z[r[0]]["z"]), r[4], r[5]) for r in rows)
    print(f"Redrock {wilson(a, n)}, {n / theirs:.2f} spectra a second and core")
    print(f"Slipher {wilson(b, n)}, {n / ours:.0f} spectra a second and core, with reading and start")
    print(f"ratio {theirs / ours:.0f}")


if __name__ == "__main__":
    main()
