"""The networks of LPIPS and their weights: names, shapes, files, conversion.

Needs NumPy alone, so that PyTorch's files can be converted where TensorFlow is not
installed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfp_priors.errors import UserError
from tfp_priors.errors import first_line
from tfp_priors.files import written_atomically


class Convolution(NamedTuple):
    """A convolution and its ReLU; the padding is that of each side."""

    name: str
    inputs: int
    outputs: int
    size: int
    stride: int = 1
    padding: int = 0

    @property
    def convolutions(self) -> tuple["Convolution", ...]:
        return (self,)


class Fire(NamedTuple):
    """A 1x1 convolution, then a 1x1 and a 3x3 one side by side (Iandola et al. 2016).

    The outputs of the last two are concatenated.
    """

    name: str
    inputs: int
    squeeze: int
    expand: int

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        name, inputs, squeeze, expand = self
        return (
            Convolution(f"{name}.squeeze", inputs, squeeze, 1),
            Convolution(f"{name}.expand1x1", squeeze, expand, 1),
            Convolution(f"{name}.expand3x3", squeeze, expand, 3, padding=1),
        )


class Pool(NamedTuple):
    """A maximum over windows, two pixels apart.

    If `partial`, a last window that reaches over the edge by a pixel counts too.
    """

    size: int
    partial: bool = False
    convolutions = ()


class Tap(NamedTuple):
    """Features that are compared."""

    channels: int
    convolutions = ()


#: The trunks, up to their last tap. The names of the layers are those of torchvision.
TRUNKS = {
    # Krizhevsky 2014, in the form of torchvision.
    "alex": (
        Convolution("features.0", 3, 64, 11, stride=4, padding=2),
        Tap(64),
        Pool(3),
        Convolution("features.3", 64, 192, 5, padding=2),
        Tap(192),
        Pool(3),
        Convolution("features.6", 192, 384, 3, padding=1),
        Tap(384),
        Convolution("features.8", 384, 256, 3, padding=1),
        Tap(256),
        Convolution("features.10", 256, 256, 3, padding=1),
        Tap(256),
    ),
    # Simonyan and Zisserman 2015, configuration D.
    "vgg": (
        Convolution("features.0", 3, 64, 3, padding=1),
        Convolution("features.2", 64, 64, 3, padding=1),
        Tap(64),
        Pool(2),
        Convolution("features.5", 64, 128, 3, padding=1),
        Convolution("features.7", 128, 128, 3, padding=1),
        Tap(128),
        Pool(2),
        Convolution("features.10", 128, 256, 3, padding=1),
        Convolution("features.12", 256, 256, 3, padding=1),
        Convolution("features.14", 256, 256, 3, padding=1),
        Tap(256),
        Pool(2),
        Convolution("features.17", 256, 512, 3, padding=1),
        Convolution("features.19", 512, 512, 3, padding=1),
        Convolution("features.21", 512, 512, 3, padding=1),
        Tap(512),
        Pool(2),
        Convolution("features.24", 512, 512, 3, padding=1),
        Convolution("features.26", 512, 512, 3, padding=1),
        Convolution("features.28", 512, 512, 3, padding=1),
        Tap(512),
    ),
    # Iandola et al. 2016, release 1.1.
    "squeeze": (
        Convolution("features.0", 3, 64, 3, stride=2),
        Tap(64),
        Pool(3, partial=True),
        Fire("features.3", 64, 16, 64),
        Fire("features.4", 128, 16, 64),
        Tap(128),
        Pool(3, partial=True),
        Fire("features.6", 128, 32, 128),
        Fire("features.7", 256, 32, 128),
        Tap(256),
        Pool(3, partial=True),
        Fire("features.9", 256, 48, 192),
        Tap(384),
        Fire("features.10", 384, 48, 192),
        Tap(384),
        Fire("features.11", 384, 64, 256),
        Tap(512),
        Fire("features.12", 512, 64, 256),
        Tap(512),
    ),
}

#: Shortest side in pixels that leaves every layer of the trunk a pixel.
SMALLEST_SIDE = {"alex": 31, "vgg": 16, "squeeze": 17}

VERSIONS = ("0.1", "0.0")

_TRUNK_FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}


def check_net_and_version(net: str, version: str) -> None:
    """Raises a `UserError` unless there is such a network in such a version."""
    _check_choice("net", net, TRUNKS)
    _check_choice("version", version, VERSIONS)


def weight_shapes(net: str) -> dict[str, tuple[int, ...]]:
    """The weights of a network: shapes by name.

    A convolution NAME has `NAME.kernel`, `[height, width, inputs, outputs]`, and
    `NAME.bias`, `[outputs]`; tap i has the weights of its channels, `linear.i`.

    Args:
      net: "alex", "vgg" or "squeeze".

    Raises:
      UserError: if there is no such network.
    """
    _check_choice("net", net, TRUNKS)
    shapes = {}
    for step in TRUNKS[net]:
        for name, inputs, outputs, size, *_ in step.convolutions:
            shapes[f"{name}.kernel"] = (size, size, inputs, outputs)
            shapes[f"{name}.bias"] = (outputs,)
    taps = [step for step in TRUNKS[net] if isinstance(step, Tap)]
    return shapes | {f"linear.{i}": (tap.channels,) for i, tap in enumerate(taps)}


def convert(
    net: str, trunk: Mapping[str, np.ndarray], linear: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Turns the weights of PyTorch into those of `weight_shapes`.

    Args:
      net: "alex", "vgg" or "squeeze".
      trunk: torchvision's AlexNet, VGG16 or SqueezeNet 1.1, arrays by name; those of
        the classifier are not needed.
      linear: those of the linear layers of the package lpips, `lin0.model.1.weight`
        and so on, `[1, channels, 1, 1]`.

    Returns:
      float32 arrays by name.

    Raises:
      UserError: if a name, a shape or a number is not as expected.
    """
    trunk = {k: v for k, v in trunk.items() if not k.startswith("classifier.")}
    shapes = weight_shapes(net)
    expected = {_torch_name(k): _torch_shape(k, shape) for k, shape in shapes.items()}
    for prefix, arrays, what in (
        ("features.", trunk, f"the trunk {_TRUNK_FILES[net]} of torchvision"),
        ("lin", linear, f"the linear weights {net}.pth of the package lpips"),
    ):
        own = {k: shape for k, shape in expected.items() if k.startswith(prefix)}
        _check_arrays(arrays, own, what)
    arrays = {**trunk, **linear}
    return {k: _from_torch(arrays[_torch_name(k)], s) for k, s in shapes.items()}


