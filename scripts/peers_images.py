"""The published networks of the image systems in PyTorch, timed as crates/slipher-systems/examples/image_speed.rs times ours.

usage: python peers_images.py THREADS REPETITIONS (pip install torch)
"""
import json
import sys
import time

import torch
from torch import nn

threads, reps = int(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)


class Views(nn.Module):
    """The same filters for several views of a row, joined before the dense layers."""

    def __init__(self, views, maps, dense):
        super().__init__()
        self.views, self.maps, self.dense = views, maps, dense

    def forward(self, x):
        return self.dense(self.maps(x).flatten(1).reshape(x.shape[0] // self.views, -1))


class Maxout(nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0], -1, 2).max(2).values


def conv(i, o, k, pad=0, slope=0.0, **more):
    return [nn.Conv2d(i, o, k, padding=pad, **more), nn.LeakyReLU(slope) if slope else nn.ReLU()]


def dense(i, o, slope):
    return [nn.Linear(i, o), nn.LeakyReLU(slope) if slope else nn.ReLU()]


P = lambda k=2: nn.MaxPool2d(k, 2)
s = 0.01
N = {
    "Kim & Brunner": (1, 5, 44, nn.Sequential(*conv(5, 32, 5, 0, s), *conv(32, 32, 3, 1, s), P(), *conv(32, 64, 3, 1, s), *conv(64, 64, 3, 1, s), *conv(64, 64, 3, 1, s), P(), *conv(64, 128, 3, 1, s), *conv(128, 128, 3, 1, s), *conv(128, 128, 3, 1, s), P(), nn.Flatten(), *dense(3200, 2048, s), *dense(2048, 2048, s), nn.Linear(2048, 2))),
    "Dieleman": (16, 3, 45, Views(16, nn.Sequential(*conv(3, 32, 6), P(), *conv(32, 64, 5), P(), *conv(64, 128, 3), *conv(128, 128, 3), P()), nn.Sequential(nn.Linear(8192, 4096), Maxout(), nn.Linear(2048, 4096), Maxout(), nn.Linear(2048, 37)))),
    "AlexNet": (1, 1, 148, nn.Sequential(nn.Conv2d(1, 96, 12, 4), nn.ReLU(), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0), P(3), *conv(96, 256, 5, 2, groups=2), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0), P(3), *conv(256, 384, 3, 1), *conv(384, 384, 3, 1, groups=2), *conv(384, 256, 3, 1, groups=2), P(3), nn.Flatten(), *dense(2304, 4096, 0.0), *dense(4096, 4096, 0.0), nn.Linear(4096, 2))),
    "Deep-HiTS": (4, 4, 21, Views(4, nn.Sequential(*conv(4, 32, 4, 3, s), *conv(32, 32, 3, 1, s), P(), *conv(32, 64, 3, 1, s), *conv(64, 64, 3, 1, s), *conv(64, 64, 3, 1, s), P()), nn.Sequential(*dense(9216, 64, s), *dense(64, 64, s), nn.Linear(64, 2)))),
}


def times(n, f):
    f()
    out = []
    for _ in range(n):
        t = time.perf_counter()
        f()
        out.append(time.perf_counter() - t)
    return out


with torch.inference_mode():
    for name, (views, channels, side, net) in N.items():
        net.eval()
        for peer, memory in [("PyTorch", torch.contiguous_format), ("PyTorch channels-last", torch.channels_last)]:
            net = net.to(memory_format=memory)
            for rows, more in [(64, 1), (1, 10)]:
                x = torch.rand(rows * views, channels, side, side).to(memory_format=memory)
                print(json.dumps({"what": f"f32 {rows}", "network": name, "peer": peer, "seconds": times(more * reps, lambda: net(x))}), flush=True)
