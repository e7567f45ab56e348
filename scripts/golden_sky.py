"""Golden values of GalSim for crates/slipher-sim/src/sky/sersic.rs (pip install galsim)."""
import galsim, numpy as np

rows = []
for n, re, q, angle in [(1.0, 4.0, 0.6, 0.5), (4.0, 3.0, 0.8, 1.2), (0.6, 1.0, 1.0, 0.0), (2.5, 0.5, 0.5, 2.0)]:
    # Ours is the radius along the major axis, GalSim's the circularised one.
    s = galsim.Sersic(n=n, half_light_radius=re * np.sqrt(q), flux=1000.0).shear(q=q, beta=angle * galsim.radians)
    offset = (0.2, -0.3)
    draw = lambda o: o.drawImage(nx=81, ny=81, scale=1.0, offset=offset, method="auto").array
    big = galsim.GSParams(maximum_fft_size=16384, folding_threshold=1e-4)
    bare = draw(s.withGSParams(big))
    seen = draw(galsim.Convolve(s, galsim.Moffat(beta=3.5, fwhm=3.3)).withGSParams(big))
    v = [bare[40, 40], bare[40, 44], seen[40, 40], seen[40, 44]]
    rows.append("(%s, %s, %s, %s, [%s])" % (n, re, q, angle, ", ".join("%.4f" % x for x in v)))
print("[" + ", ".join(rows) + "]")
