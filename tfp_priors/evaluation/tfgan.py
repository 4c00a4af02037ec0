"""TF-GAN's evaluation functions, without the rest of TF-GAN.

Importing `tensorflow_gan` itself fails: it needs `tf.estimator`, which TensorFlow no
longer has. Its evaluation functions need no more than each other.
"""

import functools
import importlib
import importlib.util
import sys
import types
from pathlib import Path


def classifier_metrics() -> types.ModuleType:
    """The module `tensorflow_gan.python.eval.classifier_metrics`."""
    return _evaluation_module("classifier_metrics")


def inception_metrics() -> types.ModuleType:
    """The module `tensorflow_gan.python.eval.inception_metrics`."""
    return _evaluation_module("inception_metrics")


@functools.cache
def _evaluation_module(name):
    """Imports it, and leaves `sys.modules` as it was: others may want all of TF-GAN."""
    before = _taken_out()
    try:
        _register_parents()
        return importlib.import_module(f"tensorflow_gan.python.eval.{name}")
    finally:
        _taken_out()
        sys.modules.update(before)


def _taken_out():
    """What of TF-GAN is imported, which is not from then on."""
    names = [n for n in sys.modules if n.split(".")[0] == "tensorflow_gan"]
    return {name: sys.modules.pop(name) for name in names}


def _register_parents():
    """Makes the parents empty packages with the right paths.

    The true ones import everything.
    """
    spec = importlib.util.find_spec("tensorflow_gan")
    folder = Path(spec.submodule_search_locations[0])
    for name in (
        "tensorflow_gan",
        "tensorflow_gan.python",
        "tensorflow_gan.python.eval",
    ):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
