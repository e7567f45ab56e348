"""Survey files by their documented layouts, written by astropy and pyarrow, read by Slipher.

usage: python formats.py PATH_TO_SLIPHER

Layouts: data.sdss.org (spSpec, spPlate, spec), desidatamodel (coadd), Euclid Q1 explanatory supplement (SIR), Subaru-PFS
datamodel.txt (pfsObject), JWST x1d, DJA msaexp, MaNGA LOGRSS, 2dFGRS, GAMA, OzDES and WiggleZ (Data Central), Marz, LAMOST
(DR7, DR8), ESO phase 3 (4MOST L1), VOTable, MultimodalUniverse and HATS (nested Parquet; HDF5).
"""
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table

slipher = sys.argv[1]
C = 299792.458
LINES = {3728.5: 20, 4862.7: 12, 4960.3: 10, 5008.2: 30, 6549.9: 6, 6564.6: 40, 6585.3: 14, 6718.3: 8, 6732.7: 6}


def galaxy(wave, z, seed=0, noise=0.1):
    """f_lambda and sigma on vacuum Angstrom."""
    rng = np.random.default_rng(seed)
    flux = 1 + 0.2 * (wave / 6500) ** -1.5
    step = np.gradient(wave)
    for w, ew in LINES.items():
        s = np.hypot(w * (1 + z) * 150 / C, 0.7 * np.interp(w * (1 + z), wave, step))
        flux += ew * 1.2 / (2.5066 * s) * np.exp(-0.5 * ((wave - w * (1 + z)) / s) ** 2)
    return flux + rng.normal(0, noise, wave.size), np.full(wave.size, noise)


def air(vacuum):
    """Ciddor 1996."""
    s = (1e4 / vacuum) ** 2
    return vacuum / (1 + 0.05792105 / (238.0185 - s) + 0.00167917 / (57.362 - s))


def loglam(n=3850, start=3.58):
    return 10 ** (start + 1e-4 * np.arange(n))


def image(data, name=None, **header):
    h = fits.Header()
    for k, v in header.items():
        h[k.replace("__", "-")] = v
    return fits.PrimaryHDU(data, h) if name is None else fits.ImageHDU(data, h, name=name)


def bintable(name, columns, **header):
    t = fits.BinTableHDU(Table(columns), name=name)
    t.header.update(header)
    return t


Z = 0.15
MAKERS = {}


def layout(name):
    def register(f):
        MAKERS[name] = f
        return f

    return register


@layout("spSpec-51602-0266-001.fit")
def sp_spec(path):
    w = loglam()
    f, s = galaxy(w, Z)
    mask = np.zeros(w.size)
    mask[10] = 2**24
    h = dict(COEFF0=3.58, COEFF1=1e-4, CRVAL1=3.58, CD1_1=1e-4, CRPIX1=1, DC__FLAG=1, TELESCOP="SDSS 2.5-M", PLATEID=266, MJD=51602, FIBERID=1, VACUUM=True, Z=Z, SPEC_CLN=2, Z_WARNIN=0, RAOBJ=146.7, DECOBJ=-1.0)
    fits.HDUList([image(np.array([f, f - 1, s, mask, f]).astype("f4"), **h)]).writeto(path)
    return [Z]


@layout("spPlate-0266-51602.fits")
def sp_plate(path):
    w = loglam()
    zs = [0.05, 0.15, 0.25]
    rows = [galaxy(w, z, i) for i, z in enumerate(zs)]
    flux, ivar = np.array([r[0] for r in rows]), np.array([1 / r[1] ** 2 for r in rows])
    plug = bintable(None, {"OBJTYPE": ["GALAXY"] * 3, "RA": [10.0, 20.0, 30.0], "DEC": [1.0, 2.0, 3.0], "FIBERID": [1, 2, 3]})
    h = dict(COEFF0=3.58, COEFF1=1e-4, CRVAL1=3.58, CD1_1=1e-4, CRPIX1=1, DC__FLAG=1, TELESCOP="SDSS 2.5-M", PLATEID=266, MJD=51602, VACUUM=True)
    fits.HDUList([image(flux.astype("f4"), **h), image(ivar.astype("f4"), "IVAR"), image(np.zeros(flux.shape, "i4"), "ANDMASK"), image(np.zeros(flux.shape, "i4"), "ORMASK"), image(np.ones(flux.shape, "f4"), "WAVEDISP"), plug, image(flux.astype("f4"), "SKY")]).writeto(path)
    return zs


