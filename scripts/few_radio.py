"""Radio galaxies from few examples: FR I against FR II of MiraBest's maps, on a network that never saw
one of their sources.

    python scripts/few_radio.py SLIPHER COLLECTION.zip MIRABEST/FITS WORK [--views 60000] [--draws 20]

Pre-training: the collection's pictures (four classes) without any source within 15 arcseconds of a map.
Then, in each draw, N confident maps that are not bent are examples, the others are asked. Beside it on the
same draws: the same with a random network, and a forest on plain statistics of the maps (scikit-learn).
Figures are means over draws with the 2.5 and 97.5 percentiles. Needs numpy, astropy, pyarrow, scikit-learn."""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import zipfile

import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits
from radio_folds import maps, near
from sklearn.ensemble import RandomForestClassifier


def pictures(archive):
    """(name, split, class, ra, dec) of all pictures of the collection."""
    for n in archive.namelist():
        p = pathlib.PurePosixPath(n)
        m = re.match(r"(\d+\.\d+)_(-?\d+\.\d+)_", p.name)
        if m and p.suffix == ".png":
            yield n, p.parts[1], p.parent.name, float(m[1]), float(m[2])


def features(path):
    """Moments, quantiles and light in rings and quadrants of the middle of a map."""
    x = np.nan_to_num(np.squeeze(fits.getdata(path)).astype(float))
    n = min(x.shape)
    x = x[(x.shape[0] - n) // 2:, (x.shape[1] - n) // 2:][:n, :n]
    sky = np.median(x)
    noise = 1.4826 * np.median(np.abs(x - sky))
    x = np.where(x > sky + 3 * noise, x - sky, 0)
    total = max(x.sum(), 1e-12)
    yy, xx = np.mgrid[:n, :n]
    cy, cx = (x * yy).sum() / total, (x * xx).sum() / total
    r = np.hypot(yy - cy, xx - cx)
    c = np.cov(np.vstack([yy.ravel(), xx.ravel()]), aweights=x.ravel() / total + 1e-15)
    e = np.sort(np.linalg.eigvalsh(c))
    bright = np.argwhere(x > 0.5 * x.max())
    span = np.hypot(*(bright.max(0) - bright.min(0)))
    size = np.hypot(*np.ptp(np.argwhere(x > 0), axis=0)) if (x > 0).any() else 0
    rings = [x[(r >= a) & (r < b)].sum() / total for a, b in ((0, 2), (2, 5), (5, 10), (10, 20), (20, 40))]
    return [np.log10(total / noise), e[0], e[1], e[0] / max(e[1], 1e-9), span, size, span / max(size, 1e-9),
            x.max() / total, (x > 0).sum(), (x ** 2).sum() / total ** 2, (x * r).sum() / total] + rings


def said(values):
    v = 100 * np.asarray(values)
    return f"{v.mean():.1f} % ({np.percentile(v, 2.5):.1f}-{np.percentile(v, 97.5):.1f})"


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("slipher")
    a.add_argument("collection")
    a.add_argument("maps")
    a.add_argument("work")
    a.add_argument("--views", type=int, default=60_000)
    a.add_argument("--draws", type=int, default=20)
    a.add_argument("--examples", type=int, nargs="*", default=[2, 10, 20, 145])
    a = a.parse_args()
    work = pathlib.Path(a.work)
    work.mkdir(parents=True, exist_ok=True)
    all_maps = list(maps(a.maps))
    rows = [m for m in all_maps if m[2] and m[3] == "0"]
    model = work / "backbone" / "model.safetensors"
    root = pathlib.Path(__file__).parents[1]
    recipe = (root / "crates/slipher-systems/src/radio/recipes/radio.toml").read_text()
    recipe = re.sub(r"members = \d+", "members = 1", recipe)

    def train(name, views):
        (work / f"{name}.toml").write_text(re.sub(r"examples_seen = \d+", f"examples_seen = {views}", recipe))
        subprocess.run([a.slipher, "-q", "train", "radio", "--recipe", work / f"{name}.toml", "--labelled",
                        work / "pictures", "-o", work / name], check=True)

    if not model.exists():
        archive = zipfile.ZipFile(a.collection)
        held = [m[4:6] for m in all_maps]
        shutil.rmtree(work / "pictures", ignore_errors=True)
        kept = 0
        for n, split, c, ra, dec in pictures(archive):
            if near(ra, dec, held) or split == "test":
                continue
            to = work / "pictures" / split / c / pathlib.PurePosixPath(n).name
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(archive.read(n))
            kept += 1
        print(f"pre-training: {kept} pictures, none within 15 arcseconds of {len(all_maps)} maps")
        train("backbone", a.views)
        train("random", 96)
    plain = np.array([features(m[0]) for m in rows])
    truth = np.array([m[1] for m in rows])
    print(f"{len(rows)} maps: {(truth == 'FRI').sum()} FR I, {(truth == 'FRII').sum()} FR II; {a.draws} draws")
    for n in a.examples:
        wrong, inside = {"few": [], "random network": [], "forest": []}, []
        for draw in range(a.draws):
            rng = np.random.default_rng(1000 + draw)
            chosen = []
            for c in ("FRI", "FRII"):
                own = np.flatnonzero(truth == c)
                share = n // 2 if n < 100 else round(n * len(own) / len(rows))
                chosen += list(rng.choice(own, share, replace=False))
            rest = np.setdiff1d(np.arange(len(rows)), chosen)
            here = work / "draw"
            shutil.rmtree(here, ignore_errors=True)
            for k, where in [(k, "given") for k in chosen] + [(k, "asked") for k in rest]:
                to = here / where / (truth[k] if where == "given" else "")
                to.mkdir(parents=True, exist_ok=True)
                (to / rows[k][0].name).symlink_to(rows[k][0].resolve())
            for name, backbone in (("few", "backbone"), ("random network", "random")):
                out = here / backbone
                subprocess.run([a.slipher, "-q", "train", "radio", "--few", here / "given", "--from",
                                work / backbone / "model.safetensors", "-o", out], check=True)
                subprocess.run([a.slipher, "-q", "predict", "radio", here / "asked", "--model",
                                out / "model.safetensors", "-o", out / "asked.parquet"], check=False)
                t = pq.read_table(out / "asked.parquet").to_pydict()
                by = {pathlib.Path(f).name: c for f, c in zip(t["file"], t["class"])}
                e = np.mean([by[rows[k][0].name] != truth[k] for k in rest])
                wrong[name].append(e)
                if name == "few":
                    with open(out / "model.safetensors", "rb") as f:
                        size = int.from_bytes(f.read(8), "little")
                        meta = json.loads(f.read(size))["__metadata__"]
                    told = json.loads(meta["recipe"])["few"]
                    k, m = told["left_out"] - told["left_out_right"], told["left_out"]
                    if m:
                        p, x = k / m, 1.96
                        c, d = p + x * x / 2 / m, 1 + x * x / m
                        h = x * np.sqrt(p * (1 - p) / m + x * x / 4 / m / m)
                        inside.append((c - h) / d <= e <= (c + h) / d)
            forest = RandomForestClassifier(400, random_state=draw).fit(plain[chosen], truth[chosen])
            wrong["forest"].append(np.mean(forest.predict(plain[rest]) != truth[rest]))
        print(f"{n} examples: " + "; ".join(f"{k} {said(v)}" for k, v in wrong.items())
              + (f"; error within what was stated in {sum(inside)} of {len(inside)}" if inside else ""), flush=True)


if __name__ == "__main__":
    main()
