"""Blank DESI-like skies with residuals that no error tells of, made apart from the simulations that
train the network: python scripts/skies.py BINARY [N] prints how many redshifts are accepted.

Three kinds: coherent with the noise (where sigma is high: arm ends and OH lines), one broad bump,
and a step at each join of the cameras; each at 2 and 3 sigma."""
import json
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

OH = np.array([5577.3, 5889.9, 6300.3, 6363.8, 6863.9, 6923.2, 7276.4, 7316.3, 7340.9, 7524.1,
               7571.7, 7712.2, 7750.6, 7794.1, 7821.5, 7853.2, 7913.7, 7964.6, 7993.3, 8025.8,
               8062.3, 8344.6, 8382.4, 8399.2, 8430.2, 8465.4, 8504.6, 8548.7, 8778.3, 8827.1,
               8885.8, 8919.6, 8958.1, 9001.3, 9038.1, 9313.2, 9375.9, 9439.6, 9476.8, 9502.0,
               9552.5, 9719.0, 9791.6]) * 1.00028


def sky(rng, kind, size):
    wave = np.arange(3600.0, 9824.0, 0.8)
    sigma = 1.0 + 2.5 * np.exp(-(wave - 3600) / 90) + 1.2 * np.exp(-(9824 - wave) / 120)
    for join in (5760.0, 5800.0, 7520.0, 7620.0):
        sigma += 1.5 * np.exp(-np.abs(wave - join) / 25)
    for line in OH:
        sigma += rng.exponential(1.5) * np.exp(-0.5 * ((wave - line) / 1.3) ** 2)
    flux = rng.normal(0, 1, wave.size) * sigma
    high = np.clip(sigma / np.median(sigma) - 1, 0, 1)
    if kind == "noise":
        flux += size * sigma * high * rng.choice([-1, 1])
    elif kind == "bump":
        centre, width = rng.uniform(4000, 9400), rng.uniform(20, 250)
        flux += size * np.median(sigma) * np.exp(-0.5 * ((wave - centre) / width) ** 2)
    elif kind == "step":
        for join in (5780.0, 7570.0):
            flux += size * 0.3 * rng.normal() * np.median(sigma) * (wave > join)
    return wave, flux, sigma**-2.0


def main():
    binary, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
    for kind, size in [("none", 0), ("noise", 2), ("noise", 3), ("bump", 2), ("bump", 3), ("step", 3)]:
        rng = np.random.default_rng([7, size, len(kind)])
        rows = [sky(rng, kind, size) for _ in range(n)]
        table = pa.table({
            "object_id": [f"sky-{i}" for i in range(n)],
            "wave": [r[0].tolist() for r in rows],
            "flux": [r[1].astype("f4").tolist() for r in rows],
            "ivar": [r[2].astype("f4").tolist() for r in rows],
        })
        with tempfile.TemporaryDirectory() as d:
            pq.write_table(table, f"{d}/sky.parquet")
            subprocess.run([binary, "-q", "redshift", f"{d}/sky.parquet", "--wave-unit", "Angstrom",
                            "--vacuum", "-o", f"{d}/z.parquet"] + sys.argv[3:], check=False)
            z = pq.read_table(f"{d}/z.parquet").to_pydict()
        good = [i for i in range(n) if z["accepted"][i]]
        print(json.dumps({"kind": kind, "sigma": size, "n": n, "accepted": len(good),
                          "z": [round(z["z"][i], 3) for i in good][:8]}))


if __name__ == "__main__":
    main()