@layout("spec-v6.fits")
def spec_v(path):
    w = loglam()
    f, s = galaxy(w, Z)
    t = bintable("COADD", {"FLUX": f.astype("f4"), "LOGLAM": np.log10(w), "IVAR": (1 / s**2).astype("f4"), "AND_MASK": np.zeros(w.size, "i4"), "OR_MASK": np.zeros(w.size, "i4")})
    spall = bintable("SPALL", {"Z": [Z], "CLASS": ["GALAXY"], "ZWARNING": [0]})
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"TELESCOP": "SDSS 2.5-M", "VERS2D": "v6_1"})), t, spall]).writeto(path)
    return [Z]


@layout("euclid-sir.fits")
def euclid(path):
    # 12047 to 18734 A in 531 pixels, one HDU an object, flux in units of FSCALE, mask odd or >= 64 for bad pixels.
    w = 11900 + 13.4 * np.arange(531)
    hdus = [fits.PrimaryHDU()]
    zs = [1.0, 1.35]
    for i, z in enumerate(zs):
        f, s = galaxy(w, z, i, 0.15)
        mask = np.zeros(w.size, "i4")
        mask[:12], mask[-20:], mask[100], mask[200] = 1, 65, 64, 2
        f[100] = 1e4
        hdus.append(bintable(f"2689{i}", {"WAVELENGTH": w.astype("f4"), "SIGNAL": f.astype("f4"), "MASK": mask, "QUALITY": np.ones(w.size, "f4"), "VAR": (s**2).astype("f4"), "NDITH": np.full(w.size, 4, "i2")}, FSCALE=1e-16, SOURC_ID=26890 + i))
        hdus[-1].columns["WAVELENGTH"].unit = "Angstrom"
        hdus[-1].columns["SIGNAL"].unit = "erg/s/cm2/Angstrom"
    fits.HDUList(hdus).writeto(path)
    return zs


@layout("pfsObject-00002-00001-1,1-0000000000000001-001-0x0000000000000001.fits")
def pfs(path):
    w = np.arange(3800, 12600, 0.8)
    f, s = galaxy(w, Z)
    nu = (w / 5000) ** 2 * 1e3
    mask = np.zeros(w.size, "i4")
    mask[5] = 1
    table = bintable("FLUX_TABLE", {"wavelength": w / 10, "flux": (f * nu).astype("f4"), "error": (s * nu).astype("f4"), "mask": mask}, MP_REFLINE=15)
    target = bintable("TARGET", {"catId": [2], "objId": [1], "ra": [150.0], "dec": [2.0]})
    n = w.size
    hdus = [fits.PrimaryHDU(), target, image((f * nu).astype("f4"), "FLUX"), image(mask, "MASK"), image(np.zeros(n, "f4"), "SKY"), image(np.array([(s * nu) ** 2] * 3).astype("f4"), "COVAR"), image(w / 10, "WAVELENGTH"), table]
    fits.HDUList(hdus).writeto(path)
    return [Z]


@layout("jw_x1d.fits")
def jwst(path):
    w = np.arange(2.87, 5.1, 0.0018)
    z = 5.6
    f, s = galaxy(w * 1e4, z)
    nu = w**2
    t = bintable("EXTRACT1D", {"WAVELENGTH": w, "FLUX": f * nu * 1e-7, "FLUX_ERROR": s * nu * 1e-7, "SURF_BRIGHT": f, "SB_ERROR": s, "DQ": np.zeros(w.size, "u4"), "BACKGROUND": f, "NPIXELS": np.ones(w.size)}, SRCALIAS="gal-1")
    t.columns["WAVELENGTH"].unit, t.columns["FLUX"].unit, t.columns["FLUX_ERROR"].unit = "um", "Jy", "Jy"
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"TELESCOP": "JWST", "INSTRUME": "NIRSPEC", "TARGNAME": "gal-1"})), t]).writeto(path)
    return [z]


@layout("dja.spec.fits")
def dja(path):
    w = np.arange(1.0, 5.2, 0.002)
    z = 4.2
    f, s = galaxy(w * 1e4, z)
    t = bintable("SPEC1D", {"wave": w, "flux": f * w**2 * 1.3, "err": s * w**2 * 1.3, "path_corr": np.ones(w.size), "valid": np.ones(w.size, bool)})
    t.columns["wave"].unit, t.columns["flux"].unit, t.columns["err"].unit = "um", "uJy", "uJy"
    fits.HDUList([fits.PrimaryHDU(), t, image(np.ones((20, w.size), "f4"), "SCI"), image(np.ones((20, w.size), "f4"), "WHT")]).writeto(path)
    return [z]


