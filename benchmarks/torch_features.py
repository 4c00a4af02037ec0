"""The peer of benchmarks/evaluation.py: the same classifier's features by PyTorch."""

import argparse

import numpy as np
import torch
from evaluation import BATCH_SIZE
from evaluation import FEATURES
from evaluation import WIDTHS
from evaluation import features_images
from sides import serve
from torch import nn


def network():
    """`tfp_priors.networks.ConvFeatures` at 28 x 28, in inference mode."""
    layers, channels = [], 1
    for width in WIDTHS:
        for stride in (1, 2):
            layers += [
                nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
    layers += [
        nn.Flatten(),
        nn.Linear(7 * 7 * channels, FEATURES, bias=False),
        nn.BatchNorm1d(FEATURES),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers).eval()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    images = features_images(np)

    def build(library, name, method):
        del name, method
        layout = {
            "torch": torch.contiguous_format,
            "channels_last": torch.channels_last,
        }
        model = network().to(memory_format=layout[library])

        def call():
            parts = []
            with torch.inference_mode():
                for start in range(0, len(images), BATCH_SIZE):
                    batch = torch.from_numpy(images[start : start + BATCH_SIZE])
                    batch = batch.permute(0, 3, 1, 2).float() / 255
                    batch = batch.contiguous(memory_format=layout[library])
                    parts.append(model(batch).numpy())
            return float(np.concatenate(parts).sum())

        return call

    serve(build, {"torch": torch.__version__})


if __name__ == "__main__":
    main()
