"""Golden values of crates/slipher-sim/src/lens: deflection, convergence, magnification and potential by
lenstronomy (SIE and SHEAR), and an image of a Sérsic source.

    python -m venv ls && ls/bin/pip install lenstronomy==1.12.5
    ls/bin/python scripts/golden_lens.py            writes crates/slipher-sim/tests/golden/lens.csv
    ls/bin/python scripts/golden_lens.py --speed    milliseconds of a 64 × 64 image
"""
import pathlib
import sys
import time

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

rng = np.random.default_rng(1)
model = LensModel(["SIE", "SHEAR"])


def image(supersampled):
    lens = [dict(theta_E=1.2, e1=0.125, e2=0.21650635094610966, center_x=0, center_y=0),
            dict(gamma1=0.03, gamma2=-0.02, ra_0=0, dec_0=0)]
    light = LightModel(["SERSIC_ELLIPSE"])
    source = [dict(amp=1, R_sersic=0.25, n_sersic=1, e1=-0.1, e2=0.05, center_x=0.1, center_y=-0.05)]
    n = 64 * supersampled
    axis = (np.arange(n) - (n - 1) / 2) * 0.1 / supersampled
    x, y = np.meshgrid(axis, axis)
    bx, by = model.ray_shooting(x.ravel(), y.ravel(), lens)
    flux = light.surface_brightness(bx, by, source).reshape(64, supersampled, 64, supersampled)
    return flux.mean(axis=(1, 3)) * 0.01


def main():
    if "--speed" in sys.argv:
        for k in (1, 3):
            start = time.perf_counter()
            for _ in range(50):
                image(k)
            print(f"{k} x {k}: {1000 * (time.perf_counter() - start) / 50:.2f} ms")
        return
    rows = []
    for _ in range(40):
        q, phi, theta = rng.uniform(0.2, 0.99), rng.uniform(0, np.pi), rng.uniform(0.5, 2.5)
        c = (1 - q) / (1 + q)
        e1, e2 = c * np.cos(2 * phi), c * np.sin(2 * phi)
        cx, cy = rng.uniform(-0.2, 0.2, 2)
        g1, g2 = rng.uniform(-0.1, 0.1, 2)
        kw = [dict(theta_E=theta, e1=e1, e2=e2, center_x=cx, center_y=cy),
              dict(gamma1=g1, gamma2=g2, ra_0=0, dec_0=0)]
        for x, y in rng.uniform(-3, 3, (5, 2)):
            ax, ay = model.alpha(x, y, kw)
            rows.append([theta, e1, e2, cx, cy, g1, g2, x, y, ax, ay, model.kappa(x, y, kw),
                         model.magnification(x, y, kw), model.potential(x, y, kw)])
    out = pathlib.Path(__file__).parents[1] / "crates/slipher-sim/tests/golden"
    out.mkdir(exist_ok=True)
    head = "theta_e,e1,e2,x0,y0,g1,g2,x,y,alpha_x,alpha_y,kappa,mu,psi"
    np.savetxt(out / "lens.csv", rows, delimiter=",", header=head, comments="", fmt="%.12g")
    i = image(15)
    print(f"image: sum {i.sum():.9f}, largest {i.max():.9f} at {np.unravel_index(i.argmax(), i.shape)}")


if __name__ == "__main__":
    main()