@layout("manga-7443-12703-LOGRSS.fits")
def manga(path):
    w = loglam(4563, 3.5589)
    zs = [0.03, 0.03]
    rows = [galaxy(w, z, i) for i, z in enumerate(zs)]
    flux, ivar = np.array([r[0] for r in rows]).astype("f4"), np.array([1 / r[1] ** 2 for r in rows]).astype("f4")
    mask = np.zeros(flux.shape, "i4")
    mask[0, 50] = 1 << 10
    flux[0, 50] = 1e5
    fits.HDUList([fits.PrimaryHDU(), image(flux, "FLUX"), image(ivar, "IVAR"), image(mask, "MASK"), image(w, "WAVE"), image(np.ones(w.size), "SPECRES")]).writeto(path)
    return zs


@layout("2dfgrs.fits")
def twodfgrs(path):
    w = 3600 + 4.3 * np.arange(1024)
    f, s = galaxy(np.interp(w, air(w), w), Z)
    h = dict(CRVAL1=3600.0, CDELT1=4.3, CRPIX1=1.0, IMAGE="SPECTRUM", Z=Z, QUALITY=4, SEQNUM=12345)
    fits.HDUList([image(np.zeros((49, 49), "i2"), IMAGE="SKYCHART"), image(np.array([f, s**2, f]).astype("f4"), "SPECTRUM", **h)]).writeto(path)
    return [Z]


@layout("gama.fits")
def gama(path):
    w = np.arange(3730, 8850, 1.04)
    f, s = galaxy(np.interp(w, air(w), w), Z)
    h = dict(CRVAL1=3730.0, CD1_1=1.04, CRPIX1=1.0, CTYPE1="Wavelength", CUNIT1="Angstroms", ORIGIN="GAMA", GAMANAME="GAMAJ113524.87+", SPECID="G12_Y1_AN1_001", Z=Z, NQ=4, RA=173.8, DEC=0.9)
    for i, v in enumerate(["Spectrum", "Error", "Spectrum_nocalib", "Error_nocalib", "Sky"]):
        h[f"ROW{i + 1}"] = v
    fits.HDUList([image(np.array([f, s, f * 7, s * 7, f]).astype("f4"), **h)]).writeto(path)
    return [Z]


@layout("ozdes.fits")
def ozdes(path):
    w = 3730 + 1.04 * np.arange(5000)
    f, s = galaxy(w, Z)
    h = dict(CRVAL1=3730.0, CDELT1=1.04, CRPIX1=1.0, CTYPE1="WAVE", CUNIT1="Angstrom")
    cycle = lambda i: [image(f.astype("f4"), f"SPECTRUM{i}", **h), image((s**2).astype("f4"), f"VARIANCE{i}", **h), image(np.zeros(w.size, "i2"), f"BADPIX{i}", **h)]
    fits.HDUList([image(f.astype("f4"), REFERENC="ozdes dr2", SOURCE="SN-1", Z=Z, **h), image((s**2).astype("f4"), "VARIANCE", **h), image(np.zeros(w.size, "i2"), "BADPIX", **h), *cycle(1)]).writeto(path)
    return [Z]


@layout("marz-air-linear.fits")
def marz(path):
    w = 3800 + 1.1 * np.arange(4500)
    zs = [0.1, 0.2]
    # Pixels are in air: the flux at an air wavelength is that of its vacuum wavelength.
    vacuum = np.interp(w, air(w), w)
    rows = [galaxy(vacuum, z, i) for i, z in enumerate(zs)]
    fibres = bintable("FIBRES", {"NAME": ["one", "two", "sky"], "TYPE": ["P", "P", "S"], "RA": [1.0, 2.0, 3.0], "DEC": [0.1, 0.2, 0.3], "MAGNITUDE": [20.0, 21.0, 0.0]})
    flux = np.array([r[0] for r in rows] + [np.random.default_rng(9).normal(0, 0.1, w.size)]).astype("f4")
    hdus = [image(flux, CRVAL1=3800.0, CDELT1=1.1, CRPIX1=1.0), image(np.full(flux.shape, 0.01, "f4"), "VARIANCE"), image(np.ones(w.size, "f4"), "SKY"), fibres]
    fits.HDUList(hdus).writeto(path)
    return zs


