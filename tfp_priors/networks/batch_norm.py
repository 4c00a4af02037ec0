"""Batch normalisation as the networks of this package use it."""

import keras
import tensorflow as tf

_MOMENTUM = 0.9
_EPSILON = 1e-5


class BatchNorm(keras.layers.BatchNormalization):
    """Keras' layer as one fused kernel.

    Statistics are float32 under every precision policy. Under several replicas the
    moments are those of the whole batch, so that N replicas equal one.
    """

    def __init__(self, momentum=_MOMENTUM, epsilon=_EPSILON, **kwargs):
        if "synchronized" not in kwargs:
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            kwargs["synchronized"] = replicas > 1
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=False, mask=None):
        training = training and self.trainable
        if training and self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        statistics = (self.moving_mean, self.moving_variance)
        # The variables themselves: the kernel wants float32 whatever the inputs are.
        gamma, beta, *moments = (
            tf.convert_to_tensor(v.value) for v in (self.gamma, self.beta, *statistics)
        )
        normalized, *moments = tf.raw_ops.FusedBatchNormV3(
            x=_as_images(inputs),
            scale=gamma,
            offset=beta,
            mean=[] if training else moments[0],
            variance=[] if training else moments[1],
            epsilon=self.epsilon,
            is_training=training,
        )[:3]
        if training:
            # The kernel's variance is the unbiased one, Keras' is not.
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            moments[1] *= (count - 1.0) / count
            for moving, value in zip(statistics, moments, strict=True):
                moving.assign(self.momentum * moving + (1.0 - self.momentum) * value)
        return tf.reshape(normalized, tf.shape(inputs))


def _as_images(x):
    """`[batch, height, width, channels]`, as the kernel wants it."""
    return x if x.shape.rank == 4 else tf.reshape(x, [-1, 1, 1, x.shape[-1]])
