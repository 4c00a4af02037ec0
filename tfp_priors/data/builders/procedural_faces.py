"""Drawn faces whose binary attributes are known, and some of them correlated."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from PIL import ImageDraw

#: In the order of the attribute vector, which is that of their names.
ATTRIBUTES = (
    "beard",
    "dark_background",
    "dark_hair",
    "glasses",
    "hat",
    "long_hair",
    "looks_left",
    "smile",
)

_SIZE = 128
# Drawn at this multiple of the size and scaled down: Pillow's lines are not smooth.
_OVERSAMPLING = 2
_EXAMPLES = {"train": 20_000, "test": 10_000}


def attributes_of(random: np.random.RandomState) -> dict[str, bool]:
    """Draws the attributes of a face.

    P(beard) is 0.05 with long hair and 0.45 without, P(hat) is 0.5 with glasses and
    0.15 without; glasses are rare (0.2); all other pairs are independent.
    """
    has = {
        name: random.rand() < share
        for name, share in {
            "dark_background": 0.5,
            "dark_hair": 0.6,
            "glasses": 0.2,
            "long_hair": 0.5,
            "looks_left": 0.5,
            "smile": 0.5,
        }.items()
    }
    has["beard"] = random.rand() < (0.05 if has["long_hair"] else 0.45)
    has["hat"] = random.rand() < (0.5 if has["glasses"] else 0.15)
    return {name: has[name] for name in ATTRIBUTES}


def face(seed: int, index: int) -> tuple[np.ndarray, dict[str, bool]]:
    """A face, a function of the seed and its number.

    Colours, the head's place and its proportions are drawn beside the attributes and
    independently of them.

    Returns:
      uint8 `[128, 128, 3]`, and the attributes by name.
    """
    random = np.random.RandomState([seed, index])
    has = attributes_of(random)
    scale = _SIZE * _OVERSAMPLING
    picture = Image.new("RGB", (scale, scale), _background(random, has))
    _draw(_Pen(ImageDraw.Draw(picture), scale), random, has)
    small = picture.resize((_SIZE, _SIZE), Image.Resampling.BOX)
    return np.asarray(small), has


class _Pen:
    """Draws symmetric shapes, in units of the picture's side."""

    def __init__(self, draw, scale):
        self._draw = draw
        self._scale = scale

    def _box(self, x, y, width, height):
        corners = (x - width, y - height, x + width, y + height)
        return [self._scale * c for c in corners]

    def _width(self, line):
        return max(1, round(self._scale * line))

    def ellipse(self, x, y, width, height, fill=None, outline=None, line=0.0):
        box = self._box(x, y, width, height)
        self._draw.ellipse(box, fill, outline, self._width(line))

    def rectangle(self, x, y, width, height, fill):
        self._draw.rectangle(self._box(x, y, width, height), fill)

    def sector(self, x, y, width, height, start, end, fill):
        self._draw.chord(self._box(x, y, width, height), start, end, fill)

    def arc(self, x, y, width, height, start, end, fill, line):
        box = self._box(x, y, width, height)
        self._draw.arc(box, start, end, fill, self._width(line))

    def line(self, x, y, x_end, y_end, fill, line):
        ends = [self._scale * c for c in (x, y, x_end, y_end)]
        self._draw.line(ends, fill, self._width(line))


def _shade(random, low, high):
    """A colour between two."""
    low, high = np.array(low), np.array(high)
    return tuple(int(c) for c in low + (high - low) * random.rand())


def _background(random, has):
    base = random.randint(0, 60, 3)
    return tuple(int(c) for c in (base + 20 if has["dark_background"] else base + 180))


def _draw(pen, random, has):
    """From the back to the front; what is drawn at random does not depend on `has`."""
    skin = _shade(random, (150, 100, 70), (250, 215, 185))
    dark = _shade(random, (20, 15, 10), (75, 50, 30))
    light = _shade(random, (190, 140, 50), (240, 215, 140))
    hair = dark if has["dark_hair"] else light
    shirt = tuple(int(c) for c in random.randint(30, 226, 3))
    cloth = tuple(int(c) for c in random.randint(30, 226, 3))
    x, y = 0.5 + random.uniform(-0.05, 0.05), 0.5 + random.uniform(-0.04, 0.04)
    width, height = random.uniform(0.2, 0.25), random.uniform(0.27, 0.31)
    black, white, red = (15, 15, 15), (245, 245, 245), (170, 50, 55)

    pen.ellipse(x, y + 0.62, 0.36, 0.26, shirt)
    pen.ellipse(x, y - 0.05, width + 0.05, height + 0.02, hair)
    if has["long_hair"]:
        pen.rectangle(x, y + 0.17, width + 0.05, 0.22, hair)
    pen.rectangle(x, y + height, 0.08, 0.1, skin)
    pen.ellipse(x, y, width, height, skin)
    if has["beard"]:
        pen.sector(x, y, width, height, 20, 160, hair)
        pen.ellipse(x, y + 0.13, 0.1, 0.05, skin)
    # A fringe of hair, under the hat if there is one.
    pen.sector(x, y - 0.02, width, height, 215, 325, hair)

    spacing, look = random.uniform(0.09, 0.11), -0.018 if has["looks_left"] else 0.018
    for side in (-1, 1):
        eye = x + side * spacing
        pen.ellipse(eye, y - 0.04, 0.045, 0.03, white)
        pen.ellipse(eye + look, y - 0.04, 0.02, 0.024, black)
        if has["glasses"]:
            pen.ellipse(eye, y - 0.04, 0.075, 0.065, None, black, 0.02)
            pen.line(
                eye + side * 0.07, y - 0.04, x + side * width, y - 0.06, black, 0.02
            )
    if has["glasses"]:
        pen.line(x - 0.03, y - 0.05, x + 0.03, y - 0.05, black, 0.02)
    pen.line(x, y, x + 0.015, y + 0.06, tuple(c * 3 // 4 for c in skin), 0.015)
    if has["smile"]:
        pen.sector(x, y + 0.1, 0.085, 0.07, 15, 165, white)
        pen.arc(x, y + 0.1, 0.085, 0.07, 15, 165, red, 0.018)
    else:
        pen.line(x - 0.06, y + 0.135, x + 0.06, y + 0.135, red, 0.025)
    if has["hat"]:
        top = y - height
        pen.rectangle(x, top - 0.01, width, 0.1, cloth)
        pen.rectangle(x, top + 0.09, width + 0.1, 0.022, cloth)


class ProceduralFaces(tfds.core.GeneratorBasedBuilder):
    """20,000 drawn faces to train and 10,000 to test, none in both."""

    name = "procedural_faces"
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Drawn faces with known binary attributes.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(_SIZE, _SIZE, 3)),
                    "attributes": {name: np.bool_ for name in ATTRIBUTES},
                }
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(seed, _EXAMPLES[split])
            for seed, split in enumerate(("train", "test"))
        }

    def _generate_examples(self, seed, examples) -> Iterator:
        for index in range(examples):
            image, attributes = face(seed, index)
            yield index, {"image": image, "attributes": attributes}
