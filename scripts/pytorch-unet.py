#!/usr/bin/env python3
"""pytorch-unet.py -- write what diffusers' UNet2DModel computes, for the tests to compare with

    python3 scripts/pytorch-unet.py tests/fixtures

needs PyTorch, diffusers and numpy, and writes into the folder

    unet.bin            a small network: weights, input, output, loss, every gradient, optimizer steps
    cifar10-keys.txt    names and shapes of the parameters of the 35.7 M network for 32x32x3

unet.bin is a list of tensors.  Each is one line of text, then its values, then the next line follows at once:

    NAME TYPE D0 D1 ... '\\n'    TYPE f32 or i32; a scalar has no D
    values                      little-endian, C order, 4 bytes each

Images are [N,H,W,C]; parameters have diffusers' names and layouts (conv [K,C,k,k], linear [K,C]).

    x [3,8,8,3]  t [3]  target [3,8,8,3]        the input: images, timesteps, what the output should be
    output [3,8,8,3]  loss                      loss = mean((output - target)^2) over everything
    dx [3,8,8,3]                                gradient of the loss by x
    norm                                        2-norm of the gradients of all parameters together
    param.NAME  grad.NAME                       each weight, and the gradient of the loss by it
    adam.NAME                                   weights after one step of Adam with grad, clipped to norm 1
                                                (as one vector); weights of more than 300 values are left out
    second                                      a factor
    adamw.NAME                                  weights after two steps of AdamW (weight decay 0.1): the first
                                                with grad, the second with second * grad, each clipped to 1

Both optimizers: rate 1e-3, betas 0.9 and 0.999, eps 1e-8.  The second step's gradient is too short to be clipped,
so the weights after it tell whether the first was.

The network is computed in double precision from weights that are exact in single, and rounded when written:
what is compared with it has the whole rounding error to itself.  Optimizers start from the rounded gradients, in
single precision.  The gradient of to_k.bias is zero in exact arithmetic (a softmax does not see a constant), so there
only an absolute comparison makes sense, and optimizer steps must be compared from the gradients in the file.
"""

import sys

import numpy
import torch
from diffusers import UNet2DModel

CHANNELS = (8, 8, 16)           # three levels; attention at the second and in the middle
GROUPS = 4                      # a concatenation of 16 + 8 channels has a group that straddles the seam
COLOURS, SIDE, IMAGES = 3, 8, 3
STEPPED = 300                   # larger weights are left out of adam and adamw, to keep the file small
SECOND = -0.2


def unet(side, colours, channels, blocks, attention, groups):
    """A UNet2DModel with the conventions of google/ddpm-cifar10-32; attention: a bool per level."""
    down = ["AttnDownBlock2D" if a else "DownBlock2D" for a in attention]
    up = ["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attention)]
    return UNet2DModel(
        sample_size=side, in_channels=colours, out_channels=colours, block_out_channels=channels,
        layers_per_block=blocks, down_block_types=down, up_block_types=up, norm_num_groups=groups,
        norm_eps=1e-6, attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1)


def randomise(model, generator):
    """Every weight, bias and norm different from its usual start, values of about one everywhere."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float32)
            if p.dim() > 1:
                gain = 2 if "to_q" in name or "to_k" in name else 1      # attention far from uniform
                p.copy_(noise * gain / (p[0].numel() ** 0.5))
            elif "norm" in name and name.endswith("weight"):
                p.copy_(1 + 0.3 * noise)
            else:
                p.copy_(0.3 * noise)


def write(out, name, value):
    value = numpy.asarray(value)
    value = value.astype("<i4" if value.dtype.kind == "i" else "<f4")
    kind = "i32" if value.dtype.kind == "i" else "f32"
    out.write(" ".join([name, kind, *map(str, value.shape)]).encode() + b"\n" + value.tobytes())


def nhwc(images):
    return images.detach().permute(0, 2, 3, 1).numpy()


def steps(optimizer, start, gradients, factors):
    """The weights after one step for each factor, with gradients times that factor, clipped to norm 1."""
    weights = {name: torch.nn.Parameter(p.clone()) for name, p in start.items()}
    run = optimizer(list(weights.values()), lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    for factor in factors:
        for name, p in weights.items():
            p.grad = gradients[name] * factor
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        run.step()
    return weights


def small_network(path):
    generator = torch.Generator().manual_seed(20240607)
    model = unet(SIDE, COLOURS, CHANNELS, 1, (False, True, False), GROUPS)
    randomise(model, generator)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    model = model.double()
    shape = (IMAGES, COLOURS, SIDE, SIDE)
    x = torch.randn(shape, generator=generator).double().requires_grad_()
    target = torch.randn(shape, generator=generator).double()
    t = torch.tensor([0, 417, 999])
    output = model(x, t).sample
    loss = torch.nn.functional.mse_loss(output, target)
    loss.backward()
    gradients = {name: p.grad.float() for name, p in model.named_parameters()}
    norm = sum(float((g.double() ** 2).sum()) for g in gradients.values()) ** 0.5
    assert norm > 1.5 and abs(SECOND) * norm < 0.9, norm      # the first step is clipped, the second is not
    adam = steps(torch.optim.Adam, start, gradients, [1])
    adamw = steps(lambda p, **o: torch.optim.AdamW(p, weight_decay=0.1, **o), start, gradients, [1, SECOND])
    with open(path, "wb") as out:
        write(out, "x", nhwc(x))
        write(out, "t", t.numpy())
        write(out, "target", nhwc(target))
        write(out, "output", nhwc(output))
        write(out, "loss", loss.item())
        write(out, "dx", nhwc(x.grad))
        write(out, "norm", norm)
        for name in start:
            write(out, "param." + name, start[name].numpy())
            write(out, "grad." + name, gradients[name].numpy())
        write(out, "second", SECOND)
        for name in start:
            if start[name].numel() <= STEPPED:
                write(out, "adam." + name, adam[name].detach().numpy())
                write(out, "adamw." + name, adamw[name].detach().numpy())
        size = out.tell()
    count = sum(p.numel() for p in start.values())
    print(f"{path}: {size} bytes, {len(start)} tensors, {count} weights, loss {loss.item():.6f}, norm {norm:.4f}, "
          f"output {output.std():.3f}")


def cifar10_keys(path):
    model = unet(32, 3, (128, 256, 256, 256), 2, (False, True, False, False), 32)
    count = sum(p.numel() for p in model.parameters())
    assert count == 35746307, count
    with open(path, "w") as out:
        for name, p in model.named_parameters():
            out.write(f"{name}\t{list(p.shape)}\n")
    print(f"{path}: {count} weights")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: pytorch-unet.py FOLDER")
    small_network(sys.argv[1] + "/unet.bin")
    cifar10_keys(sys.argv[1] + "/cifar10-keys.txt")


main()
