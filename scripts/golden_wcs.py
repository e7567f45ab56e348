"""Golden values of crates/slipher-data/src/wcs.rs: positions of pixels by astropy (wcslib).

    python scripts/golden_wcs.py        prints the tables of the test
"""
import re
import pathlib

from astropy.io import fits
from astropy.wcs import WCS

text = (pathlib.Path(__file__).parents[1] / "crates/slipher-data/src/wcs.rs").read_text()
for name in ("PLAIN", "SIP"):
    cards = re.search(rf'const {name}: &str = "(.*?)";', text, re.S).group(1)
    h = fits.Header()
    for line in cards.splitlines():
        key, value = (p.strip() for p in line.split("="))
        h[key] = value.strip("'") if value.startswith("'") else float(value)
        if key.endswith("ORDER"):
            h[key] = int(value)
    w = WCS(h)
    print(f"    const GOLDEN_{name}: [[f64; 4]; 4] = [")
    for x, y in ((1.0, 1.0), (1000.5, 33.25), (512.5, 300.25), (2000.0, 1800.0)):
        ra, dec = w.all_pix2world(x, y, 1)
        print(f"        [{x!r}, {y!r}, {float(ra)!r}, {float(dec)!r}],")
    print("    ];")
