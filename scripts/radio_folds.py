"""Radio galaxies from real maps, five-fold by position: trains on the FIRST collection's pictures and on
MiraBest's maps of the other folds, answers the maps of the fold.

    python scripts/radio_folds.py SLIPHER COLLECTION.zip MIRABEST/FITS WORK [--views 60000] [--members 1]

No source within 15 arcseconds of the fold is trained on, as picture or as map. Figures: FR I against
FR II, probabilities renormalised between the two, of the confident sources (their maps, and how often the
picture of the same source gets the same answer); needs numpy."""
import argparse
import csv
import hashlib
import pathlib
import re
import shutil
import subprocess
import zipfile

import numpy as np

CLASS = {"1": "FRI", "2": "FRII"}


def near(ra, dec, others, arcsec=15.0):
    if len(others) == 0:
        return False
    o = np.asarray(others)
    d = np.hypot((o[:, 0] - ra) * np.cos(np.radians(dec)), o[:, 1] - dec) * 3600
    return bool(d.min() < arcsec)


def wilson(k, n):
    p, x = k / max(n, 1), 1.96
    c, d = p + x * x / 2 / n, 1 + x * x / n
    h = x * np.sqrt(p * (1 - p) / n + x * x / 4 / n / n)
    return f"{100 * p:.1f} % ({k}/{n}, 95 %: {100 * (c - h) / d:.1f}-{100 * (c + h) / d:.1f})"


def maps(folder):
    """(path, class, confident, morphology, ra, dec) of MiraBest's maps; hybrids are left out."""
    for p in sorted(pathlib.Path(folder).glob("*.fits.gz")):
        m = re.match(r"(\d)(\d)(\d)_(\d+\.\d+)([+-]\d+\.\d+)_", p.name)
        if m and m[1] in CLASS:
            yield p, CLASS[m[1]], m[2] == "0", m[3], float(m[4]), float(m[5])


def pictures(archive):
    """(name, class, ra, dec) of the collection's pictures of training and validation."""
    for n in archive.namelist():
        p = pathlib.PurePosixPath(n)
        m = re.match(r"(\d+\.\d+)_(-?\d+\.\d+)_", p.name)
        if m and p.suffix == ".png" and p.parts[1] in ("train", "valid"):
            yield n, p.parent.name, float(m[1]), float(m[2])


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("slipher")
    a.add_argument("collection")
    a.add_argument("maps")
    a.add_argument("work")
    a.add_argument("--views", type=int, default=60_000)
    a.add_argument("--members", type=int, default=1)
    a = a.parse_args()
    work, archive = pathlib.Path(a.work), zipfile.ZipFile(a.collection)
    all_maps = list(maps(a.maps))
    # Sources within an arcminute go together.
    fold = [int(hashlib.sha256(f"{round(ra * 20)} {round(dec * 20)}".encode()).hexdigest(), 16) % 5
            for *_, ra, dec in all_maps]
    all_pictures = list(pictures(archive))
    root = pathlib.Path(__file__).parents[1]
    recipe = (root / "crates/slipher-systems/src/radio/recipes/radio.toml").read_text()
    recipe = re.sub(r"examples_seen = \d+", f"examples_seen = {a.views}", recipe)
    recipe = re.sub(r"members = \d+", f"members = {a.members}", recipe)
    answers, same = [], [0, 0]
    for k in range(5):
        here = work / f"fold{k}"
        shutil.rmtree(here, ignore_errors=True)
        held = [m[4:6] for m, f in zip(all_maps, fold) if f == k]
        seen = twins = 0
        for n, c, ra, dec in all_pictures:
            to = here / "labelled" / c
            if near(ra, dec, held):
                to, twins = here / "pictures", twins + 1
            to.mkdir(parents=True, exist_ok=True)
            (to / pathlib.Path(n).name).write_bytes(archive.read(n))
            seen += 1
        for (p, c, _, morphology, ra, dec), f in zip(all_maps, fold):
            if f == k or not near(ra, dec, held):
                c = "Bent" if morphology in "24" else c
                to = here / ("maps" if f == k else f"labelled/{c}")
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy(p, to / p.name)
        text = recipe.replace("labelled_share", 'labelled = "labelled"\nlabelled_share')
        (here / "radio.toml").write_text(text)
        run = [a.slipher, "-q", "train", "radio", "--recipe", "radio.toml", "--output", "run"]
        subprocess.run(run, cwd=here, check=True)
        for kind in ("maps", "pictures"):
            if (here / kind).exists():
                words = ["predict", "radio", kind, "--model", "run/model.safetensors"]
                out = ["-o", f"{kind}.csv", "--overwrite"]
                subprocess.run([a.slipher, "-q", *words, *out], cwd=here, check=False)
        rows = {pathlib.Path(r["file"]).name: r for r in csv.DictReader(open(here / "maps.csv"))}
        shown = []
        if (here / "pictures.csv").exists():
            for r in csv.DictReader(open(here / "pictures.csv")):
                m = re.match(r"(\d+\.\d+)_(-?\d+\.\d+)_", pathlib.Path(r["file"]).name)
                shown.append((float(m[1]), float(m[2]), r["class"]))
        for (p, c, confident, morphology, ra, dec), f in zip(all_maps, fold):
            if f != k or not rows[p.name]["class"]:
                continue
            r = rows[p.name]
            one, two = float(r["FRI"]), float(r["FRII"])
            answers.append((c, confident, morphology, two / (one + two), r["class"]))
            for x, y, said in shown:
                if near(ra, dec, [(x, y)]):
                    same[0] += said == r["class"]
                    same[1] += 1
        print(f"fold {k}: {seen} pictures and {len(held)} held-out maps, {twins} of them as pictures", flush=True)
    sure = [x for x in answers if x[1] and x[2] not in "24"]
    ok = [(x[3] > 0.5) == (x[0] == "FRII") for x in sure]
    print("FR I against FR II, confident, not bent:", wilson(sum(ok), len(ok)))
    both = [x for x in answers if x[1]]
    ok = [(x[3] > 0.5) == (x[0] == "FRII") for x in both]
    print("with the bent ones:", wilson(sum(ok), len(ok)))
    p = np.array([max(x[3], 1 - x[3]) for x in sure])
    good = np.array([(x[3] > 0.5) == (x[0] == "FRII") for x in sure])
    order = np.argsort(p)
    parts = np.array_split(order, 8)
    error = sum(abs(p[s].mean() - good[s].mean()) * len(s) for s in parts) / len(p)
    print(f"calibration error (8 bins): {100 * error:.1f} %")
    print(f"picture and map of one source, the same class: {wilson(*same)}")


if __name__ == "__main__":
    main()
