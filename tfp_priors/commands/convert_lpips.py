"""Turns PyTorch's weights of LPIPS into a file of `tfp_priors.evaluation.lpips`.

  bin/convert_lpips --net=alex --version=0.1 --trunk=alexnet-owt-7be5be79.pth \\
      --linear=alex.pth --out=lpips_alex_v0.1.npz

The trunk is torchvision's, from https://download.pytorch.org/models/:
  alex     alexnet-owt-7be5be79.pth
  vgg      vgg16-397923af.pth
  squeeze  squeezenet1_1-b8a52dc0.pth
The linear weights are in the package lpips, under lpips/weights/v0.1 and v0.0:
  pip download --no-deps lpips==0.1.4 && unzip lpips-0.1.4-py3-none-any.whl
Needs PyTorch, which may live in another environment than TensorFlow.
"""

import os
from pathlib import Path

from absl import flags

from tfp_priors.commands import command
from tfp_priors.errors import UserError

_NET = flags.DEFINE_enum("net", "alex", ["alex", "vgg", "squeeze"], "The trunk.")
_VERSION = flags.DEFINE_enum(
    "version", "0.1", ["0.1", "0.0"], "That of the linear weights."
)
_TRUNK = flags.DEFINE_string("trunk", None, "torchvision's state dict, a .pth file.")
_LINEAR = flags.DEFINE_string("linear", None, "The linear weights, a .pth file.")
_OUT = flags.DEFINE_string("out", None, ".npz file to write.")


def main():
    if not _TRUNK.value or not _LINEAR.value or not _OUT.value:
        raise UserError(
            "expected --trunk=FILE.pth, --linear=FILE.pth and --out=FILE.npz, "
            "see --help."
        )
    # The versions differ in their numbers only, so no later check would notice.
    # Unlike a path's own method this one takes links that go in a circle.
    folder = Path(os.path.realpath(_LINEAR.value)).parent.name
    if folder in ("v0.0", "v0.1") and folder != f"v{_VERSION.value}":
        raise UserError(
            f"expected linear weights of version {_VERSION.value}, received "
            f"{_LINEAR.value}: set --version={folder[1:]}, or give the other file."
        )
    if Path(_OUT.value).is_dir():
        raise UserError(f"expected a file as --out, received folder {_OUT.value}.")

    from tfp_priors.evaluation.lpips_weights import convert
    from tfp_priors.evaluation.lpips_weights import save_weights

    weights = convert(_NET.value, _arrays(_TRUNK.value), _arrays(_LINEAR.value))
    save_weights(_OUT.value, _NET.value, _VERSION.value, weights)
    command.say(
        f"LPIPS {_NET.value}, version {_VERSION.value}, in {_OUT.value}\n"
        f'  LPIPS("{_NET.value}", "{_VERSION.value}", weights="{_OUT.value}")'
    )


def _arrays(path):
    """The arrays of a file of torch.save, by name."""
    if not Path(path).is_file():
        raise UserError(f"there is no file {path}: see --help for where to get it.")
    try:
        import torch
    except ImportError:
        raise UserError(
            "expected PyTorch to read the .pth files, found none: run pip install "
            "torch, or run this command in an environment that has it."
        ) from None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        return {name: tensor.detach().numpy() for name, tensor in state.items()}
    except PermissionError:
        raise
    # What a damaged or foreign file raises depends on its bytes.
    except Exception as error:
        raise UserError(
            f"expected a state dict of PyTorch, received {path} "
            f"({type(error).__name__}): get the file again, see --help."
        ) from error
