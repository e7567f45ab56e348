"""Real readers open what Slipher writes: astropy and pyarrow against the program itself.

usage: python round_trip.py PATH_TO_SLIPHER
"""
import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table

slipher = sys.argv[1]


def run(*args, expect=0):
    p = subprocess.run([slipher, *map(str, args)], capture_output=True, text=True)
    assert p.returncode == expect, (args, p.returncode, p.stderr)
    return p


def spectrum(path, z, seed, kind):
    """A star-forming galaxy written by astropy, in one of the generic layouts."""
    rng = np.random.default_rng(seed)
    wave = np.arange(3800.0, 9200.0, 1.2)
    flux = 1 + 0.2 * (wave / 6500) ** -1.5
    lines = {3727.1: 8, 3729.9: 10, 4862.7: 10, 4960.3: 8, 5008.2: 25, 6549.9: 5, 6564.6: 30, 6585.3: 12, 6718.3: 6, 6732.7: 5, 4341.7: 4.5}
    for w, ew in lines.items():
        s = w * (1 + z) * 120 / 299792.458
        flux += ew * 1.2 / (2.5066 * s) * np.exp(-0.5 * ((wave - w * (1 + z)) / s) ** 2)
    sigma = np.full(wave.size, 0.1)
    flux = flux + rng.normal(0, sigma)
    flux[100] = np.nan
    if kind == "table":
        t = Table({"WAVELENGTH": wave / 10, "FLUX": flux * 1e-17, "ERR": sigma * 1e-17})
        t["WAVELENGTH"].unit = "nm"
        t.write(path)
    elif kind == "log image":
        grid = 10 ** np.arange(np.log10(3800), np.log10(9200), 1e-4)
        h = fits.Header({"CRVAL1": np.log10(3800), "CDELT1": 1e-4, "CRPIX1": 1, "DC-FLAG": 1})
        fits.HDUList([fits.PrimaryHDU(np.interp(grid, wave, np.nan_to_num(flux, nan=1.0)), h), fits.ImageHDU(np.full(grid.size, 0.01), name="VARIANCE")]).writeto(path)
    elif kind == "linear image, no errors":
        h = fits.Header({"CRVAL1": 3800.0, "CD1_1": 1.2, "CRPIX1": 1, "CTYPE1": "WAVE"})
        fits.PrimaryHDU(flux.astype("f4"), h).writeto(path)
    elif kind == "vector row":
        cols = [fits.Column("WAVE", f"{wave.size}D", unit="Angstrom", array=[wave, wave]), fits.Column("FLUX", f"{wave.size}E", array=[flux, flux]), fits.Column("IVAR", f"{wave.size}E", array=[sigma**-2, sigma**-2]), fits.Column("ID", "6A", array=["one", "two"])]
        fits.BinTableHDU.from_columns(cols).writeto(path)
    elif kind == "csv":
        np.savetxt(path, np.c_[wave, flux, sigma], delimiter=",", header="wavelength,flux,error", comments="")
    else:
        np.savetxt(path, np.c_[wave, flux, sigma])


