"""The two reference networks of docs/BENCHMARKS.md in PyTorch and onnxruntime.

usage: python scripts/peers.py THREADS REPETITIONS   (needs torch, numpy; onnx and onnxruntime if there)
Prints one JSON object a line, as `cargo run --example reference` does: seconds of each repetition.
"""
import io
import json
import os
import sys
import time
import warnings

threads, reps = int(sys.argv[1]), int(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = str(threads)
warnings.filterwarnings("ignore")
import torch  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(threads)
torch.manual_seed(1)


def w1():
    layers = []
    for c in (1, 16, 16):
        layers += [nn.Conv1d(c, 16, 8), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 1779, 800))


def w2():
    act = lambda: nn.LeakyReLU(0.01)
    conv = lambda a, b, k=3: [nn.Conv2d(a, b, k, padding=k // 2 if k == 3 else 0), act()]
    layers = conv(5, 32, 5) + conv(32, 32) + [nn.MaxPool2d(2)]
    layers += conv(32, 64) + conv(64, 64) + conv(64, 64) + [nn.MaxPool2d(2)]
    layers += conv(64, 128) + conv(128, 128) + conv(128, 128) + [nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(3200, 2048), act(), nn.Linear(2048, 2048), act(), nn.Linear(2048, 2))


def times(n, f):
    f()
    out = []
    for _ in range(n):
        t = time.perf_counter()
        f()
        out.append(time.perf_counter() - t)
    return out


def show(what, network, peer, seconds):
    print(json.dumps({"what": what, "network": network, "peer": peer, "seconds": seconds}), flush=True)


def train(net, x, y, fused, half=False):
    opt = torch.optim.Adam(net.parameters(), lr=1e-4, fused=fused)

    def step():
        opt.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()

    return times(reps, step)


def infer(f, x):
    with torch.inference_mode():
        f(x)
        return times(2 * reps if len(x) > 1 else 10 * reps, lambda: f(x))


def onnx(net, x):
    import onnxruntime as ort

    buffer = io.BytesIO()
    torch.onnx.export(net, (x,), buffer, dynamo=False, input_names=["x"])
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    data = x.numpy()
    return times(2 * reps if len(data) > 1 else 10 * reps, lambda: session.run(None, {"x": data}))


a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
show("2048", "sgemm", "PyTorch", times(2 * reps, lambda: a @ b))
for name, make, shape in (("W1", w1, (1, 1800)), ("W2", w2, (5, 44, 44))):
    x = torch.rand(128, *shape)
    y = torch.arange(128) % (800 if name == "W1" else 2)
    formats = [("", torch.contiguous_format)] + ([(" channels-last", torch.channels_last)] if name == "W2" else [])
    for label, fmt in formats:
        net, data = make().to(memory_format=fmt), x.to(memory_format=fmt)
        for n in (128, 1):
            show(f"infer f32 {n}", name, "PyTorch" + label, infer(net, data[:n].to(memory_format=fmt)))
            with torch.autocast("cpu", torch.bfloat16):
                show(f"infer bf16 {n}", name, "PyTorch bf16" + label, infer(net, data[:n].to(memory_format=fmt)))
        show("train", name, "PyTorch" + label, train(make().to(memory_format=fmt), data, y, False))
        show("train", name, "PyTorch fused Adam" + label, train(make().to(memory_format=fmt), data, y, True))
        show("train bf16", name, "PyTorch bf16" + label, train(make().to(memory_format=fmt), data, y, True, half=True))
    try:
        net = make()
        compiled = torch.compile(net)
        for n in (128, 1):
            show(f"infer f32 {n}", name, "PyTorch compile", infer(compiled, x[:n]))
        net = make()
        show("train", name, "PyTorch compile, fused Adam", train(torch.compile(net), x, y, True))
    except Exception as e:
        print(f"torch.compile does not run here: {type(e).__name__}: {str(e)[:200]}", file=sys.stderr)
    try:
        for n in (128, 1):
            show(f"infer f32 {n}", name, "onnxruntime", onnx(make().eval(), x[:n]))
    except ImportError as e:
        print(f"onnxruntime is not here: {e}", file=sys.stderr)
