"""Images as their owners write them (astropy, NumPy, Avro) go through `slipher predict`; astropy opens what `slipher simulate` writes.

usage: python images.py PATH_TO_SLIPHER
"""
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

slipher = sys.argv[1]


def run(*args, expect=0):
    p = subprocess.run([slipher, *map(str, args)], capture_output=True, text=True)
    assert p.returncode == expect, (args, p.returncode, p.stderr)
    return p


def rows(path):
    return pq.read_table(path).to_pylist()


def stamp(image):
    """A gzip'd FITS stamp, as alerts carry it."""
    out = io.BytesIO()
    fits.PrimaryHDU(image.astype("f4")).writeto(out)
    return gzip.compress(out.getvalue())


SCHEMA = {
    "type": "record", "name": "alert", "fields": [
        {"name": "objectId", "type": "string"}, {"name": "candid", "type": "long"},
        {"name": "candidate", "type": {"type": "record", "name": "candidate", "fields": [
            {"name": "ra", "type": "double"}, {"name": "dec", "type": "double"}, {"name": "isdiffpos", "type": "string"},
            {"name": "drb", "type": ["null", "float"]}, {"name": "magpsf", "type": "float"}]}},
        *[{"name": f"cutout{k}", "type": ["null", {"type": "record", "name": f"c{k}", "fields": [{"name": "fileName", "type": "string"}, {"name": "stampData", "type": "bytes"}]}]} for k in ("Science", "Template", "Difference")],
    ]}


def alert(candid, triplet, drb=0.5):
    record = {"objectId": "ZTF1", "candid": candid, "candidate": {"ra": 10.5, "dec": -3.0, "isdiffpos": "t", "drb": drb, "magpsf": 18.5}}
    for k, image in zip(("Template", "Science", "Difference"), triplet):
        record[f"cutout{k}"] = None if image is None else {"fileName": "x", "stampData": stamp(image)}
    return record


with tempfile.TemporaryDirectory() as d:
    os.chdir(d)
    # What is simulated opens in astropy, goes back in and gets the same answers from FITS, NumPy and Parquet.
    run("simulate", "star-galaxy", "-n", 40, "-o", "set.fits", "-q")
    run("simulate", "star-galaxy", "-n", 40, "-o", "set.parquet", "-q")
    with fits.open("set.fits") as f:
        f.verify("exception")
        cube = np.stack([h.data for h in f])
        assert cube.shape == (40, 5, 48, 48) and f[3].header["BAND5"] == "z", (cube.shape, f[3].header)
    truth = pq.read_table("set.parquet").to_pydict()
    assert np.array_equal(np.array(truth["image"], "f4").reshape(cube.shape), cube)
    np.save("set.npy", cube)
    np.save("last.npy", np.moveaxis(cube, 1, -1).astype("f8"))
    fits.PrimaryHDU(cube[7]).writeto("one.fits")
    found = {}
    for name in ["set.fits", "set.npy", "last.npy", "set.parquet"]:
        run("predict", "star-galaxy", name, "--bands", "u,g,r,i,z", "-o", "out.parquet", "-q", "--overwrite")
        found[name] = np.array([r["galaxy"] for r in rows("out.parquet")])
        assert len(found[name]) == 40
    assert all(np.allclose(v, found["set.fits"], atol=1e-5) for v in found.values()), found
    right = np.mean((found["set.fits"] > 0.5) == (np.array(truth["galaxy"]) > 0.5))
    assert right >= 0.9, right
    run("predict", "star-galaxy", "one.fits", "-o", "out.csv", "-q")
    assert abs(float(open("out.csv").read().split("\n")[1].split(",")[6]) - found["set.fits"][7]) < 1e-5
    # Three bands are no five: a flagged row and a message that says how to mend it; nothing done, exit code 1.
    np.save("three.npy", cube[0, :3])
    p = run("predict", "star-galaxy", "three.npy", "-o", "bad.parquet", expect=1)
    bad = rows("bad.parquet")
    assert bad[0]["flags"] & 1 and "--bands" in bad[0]["error"], (bad, p.stderr)

    # Alerts: many in a file, a damaged one beside them, one without a template.
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:63, :63] - 31
    source = np.exp(-0.5 * (x**2 + y**2) / 0.9**2)
    def triplet(flux, host=0.0):
        noise = lambda: rng.normal(0, 5, (63, 63))
        template = noise() * 0.4 + host * np.exp(-np.hypot(x, y) / 3) + 150
        difference = noise() + flux * source
        return template, template + difference + 50, difference
    with open("good.avro", "wb") as f:
        fastavro.writer(f, SCHEMA, [alert(100 + k, triplet(200.0, 50.0 * (k % 3)), drb=None if k == 2 else 0.9) for k in range(12)])
    with open("part.avro", "wb") as f:
        t = triplet(200.0)
        fastavro.writer(f, SCHEMA, [alert(1, (None, t[1], t[2]))])
    open("broken.avro", "wb").write(open("good.avro", "rb").read()[:900])
    p = run("predict", "transients", "good.avro", "part.avro", "broken.avro", "-o", "scores.parquet", "--report", "page.html", expect=2)
    out = rows("scores.parquet")
    good = [r for r in out if r["file"].endswith("good.avro")]
    assert [r["object_id"] for r in good] == [str(100 + k) for k in range(12)] and all(abs(r["ra"] - 10.5) < 1e-9 for r in good)
    assert sum(r["real"] > 0.5 for r in good) >= 10, [r["real"] for r in good]
    assert abs(good[0]["survey_score"] - 0.9) < 1e-6 and good[2]["survey_score"] is None
    assert any("template" in r["error"] for r in out) and any("amaged" in r["error"] for r in out), [r["error"] for r in out if r["error"]]
    page = open("page.html").read()
    assert "data:image/png;base64," in page and "broken.avro" in page

    # Pictures: a whole frame and the same on its side.
    run("simulate", "morphology", "-n", 6, "-o", "gz.parquet", "-q")
    g = pq.read_table("gz.parquet").to_pydict()
    frames = np.array(g["image"], "f4").reshape(6, 3, 141, 141)
    np.save("a.npy", frames)
    np.save("b.npy", np.rot90(frames, 1, (2, 3)).copy())
    for n in "ab":
        run("predict", "morphology", f"{n}.npy", "--bands", "R,G,B", "-o", f"{n}.parquet", "-q")
    a, b = (np.array([[r[k] for k in list(r)[3:40]] for r in rows(f"{n}.parquet")], float) for n in "ab")
    assert a.shape == (6, 37) and np.allclose(a, b, atol=1e-4), np.abs(a - b).max()
    assert np.allclose(a[:, :3].sum(1), 1, atol=1e-4)

    # The same seed gives the same bytes on any number of threads.
    for k in (1, 2):
        run("simulate", "radio", "-n", 8, "-o", f"r{k}.parquet", "-j", k, "-q")
    assert open("r1.parquet", "rb").read() == open("r2.parquet", "rb").read()
    # A strange file and an empty folder.
    open("notes.fits", "w").write("these are notes")
    p = run("predict", "radio", "notes.fits", expect=1)
    assert "begins with 'these" in p.stderr, p.stderr
    print("images: FITS, NumPy, Parquet, Avro and pages agree")
