"""How far do other networks come on the labelled FIRST images? (docs/EXPERIMENTS.md, "radio galaxies: network or labels".)

Convolutional networks of PyTorch, trained on the collection's train and valid parts in K folds; each row is judged by the networks that did not see it,
the test part by all of them together. Needs torch, numpy, pillow, scipy; a minute or two a configuration on an H100.

    python scripts/radio_ceiling.py galaxy_data.zip NAME [--net residual|plain] [--size 128] [--field 1] [--stretch a,b,l] [--mask 0] [--mixup 0] [--smooth 0] [--epochs 60]
"""
import argparse
import io
import zipfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from torch import nn

CLASSES = ["FRI", "FRII", "Compact", "Bent"]
SIDE = 212
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("archive")
    p.add_argument("name")
    p.add_argument("--net", default="residual")
    p.add_argument("--width", type=int, default=32)
    p.add_argument("--size", type=int, default=128, help="pixels of the network's input")
    p.add_argument("--field", type=float, default=1.0, help="pixels of FIRST to one of the input")
    p.add_argument("--stretch", default="a", help="channels: a, b: asinh of 20, 200 times; l: linear")
    p.add_argument("--mask", type=int, default=0, help="keep only what is connected with the middle across gaps of twice this")
    p.add_argument("--mixup", type=float, default=0.0)
    p.add_argument("--smooth", type=float, default=0.0)
    p.add_argument("--folds", type=int, default=4)
    p.add_argument("--epochs", type=int, default=60)
    p.add_argument("--batch", type=int, default=96)
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--decay", type=float, default=0.05)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


def image(data, mask):
    x = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)
    at = x.shape[0] // 2 - SIDE // 2
    x = x[at : at + SIDE, at : at + SIDE].copy()
    yy, xx = np.mgrid[:SIDE, :SIDE] - (SIDE / 2 - 0.5)
    r = np.hypot(yy, xx)
    if mask:
        islands, _ = ndimage.label(ndimage.binary_dilation(x > 0, iterations=mask))
        keep = np.setdiff1d(islands[(r < 12) & (x > 0)], [0])
        x = x * np.isin(islands, keep) if len(keep) else x
    return np.minimum(x / max(x[r < 70].max(), 1e-6), 2)


def load(o):
    """Images [row, 1, 212, 212], classes, parts, catalogues."""
    z = zipfile.ZipFile(o.archive)
    names = sorted(n for n in z.namelist() if n.endswith(".png") and "/all/" not in n)
    x = torch.tensor(np.stack([image(z.read(n), o.mask) for n in names]))[:, None]
    parts, labels = ([n.split("/")[k] for n in names] for k in (-3, -2))
    catalogues = [n[:-4].rsplit("_", 1)[1] for n in names]
    return x.to(DEVICE), torch.tensor([CLASSES.index(k) for k in labels], device=DEVICE), np.array(parts), np.array(catalogues)


def views(o, x, train):
    n = len(x)
    u = (lambda low, high: low + (high - low) * torch.rand(n, device=DEVICE)) if train else (lambda low, high: torch.zeros(n, device=DEVICE))
    turn, zoom, flip = u(0, 2 * np.pi), torch.exp(u(-np.log(1.25), np.log(1.25))), torch.where(u(0, 1) > 0.5, -1.0, 1.0)
    k, c, s = o.size * o.field / SIDE / zoom, torch.cos(turn), torch.sin(turn)
    rows = [torch.stack([k * c * flip, -k * s, u(-4, 4) / 106], 1), torch.stack([k * s * flip, k * c, u(-4, 4) / 106], 1)]
    v = F.grid_sample(x, F.affine_grid(torch.stack(rows, 1), (n, 1, o.size, o.size), align_corners=False), align_corners=False)
    stretch = {"a": lambda v: torch.asinh(20 * v) / np.arcsinh(20), "b": lambda v: torch.asinh(200 * v) / np.arcsinh(200), "l": lambda v: v}
    return torch.cat([stretch[c](v) for c in o.stretch.split(",")], 1).contiguous(memory_format=torch.channels_last)