def save_weights(
    path: str | Path, net: str, version: str, weights: Mapping[str, np.ndarray]
) -> None:
    """Writes a file of weights, atomically.

    Args:
      path: .npz file to write.
      net: "alex", "vgg" or "squeeze".
      version: "0.1" or "0.0", that of the linear weights.
      weights: arrays as `weight_shapes` lists them.

    Raises:
      UserError: if a name, a shape or a number is not as expected.
    """
    check_net_and_version(net, version)
    _check_arrays(weights, weight_shapes(net), f"weights of LPIPS {net}")
    with written_atomically(path) as temporary, temporary.open("wb") as file:
        # The versions differ in no name and no shape, so the file says which it is.
        np.savez(file, net=net, version=version, **weights)


def load_weights(
    path: str | Path | None, net: str, version: str
) -> dict[str, np.ndarray]:
    """Reads a file of `save_weights`.

    Args:
      path: the file; None raises an error that says how to make one.
      net: "alex", "vgg" or "squeeze".
      version: "0.1" or "0.0".

    Returns:
      float32 arrays as `weight_shapes` lists them.

    Raises:
      UserError: if there is no such file or it holds anything else.
    """
    check_net_and_version(net, version)
    make_it = (
        f"make it with bin/convert_lpips --net={net} --version={version} "
        f"--trunk={_TRUNK_FILES[net]} --linear={net}.pth "
        f"--out=lpips_{net}_v{version}.npz"
    )
    if path is None:
        raise UserError(f"LPIPS expects weights=FILE.npz, received none: {make_it}")
    if not Path(path).is_file():
        raise UserError(f"LPIPS finds no file of weights {path}: {make_it}")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
    # What a damaged or foreign file raises depends on its bytes.
    except Exception as error:
        raise UserError(
            f"LPIPS cannot read {path} ({first_line(error)}): {make_it}"
        ) from error
    received = [str(arrays.pop(key, "unknown")) for key in ("net", "version")]
    if received != [net, version]:
        raise UserError(
            f"LPIPS expects weights of net {net}, version {version}, received {path} "
            f"of net {received[0]}, version {received[1]}: {make_it}"
        )
    _check_arrays(arrays, weight_shapes(net), f"{path} to hold weights of LPIPS {net}")
    return {name: np.asarray(arrays[name], np.float32) for name in weight_shapes(net)}


def _torch_name(name):
    if name.startswith("linear."):
        return f"lin{name.removeprefix('linear.')}.model.1.weight"
    return name.replace(".kernel", ".weight")


def _torch_shape(name, shape):
    if name.startswith("linear."):
        return (1, *shape, 1, 1)  # a 1x1 convolution
    if name.endswith(".kernel"):
        height, width, inputs, outputs = shape
        return (outputs, inputs, height, width)
    return shape


def _from_torch(array, shape):
    array = np.asarray(array, np.float32)
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    return array.reshape(shape)


def _check_choice(what: str, received, choices: Iterable[str]) -> None:
    if received not in choices:
        raise UserError(
            f"LPIPS expects {what} to be one of {', '.join(choices)}, received "
            f"{received!r}."
        )


def _check_arrays(arrays, shapes, what):
    def refuse(expected, received):
        raise UserError(
            f"expected {what}, with {expected}; received {received}: give the file of "
            "that network."
        )

    for name, shape in shapes.items():
        if name not in arrays:
            refuse(f"{name} of shape {shape}", "none of that name")
        array = np.asarray(arrays[name])
        if array.shape != shape:
            refuse(f"{name} of shape {shape}", f"one of shape {array.shape}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            refuse(f"finite floats in {name}", f"other values ({array.dtype})")
    unknown = sorted(set(arrays) - set(shapes))
    if unknown:
        refuse(f"{len(shapes)} arrays", f"{unknown[0]} too")
