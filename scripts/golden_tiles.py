"""Images compressed in tiles by astropy, each followed by what astropy unpacks: crates/slipher-data/tests/golden/tiles.fits.gz.

Run from the root of the repository; needs numpy and astropy."""
import numpy as np
from astropy.io import fits

rng = np.random.default_rng(3)
y, x = np.mgrid[:21, :37]
smooth = 100 + 40 * np.sin(x / 5.0) * np.cos(y / 4.0)
integers = {bits: np.round(smooth * scale + rng.normal(0, 3, smooth.shape)).astype(kind) for bits, kind, scale in ((8, "u1", 1), (16, "i2", -50), (32, "i4", 1e5))}
floats = (smooth * 1e-3 + rng.normal(0, 1e-3, smooth.shape)).astype("f4")
floats[3, 4] = np.nan
floats[5:7, :] = 0
mask = np.where((x - 18) ** 2 + (y - 10) ** 2 < 30, 7, 0).astype("i4")
mask[2, 3:30] = np.arange(27) * 40
cases = []
for method in ("GZIP_1", "GZIP_2", "RICE_1"):
    for bits, data in integers.items():
        cases.append((f"{method}_{bits}", data, dict(compression_type=method)))
    for name, quantize in (("NONE", dict(quantize_method=-1, quantize_level=16)), ("DITHER1", dict(quantize_method=1, dither_seed=17)), ("DITHER2", dict(quantize_method=2, dither_seed=9999))):
        cases.append((f"{method}_F32_{name}", floats, dict(compression_type=method, **quantize)))
for method in ("GZIP_1", "GZIP_2"):
    cases.append((f"{method}_F64_EXACT", floats.astype("f8"), dict(compression_type=method, quantize_level=0)))
cases.append(("RICE_1_TILES", integers[32], dict(compression_type="RICE_1", tile_shape=(8, 10))))
cases.append(("PLIO_1", mask, dict(compression_type="PLIO_1")))
cases.append(("NOCOMPRESS", integers[16], dict(compression_type="NOCOMPRESS")))
for bits, data in integers.items():
    cases.append((f"HCOMPRESS_1_{bits}", data, dict(compression_type="HCOMPRESS_1")))
cases.append(("HCOMPRESS_1_TILES", integers[32], dict(compression_type="HCOMPRESS_1", tile_shape=(8, 10))))
cases.append(("HCOMPRESS_1_LOSSY", integers[32], dict(compression_type="HCOMPRESS_1", hcomp_scale=8)))
cases.append(("HCOMPRESS_1_F32", np.nan_to_num(floats), dict(compression_type="HCOMPRESS_1", quantize_method=1, dither_seed=17)))
out = [fits.PrimaryHDU()]
for name, data, options in cases:
    packed = fits.CompImageHDU(data, name=name, **options)
    out.append(packed)
hdus = fits.HDUList(out)
hdus.writeto("/tmp/tiles.fits", overwrite=True)
with fits.open("/tmp/tiles.fits") as unpacked, fits.open("/tmp/tiles.fits", disable_image_compression=True) as raw:
    both = [fits.PrimaryHDU()]
    for u, r in zip(unpacked[1:], raw[1:]):
        both += [r, fits.ImageHDU(u.data, name=u.name + "_PLAIN")]
    fits.HDUList(both).writeto("crates/slipher-data/tests/golden/tiles.fits.gz", overwrite=True, checksum=False)