class Residual(nn.Module):
    def __init__(self, i, f, stride):
        super().__init__()
        conv = lambda i, k, stride: [nn.Conv2d(i, f, k, stride, k // 2, bias=False), nn.BatchNorm2d(f)]
        self.long = nn.Sequential(*conv(i, 3, stride), nn.ReLU(), *conv(f, 3, 1))
        self.short = nn.Sequential(nn.AvgPool2d(stride), *conv(i, 1, 1)) if i != f or stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.long(x) + self.short(x))


def network(o):
    w, i = o.width, len(o.stretch.split(","))
    conv = lambda i, f, k: [nn.Conv2d(i, f, k, 1, k // 2, bias=False), nn.BatchNorm2d(f), nn.LeakyReLU(0.05)]
    if o.net == "residual":
        layers, i = [*conv(i, w, 5), nn.MaxPool2d(2)], w
        for stage, f in enumerate([w, 2 * w, 4 * w, 8 * w]):
            layers += [Residual(i, f, 2 if stage else 1), Residual(f, f, 1)]
            i = f
        head = [nn.Dropout(0.3), nn.Linear(i, 4)]
    else:
        layers, side, stage = [], o.size, 0
        while side > 3:
            f = w * 2 ** min(stage, 2)
            layers += [*(conv(i, f, 5) if side > 40 else conv(i, f, 3) + conv(f, f, 3)), nn.MaxPool2d(2)]
            i, side, stage = f, side // 2, stage + 1
        head = [nn.Linear(i, 4 * w), nn.LeakyReLU(0.05), nn.Dropout(0.2), nn.Linear(4 * w, 4)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head).to(DEVICE).to(memory_format=torch.channels_last)


def fit(o, x, y, rows):
    m = network(o).train()
    steps = max(2, o.epochs * len(rows) // o.batch)
    optimiser = torch.optim.AdamW(m.parameters(), lr=o.rate, weight_decay=o.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, o.rate, total_steps=steps, pct_start=0.1)
    by_class = [rows[y[rows] == c] for c in range(4)]
    for _ in range(steps):
        b = torch.cat([k[torch.randint(len(k), (o.batch // 4,), device=DEVICE)] for k in by_class])
        v, t = views(o, x[b], True), F.one_hot(y[b], 4).float() * (1 - o.smooth) + o.smooth / 4
        if o.mixup > 0:
            share, other = float(np.random.beta(o.mixup, o.mixup)), torch.randperm(len(b), device=DEVICE)
            v, t = share * v + (1 - share) * v[other], share * t + (1 - share) * t[other]
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            out = m(v)
        loss = -(t * F.log_softmax(out.float(), 1)).sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return m


@torch.no_grad()
def predict(o, m, x):
    """Mean over the eight ways in which an image can lie."""
    m.eval()
    out = []
    for part in x.split(256):
        v = views(o, part, False)
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            out.append(sum(F.softmax(m(w).float(), 1) for k in range(4) for w in (torch.rot90(v, k, (2, 3)), torch.rot90(v, k, (2, 3)).flip(3))) / 8)
    return torch.cat(out)


def main():
    o = arguments()
    torch.manual_seed(o.seed)
    np.random.seed(o.seed)
    x, y, parts, catalogues = load(o)
    own, test = (torch.tensor(np.flatnonzero(k), device=DEVICE) for k in (parts != "test", parts == "test"))
    fold = torch.tensor(np.random.default_rng(o.seed).permutation(len(own)) % o.folds, device=DEVICE)
    held, together = torch.zeros(len(own), 4, device=DEVICE), 0
    for k in range(o.folds):
        m = fit(o, x, y, own[fold != k])
        held[fold == k] = predict(o, m, x[own[fold == k]])
        together = together + predict(o, m, x[test])
    hit, hit_test, t = (held.argmax(1) == y[own]).float(), (together.argmax(1) == y[test]).float(), y[own]
    recalls = [hit[t == c].mean().item() for c in range(4)]
    print(f"{o.name}: held out: mean recall {np.mean(recalls):.4f}, right {hit.mean():.4f}, n = {len(own)}; test {hit_test.mean():.4f}, n = {len(test)}")
    for c in sorted(set(zip(catalogues[own.cpu()], t.cpu().tolist()))):
        rows = torch.tensor((catalogues[own.cpu()] == c[0]) & (t.cpu().numpy() == c[1]))
        said = torch.bincount(held.argmax(1).cpu()[rows], minlength=4).tolist()
        print(f"  {c[0]} {CLASSES[c[1]]}: {hit.cpu()[rows].mean():.3f}, n = {int(rows.sum())}, said {dict(zip(CLASSES, said))}")


main()
