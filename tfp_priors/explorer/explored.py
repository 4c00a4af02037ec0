"""A run as its visitors see it: draws, codes, paths, a map and edits, as arrays."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib.path import Path as Polygon

from tfp_priors import latent_space
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation import paths
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.evaluator import Neighbours
from tfp_priors.evaluation.images import in_chunks
from tfp_priors.evaluation.subject import compiled
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.models import GenerativeModel

#: Draws that are shown at once, and those among which a region is looked through.
DRAWS, MANY = 64, 4_096

# Shown of each split.
_NEIGHBOURS = 4

# Sets of draws that are kept: a page asks for the ends of a path at each step of it.
_KEPT = 8

# Codes on the map.
_ON_MAP = 3_000

_SPLIT = "test"


class Settings(NamedTuple):
    """How codes are drawn.

    Attributes:
      seed: the same one gives the images of `GenerativeModel.sample`.
      temperature: factor on the standard deviation of z0.
      given: number of the label, or numbers of the attributes, of a conditional model;
        others do without. None: not said, of a picture named by a text.
      guidance: see `Prior.guided`.
    """

    seed: int = 0
    temperature: float = 1.0
    given: tuple[int, ...] | None = ()
    guidance: float = 1.0


class Point(NamedTuple):
    """An image and its code.

    Attributes:
      image: `[height, width, channels]` in [0, 1].
      z: `[latent_size]`.
      given: what the code was made with, see `Settings`.
    """

    image: np.ndarray
    z: np.ndarray
    given: tuple[int, ...]


class Map(NamedTuple):
    """Codes of test images in the plane of their largest variance.

    Attributes:
      points: `[n, 2]`; row i is of the test image i.
      labels: `[n]`, or None.
      share: of the codes' variance, what the plane has.
      project: codes `[m, latent_size]` to the plane, `[m, 2]`.
    """

    points: np.ndarray
    labels: np.ndarray | None
    share: float
    project: Callable


class Explored:
    """A run that is looked at.

    Args:
      model: with a decoder; conditional on labels or attributes at most.
      load_dataset: maps the name of a split to an `ImageDataset`.
      name: what the page calls the run.

    Raises:
      UserError: if the model is conditional on something else.
    """

    def __init__(
        self,
        model: GenerativeModel,
        load_dataset: Callable[[str], ImageDataset],
        name: str,
    ):
        self.model, self.name = model, name
        conditioner = model.conditioner
        self.condition = None if conditioner is None else conditioner.argument
        if self.condition not in (None, "label", "attributes"):
            raise UserError(
                f"{name} is conditional on a {self.condition}, which the explorer does "
                "not know: see bin/figures --figures=poses,transfers,appearances."
            )
        self.has_encoder = model.has_encoder
        self.is_invertible = model.prior.is_invertible
        self.has_density = model.prior.has_density
        subject = subject_of_model(model, name, name)
        self._evaluator = Evaluator(subject, load_dataset)
        self._encode, self._decode = subject.encode, subject.decode
        self._log_prob = subject.log_prob
        # Unlike the subject's these know temperature and condition.
        self._sample = compiled(
            lambda n, seed, temperature, *given: model.rows(
                model.sample_prior(n, seed, temperature, *given)
            )
        )
        self._codes = functools.lru_cache(_KEPT)(self._drawn)
        self._to_base = compiled(model.to_base)
        self._from_base = compiled(lambda *z0: model.rows(model.from_base(*z0)))

    def dataset(self, split: str = _SPLIT) -> ImageDataset:
        """The split's images.

        Raises:
          UserError: if they are not there.
        """
        return self._evaluator.dataset(split)

    # Pictures and their codes -------------------------------------------------------

    def codes(self, settings: Settings, n: int = DRAWS) -> np.ndarray:
        """n draws of the prior, `[n, latent_size]`; the last ones are kept.

        Raises:
          UserError: if it cannot be drawn from so.
        """
        return self._codes(settings, n)

    def _drawn(self, settings, n):
        given = self._condition(settings.given, n)
        if given and self.model.has_guidance:
            given = (*given, settings.guidance)
        how = settings.seed, settings.temperature
        return self._sample(tf.constant(n), *how, *given).numpy()

    def decoded(self, z: np.ndarray, given: tuple[int, ...] = ()) -> np.ndarray:
        """Codes `[n, latent_size]` as images `[n, height, width, channels]`."""
        return self._decode(np.float32(z), *self._condition(given, len(z))).numpy()

    def draw(self, index: int, settings: Settings, of: int = DRAWS) -> Point:
        """One of `of` draws.

        Raises:
          UserError: if there is none of that number.
        """
        _check_index(index, of, "draw")
        z = self.codes(settings, of)[index]
        return Point(self.decoded(z[None], settings.given)[0], z, settings.given)

    def test_image(self, index: int) -> Point:
        """A test image, and its code given its own label or attributes.

        Raises:
          UserError: if there is none of that number, or no encoder.
        """
        _check_index(index, self.dataset().size, "test image")
        example = self.dataset().gather([index])
        given = ()
        if self.condition is not None:
            (own,) = np.asarray(example[self._evaluator.subject.condition])
            given = (own,) if self.condition == "label" else np.flatnonzero(own)
        return self._point(example["image"], tuple(map(int, given)))

    def picture(self, pixels: np.ndarray, given: tuple[int, ...] = ()) -> Point:
        """A picture from elsewhere, uint8 `[height, width, channels]`, and its code.

        Raises:
          UserError: if there is no encoder.
        """
        return self._point(np.float32(pixels)[None] / 255, given)

    def _point(self, images, given):
        if not self.has_encoder:
            raise UserError(f"{self.name} has no encoder: only draws have a code.")
        images = np.float32(images)
        codes = self._encode(images, *self._condition(given, 1)).numpy()
        return Point(images[0], codes[0], given)

    def log_density(
        self, z: np.ndarray, given: tuple[int, ...] = ()
    ) -> np.ndarray | None:
        """log p(z) in nats of codes `[n, latent_size]`; None without a density."""
        if not self.has_density:
            return None
        return self._log_prob(np.float32(z), *self._condition(given, len(z))).numpy()

    def neighbours(self, image: np.ndarray) -> dict[str, Neighbours]:
        """The images of each split that are nearest to one in pixels.

        A split that is not there is left out.
        """
        splits = [split for split in ("train", _SPLIT) if self._has(split)]
        return self._evaluator.neighbours(image[None], _NEIGHBOURS, splits)

    def _has(self, split):
        try:
            self.dataset(split)
        except UserError:
            return False
        return True

    # Paths --------------------------------------------------------------------------

    def along(
        self, a: np.ndarray, b: np.ndarray, t: np.ndarray, given: tuple[int, ...] = ()
    ) -> dict[str, np.ndarray]:
        """Codes on the way from a to b, section 5.2: slerp in z0, lerp in z.

        Args:
          a: code, `[latent_size]`.
          b: code, likewise.
          t: from 0 to 1, `[steps]`.
          given: see `Settings`.

        Returns:
          "z0", if z0 can be inferred, and "z": codes z, `[steps, latent_size]`.
        """
        return latent_space.paths_between(a, b, t, *self._maps(given))

    def _maps(self, given):
        """The maps from z to z0 and back, if z0 can be inferred."""

        def on_arrays(function):
            return lambda x: function(
                np.float32(x), *self._condition(given, len(x))
            ).numpy()

        if not self.is_invertible:
            return ()
        return on_arrays(self._to_base), on_arrays(self._from_base)

    # The map ------------------------------------------------------------------------

    def map(self) -> Map:
        """The map of the codes.

        Raises:
          UserError: if there is no encoder, or no plane.
        """

        def compute():
            if not self.has_encoder:
                raise UserError(f"{self.name} has no encoder: no map of its codes.")
            codes = self._evaluator.mean_codes(_SPLIT)
            plane = latent_space.principal_plane(codes)
            labels = self.dataset().features.get("label")
            return Map(
                plane.transform(codes[:_ON_MAP]),
                None if labels is None else np.asarray(labels)[:_ON_MAP],
                float(plane.explained_variance_ratio_.sum()),
                plane.transform,
            )

        return self._evaluator.cached("map", compute)

    def within(
        self, region: np.ndarray, settings: Settings
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """The first draws that lie in a region of the map.

        Args:
          region: corners of a polygon in the plane, `[corners, 2]`.
          settings: of `MANY` draws.

        Returns:
          Numbers of `DRAWS` of them at most, their codes, and the share of all draws
          that lies there.
        """
        codes = self.codes(settings, MANY)
        inside = Polygon(region).contains_points(self.map().project(codes))
        chosen = np.flatnonzero(inside)[:DRAWS]
        return chosen, codes[chosen], float(inside.mean())

    # Attributes ---------------------------------------------------------------------

    @functools.cached_property
    def attribute_count(self) -> int:
        """Number of attributes, or of classes; 0 if the data or the codes have none."""
        if not self.has_encoder:
            return 0
        try:
            return paths.attribute_count(self._evaluator, _SPLIT)
        except UserError:
            return 0

    @property
    def has_classes(self) -> bool:
        """Whether the attributes are classes, of which an image has one."""
        return "attributes" not in self.dataset().features

    def edited(
        self, z: np.ndarray, amounts: dict[int, float], given: tuple[int, ...] = ()
    ) -> dict[str, np.ndarray]:
        """A code moved along the vectors of attributes (section 5.2), in each space.

        Args:
          z: code, `[latent_size]`.
          amounts: lengths of the vectors; 1 leads from the mean code of images without
            the attribute to that of those with it.
          given: see `Settings`.

        Returns:
          Codes z by space, `[1, latent_size]`.

        Raises:
          UserError: if there is no such attribute.
        """
        for number in amounts:
            _check_index(number, self.attribute_count, "attribute")
        start, found = np.float32(z)[None], {}
        if maps := self._maps(given):
            to_base, from_base = maps
            found["z0"] = from_base(to_base(start) + self._shift("z0", amounts))
        return found | {"z": np.float32(start + self._shift("z", amounts))}

    def _shift(self, space, amounts):
        return sum(x * self._vector(space, i) for i, x in amounts.items() if x)

    def _vector(self, space, number):
        def codes():
            z = self._evaluator.mean_codes(_SPLIT)
            if space == "z":
                return z
            name = self._evaluator.subject.condition
            own = () if name is None else (self.dataset().features[name],)
            return in_chunks(self._to_base, z, *own)

        def vector():
            has = paths.attributes(self._evaluator, _SPLIT)[:, number]
            of_space = self._evaluator.cached(("all codes", space), codes)
            return latent_space.attribute_vector(of_space, has)

        return self._evaluator.cached(("vector", space, number), vector)

    # Conditions ---------------------------------------------------------------------

    @property
    def given_count(self) -> int:
        """Of a conditional model, the number of labels or of attributes; else 0."""
        return 0 if self.condition is None else self.model.conditioner.context_size

    def own(self, given: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """What is given, if the run takes any."""
        return () if self.condition is None and given else given

    def fitting(self, settings: Settings) -> Settings:
        """The settings without those that the run does not take."""
        settings = settings._replace(given=self.own(settings.given))
        if not self.model.has_guidance:
            settings = settings._replace(guidance=1.0)
        return settings

    def _condition(self, given, n):
        """What n codes are given, as the only item; nothing if the model takes none."""
        if self.condition is None:
            return ()
        for number in given:
            _check_index(number, self.given_count, self.condition)
        if self.condition == "attributes":
            one = np.isin(np.arange(self.given_count), given).astype(np.float32)
        elif len(given) == 1:
            one = np.int32(given[0])
        else:
            raise UserError(
                f"{self.name} is given one label: choose it, by given=NUMBER."
            )
        return (np.repeat(one[None], n, axis=0),)


def _check_index(index, size, what):
    if not size:
        raise UserError(f"There is no {what}.")
    if not 0 <= index < size:
        raise UserError(f"There is no {what} {index}: expected 0 to {size - 1}.")
