"""Images whose pixels are black or white."""

import tensorflow as tf

from tfp_priors.data.image_dataset import ImageDataset

# Of the pixels that do not change.
_SEED = 0


class BinarizedDataset(ImageDataset):
    """A data set whose pixels are white with the probability that their grey value is.

    Training batches draw their pixels anew (dynamic binarisation, Salakhutdinov &
    Murray 2008), a function of seed and step; all else sees one draw of each image, a
    function of its number.

    Args:
      dataset: the grey images.
      numbers: of the images, `[size]`; None: their places in the data set.
    """

    def __init__(self, dataset: ImageDataset, numbers: tf.Tensor | None = None):
        self._grey = dataset
        self._numbers = numbers
        self.features = dataset.features
        self.factors = dataset.factors
        self.stored = dataset.stored
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
            draw = tf.random.experimental.stateless_fold_in([seed, 0], step)
            # Of the images of all workers, as one would draw it.
            noise = _noise([batch_size, *self.image_shape], draw)
            first = worker * batch_size // workers
            noise = noise[first : first + batch_size // workers]
            return batch | {"image": _white(batch["image"], noise)}

        steps = tf.data.Dataset.counter(start_step)
        dataset = tf.data.Dataset.zip(steps, grey)
        return dataset.map(drawn, tf.data.AUTOTUNE, deterministic=True)

    def split(self, share, seed):
        parts = self._grey.split(share, seed)
        return tuple(BinarizedDataset(part, self._of(part.rows)) for part in parts)

    def read_picture(self, path, number=0, scale=True):
        grey = super().read_picture(path, number, scale)
        return _white(grey, _noise(self.image_shape, [_SEED, number])).numpy()

    def _of(self, index):
        """The numbers of images, as int32."""
        if self._numbers is not None:
            index = tf.gather(self._numbers, index)
        return tf.cast(index, tf.int32)

    def _read(self, index):
        examples = self._grey._read(index)
        noise = tf.map_fn(
            lambda i: _noise(self.image_shape, tf.stack([_SEED, i])), self._of(index)
        )
        return examples | {"image": _white(examples["image"], noise)}


def _noise(shape, seed):
    """Whole numbers from 0 to 254, as int32."""
    return tf.random.stateless_uniform(shape, seed, 0, 255, tf.int32)


def _white(image, noise):
    """Bytes 0 and 255, these with the probability of the grey value."""
    return tf.where(noise < tf.cast(image, tf.int32), tf.constant(255, tf.uint8), 0)
