#!/usr/bin/env python3
"""pytorch-bench-cuda.py -- the same networks in PyTorch on a GPU, and what the card can do at most

    python3 scripts/pytorch-bench-cuda.py [--seconds 20] [--network small,medium,large] [--device cuda]

for `make bench-cuda`; needs PyTorch for CUDA and diffusers.  A training step is that of pytorch-bench.py, batch 128,
weights in f32 with autocast to bf16, channels-last; sampling takes 50 DDIM steps.  Each is measured eager and compiled.
"""

import argparse
import importlib.util
import pathlib
import statistics
import time

import torch

path = pathlib.Path(__file__).with_name("pytorch-bench.py")
spec = importlib.util.spec_from_file_location("pytorch_bench", path)
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def median_time(step, seconds, device):
    """Median seconds of a call, after three that are not measured."""
    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        wait(device)
        begin = time.perf_counter()
        step()
        wait(device)
        times.append(time.perf_counter() - begin)
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
    side, colours, channels, attention, _, _ = bench.NETWORKS[network]
    torch.manual_seed(0)
    model = bench.unet(side, colours, channels, attention).to(device, memory_format=torch.channels_last)
    return (torch.compile(model) if compiled else model), (colours, side, side)


def trainer(model, shape, batch, device):
    parameters = [p.detach() for p in model.parameters()]
    average = [p.clone() for p in parameters]
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, fused=device == "cuda")
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, device=device), 0)
    x = (torch.rand(batch, *shape, device=device) * 2 - 1).contiguous(memory_format=torch.channels_last)

    def step():
        t = torch.randint(0, 1000, (batch,), device=device)
        noise = torch.randn_like(x)
        a = alpha_bar[t][:, None, None, None]
        with torch.autocast(device, torch.bfloat16):
            prediction = model(a.sqrt() * x + (1 - a).sqrt() * noise, t).sample
        loss = torch.nn.functional.mse_loss(prediction.float(), noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        torch._foreach_lerp_(average, parameters, 0.001)

    return step


def sampler(model, shape, n, device):
    from diffusers import DDIMScheduler
    scheduler = DDIMScheduler(num_train_timesteps=1000)
    scheduler.set_timesteps(50)

    def step():
        x = torch.randn(n, *shape, device=device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
            for t in scheduler.timesteps:
                x = scheduler.step(model(x, t).sample.float(), t, x).prev_sample

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
        for compiled in (False, True):
            kind = "compiled" if compiled else "eager"
            model, shape = make(network, a.device, compiled)
            seconds = median_time(trainer(model, shape, a.batch, a.device), a.seconds, a.device)
            print(f"PyTorch {torch.__version__} {network} train bf16 {kind} batch {a.batch}: {a.batch / seconds:.1f} images/s",
                  flush=True)
            for n in (256, 8):
                seconds = median_time(sampler(model.eval(), shape, min(n, 2 * a.batch), a.device), a.seconds / 2, a.device)
                print(f"PyTorch {network} sample bf16 {kind}: {min(n, 2 * a.batch)} images in {seconds:.2f} s", flush=True)
                model.train()


main()
