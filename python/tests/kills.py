"""Kills the program at random times; nothing half may stay, and what is resumed must end in the
same bytes as what was never killed.

    python python/tests/kills.py target/release/slipher --n 200 --seed 1

A third each: `redshift -o` to one file, to a folder of parts, and `train` with checkpoints.
"""

import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def digest(path):
    """SHA-256 of a file, or of all files of a folder with their names."""
    path = pathlib.Path(path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    h = hashlib.sha256()
    for f in files:
        h.update(str(f.relative_to(path)).encode() + b"\0" + f.read_bytes())
    return h.hexdigest()


def run(words, cwd, after=None):
    """Runs to the end, or kills after so many seconds; whether it was killed."""
    child = subprocess.Popen(words, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if after is not None:
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            child.send_signal(random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            child.communicate()
            return True
    _, err = child.communicate()
    assert child.returncode == 0, (words, child.returncode, err.decode())
    return False


def leftovers(folder):
    return [str(p) for p in pathlib.Path(folder).rglob("*.tmp")]


def one(binary, kind, dir, whole, seconds):
    """Kills until a run gets through; the number of kills."""
    model = ["--steps", "12", "--output", "run"]
    words = {
        "file": [binary, "-q", "redshift", "in", "-o", "z.parquet"],
        "parts": [binary, "-q", "redshift", "in", "-o", "parts"],
        "train": [binary, "-q", "train", "star-galaxy", "--recipe", "small.toml", *model],
    }[kind]
    target = dir / {"file": "z.parquet", "parts": "parts", "train": "run/model.safetensors"}[kind]
    kills, begun = 0, False
    while True:
        resume = ["--resume"] if begun and kind != "file" else []
        if not run(words + resume, dir, random.uniform(0.02, 1.1) * seconds):
            break
        kills += 1
        if kind == "file":
            assert not leftovers(dir), leftovers(dir)
            if target.exists():  # killed after it was done
                break
        begun = (dir / "parts").exists() if kind == "parts" else any(dir.glob("run/*"))
    assert digest(target) == whole, f"{kind}: other bytes after {kills} kills"
    assert not leftovers(dir), leftovers(dir)
    return kills


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("binary")
    a.add_argument("--n", type=int, default=200)
    a.add_argument("--seed", type=int, default=1)
    a = a.parse_args()
    random.seed(a.seed)
    os.environ["SOURCE_DATE_EPOCH"] = "0"  # the date is written into catalogues
    binary = str(pathlib.Path(a.binary).resolve())
    recipe = pathlib.Path(__file__).parents[2]
    recipe = recipe / "crates/slipher-systems/src/star_galaxy/recipes/star-galaxy.toml"
    with tempfile.TemporaryDirectory() as base:
        base = pathlib.Path(base)
        (base / "in").mkdir()
        for i in range(12):
            out = f"in/s{i}.parquet"
            words = ["-n", "60", "-i", "boss", "-s", str(i), "-o", out]
            run([binary, "-q", "simulate", "redshift", *words], base)
        text = recipe.read_text().splitlines()
        small = {"simulated": 256, "batch": 16, "validation": 64}
        lines = [l for l in text if l.split("=")[0].strip() not in small]
        (base / "small.toml").write_text(
            "\n".join([f"{k} = {v}" for k, v in small.items()] + lines)
        )
        done = {k: 0 for k in ("file", "parts", "train")}
        for kind in done:
            whole_dir = base / f"whole-{kind}"
            whole_dir.mkdir()
            for name in ("in", "small.toml"):
                (whole_dir / name).symlink_to(base / name)
            start = time.time()
            env_words = {
                "file": ["redshift", "in", "-o", "z.parquet"],
                "parts": ["redshift", "in", "-o", "parts"],
                "train": ["train", "star-galaxy", "--recipe", "small.toml", "--steps", "12",
                          "--output", "run"],
            }[kind]
            run([binary, "-q", *env_words], whole_dir)
            seconds = time.time() - start
            target = {"file": "z.parquet", "parts": "parts", "train": "run/model.safetensors"}
            whole = digest(whole_dir / target[kind])
            while done[kind] < a.n // 3 + 1:
                dir = base / "killed"
                dir.mkdir()
                for name in ("in", "small.toml"):
                    (dir / name).symlink_to(base / name)
                done[kind] += one(binary, kind, dir, whole, seconds)
                shutil.rmtree(dir)
            print(f"{kind}: {done[kind]} kills, {seconds:.2f} s a run, identical bytes", flush=True)
        print(f"{sum(done.values())} kills")


if __name__ == "__main__":
    sys.exit(main())
