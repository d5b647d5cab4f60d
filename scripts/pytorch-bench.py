#!/usr/bin/env python3
"""pytorch-bench.py -- how fast are PyTorch and diffusers on the networks that `make bench` measures?

    python3 scripts/pytorch-bench.py [--network small,medium,large] [--work train,forward]
            [--precision f32,bf16] [--layout nchw,nhwc] [--engine eager,compile,openvino]
            [--seconds 10] [--threads 2] [--no-header]

needs PyTorch and diffusers, and OpenVINO for that engine.  One line of tab-separated text for each
combination, as soon as it is measured: images/s is the batch by the median time of a step, `low` and `high` are the same by the 90th and 10th
percentile, memory is the largest resident size of the process.  Each combination runs in a process of its own,
for --seconds after two unmeasured steps (compiling happens in these), and at least for three steps.  Without
--precision, bf16 is measured where the processor computes with it; elsewhere it takes ten times as long as f32.

    small    28x28x1, 32 channels, mult 1,2,2, batch 64, 1,539,329 weights
    medium   32x32x3, 64 channels, mult 1,2,2,2, attention at 16, batch 32, 8,952,067 weights
    large    32x32x3, 128 channels, the same, batch 16, 35,746,307 weights

A training step is what dtn-train does: noise by a random timestep, mean squared error, clipping to norm 1, Adam,
average of the weights.  A forward step is one evaluation of the network without gradients, as in sampling.
"""

import argparse
import itertools
import multiprocessing
import resource
import statistics
import sys
import time

NETWORKS = {        # side, colours, channels, attention by level, batch, weights
    "small": (28, 1, (32, 64, 64), (False, False, False), 64, 1539329),
    "medium": (32, 3, (64, 128, 128, 128), (False, True, False, False), 32, 8952067),
    "large": (32, 3, (128, 256, 256, 256), (False, True, False, False), 16, 35746307),
}
COLUMNS = "network work precision layout engine weights threads batch images/s low high steps memory_MiB".split()


def unet(side, colours, channels, attention):
    from diffusers import UNet2DModel
    return UNet2DModel(
        sample_size=side, in_channels=colours, out_channels=colours, block_out_channels=channels, layers_per_block=2,
        down_block_types=["AttnDownBlock2D" if a else "DownBlock2D" for a in attention],
        up_block_types=["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attention)],
        norm_num_groups=32, norm_eps=1e-6, attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False,
        freq_shift=1)


def learner(torch, model, fused=None):
    """A function that moves the weights by a prediction of the noise; it returns the loss."""
    parameters = [p.detach() for p in model.parameters()]
    average = [p.clone() for p in parameters]
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, fused=fused)

    def learn(prediction, noise):
        loss = torch.nn.functional.mse_loss(prediction.float(), noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        torch._foreach_lerp_(average, parameters, 0.001)
        return loss

    return learn


def trainer(torch, model, x, precision):
    """A function that does one training step on the images x."""
    learn = learner(torch, model)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = torch.cumprod(1 - betas, 0).float()

    def step():
        t = torch.randint(0, 1000, (x.shape[0],))
        noise = torch.randn_like(x)
        a = alpha_bar[t][:, None, None, None]
        noised = a.sqrt() * x + (1 - a).sqrt() * noise
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            prediction = model(noised, t).sample
        learn(prediction, noise).item()

    return step


def predictor(torch, model, x, precision):
    """A function that evaluates the network once on the images x."""
    t = torch.full((x.shape[0],), 500)

    def step():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            model(x, t).sample

    return step


def openvino_predictor(torch, model, x, precision, threads):
    """The same by OpenVINO, from the traced model; its default layout."""
    import openvino
    core = openvino.Core()
    t = torch.full((x.shape[0],), 500)

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x, t):
            return self.model(x, t).sample

    with torch.no_grad():
        ov = openvino.convert_model(Plain().eval(), example_input=(x, t), input=[x.shape, t.shape])
    compiled = core.compile_model(ov, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"})
    request = compiled.create_infer_request()
    images, times = x.contiguous().numpy(), t.numpy()

    def step():
        request.infer([images, times])

    return step


def measure(cell, seconds, threads, answer):
    import torch
    network, work, precision, layout, engine = cell
    side, colours, channels, attention, batch, weights = NETWORKS[network]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = unet(side, colours, channels, attention)
    count = sum(p.numel() for p in model.parameters())
    assert count == weights, f"{network} has {count} weights, expected {weights}"
    x = torch.rand(batch, colours, side, side) * 2 - 1
    if layout == "nhwc":
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    model.train(work == "train")
    if engine == "compile":
        model = torch.compile(model)
    if engine == "openvino":
        step = openvino_predictor(torch, model, x, precision, threads)
    else:
        step = (trainer if work == "train" else predictor)(torch, model, x, precision)
    step()
    step()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    tenths = statistics.quantiles(times, n=10, method="inclusive")
    rates = [f"{batch / t:.2f}" for t in (statistics.median(times), tenths[8], tenths[0])]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.put([count, threads, batch, *rates, len(times), f"{memory:.0f}"])


def precisions():
    with open("/proc/cpuinfo") as f:
        flags = f.read()
    return ["f32", "bf16"] if "avx512_bf16" in flags or "amx_bf16" in flags else ["f32"]


def subset(choices):
    def parse(text):
        wanted = text.split(",")
        for w in wanted:
            if w not in choices:
                raise argparse.ArgumentTypeError(f"{w!r} is none of {', '.join(choices)}")
        return wanted
    return parse


def arguments():
    p = argparse.ArgumentParser(description="measure PyTorch on the networks of make bench")
    for name, choices in (("network", list(NETWORKS)), ("work", ["train", "forward"]), ("precision", ["f32", "bf16"]),
                          ("layout", ["nchw", "nhwc"]), ("engine", ["eager", "compile", "openvino"])):
        p.add_argument("--" + name, type=subset(choices), metavar="|".join(choices),
                       default=precisions() if name == "precision" else choices)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--no-header", action="store_true")
    return p.parse_args()


def main():
    a = arguments()
    if not a.no_header:
        print(*COLUMNS, sep="\t", flush=True)
    context = multiprocessing.get_context("spawn")
    failed = False
    for cell in itertools.product(a.network, a.work, a.engine, a.precision, a.layout):
        network, work, engine, precision, layout = cell
        if engine == "openvino" and (work == "train" or layout == "nhwc"):
            continue        # it only predicts, and chooses its layout itself
        cell = network, work, precision, layout, engine
        answer = context.SimpleQueue()
        process = context.Process(target=measure, args=(cell, a.seconds, a.threads, answer))
        process.start()
        process.join()
        if process.exitcode == 0:
            print(*cell, *answer.get(), sep="\t", flush=True)
        else:
            failed = True
            print("pytorch-bench.py: no result for", *cell, file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
