"""Features and logits of images, computed once and kept."""

import contextlib
import hashlib
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfp_priors.core import replicas
from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import Images
from tfp_priors.files import disk_errors_named
from tfp_priors.files import written_atomically


class Activations(NamedTuple):
    """What a classifier makes of images.

    Attributes:
      features: of its last hidden layer, float32 `[n, size]`.
      logits: float32 `[n, classes]`.
    """

    features: np.ndarray
    logits: np.ndarray

    @classmethod
    def joined(cls, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> "Activations":
        """Those of all images, of those of some after others."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


class Extractor(NamedTuple):
    """A classifier as the metrics see it.

    Attributes:
      name: "inception", "classifier" or "keypoints".
      identity: a text that changes with its weights.
      function: maps uint8 images `[batch, height, width, channels]` to features
        `[batch, size]` and logits `[batch, classes]`.
      batch_size: images per call, over all devices.
      image_shape: that it expects, or None if it scales images itself.
      exclusive_classes: whether the logits are those of a softmax; those of
        independent attributes otherwise.
    """

    name: str
    identity: str
    function: Callable
    batch_size: int = 500
    image_shape: tuple | None = None
    exclusive_classes: bool = True

    def check(self, image_shape) -> None:
        """Raises: UserError: if images of this shape do not fit."""
        if self.image_shape not in (None, tuple(image_shape)):
            raise UserError(
                f"The {self.name} expects images of shape {self.image_shape}, received "
                f"{tuple(image_shape)}: it belongs to another data set."
            )


def predictor_extractor(
    model: Any, identity: str, name: str = "classifier"
) -> Extractor:
    """A `Classifier`, or another `Predictor`, as an extractor.

    Args:
      model: with `activations` and `image_shape`.
      identity: a text that changes with its weights, such as a checksum.
      name: "classifier" or "keypoints".
    """
    # XLA fuses what follows the convolutions: a tenth to a fifth less time on a CPU.
    activations = tf.function(model.activations, autograph=False, jit_compile=True)
    return Extractor(
        name,
        f"{name}-{identity}",
        lambda images: activations(tf.cast(images, tf.float32) / 255),
        image_shape=tuple(model.image_shape),
        exclusive_classes=getattr(model, "classes", None) is not None,
    )


class Activator:
    """Computes activations and keeps them, so that an interrupted run goes on.

    Each chunk of images has a file of its own, written whole or not at all, whose
    name depends on the images, the extractor and nothing else. So processes that see
    one folder, also on several machines, share the work: each takes the next chunk
    that no other has claimed, and all of them see all chunks.

    Args:
      extractor: an `Extractor`.
      strategy: whose devices share each batch; None: the default device.
    """

    def __init__(self, extractor: Extractor, strategy: Any = None):
        self.extractor = extractor
        self._function = on_all_devices(extractor.function, strategy)

    def chunks(
        self, images: Images, folder: str | Path | None = None, label: str = "images"
    ) -> Iterator[Activations]:
        """The activations of each chunk.

        Args:
          images: what to look at.
          folder: where they are kept; None: nowhere.
          label: what the progress bar calls them.
        """
        with tqdm(
            total=images.size,
            desc=f"{self.extractor.name}: {label}",
            unit=" images",
            # A log file gets few lines.
            mininterval=0.2 if sys.stderr.isatty() else 20.0,
        ) as progress:
            for span in images.spans():
                yield self._chunk(images, span, folder)
                progress.update(span[1] - span[0])

    def activations(self, images, folder=None, label="images") -> Activations:
        """The activations of all images, as `chunks` in one."""
        return Activations.joined(self.chunks(images, folder, label))

    def _chunk(self, images, span, folder):
        if folder is None:
            return self.compute(images.chunk(*span))
        key = f"{self.extractor.identity}\n{images.identity}"
        name = hashlib.sha256(key.encode()).hexdigest()[:32]

        def path_of(span):
            return Path(folder) / name / f"{span[0]:06d}-{span[1]:06d}.npz"

        def kept(span):
            place = path_of(span)
            with _claimed(place) as is_ours:
                if not is_ours:
                    return None
                return _read(place) or self._kept(images, span, place)

        path = path_of(span)
        found = _read(path) or kept(span)
        if found is None:
            # Another process is at it, or died there: what none has begun comes first.
            spans = images.spans()
            for later in spans[spans.index(span) + 1 :]:
                if path.exists():
                    break
                if not path_of(later).exists():
                    kept(later)
            found = _read(path) or self._kept(images, span, path)
        return found

    def _kept(self, images, span, path):
        """The activations of a chunk, which are written."""
        computed = self.compute(images.chunk(*span))
        with written_atomically(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **computed._asdict())
        return computed

    def compute(self, images: np.ndarray) -> Activations:
        """The activations of uint8 images `[n, height, width, channels]`."""
        self.extractor.check(images.shape[1:])
        size = self.extractor.batch_size
        return Activations.joined(
            self._function(images[start : start + size])
            for start in range(0, len(images), size)
        )


def on_all_devices(function: Callable, strategy: Any = None) -> Callable:
    """A function of a batch that is computed on all devices of a strategy.

    Args:
      function: see `replicas.spread`.
      strategy: a `tf.distribute.Strategy`, or None.

    Returns:
      A function of an array that returns arrays.
    """
    on_all = tf.function(
        replicas.spread(function, strategy), reduce_retracing=True, autograph=False
    )
    return lambda batch: tf.nest.map_structure(np.asarray, on_all(batch))


@contextlib.contextmanager
def _claimed(path):
    """Whether, within it, no other process writes a file; the claim of one that died
    stays."""
    claim = path.with_name(f".{path.stem}.claim")
    claim.parent.mkdir(parents=True, exist_ok=True)
    try:
        with disk_errors_named(claim):
            open(claim, "x").close()
    except FileExistsError:
        yield False
        return
    try:
        yield True
    finally:
        claim.unlink(missing_ok=True)


def _read(path):
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Activations(arrays["features"], arrays["logits"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # Absent, or damaged: computed again.
