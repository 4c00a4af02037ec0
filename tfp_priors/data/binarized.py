"""Images whose pixels are black or white."""

import tensorflow as tf

from tfp_priors.data.image_dataset import ImageDataset

# Of the pixels that do not change.
_SEED = 0


class BinarizedDataset(ImageDataset):
    """A data set whose pixels are white with the probability that their grey value is.

    Training batches draw their pixels anew (dynamic binarisation, Salakhutdinov &
    Murray 2008), a function of seed, step and worker; all else sees one draw of each
    image.

    Args:
      dataset: the grey images.
    """

    def __init__(self, dataset: ImageDataset):
        self._grey = dataset
        self.features = dataset.features
        self.factors = dataset.factors
        self.image_shape = dataset.image_shape

    @property
    def size(self) -> int:
        return self._grey.size

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        worker: int = 0,
        workers: int = 1,
    ) -> tf.data.Dataset:
        grey = self._grey.training_batches(
            batch_size, seed, start_step, worker, workers
        )

        def drawn(step, batch):
            draw = tf.random.experimental.stateless_fold_in([seed, worker], step)
            return batch | {"image": _drawn(batch["image"], draw)}

        steps = tf.data.Dataset.counter(start_step)
        dataset = tf.data.Dataset.zip(steps, grey)
        return dataset.map(drawn, tf.data.AUTOTUNE, deterministic=True)

    def split(self, share, seed):
        learned, held_out = self._grey.split(share, seed)
        return BinarizedDataset(learned), BinarizedDataset(held_out)

    def _read(self, index):
        examples = self._grey._read(index)
        image = tf.map_fn(
            lambda one: _drawn(one[0], tf.stack([_SEED, tf.cast(one[1], tf.int32)])),
            (examples["image"], index),
            fn_output_signature=tf.uint8,
        )
        return examples | {"image": image}


def _drawn(image, seed):
    """Bytes 0 and 255, these with the probability of the grey value."""
    noise = tf.random.stateless_uniform(tf.shape(image), seed, 0, 255, tf.int32)
    return tf.where(noise < tf.cast(image, tf.int32), tf.constant(255, tf.uint8), 0)
