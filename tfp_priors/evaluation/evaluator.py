"""Computes metrics by name, and keeps what they share."""

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from tfp_priors.core.order import some_numbers
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation import feature_metrics
from tfp_priors.evaluation import metrics
from tfp_priors.evaluation.activations import Activations
from tfp_priors.evaluation.activations import Activator
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.evaluation.images import Images
from tfp_priors.evaluation.images import chunk_seed
from tfp_priors.evaluation.images import from_dataset
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.evaluation.images import in_chunks
from tfp_priors.evaluation.images import quantized
from tfp_priors.evaluation.lpips import LPIPS
from tfp_priors.evaluation.subject import Subject
from tfp_priors.latent_space import nearest_neighbours

_HOW_TO_GET = {
    "classifier": "pass --classifier=RUN, a run of gin/DATASET_classifier.gin",
    "inception": "pass --inception_dir=FOLDER",
    "keypoints": "pass --keypoint_regressor=RUN, a run of gin/DATASET_keypoints.gin",
}

# Tells the noise of codes from that of draws.
_OF_CODES = 1

# Codes of a file that are measured.
_MOST_CODES = 50_000

# Most images that neighbours are searched among, so that photographs fit in memory.
_NEIGHBOURS_AMONG = 10_000


def _once(method):
    """A method of an `Evaluator` whose values are kept by its arguments."""

    @functools.wraps(method)
    def kept(self, *args):
        return self.cached((method.__name__, *args), lambda: method(self, *args))

    return kept


class Neighbours(NamedTuple):
    """The images of a split that are nearest to others, the nearest first.

    Attributes:
      images: `[n, k, height, width, channels]` in [0, 1].
      numbers: that they have in the split, `[n, k]`.
      distances: of pixels in [0, 1], Euclidean, `[n, k]`.
      among: number of images that were searched.
    """

    images: np.ndarray
    numbers: np.ndarray
    distances: np.ndarray
    among: int


