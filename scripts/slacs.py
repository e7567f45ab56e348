"""Real lenses: the 20 SLACS lenses of the data folder through slipher predict lens-model, against Bolton et al. (2008).

    python scripts/slacs.py SLIPHER DATA/images/slacs DATA/MANIFEST.tsv WORK [--polish]

Image, noise and point-spread function of a lens become one FITS file. Looked at once, after all choices were
made on simulations. Needs numpy, astropy, pyarrow."""
import argparse
import pathlib
import re
import subprocess

import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("slipher")
    a.add_argument("lenses")
    a.add_argument("manifest")
    a.add_argument("work")
    a.add_argument("--polish", action="store_true")
    a = a.parse_args()
    work = pathlib.Path(a.work)
    (work / "fits").mkdir(parents=True, exist_ok=True)
    truth = {}
    for line in open(a.manifest, encoding="utf8"):
        m = re.match(r"images/slacs/([^/]+)/image\.fits.*b=([0-9.]+) arcsec.*?q=([0-9.]+)", line)
        if m:
            truth[m[1]] = float(m[2]), float(m[3])
    for name in truth:
        d = pathlib.Path(a.lenses) / name
        image, noise, psf = (np.squeeze(fits.getdata(d / f"{k}.fits")).astype("f4") for k in ("image", "noise", "psf"))
        first = fits.PrimaryHDU(image)
        first.header["OBJECT"], first.header["PIXSCALE"] = name, 0.05
        hdus = [first, fits.ImageHDU(noise, name="ERR"), fits.ImageHDU(psf, name="PSF")]
        fits.HDUList(hdus).writeto(work / "fits" / f"{name}.fits", overwrite=True)
    out = work / ("polished.parquet" if a.polish else "network.parquet")
    subprocess.run([a.slipher, "-q", "predict", "lens-model", work / "fits", "-o", out, "--overwrite"]
                   + ["--polish"] * a.polish, check=False)
    t = pq.read_table(out).to_pydict()
    rows = []
    for k, f in enumerate(t["file"]):
        name = pathlib.Path(f).stem
        b, q = truth[name]
        theta, e = t["theta_e_arcsec"][k], t["theta_e_arcsec_err"][k]
        low, high = (10 ** (t[f"log_theta_e_{p}"][k]) * 0.05 for p in ("p2_5", "p97_5"))
        rows.append((theta / b - 1, low <= b <= high, t["q"][k] - q))
        print(f"{name}: θ_E {theta:.3f} ± {e:.3f} (Bolton {b:.2f}, {100 * (theta / b - 1):+.1f} %), q {t['q'][k]:.2f} ({q:.2f}), "
              f"flags {t['flags'][k]} {t['error'][k]}")
    d = np.abs([r[0] for r in rows])
    print(f"n = {len(d)}: median {100 * np.median(d):.1f} %, within 5 %: {(d < 0.05).sum()}, beyond 20 %: {(d > 0.2).sum()}, "
          f"95 % intervals hold {sum(r[1] for r in rows)}; q: median {np.median(np.abs([r[2] for r in rows])):.2f}")


if __name__ == "__main__":
    main()
