"""Sérsic parameters of GALFIT's example by imfit (pyimfit 1.1), for crates/slipher-systems/tests/galfit.rs.

    python scripts/golden_structure.py ../shared/data/images/MegaMorph__galfitm-tests/simple
"""

import pathlib
import sys

import numpy as np
import pyimfit
from astropy.io import fits

folder = pathlib.Path(sys.argv[1])
data, sigma, psf = (fits.getdata(folder / f"{n}.fits").astype(float) for n in ("gal", "sigma", "psf"))
data, sigma = data[:93, :93], sigma[:93, :93]
galaxy = pyimfit.make_imfit_function("Sersic")
values = dict(PA=105.0, ell=0.15, n=4.0, I_e=300.0, r_e=3.0)
limits = dict(PA=(0, 180), ell=(0, 0.9), n=(0.3, 10), I_e=(1e-3, 1e6), r_e=(0.1, 60))
for name, v in values.items():
    getattr(galaxy, name).setValue(v, limits[name])
sky = pyimfit.make_imfit_function("FlatSky")
sky.I_sky.setValue(1.0, (-10, 10))
place = pyimfit.FunctionSetDescription("one", pyimfit.ParameterDescription("X0", 46.5, [40, 53]),
                                       pyimfit.ParameterDescription("Y0", 48.3, [42, 55]))
place.addFunction(galaxy)
place.addFunction(sky)
model = pyimfit.ModelDescription([place])
# imfit integrates over pixels and wants a function that is centred on the middle of an odd image.
size = min(psf.shape) - (1 - min(psf.shape) % 2)
y, x = (np.array(psf.shape) // 2)
half = size // 2
cut = psf[y - half : y + half + 1, x - half : x + half + 1]
fit = pyimfit.Imfit(model, psf=cut / cut.sum())
found = fit.fit(data, error=sigma, error_type="sigma")
print(found.fitStat, fit.numberedParameterNames)
print(np.array(found.params), found.paramErrs)