@layout("marz-vacuum-log.fits")
def marz_log(path):
    w = loglam()
    zs = [0.1, 0.2]
    flux = np.array([galaxy(w, z, i)[0] for i, z in enumerate(zs)]).astype("f4")
    fits.HDUList([image(flux, CRVAL1=3.58, CDELT1=1e-4, CRPIX1=1.0, LOGSCALE="T", VACUUM="T"), image(np.full(flux.shape, 0.01, "f4"), "VARIANCE")]).writeto(path)
    return zs


@layout("lamost-dr7.fits")
def lamost_old(path):
    w = loglam(3900, 3.5682)
    f, s = galaxy(w, Z)
    h = dict(COEFF0=3.5682, COEFF1=1e-4, CRVAL1=3.5682, CD1_1=1e-4, CRPIX1=1, DC__FLAG=1, TELESCOP="LAMOST", VACUUM="T", CLASS="GALAXY", Z=Z, OBSID=12345, RA=10.0, DEC=20.0)
    fits.HDUList([image(np.array([f, 1 / s**2, w, np.zeros(w.size), np.zeros(w.size)]).astype("f4"), **h)]).writeto(path)
    return [Z]


@layout("lamost-dr8.fits")
def lamost_new(path):
    w = loglam(3900, 3.5682)
    f, s = galaxy(w, Z)
    n = w.size
    cols = [fits.Column("FLUX", f"{n}E", array=[f]), fits.Column("IVAR", f"{n}E", array=[1 / s**2]), fits.Column("WAVELENGTH", f"{n}E", array=[w]), fits.Column("ANDMASK", f"{n}E", array=[np.zeros(n)]), fits.Column("ORMASK", f"{n}E", array=[np.full(n, 3.0)]), fits.Column("NORMALIZATION", f"{n}E", array=[np.ones(n)])]
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"TELESCOP": "LAMOST", "CLASS": "GALAXY", "Z": Z, "OBSID": 7})), fits.BinTableHDU.from_columns(cols, name="COADD")]).writeto(path)
    return [Z]


@layout("4most-l1.fits")
def fourmost(path):
    w = np.arange(3700, 9500, 0.7)
    f, s = galaxy(w, Z)
    n = w.size
    qual = np.zeros(n)
    qual[100] = 1
    f[100] = 1e4
    cols = [fits.Column("WAVE", f"{n}D", unit="Angstrom", array=[air(w)]), fits.Column("FLUX", f"{n}E", unit="erg/s/cm2/Angstrom", array=[f * 1e-17]), fits.Column("ERR_FLUX", f"{n}E", array=[s * 1e-17]), fits.Column("QUAL", f"{n}J", array=[qual])]
    t = fits.BinTableHDU.from_columns(cols, name="PHASE3SPECTRUM")
    t.header["TUCD1"], t.header["SPECSYS"] = "em.wl;obs.atmos", "BARYCENT"
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"PRODCATG": "SCIENCE.SPECTRUM", "OBJECT": "4M-1"})), t]).writeto(path)
    return [Z]


@layout("table.vot")
def votable(path):
    w = np.arange(3800.0, 9200.0, 1.2)
    f, s = galaxy(w, Z)
    t = Table({"wavelength": w, "flux": f, "error": s})
    t["wavelength"].unit = "Angstrom"
    t.write(path, format="votable")
    return [Z]


@layout("binary.vot")
def votable_binary(path):
    w = np.arange(3800.0, 9200.0, 1.2)
    f, s = galaxy(w, Z)
    t = Table({"wavelength": (w / 10).astype("f4"), "flux": f, "error": s})
    t["wavelength"].unit = "nm"
    t.write(path, format="votable", tabledata_format="binary2")
    return [Z]


@layout("mmu.parquet")
def mmu(path):
    w = loglam()
    zs = [0.1, 0.2, 0.3]
    spectra = []
    for i, z in enumerate(zs):
        f, s = galaxy(w, z, i)
        spectra.append({"flux": f.astype("f4"), "ivar": (1 / s**2).astype("f4"), "lsf_sigma": np.ones(w.size, "f4"), "lambda": w.astype("f4"), "mask": np.zeros(w.size, bool)})
    t = pa.table({"object_id": ["a", "b", "c"], "ra": [1.0, 2.0, 3.0], "dec": [4.0, 5.0, 6.0], "Z": zs, "spectrum": pa.array(spectra)})
    pq.write_table(t, path)
    return zs


