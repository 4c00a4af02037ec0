"""DeepFashion's In-shop pictures with keypoints as a TFDS data set."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from tfp_priors.core import joints
from tfp_priors.data.deepfashion import Person
from tfp_priors.data.pictures import read_image
from tfp_priors.errors import UserError

_SIZE = 256


def stored(path: Path) -> bytes | np.ndarray:
    """A picture as it is stored.

    Returns:
      The file itself if it is an upright RGB JPEG of 256 x 256 pixels; else its pixels
      turned and scaled to that, uint8 `[256, 256, 3]`.

    Raises:
      UserError: if the picture is damaged or not square: to crop it would move the
        keypoints.
    """
    pixels = read_image(path, (_SIZE, _SIZE), 3)
    with Image.open(path) as picture:
        width, height = picture.size
        # TensorFlow decodes it, which knows nothing of orientations.
        is_upright = picture.getexif().get(0x0112, 1) == 1
        kept = (picture.format, picture.mode, width) == ("JPEG", "RGB", _SIZE)
    if width != height:
        raise UserError(
            f"The picture {path} has {width} x {height} pixels: expected a square one, "
            "as in img.zip of the In-shop benchmark. Pad it, and change its keypoints "
            "accordingly."
        )
    return path.read_bytes() if kept and is_upright else pixels


class DeepFashion(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """People of the In-shop Clothes Retrieval Benchmark, 256 x 256 pixels.

    Args:
      people: of each split, see `tfp_priors.data.deepfashion.read`; needed to prepare
        the set only.
      **kwargs: passed on to TFDS.
    """

    name = "deepfashion"
    needs_files = True
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, people: Mapping[str, Sequence[Person]] | None = None, **kwargs):
        self._people = people or {}
        super().__init__(**kwargs)

    def _info(self):
        shape = (len(joints.JOINTS), 2)
        return tfds.core.DatasetInfo(
            builder=self,
            description="In-shop clothes, with keypoints of the people who wear them.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(_SIZE, _SIZE, 3)),
                    "keypoints": tfds.features.Tensor(shape=shape, dtype=np.float32),
                }
            ),
            homepage="https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html",
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(people)
            for split, people in self._people.items()
        }

    def _generate_examples(self, people) -> Iterator:
        for person in people:
            image = stored(person.path)
            yield person.name, {"image": image, "keypoints": person.keypoints}