class Evaluator:
    """Measures a subject; see `metrics.METRICS` for the names.

    Codes, logits and moments are computed once for all metrics, activations once for
    all of these if there is a folder for them.

    Args:
      subject: what is measured.
      load_dataset: maps the name of a split to an `ImageDataset`; None: no data.
      extractors: functions that make an `Extractor`, by its name; called when needed.
      lpips_weights: file of `bin/convert_lpips`, or None.
      seed: of samples, codes and classifiers.
      strategy: a `tf.distribute.Strategy` whose devices share the extractors' work.
      folder: where activations of the subject's images are kept; None: nowhere.
      cache_dir: where those of real images are kept; None: nowhere.
    """

    def __init__(
        self,
        subject: Subject,
        load_dataset: Callable[[str], ImageDataset] | None = None,
        extractors: dict[str, Callable[[], Extractor]] | None = None,
        lpips_weights: str | Path | None = None,
        seed: int = 0,
        strategy: Any = None,
        folder: str | Path | None = None,
        cache_dir: str | Path | None = None,
    ):
        self.subject = subject
        self.seed = seed
        self._load_dataset = load_dataset
        self._extractors = extractors or {}
        self._lpips_weights = lpips_weights
        self._strategy = strategy
        self._folder = folder
        self._cache_dir = cache_dir
        self._kept: dict[Any, Any] = {}
        # What is computed may need what is kept already.
        self._lock = threading.RLock()

    def evaluate(self, name: str) -> list[dict[str, Any]]:
        """The results of a metric: at least "name" and "value" each.

        A "value" is NaN if no number came out; what else is unknown is left out.

        Raises:
          UserError: if there is no such metric, or something that it needs is missing.
        """
        request = metrics.find(name)
        results = []
        for result in request.metric.compute(self, **request.values):
            known = {
                key: value
                for key, value in result.items()
                if key == "value" or not _unknown(value)
            }
            if "extractor" in known:
                identity = self._activator(known["extractor"]).extractor.identity
                known["extractor_identity"] = identity
            named = {"name": request.name, "metric": request.name}
            results.append({**named, **known, "seed": self.seed})
        return results

    def cached(self, key, compute: Callable) -> Any:
        """compute(), once for each key, whichever thread is the first to ask."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = compute()
            return self._kept[key]

    # Images --------------------------------------------------------------------

    def dataset(self, split: str) -> ImageDataset:
        """A split of the data."""
        if self._load_dataset is None:
            raise UserError("The metric needs a data set to compare with.")
        dataset = self.cached(("dataset", split), lambda: self._load_dataset(split))
        if dataset.image_shape != tuple(self.subject.image_shape):
            raise UserError(
                f"{self.subject.name} has images of shape {self.subject.image_shape}, "
                f"the data set of {dataset.image_shape}: compare with another data set."
            )
        return dataset

    @_once
    def real_images(self, split: str, n: int) -> Images:
        """n images of a split, or all if there are fewer."""
        return from_dataset(self.dataset(split), n, self.subject.condition)

    def fresh_images(self, split: str, n: int) -> Images | None:
        """Real images that are not of the split, for the real-against-real floor."""
        others = {"train": "test", "held_out": "learned"}
        try:
            return self.real_images(others.get(split, "train"), n)
        except UserError:
            return None

    def given(self, n: int) -> tuple:
        """What n draws of a conditional subject are given, as the only item.

        These are the conditions of `real_images("test", n)`, from the start again if
        there are fewer. An unconditional subject is given nothing.
        """
        if self.subject.condition is None:
            return ()
        split = "held_out" if self.subject.of_codes else "test"
        conditions = self.real_images(split, n).condition
        return (conditions[np.arange(n) % len(conditions)],)

    def samples(self, n: int) -> Images:
        """n draws of the subject; see `given`."""
        return self.subject.ask("samples")(n, self.seed, *self.given(n))

    def draws_of_conditions(self, n: int, m: int) -> Images:
        """m draws for each of n conditions of test images, one after the other.

        Raises:
          UserError: if there are no n conditions; a subject without any has one.
        """
        if self.subject.condition is None and n != 1:
            raise UserError(
                f"{self.subject.name} has no conditions: ask for 1c, not {n}c."
            )
        if self.subject.condition is not None and n > self.dataset("test").size:
            raise UserError(
                f"The test images have {self.dataset('test').size} conditions, not "
                f"{n}: ask for less."
            )
        given = [np.repeat(conditions, m, axis=0) for conditions in self.given(n)]
        return self.subject.ask("samples")(n * m, self.seed, *given)

    def reconstructions(self, images: Images | None) -> Images | None:
        """The subject's reconstructions, or None if it makes none."""
        if images is None or self.subject.reconstruct is None:
            return None
        return images.map(
            lambda chunk, *given: self.subject.reconstruct(
                chunk.astype(np.float32) / 255, *given
            ),
            f"reconstructions by {self.subject.identity}",
        )

    def neighbours(
        self, images: np.ndarray, k: int, splits: Sequence[str]
    ) -> dict[str, Neighbours]:
        """The k images of each split that are nearest in pixels to other images.

        They are searched among 10,000 at most, as many of each split.

        Args:
          images: `[n, height, width, channels]` in [0, 1].
          k: neighbours.
          splits: names.
        """
        among = min((_NEIGHBOURS_AMONG, *(self.dataset(s).size for s in splits)))
        found = {}
        for split in splits:
            pixels, numbers = self._some_images(split, among)
            points = pixels.astype(np.float32) / 255
            distances, nearest = nearest_neighbours(images, points, min(k, among))
            found[split] = Neighbours(
                points[nearest], numbers[nearest], distances, among
            )
        return found

    @_once
    def _some_images(self, split, n):
        """n random images of a split as bytes, and their numbers."""
        dataset = self.dataset(split)
        numbers = np.random.RandomState(self.seed).permutation(dataset.size)[:n]
        return quantized(dataset.gather(numbers)["image"]), numbers

    # Codes ---------------------------------------------------------------------

    @_once
    def codes(self, split: str) -> np.ndarray:
        """A draw of q(z|x) for each image of a split, in the order of `real_images`.

        Of a prior alone, codes of the data: all of them, or 50,000 drawn at random.
        """
        dataset = self.dataset(split)
        if self.subject.of_codes:
            return dataset.rows[_some(dataset)]
        images = self.real_images(split, dataset.size)
        return _mapped(self.subject.ask("sample_posterior"), images, self.seed)

    @_once
    def prior_nll(self, split: str) -> np.ndarray:
        """-log p(z) of `codes(split)` in nats, `[n]`, float64."""
        log_prob = self.subject.ask("log_prob")
        codes = self.codes(split), *self._given_codes(split)
        return -in_chunks(log_prob, *codes).astype(np.float64)

    def _given_codes(self, split):
        """Conditions of `codes(split)`, if there are any, as the only item."""
        if self.subject.condition is None:
            return ()
        dataset = self.dataset(split)
        if not self.subject.of_codes:
            return (self.real_images(split, dataset.size).condition,)
        return (dataset.features[self.subject.condition][_some(dataset)],)

    @_once
    def codes_and_draws(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """`codes(split)`, and as many draws of the prior, to be told apart.

        A conditional subject draws for the conditions of these codes, and beside both
        is the context: a prior that ignores it draws the right codes for the wrong
        conditions.
        """
        codes = self.codes(split)
        given = self._given_codes(split)
        if not given:
            return codes, self.prior_codes(len(codes))["z"]
        draws = self._prior_codes(len(codes), given)["z"]
        context = np.asarray(self.subject.context(*given))
        return np.hstack([codes, context]), np.hstack([draws, context])

    @_once
    def mean_codes(self, split: str) -> np.ndarray:
        """The means of q(z|x) of a split, a row per row of its features."""
        encode = self.subject.ask("encode")
        names = ("image", *filter(None, [self.subject.condition]))
        batches = self.dataset(split).batches(500)
        return np.concatenate(
            [np.asarray(encode(*(b[name] for name in names))) for b in batches]
        )

    @_once
    def prior_codes(self, n: int) -> dict[str, np.ndarray]:
        """The codes of `samples(n)`: "z", and "z0" if there is a base space."""
        return self._prior_codes(n, self.given(n))

    def _prior_codes(self, n, given):
        sample = self.subject.ask("sample_codes")
        draws = from_sampler(sample, n, self.seed, self.subject.identity, *given)
        parts = [draws.read(*span) for span in draws.spans()]
        return {
            key: np.concatenate([np.asarray(part[key]) for part in parts])
            for key in parts[0]
        }

    # Features ------------------------------------------------------------------

    @_once
    def _activator(self, name: str) -> Activator:
        if name not in self._extractors:
            raise UserError(
                f"The metric needs the {name} network: {_HOW_TO_GET[name]}."
            )
        extractor = self._extractors[name]()
        extractor.check(self.subject.image_shape)
        return Activator(extractor, self._strategy)

    def _place(self, images):
        real = any(
            key[0] == "real_images" and value is images
            for key, value in self._kept.items()
        )
        return self._cache_dir if real else self._folder

    def activations(self, extractor: str, images: Images, label: str) -> Activations:
        """What an extractor makes of images; `label` is what progress calls them."""
        return self._of_chunks(Activations.joined, extractor, images, label)

    def logits(self, extractor: str, images: Images, label: str) -> np.ndarray:
        """The logits of images, without holding their features in memory."""
        return self._of_chunks(_logits, extractor, images, label)

    def moments(
        self, extractor: str, images: Images, label: str
    ) -> feature_metrics.Moments:
        """Mean and covariance of the features; one chunk is in memory at a time."""
        return self._of_chunks(_moments, extractor, images, label)

    def _of_chunks(self, function, extractor, images, label):
        """A function of an extractor's activations, which come chunk by chunk."""
        activator = self._activator(extractor)

        def compute():
            return function(activator.chunks(images, self._place(images), label))

        key = (function, extractor, images.identity, images.size)
        return self.cached(key, compute)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """The classifier's probabilities of its classes or attributes.

        Args:
          images: floats in [0, 1], `[n, height, width, channels]`; nothing is kept.

        Returns:
          `[n, classes]`, float64.
        """
        logits = self._activator("classifier").compute(quantized(images)).logits
        logits = logits.astype(np.float64)
        if self.exclusive_classes:
            return scipy.special.softmax(logits, axis=1)
        return scipy.special.expit(logits)

    @property
    def exclusive_classes(self) -> bool:
        """Whether the classifier's logits are those of a softmax."""
        return self._activator("classifier").extractor.exclusive_classes

    @_once
    def lpips(self, net: str, version: str) -> Callable:
        """The distance of two batches of images."""
        return LPIPS(net, version, weights=self._lpips_weights)

    def predictions(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The outputs of a predictor, `[n, outputs]`, and the data's own values."""
        activations = self.subject.ask("activations")
        outputs, targets = [], []
        for batch in self.dataset(split).batches(500):
            outputs.append(activations(batch["image"])[1])
            targets.append(batch[self.subject.target])
        return np.concatenate(outputs), np.concatenate(targets)


def _some(dataset):
    """The numbers of the codes that are measured."""
    return some_numbers(dataset.size, _MOST_CODES, seed=0)


def _logits(chunks):
    return np.concatenate([chunk.logits for chunk in chunks])


def _moments(chunks):
    return feature_metrics.moments(chunk.features for chunk in chunks)


def _unknown(value):
    """Whether it is None, or NaN, as the spread of a single value is."""
    return value is None or (isinstance(value, float) and np.isnan(value))


def _mapped(function, images, seed):
    """A function of float images and a seed for each chunk."""
    values = []
    for start, stop in images.spans():
        chunk = images.chunk(start, stop).astype(np.float32) / 255
        given = images.given(start, stop)
        noise = chunk_seed(seed, start, _OF_CODES)
        values.append(np.asarray(function(chunk, noise, *given)))
    return np.concatenate(values)
