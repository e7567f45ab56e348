"""Real CFHTLS lens candidates against the other objects of the same pictures.

    python scripts/lens_real.py stamps FOLDER            # write stamps and labels.csv
    python scripts/lens_real.py score labels.csv CATALOGUE.parquet

FOLDER is ../shared/data/images/cfhtls. The candidate of a picture is in its middle; negatives are
the other local maxima of the smoothed brightness that are not near the candidate nor the edge;
those as bright as the candidates (flux within 8 pixels between the fifth percentile and the
largest) are scored apart. Needs numpy, pillow and pyarrow.
"""

import csv
import pathlib
import sys

import numpy as np

HALF = 32


def smooth(v, times=3):
    for _ in range(times):
        p = np.pad(v, 1, mode="edge")
        v = (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] + 2 * p[1:-1, 1:-1]) / 6
    return v


def flux(v, y, x, radius=8):
    yy, xx = np.mgrid[: v.shape[0], : v.shape[1]]
    return float(v[np.hypot(yy - y, xx - x) < radius].sum())


def objects(v):
    """Peaks of the smoothed picture, brightest first, no two within 8 pixels."""
    s = smooth(v)
    inner = s[1:-1, 1:-1]
    peak = np.ones_like(inner, bool)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            if (dy, dx) != (1, 1):
                peak &= inner >= s[dy : dy + inner.shape[0], dx : dx + inner.shape[1]]
    at = np.argwhere(peak & (inner > 35)) + 1
    at = sorted(map(tuple, at), key=lambda p: -s[p])
    kept = []
    for y, x in at:
        if all(np.hypot(y - a, x - b) > 8 for a, b in kept):
            kept.append((y, x))
    return kept


def stamps(folder):
    from PIL import Image

    out = pathlib.Path("lens-stamps")
    out.mkdir(exist_ok=True)
    rows = []
    for path in sorted(pathlib.Path(folder).glob("*.png")):
        a = np.array(Image.open(path).convert("RGB"))
        v = a.astype(float).mean(2)
        middle = (np.array(v.shape) - 1) / 2
        near = [p for p in objects(v) if np.hypot(*(np.array(p) - middle)) < 8]
        y, x = near[0] if near else (round(middle[0]), round(middle[1]))
        rows.append((path.stem, "lens", y, x, flux(v, y, x)))
        for k, (y, x) in enumerate(objects(v)):
            inside = all(HALF <= c < n - HALF for c, n in zip((y, x), v.shape))
            if inside and np.hypot(y - middle[0], x - middle[1]) > 24:
                rows.append((f"{path.stem}-{k}", "other", y, x, flux(v, y, x)))
        for name, _, y, x, _ in rows:
            if name.startswith(path.stem):
                cut = a[y - HALF : y + HALF, x - HALF : x + HALF]
                Image.fromarray(cut).save(out / f"{name}.png")
    bright = [r[4] for r in rows if r[1] == "lens"]
    low, high = np.percentile(bright, 5), max(bright)
    rows = [(*r, int(r[1] == "lens" or low <= r[4] <= high)) for r in rows]
    with open("labels.csv", "w", newline="") as f:
        csv.writer(f).writerows([("object_id", "label", "y", "x", "flux", "matched"), *rows])
    matched = sum(r[5] for r in rows) - len(bright)
    print(f"{len(bright)} candidates, {len(rows) - len(bright)} others, {matched} as bright")


def score(labels, catalogue):
    import pyarrow.parquet as pq

    given = list(csv.DictReader(open(labels)))
    t = pq.read_table(catalogue).to_pydict()
    for name, some in (("all", given), ("as bright", [r for r in given if r["matched"] == "1"])):
        truth = {r["object_id"]: r["label"] == "lens" for r in some}
        rows = [(p, truth[n], n) for n, p in zip(t["object_id"], t["lens"]) if n in truth]
        print(name)
        compare(rows)


def compare(rows):
    p, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    rng = np.random.default_rng(1)

    def figures(p, y):
        order = np.argsort(np.argsort(p)) + 1
        n, m = y.sum(), (~y).sum()
        auc = (order[y].sum() - n * (n + 1) / 2) / (n * m)
        at = [np.mean(p[y] > np.quantile(p[~y], 1 - f)) for f in (0.05, 0.01)]
        return auc, *at

    names = "AUROC", "recall at FPR 5 %", "recall at FPR 1 %"
    draws = []
    # Whole pictures are drawn: their objects share sky and seeing.
    pictures = np.array([r[2].split("_gri")[0] for r in rows])
    groups = [np.flatnonzero(pictures == g) for g in sorted(set(pictures))]
    for _ in range(2000):
        i = np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))])
        draws.append(figures(p[i], y[i]))
    low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    for k, name in enumerate(names):
        v = figures(p, y)[k]
        print(f"{name}: {v:.3f} ({low[k]:.3f}-{high[k]:.3f}), n = {y.sum()} and {(~y).sum()}")


if __name__ == "__main__":
    {"stamps": stamps, "score": score}[sys.argv[1]](*sys.argv[2:])
