#!/usr/bin/env python3
"""pytorch-bench-cuda.py -- the same networks in PyTorch on a GPU, and what the card can do at most

    python3 scripts/pytorch-bench-cuda.py [--seconds 20] [--network small,medium,large] [--device cuda]

for `make bench-cuda`; needs PyTorch for CUDA.  The network is diffusers' UNet2DModel with the settings of
pytorch-bench.py, written plainly.  A training step is that of pytorch-bench.py, batch 128, weights in f32 with autocast
to bf16, channels-last; sampling takes 50 DDIM steps.  Each is measured eager and compiled.
"""

import argparse
import importlib.util
import math
import pathlib
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

path = pathlib.Path(__file__).with_name("pytorch-bench.py")
spec = importlib.util.spec_from_file_location("pytorch_bench", path)
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


class Residual(nn.Module):
    def __init__(self, c, k, time, attention):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(32, c, 1e-6), nn.GroupNorm(32, k, 1e-6)
        self.conv1, self.conv2 = nn.Conv2d(c, k, 3, padding=1), nn.Conv2d(k, k, 3, padding=1)
        self.time = nn.Linear(time, k)
        self.skip = nn.Conv2d(c, k, 1) if c != k else nn.Identity()
        self.attention = Attention(k) if attention else nn.Identity()

    def forward(self, x, t):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(t)[:, :, None, None]
        return self.attention(self.skip(x) + self.conv2(F.silu(self.norm2(h))))


class Attention(nn.Module):
    """One head."""
    def __init__(self, c):
        super().__init__()
        self.norm = nn.GroupNorm(32, c, 1e-6)
        self.q, self.k, self.v, self.out = (nn.Linear(c, c) for _ in range(4))

    def forward(self, x):
        h = self.norm(x).flatten(2).transpose(1, 2)[:, None]        # [N,1,HW,C]
        h = self.out(F.scaled_dot_product_attention(self.q(h), self.k(h), self.v(h)))
        return x + h[:, 0].transpose(1, 2).reshape(x.shape)


class Half(nn.Conv2d):
    def forward(self, x, t):
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Double(nn.Conv2d):
    def forward(self, x, t):
        return super().forward(F.interpolate(x, scale_factor=2.0))


class Unet(nn.Module):
    def __init__(self, colours, channels, attention):
        super().__init__()
        c, time = channels[0], 4 * channels[0]
        self.time = nn.Sequential(nn.Linear(c, time), nn.SiLU(), nn.Linear(time, time), nn.SiLU())
        self.first = nn.Conv2d(colours, c, 3, padding=1)
        self.down, self.up, skips = nn.ModuleList(), nn.ModuleList(), [c]
        for level, k in enumerate(channels):
            for _ in range(2):
                self.down.append(Residual(c, k, time, attention[level]))
                c = k
                skips.append(c)
            if level + 1 < len(channels):
                self.down.append(Half(c, c, 3, stride=2))
                skips.append(c)
        self.middle = nn.ModuleList([Residual(c, c, time, True), Residual(c, c, time, False)])
        for level, k in reversed(list(enumerate(channels))):
            for _ in range(3):
                self.up.append(Residual(c + skips.pop(), k, time, attention[level]))
                c = k
            if level > 0:
                self.up.append(Double(c, c, 3, padding=1))
        self.norm = nn.GroupNorm(32, c, 1e-6)
        self.last = nn.Conv2d(c, colours, 3, padding=1)
        half = channels[0] // 2
        self.register_buffer("rates", torch.exp(torch.arange(half) * -math.log(10000) / (half - 1)))

    def forward(self, x, t):
        angle = t[:, None] * self.rates
        t = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        skips = [self.first(x)]
        for layer in self.down:
            skips.append(layer(skips[-1], t))
        h = skips[-1]
        for layer in self.middle:
            h = layer(h, t)
        for layer in self.up:
            h = layer(h if isinstance(layer, Double) else torch.cat([h, skips.pop()], 1), t)
        return self.last(F.silu(self.norm(h)))


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def median_time(step, seconds, device, together=1):
    """Median seconds of a call, after three that are not measured; so many calls together without waiting."""
    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        wait(device)
        begin = time.perf_counter()
        for _ in range(together):
            step()
        wait(device)
        times.append((time.perf_counter() - begin) / together)
    return statistics.median(times)


