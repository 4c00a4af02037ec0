"""Our input pipeline: images in memory, and JPEGs of a prepared folder."""

import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks import pictures
from benchmarks.common import shared_file
from tfp_priors import data

# Enough for the JPEGs, not for the images.
_ENCODED = 64 * 2**20


def versions():
    return {"tensorflow": tf.__version__}


def build(variant, case):
    del variant
    if case == "memory":
        images = pictures.arrays()[..., None]
        dataset = data.ImageDataset(images, {}, images.shape[1:])
    else:
        dataset = _jpeg({"jpeg": _ENCODED, "jpeg_streamed": 0}[case])
    batches = iter(dataset.training_batches(pictures.BATCH_SIZE, seed=0))
    return lambda: float(next(batches)["image"][0, 0, 0, 0])


def _jpeg(memory_limit):
    """The prepared folder, cropped, as a large set would be served."""
    folder = shared_file("prepared", _prepare)
    return data.load_dataset(
        "image_folder/pictures",
        data_dir=str(folder),
        crop_size=pictures.CROP,
        memory_limit=memory_limit,
    )


class _Pictures(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The JPEGs as they are, as in TFDS's CelebA; bin/prepare_data would scale them."""

    name = "image_folder"
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="pictures")]

    def _info(self):
        shape = (pictures.HEIGHT, pictures.WIDTH, 3)
        image = tfds.features.Image(shape=shape, encoding_format="jpeg")
        features = tfds.features.FeaturesDict({"image": image})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        folder = shared_file("pictures", pictures.write)
        for path in sorted(folder.glob("*.jpg")):
            yield path.name, {"image": str(path)}


def _prepare(folder):
    tfds.disable_progress_bar()
    _Pictures(data_dir=str(folder)).download_and_prepare()