@layout("hats-desi.parquet")
def hats(path):
    # DESI DR1 on HATS: one nested column for each arm.
    zs = [0.1, 0.2]
    arms = {"b": np.arange(3600, 5800, 0.8), "r": np.arange(5760, 7620, 0.8), "z": np.arange(7520, 9824, 0.8)}
    columns = {"TARGETID": [1, 2], "RA": [1.0, 2.0], "DEC": [1.0, 2.0]}
    for arm, w in arms.items():
        cells = []
        for i, z in enumerate(zs):
            f, s = galaxy(w, z, i)
            cells.append({"wavelength": w, "flux": f.astype("f4"), "ivar": (1 / s**2).astype("f4"), "mask": np.zeros(w.size, "i4")})
        columns[f"spectra_{arm}"] = pa.array(cells)
    pq.write_table(pa.table(columns), path)
    return zs


@layout("lists.parquet")
def lists(path):
    w = loglam()
    zs = [0.12, 0.22]
    rows = [galaxy(w, z, i) for i, z in enumerate(zs)]
    t = pa.table({"id": [7, 8], "wave": [w.tolist()] * 2, "flux": [r[0].tolist() for r in rows], "sigma": pa.array([r[1].tolist() for r in rows], pa.large_list(pa.float32()))})
    pq.write_table(t, path)
    return zs


@layout("mmu.hdf5")
def mmu_hdf5(path):
    # As h5py writes by default in chunks, compressed.
    w = loglam()
    zs = [0.15, 0.25, 0.35]
    rows = [galaxy(w, z, i) for i, z in enumerate(zs)]
    with h5py.File(path, "w") as h:
        h.create_dataset("spectrum_lambda", data=np.tile(w, (3, 1)).astype("f4"), compression="gzip", shuffle=True)
        h.create_dataset("spectrum_flux", data=np.array([r[0] for r in rows], "f4"), compression="gzip", chunks=(1, 1000))
        h.create_dataset("spectrum_ivar", data=np.array([r[1] ** -2 for r in rows], "f4"))
        h.create_dataset("spectrum_mask", data=np.zeros((3, w.size), bool))
        h.create_dataset("object_id", data=np.array([b"a", b"b", b"c"]))
        h.create_dataset("ra", data=[1.0, 2.0, 3.0])
        h.create_dataset("dec", data=[1.0, 2.0, 3.0])
        h.create_dataset("Z", data=zs)
    return zs


@layout("groups.h5")
def groups(path):
    w = np.arange(380.0, 920.0, 0.12)
    zs = [0.11, 0.21]
    with h5py.File(path, "w") as h:
        for i, z in enumerate(zs):
            f, s = galaxy(w * 10, z, i)
            g = h.create_group(f"object{i}")
            g["wave"], g["flux"], g["error"] = w, f, s
            g["wave"].attrs["unit"] = "nm"
    return zs


@layout("header-order.txt")
def ascii_order(path):
    w = np.arange(3800.0, 9200.0, 1.2)
    f, s = galaxy(w, Z)
    np.savetxt(path, np.c_[np.zeros(w.size), s, f, w], header="flag error flux wavelength")
    return [Z]


only = sys.argv[2:]
failed = 0
with tempfile.TemporaryDirectory() as d:
    for name, make in MAKERS.items():
        if only and name not in only:
            continue
        path, out = os.path.join(d, name), os.path.join(d, "out.parquet")
        zs = make(path)
        p = subprocess.run([slipher, "redshift", path, "-o", out, "-q", "--overwrite"], capture_output=True, text=True)
        problems = []
        if p.returncode == 1:
            problems.append(p.stderr.strip()[-300:])
        else:
            rows = [r for r in pq.read_table(out).to_pylist() if "sky" not in r["object_id"]]
            if len(rows) != len(zs):
                problems.append(f"{len(rows)} rows, expected {len(zs)}")
            for r, z in zip(rows, zs):
                # A tenth of the tolerance: air for vacuum would show.
                if r["z"] is None or abs(r["z"] - z) / (1 + z) > 3e-4:
                    problems.append(f"z = {r['z']} for {z} {r['error']}")
                if r["zwarn"] & (1 << 17):
                    problems.append("the errors were not found")
        failed += bool(problems)
        print(("FAILED " if problems else "ok     ") + name, "; ".join(problems))
print(f"formats.py: {len(only or MAKERS) - failed} passed, {failed} failed")
sys.exit(failed > 0)