def ceilings(device, small):
    n = 1 << (20 if small else 30)
    a, b = torch.empty(n, dtype=torch.uint8, device=device), torch.empty(n, dtype=torch.uint8, device=device)
    seconds = median_time(lambda: b.copy_(a), 1, device)
    print(f"copy of {n} bytes: {2 * n / seconds / 1e9:.0f} GB/s read and written", flush=True)
    m = 512 if small else 8192
    x = torch.randn(m, m, device=device, dtype=torch.bfloat16)
    y = torch.randn(m, m, device=device, dtype=torch.bfloat16)
    seconds = median_time(lambda: x @ y, 1, device)
    print(f"product of {m}x{m} matrices in bf16: {2 * m**3 / seconds / 1e12:.2f} TFLOP/s", flush=True)


def make(network, device, compiled):
    """A new network; what was compiled before is forgotten, so that each is compiled for its own size."""
    side, colours, channels, attention, _, weights = bench.NETWORKS[network]
    torch.manual_seed(0)
    torch._dynamo.reset()
    model = Unet(colours, channels, attention).to(device, memory_format=torch.channels_last)
    count = sum(p.numel() for p in model.parameters())
    assert count == weights, f"{network} has {count} weights, expected {weights}"
    return (torch.compile(model) if compiled else model), (colours, side, side)


def trainer(model, shape, batch, device):
    learn = bench.learner(torch, model, fused=device == "cuda")
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, device=device), 0)
    x = (torch.rand(batch, *shape, device=device) * 2 - 1).contiguous(memory_format=torch.channels_last)

    def step():
        t = torch.randint(0, 1000, (batch,), device=device)
        noise = torch.randn_like(x)
        a = alpha_bar[t][:, None, None, None]
        with torch.autocast(device, torch.bfloat16):
            prediction = model(a.sqrt() * x + (1 - a).sqrt() * noise, t)
        learn(prediction, noise)

    return step


def sampler(model, shape, n, device):
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0).tolist() + [1.0]
    steps = [(torch.full((n,), t, device=device), alpha_bar[t], alpha_bar[t - 20 if t >= 20 else -1])
             for t in range(980, -1, -20)]

    def step():
        x = torch.randn(n, *shape, device=device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
            for t, a, b in steps:
                noise = model(x, t).float()
                x0 = ((x - (1 - a) ** 0.5 * noise) / a ** 0.5).clamp(-1, 1)
                x = b ** 0.5 * x0 + (1 - b) ** 0.5 * noise

    return step


def main():
    parser = argparse.ArgumentParser(description="PyTorch on a GPU, beside make bench-cuda")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--network", default="small,medium,large")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=128)
    a = parser.parse_args()
    ceilings(a.device, a.device == "cpu")
    for network in a.network.split(","):
        print(f"PyTorch {network}: {bench.NETWORKS[network][-1]} weights", flush=True)      # make() counts them
        for compiled in (False, True):
            kind = "compiled" if compiled else "eager"
            model, shape = make(network, a.device, compiled)
            seconds = median_time(trainer(model, shape, a.batch, a.device), a.seconds, a.device, 10)
            print(f"PyTorch {torch.__version__} {network} train bf16 {kind} batch {a.batch}: {a.batch / seconds:.1f} images/s",
                  flush=True)
            for n in (256, 8):
                model, shape = make(network, a.device, compiled)
                n = min(n, 2 * a.batch)
                seconds = median_time(sampler(model.eval(), shape, n, a.device), a.seconds / 2, a.device)
                print(f"PyTorch {network} sample bf16 {kind}, 50 steps, {n} at once: {n / seconds:.1f} images/s",
                      flush=True)


main()
