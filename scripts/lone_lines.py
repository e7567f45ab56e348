"""One line or blend alone, without continuum, on a DESI-like grid, made apart from the simulations
that train the network: python scripts/lone_lines.py BINARY prints what is right, accepted and wrong.

[O II] and Halpha with their neighbours, [O III] with Hbeta, Lya with a steep blue side; 300 of each at
8 to 25 sigma, redshifts within the window."""
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KINDS = {
    "[O II]": ([(3727.09, 0.7), (3729.88, 1.0)], (0.05, 1.6)),
    "Halpha": ([(6564.61, 1.0), (6585.28, 0.3), (6549.85, 0.1)], (0.0, 0.48)),
    "[O III]": ([(5008.24, 1.0), (4960.3, 0.335), (4862.68, 0.25)], (0.0, 0.95)),
    "Lya": (None, (2.2, 6.5)),
}
C = 3e5


def profile(wave, lines, z, rng):
    if lines is None:
        centre = 1215.67 * (1 + z)
        x = (wave - centre) / (rng.uniform(80, 200) / C * centre)
        return np.where(x < 0, np.exp(-0.5 * (x * 2.5) ** 2), np.exp(-0.5 * x**2))
    s = np.hypot(rng.uniform(40, 90), 32) / C
    at = [(c * (1 + z), a) for c, a in lines]
    return sum(a * np.exp(-0.5 * ((wave - c) / (s * c)) ** 2) for c, a in at)


def main():
    binary, extra = sys.argv[1], sys.argv[2:]
    rng, n = np.random.default_rng(5), 300
    wave = np.arange(3600.0, 9824.0, 0.8)
    sigma = 1 + 2 * np.exp(-(wave - 3600) / 90) + np.exp(-(9824 - wave) / 120)
    for name, (lines, (lo, hi)) in KINDS.items():
        flux, truth = [], []
        for _ in range(n):
            f = rng.normal(0, 1, wave.size) * sigma
            truth.append(rng.uniform(lo, hi))
            line = profile(wave, lines, truth[-1], rng)
            f += line * rng.uniform(8, 25) / np.sqrt((line**2 / sigma**2).sum())
            flux.append(f.astype("f4").tolist())
        table = pa.table({
            "object_id": [str(i) for i in range(n)],
            "wave": [wave.tolist()] * n,
            "flux": flux,
            "ivar": [(sigma**-2).astype("f4").tolist()] * n,
        })
        with tempfile.TemporaryDirectory() as d:
            pq.write_table(table, f"{d}/s.parquet")
            subprocess.run([binary, "-q", "redshift", f"{d}/s.parquet", "--wave-unit", "Angstrom",
                            "--vacuum", "-o", f"{d}/z.parquet", *extra], check=False)
            found = pq.read_table(f"{d}/z.parquet")
        z, truth = np.array(found["z"]), np.array(truth)
        right = np.abs(z - truth) / (1 + truth) < 0.0033
        taken = np.array(found["accepted"]) == 1
        wrong = z[taken & ~right]
        print(f"{name}: n {n}, right {right.sum()}, accepted {taken.sum()}, of them wrong {wrong.size}",
              [round(float(v), 2) for v in wrong[:6]])


if __name__ == "__main__":
    main()