with tempfile.TemporaryDirectory() as d:
    layouts = [("table", "a.fits"), ("log image", "b.fits"), ("linear image, no errors", "c.fits"), ("vector row", "d.fits.gz"), ("csv", "e.csv"), ("ascii", "f.dat")]
    truth = {}
    for i, (kind, name) in enumerate(layouts):
        truth[name] = 0.05 + 0.05 * i
        spectrum(os.path.join(d, name), truth[name], i, kind)
    out = {k: os.path.join(d, "out", f"c.{k}") for k in ("parquet", "fits", "csv")}
    os.mkdir(os.path.join(d, "out"))
    inputs = [os.path.join(d, n) for _, n in layouts]
    for path in out.values():
        run("redshift", *inputs, "-o", path, "-q")
    p = pq.read_table(out["parquet"])
    field = p.schema.field("ra")
    assert field.metadata[b"unit"] == b"deg" and b"ucd" in field.metadata, field.metadata
    assert b"IVOA.VOTable-Parquet.content" in pq.read_metadata(out["parquet"]).metadata
    rows = p.to_pylist()
    assert len(rows) == 7, len(rows)
    for r in rows:
        z = truth[os.path.basename(r["file"])]
        assert r["spectype"] == "GALAXY" and abs(r["z"] - z) / (1 + z) < 0.0033, (r["file"], r["z"], z)
        assert r["solutions"][0]["z"] == r["z"] and abs(r["p_galaxy"] + r["p_qso"] + r["p_star"] - 1) < 1e-5
    flags = {os.path.basename(r["file"]): r["zwarn"] for r in rows}
    assert flags["c.fits"] & (1 << 17) and not flags["a.fits"] & (1 << 17), flags
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # astropy warns if CHECKSUM or DATASUM is wrong
        with fits.open(out["fits"], checksum=True) as h:
            assert all("CHECKSUM" in x.header for x in h)
            t = h[1].data
            assert len(t) == 7 and np.allclose(t["Z"], p["z"].to_numpy()), t["Z"]
            assert h[1].columns["RA"].unit == "deg"
    c = Table.read(out["csv"], format="csv")
    assert np.allclose(c["z"], p["z"].to_numpy())

    # A folder with damaged files: flagged rows, exit code 2, nothing lost.
    good = inputs[0]
    data = open(good, "rb").read()
    for name, content in {"cut.fits": data[:9000], "words.txt": b"no numbers here\n", "empty.fits": b""}.items():
        open(os.path.join(d, name), "wb").write(content)
    mixed = os.path.join(d, "out", "mixed.parquet")
    e = run("redshift", d + "/*.fits", d + "/words.txt", "-o", mixed, expect=2)
    m = pq.read_table(mixed).to_pylist()
    assert len(m) == 6 and sum(r["zwarn"] & (1 << 19) != 0 for r in m) == 3, m
    assert all(r["error"] for r in m if r["zwarn"] & (1 << 19))
    assert "words.txt" in e.stderr and "complete" in e.stderr, e.stderr
    run("redshift", os.path.join(d, "words.txt"), expect=1)
    run("redshift", os.path.join(d, "nothing*.fits"), expect=1)

    # A dead spectrum has no redshift; a log-sampled K-band image and WAVE-LOG are read right; a catalogue is no input.
    w = np.arange(3800.0, 9200.0, 1.2)
    for name, mask in (("dead.fits", True), ("ivar0.fits", False)):
        t = Table({"WAVELENGTH": w, "FLUX": 1 + 0 * w, "IVAR": 100 + 0 * w if mask else 0 * w, "MASK": np.full(w.size, int(mask))})
        t.write(os.path.join(d, "out", name))
        dead = os.path.join(d, "out", "dead.csv")
        run("redshift", os.path.join(d, "out", name), "-o", dead, "-q", expect=1)
        assert int(Table.read(dead, format="csv")["zwarn"][0]) & (1 << 9), name
    for name, header, want in (
        ("kband.fits", {"CRVAL1": 2.05, "CDELT1": 5e-4, "CUNIT1": "um"}, "20500.0"),
        ("wavelog.fits", {"CRVAL1": 3800.0, "CDELT1": 0.9, "CUNIT1": "Angstrom", "CTYPE1": "WAVE-LOG"}, "3800.0"),
        ("loglam.fits", {"CRVAL1": 3.6, "CDELT1": 1e-4, "CUNIT1": "log(Angstrom)", "DC-FLAG": 1}, "3981.1"),
    ):
        path = os.path.join(d, "out", name)
        flux = np.random.default_rng(1).normal(10, 1, 1000)
        fits.HDUList([fits.PrimaryHDU(flux, fits.Header({"CRPIX1": 1, **header})), fits.ImageHDU(np.ones(1000), name="VARIANCE")]).writeto(path)
        text = run("show", path).stdout
        assert want + "-" in text and "1000 good" in text, text

    # The same seed gives the same bytes on any number of threads; shards make the whole.
    sims = [os.path.join(d, "out", f"s{j}.parquet") for j in (1, 2)]
    for j, s in enumerate(sims):
        run("-j", j + 1, "simulate", "redshift", "-n", 40, "-i", "desi,any", "-o", s, "-q")
    assert open(sims[0], "rb").read() == open(sims[1], "rb").read()
    parts = []
    for i in (1, 2):
        part = os.path.join(d, "out", f"part{i}.csv")
        run("redshift", *inputs, "-o", part, "--shard", f"{i}/2", "-q")
        parts += open(part).read().splitlines()[1:]
    assert sorted(parts) == sorted(open(out["csv"]).read().splitlines()[1:])

    # Lines, p(z) and the layouts of other programs, by their own readers or documented columns.
    with_pz, lines = os.path.join(d, "out", "pz.parquet"), os.path.join(d, "out", "lines.fits")
    run("redshift", *inputs, "-o", with_pz, "--pz", "--lines", lines, "-q")
    t = pq.read_table(with_pz)
    grid = np.array(json.loads(t.schema.metadata[b"pz_grid"]))
    pz = np.array(t["pz"].to_pylist())
    assert pz.shape == (7, grid.size) and np.allclose(np.trapezoid(pz, grid, axis=1), 1, atol=2e-3)
    for r in t.to_pylist():
        assert r["z_l95"] <= r["z_l68"] <= r["z"] <= r["z_u68"] <= r["z_u95"] and r["z_u95"] - r["z_l95"] < 0.01, r
        assert "Halpha" in r["lines"] and r["solutions"][0]["line_id"] in r["lines"], r["lines"]
    t = Table.read(lines, hdu=1)
    for r in t[[str(x).strip() == "Halpha" for x in t["line"]]]:
        # 36 units of flux on the continuum there, at rest.
        z = truth[os.path.basename(str(r["file"]).strip())]
        ew = 36 / (1 + 0.2 * (6564.6 * (1 + z) / 6500) ** -1.5) / (1 + z)
        assert abs(r["ew"] - ew) < max(0.08 * ew, 5 * r["ew_err"]), (r["file"], r["ew"], r["ew_err"], ew)
    columns = {
        "redrock": ("REDSHIFTS", "TARGETID CHI2 COEFF Z ZERR ZWARN NPIXELS SPECTYPE SUBTYPE NCOEFF DELTACHI2"),
        "sdss": ("SPALL", "PLATE MJD FIBERID CLASS SUBCLASS Z Z_ERR ZWARNING"),
        "euclid": ("SPE_REDSHIFT_CAT", "OBJECT_ID SPE_RANK SPE_Z SPE_Z_ERR SPE_Z_PROB SPE_Z_REL"),
        "pfs": ("GALAXY_CANDIDATES", "targetId cRank redshift redshiftError redshiftProba subClass"),
    }
    for layout, (hdu, names) in columns.items():
        path = os.path.join(d, "out", layout + ".fits")
        run("redshift", *inputs, "-o", path, "--layout", layout, "-q")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(path, checksum=True) as h:
                h.verify("exception")
                t = h[hdu].data
                missing = set(names.split()) - set(t.columns.names)
                assert not missing, (layout, missing)
                best = t[t["SPE_RANK"] == 0]["SPE_Z"] if layout == "euclid" else t[t["cRank"] == 0]["redshift"] if layout == "pfs" else t["Z"]
                assert np.allclose(best, p["z"].to_numpy()), layout
    vi = os.path.join(d, "out", "vi.csv")
    run("redshift", *inputs, "-o", vi, "--layout", "prospect", "-q")
    assert np.allclose(Table.read(vi, format="csv")["Redrock_z"], p["z"].to_numpy(), atol=1e-6)
    mz = os.path.join(d, "out", "c.mz")
    run("redshift", *inputs, "-o", mz, "--layout", "marz", "-q")
    text = open(mz).read().splitlines()
    table = Table.read([text[2].lstrip("#")] + text[3:], format="ascii.csv")
    assert [t.startswith("#") for t in text[:4]] == [True, True, True, False] and np.allclose(table["FinZ"], p["z"].to_numpy(), atol=1e-5)

    # A prior that contradicts a sure spectrum is flagged, not believed; a name that ends otherwise than its layout is refused.
    elsewhere = os.path.join(d, "out", "prior.csv")
    run("redshift", inputs[0], "-o", elsewhere, "--prior", "1..2", "-q")
    r = Table.read(elsewhere, format="csv")[0]
    assert abs(r["z"] - truth["a.fits"]) < 0.003 and r["zwarn"] & (1 << 21), r
    run("redshift", inputs[0], "-o", mz, "--layout", "redrock", expect=1)
    run("redshift", inputs[0], "-o", elsewhere, "--prior", "nonsense", expect=1)

    # The report is one file, without links to elsewhere.
    page = os.path.join(d, "out", "report.html")
    run("report", "redshift", *inputs, "-o", page, "-q")
    html = open(page).read()
    # One script, of its own: nothing is fetched from anywhere.
    assert html.count("<script") == html.count("<script>") == 1
    assert "<svg" in html and "http" not in html and "NaN" not in html
print("round_trip.py: 1 passed, 0 failed")
