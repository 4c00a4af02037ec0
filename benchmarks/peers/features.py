"""The features of the same classifier by PyTorch."""

import numpy as np
import torch
from torch import nn

from benchmarks import pictures
from benchmarks.sides import threads

_BATCH_SIZE = 500
_WIDTHS = (32, 64)
_FEATURES = 128


def versions():
    return {"torch": torch.__version__}


def _network():
    """`tfp_priors.networks.ConvFeatures` at 28 x 28, in inference mode."""
    layers, channels = [], 1
    for width in _WIDTHS:
        for stride in (1, 2):
            layers += [
                nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
    layers += [
        nn.Flatten(),
        nn.Linear(7 * 7 * channels, _FEATURES, bias=False),
        nn.BatchNorm1d(_FEATURES),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers).eval()


def build(variant, case):
    del case
    torch.set_num_threads(threads())
    images = pictures.arrays(1000)
    layout = torch.contiguous_format
    if variant == "channels_last":
        layout = torch.channels_last
    model = _network().to(memory_format=layout)
    if variant == "compile":
        model = torch.compile(model)
    # Dynamo refuses what was made in inference mode.
    mode = torch.no_grad if variant == "compile" else torch.inference_mode

    def call():
        parts = []
        with mode():
            for start in range(0, len(images), _BATCH_SIZE):
                batch = torch.from_numpy(images[start : start + _BATCH_SIZE])
                batch = batch[:, None].float() / 255
                batch = batch.contiguous(memory_format=layout)
                parts.append(model(batch).numpy())
        return float(np.concatenate(parts).sum())

    return call
