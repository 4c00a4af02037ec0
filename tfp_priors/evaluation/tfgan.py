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


@functools.cache
def classifier_metrics() -> types.ModuleType:
    """The module `tensorflow_gan.python.eval.classifier_metrics`."""
    spec = importlib.util.find_spec("tensorflow_gan")
    folder = Path(spec.submodule_search_locations[0])
    package = "tensorflow_gan.python.eval"
    # The true parents import everything: empty ones with the right paths.
    for name in ("tensorflow_gan", "tensorflow_gan.python", package):
        parent = types.ModuleType(name)
        parent.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = parent
    return importlib.import_module(f"{package}.classifier_metrics")
