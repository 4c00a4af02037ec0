"""Distances by the PyTorch package lpips, which test_lpips.py compares with ours.

    python tests/evaluation/lpips_reference.py

writes lpips_reference.json beside this file, in an environment with torch,
torchvision, and lpips 0.1.4, which needs scipy and tqdm. No weights are downloaded:
those of both sides come from a seed, by the functions of this file, which need NumPy
alone.
"""

import json
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_suffix(".json")
NETS = ("alex", "vgg", "squeeze")
VERSIONS = ("0.1", "0.0")
#: Height and width. In the second the trunk's pools meet incomplete windows; the third
#: is the smallest image that the trunk takes.
SIZES = {
    "alex": ((64, 64), (71, 80), (31, 31)),
    "vgg": ((64, 64), (39, 50), (16, 16)),
    "squeeze": ((64, 64), (66, 80), (17, 17)),
}


def torch_weights(net: str) -> tuple[dict, dict]:
    """Random weights of the trunk and of the linear layers, by PyTorch's names."""
    random = np.random.RandomState(NETS.index(net))
    trunk = {}
    for name, inputs, outputs, size in _convolutions(net):
        # The variance of He et al. 2015: the features' scale is that of the input.
        scale = np.sqrt(2.0 / (inputs * size**2))
        kernel = scale * random.randn(outputs, inputs, size, size)
        trunk[f"{name}.weight"] = kernel.astype(np.float32)
        trunk[f"{name}.bias"] = (0.1 * random.randn(outputs)).astype(np.float32)
    channels = {
        "alex": (64, 192, 384, 256, 256),
        "vgg": (64, 128, 256, 512, 512),
        "squeeze": (64, 128, 256, 384, 384, 512, 512),
    }[net]
    linear = {
        f"lin{i}.model.1.weight": random.uniform(size=(1, n, 1, 1)).astype(np.float32)
        for i, n in enumerate(channels)
    }
    return trunk, linear


def _convolutions(net):
    """Name, inputs, outputs and size of each."""
    if net == "alex":
        layers = [(0, 64, 11), (3, 192, 5), (6, 384, 3), (8, 256, 3), (10, 256, 3)]
    elif net == "vgg":
        outputs = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
        numbers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
        layers = [(i, n, 3) for i, n in zip(numbers, outputs, strict=True)]
    else:
        layers = [(0, 64, 3)]
    inputs = 3
    for i, outputs, size in layers:
        yield f"features.{i}", inputs, outputs, size
        inputs = outputs
    if net == "squeeze":
        widths = [16, 16, 32, 32, 48, 48, 64, 64]
        for i, squeeze in zip([3, 4, 6, 7, 9, 10, 11, 12], widths, strict=True):
            expand = 4 * squeeze
            yield f"features.{i}.squeeze", inputs, squeeze, 1
            yield f"features.{i}.expand1x1", squeeze, expand, 1
            yield f"features.{i}.expand3x3", squeeze, expand, 3
            inputs = 2 * expand


def image_pairs(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Three pairs of images in [0, 1]: much alike, less alike, and unrelated."""
    random = np.random.RandomState(height * width)
    first, other = random.uniform(size=(2, 3, height, width, 3))
    share = np.reshape([0.3, 0.6, 1.0], (3, 1, 1, 1))
    second = (1.0 - share) * first + share * other
    return first.astype(np.float32), second.astype(np.float32)


def _package(net, version):
    import torch
    from lpips import LPIPS

    model = LPIPS(
        net=net, version=version, pretrained=False, pnet_rand=True, verbose=False
    )
    trunk, linear = torch_weights(net)
    # The package cuts torchvision's trunk into slices: sliceN.0 is features.0.
    names = {
        f"features.{name.split('.', 1)[1]}": f"net.{name}"
        for name, _ in model.net.named_parameters()
    }
    if set(names) != set(trunk):
        raise RuntimeError(f"the names differ: {set(names) ^ set(trunk)}")
    state = {names[name]: torch.tensor(array) for name, array in trunk.items()}
    for name, array in linear.items():
        state[name] = torch.tensor(array)
        # The package knows its linear layers by two names.
        state[name.replace("lin", "lins.", 1)] = torch.tensor(array)
    missing = model.load_state_dict(state, strict=False)
    if missing.unexpected_keys or set(missing.missing_keys) - {
        "scaling_layer.shift",
        "scaling_layer.scale",
    }:
        raise RuntimeError(str(missing))
    return model


def _distances(model, first, second):
    import torch

    first, second = (
        torch.tensor(images.transpose(0, 3, 1, 2)) for images in (first, second)
    )
    with torch.no_grad():
        return model(first, second, normalize=True).flatten().tolist()


def _takes(model, side):
    blank = np.zeros((1, side, side, 3), np.float32)
    try:
        _distances(model, blank, blank)
    except RuntimeError:
        return False
    return True


def main():
    from importlib.metadata import version as version_of

    results = {
        "versions": {p: version_of(p) for p in ("lpips", "torch", "torchvision")},
        "smallest_side": {},
        "distances": {},
    }
    for net in NETS:
        for version in VERSIONS:
            model = _package(net, version)
            for height, width in SIZES[net]:
                distances = _distances(model, *image_pairs(height, width))
                results["distances"][f"{net} {version} {height}x{width}"] = distances
        results["smallest_side"][net] = next(
            n for n in range(1, 99) if _takes(model, n)
        )
    PATH.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
