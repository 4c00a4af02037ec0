"""Layers of a user that would not do what they are for."""

import keras
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.learning.compile_checks import check_layers
from tfp_priors.models import Classifier


def network(**kwargs):
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(name="norm", **kwargs),
        ]
    )


def test_replicas_normalise_together():
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = Classifier(network(), classes=2)
        with pytest.raises(UserError, match="The layer norm would normalise each"):
            model.compile("sgd")
        Classifier(network(synchronized=True), classes=2).compile("sgd")


def test_one_device_and_frozen_layers_may_normalise_as_they_like():
    check_layers(network(), replicas=1)
    check_layers(network(trainable=False), replicas=2)
