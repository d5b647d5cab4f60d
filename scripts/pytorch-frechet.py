#!/usr/bin/env python3
"""pytorch-frechet.py -- how close are sampled clothes to Fashion-MNIST?

    python3 scripts/pytorch-frechet.py --classifier CACHE [--data FOLDER] [--limit N] SAMPLES...

needs PyTorch, numpy and Pillow.  SAMPLES is a .dtn stream (dtn-png, found through BIN or PATH, unpacks it), a
folder of 28x28 PNGs (dtn-png --each), or a file of raw bytes, 784 an image.  Prints for each

    distance    Frechet distance between the features of the samples and of the 10,000 test images; lower is
                better.  A feature is one of the 128 values before the last layer of a small classifier.
    classes     how many samples the classifier takes for each of the ten kinds, and how many of them it is
                sure of (probability above 0.9)
    mean, std   of the pixels, 0 .. 255

and first the same for as many training images: what a perfect generator would get.  The classifier is trained on
the training images when CACHE does not exist, which takes a minute or two, and is written there; a distance means
something only beside another one from the same classifier.
"""

import argparse
import gzip
import os
import pathlib
import subprocess
import tempfile

import numpy
import torch
from PIL import Image
from torch import nn

KINDS = "t-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split()
SIDE = 28


def idx(path, header):
    with gzip.open(path) as f:
        return numpy.frombuffer(f.read(), numpy.uint8, offset=header)


def images(folder, part):
    return idx(f"{folder}/{part}-images-idx3-ubyte.gz", 16).reshape(-1, SIDE, SIDE)


def labels(folder, part):
    return torch.from_numpy(idx(f"{folder}/{part}-labels-idx1-ubyte.gz", 8).astype(numpy.int64))


def classifier():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))


def network_input(pixels):
    """u8 [N,28,28] to f32 [N,1,28,28] in [-1,1]."""
    return torch.from_numpy(numpy.array(pixels)).unsqueeze(1).float() / 127.5 - 1


def train(folder, path, epochs=4, batch=128):
    torch.manual_seed(1)
    x, y = network_input(images(folder, "train")), labels(folder, "train")
    net = classifier()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * (len(x) // batch))
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for i in range(len(x) // batch):
            pick = order[i * batch:(i + 1) * batch]
            flip = torch.rand(batch) < 0.5
            shown = torch.where(flip[:, None, None, None], x[pick].flip(3), x[pick])
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(shown), y[pick]).backward()
            optimizer.step()
            rate.step()
    net.eval()
    with torch.inference_mode():
        guess = run(net, images(folder, "t10k"))[1].argmax(1)
        print(f"trained a classifier: {100 * (guess == labels(folder, 't10k')).float().mean():.2f} % right", flush=True)
    torch.save(net.state_dict(), path)


def run(net, pixels):
    """The features [N,128] and the outputs [N,10] of u8 images [N,28,28]."""
    parts = []
    with torch.inference_mode():
        for i in range(0, len(pixels), 500):
            features = net[:11](network_input(pixels[i:i + 500]))
            parts.append((features, net[11:](features)))
    return torch.cat([f for f, _ in parts]), torch.cat([o for _, o in parts])


def moments(features):
    f = features.double().numpy()
    return f.mean(0), numpy.cov(f, rowvar=False)


def frechet(a, b):
    """|m1-m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2); the root's trace from the eigenvalues of the product."""
    (m1, c1), (m2, c2) = a, b
    roots = numpy.sqrt(numpy.maximum(numpy.linalg.eigvals(c1 @ c2).real, 0)).sum()
    return ((m1 - m2) ** 2).sum() + numpy.trace(c1) + numpy.trace(c2) - 2 * roots


def from_folder(folder):
    files = sorted(pathlib.Path(folder).glob("*.png"))
    return numpy.stack([numpy.asarray(Image.open(f).convert("L")) for f in files])


def from_stream(path):
    program = os.path.join(os.environ["BIN"], "dtn-png") if "BIN" in os.environ else "dtn-png"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "--each", folder, path], check=True)
        return from_folder(folder)


def read(path):
    if os.path.isdir(path):
        return from_folder(path)
    if path.endswith(".dtn"):
        return from_stream(path)
    return numpy.fromfile(path, numpy.uint8).reshape(-1, SIDE, SIDE)


def report(name, net, pixels, reference):
    features, outputs = run(net, pixels)
    sure, kind = outputs.softmax(1).max(1)
    count = torch.bincount(kind, minlength=10).tolist()
    certain = torch.bincount(kind[sure > 0.9], minlength=10).tolist()
    print(f"{name}: {len(pixels)} images, distance {frechet(moments(features), reference):.2f}, "
          f"mean {pixels.mean():.1f}, std {pixels.std():.1f}")
    print("    " + ", ".join(f"{k} {n} ({c})" for k, n, c in zip(KINDS, count, certain)), flush=True)


def main():
    p = argparse.ArgumentParser(description="Frechet distance of samples to Fashion-MNIST")
    p.add_argument("--classifier", required=True, metavar="CACHE")
    p.add_argument("--data", default="/usr/share/datasets/fashion-mnist", metavar="FOLDER")
    p.add_argument("--limit", type=int, default=1000, metavar="N")
    p.add_argument("samples", nargs="*")
    a = p.parse_args()
    if not os.path.exists(a.classifier):
        train(a.data, a.classifier)
    net = classifier()
    net.load_state_dict(torch.load(a.classifier))
    net.eval()
    reference = moments(run(net, images(a.data, "t10k"))[0])
    report("training images", net, images(a.data, "train")[:a.limit], reference)
    for path in a.samples:
        report(path, net, read(path)[:a.limit], reference)


main()
