"""The statistics of batch normalisation over a training set, once it is trained."""

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.models import LatentVariableModel

# Wu & Johnson (2021) find 1,000 to 10,000 enough.
_IMAGES = 10_000
_BATCH_SIZE = 500


def recompute_batch_statistics(
    model: LatentVariableModel, dataset: ImageDataset, seed: int
) -> None:
    """Gives batch normalisation the moments that trained networks have on a set.

    The running ones are of weights that have moved on. The encoder's come first: the
    decoder then sees the codes that inference produces. Those of 10,000 images are
    taken, or of nearly all if there are fewer. Layers that are not trainable keep what
    they have.

    Args:
      model: whose `autoencoder` is trained, and not yet held fixed.
      dataset: the images that it was trained on.
      seed: of the choice of images and of the codes' noise.
    """
    size = min(_IMAGES, dataset.size)
    steps = -(-size // _BATCH_SIZE)
    size //= steps
    batches = dataset.training_batches(size, seed).take(steps)
    noise = tf.constant([seed, 0])

    def features(batch):
        condition = model.condition_of(batch)
        model.posterior_parameters(batch["image"], training=True, condition=condition)

    def outputs(batch):
        condition = model.condition_of(batch)
        z = model.sample_posterior(batch["image"], noise, condition)
        model.decode(z, training=True, condition=condition)

    for part, run in ((model.encoder, features), (model.decoder, outputs)):
        layers = [
            layer
            for layer in part._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        if layers:
            _recompute(layers, run, batches)


def _recompute(layers, run, batches):
    def moments(batch):
        for layer in layers:
            layer.moving_mean.assign(tf.zeros_like(layer.moving_mean))
            layer.moving_variance.assign(tf.zeros_like(layer.moving_variance))
        run(batch)
        # After one update from zero they are this share of the batch's own.
        return [
            (layer.moving_mean / share, layer.moving_variance / share)
            for layer in layers
            for share in [1.0 - layer.momentum]
        ]

    compiled = tf.function(moments, autograph=False)
    seen = [compiled(batch) for batch in batches]
    for layer, *per_batch in zip(layers, *seen, strict=True):
        means = np.stack([mean for mean, _ in per_batch]).astype("float64")
        variances = np.stack([variance for _, variance in per_batch]).astype("float64")
        layer.moving_mean.assign(means.mean(0))
        layer.moving_variance.assign(variances.mean(0) + means.var(0))
