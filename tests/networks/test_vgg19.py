"""Against Keras Applications' own VGG19 and preprocessing, with random weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from tfp_priors.errors import UserError
from tfp_priors.networks import VGG19Features

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Keras' VGG19 and files of its weights, in the format of today and of 2016."""
    import h5py

    keras.utils.set_random_seed(0)
    whole = keras.applications.VGG19(include_top=False, weights=None)
    folder = tmp_path_factory.mktemp("vgg19")
    whole.save_weights(folder / "new.weights.h5")
    with h5py.File(folder / "old.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, whole)
    return whole, folder


@pytest.mark.parametrize("name", ["new.weights.h5", "old.h5"])
@pytest.mark.parametrize("channels", [1, 3])
def test_activations_are_those_of_keras(files, name, channels):
    whole, folder = files
    features = VGG19Features(LAYERS, str(folder / name))
    images = tf.random.stateless_uniform([2, 32, 24, channels], [1, 2])
    features.build((None, 32, 24, channels))
    received = features(images)
    colour = np.repeat(images, 3, axis=-1) if channels == 1 else np.array(images)
    prepared = keras.applications.vgg19.preprocess_input(255 * colour)
    names = [f"block{i}_conv1" for i in range(1, 5)]
    outputs = [whole.get_layer(name).output for name in names]
    expected = keras.Model(whole.inputs, outputs)([prepared])
    for a, b in zip(received, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_the_layers_of_the_variational_unet(files):
    whole, folder = files
    names = [f"relu{block}_2" for block in range(1, 6)]
    features = VGG19Features(("input", *names), str(folder / "old.h5"))
    images = tf.random.stateless_uniform([2, 32, 32, 3], [1, 2])
    features.build((None, 32, 32, 3))
    first, *received = features(images)
    np.testing.assert_array_equal(first, images)
    prepared = keras.applications.vgg19.preprocess_input(255 * np.array(images))
    outputs = [whole.get_layer(f"block{i}_conv2").output for i in range(1, 6)]
    expected = keras.Model(whole.inputs, outputs)([prepared])
    for a, b in zip(received, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_only_what_is_needed_is_there_and_none_of_it_learns():
    features = VGG19Features(("relu2_1", "relu1_2"), weights=None)
    features.build((None, 8, 8, 3))
    sizes = [int(np.prod(v.shape)) for v in features.weights]
    assert sum(sizes) == 9 * 3 * 64 + 64 + 9 * 64 * 64 + 64 + 9 * 64 * 128 + 128
    assert not features.trainable_variables
    first, second = features(tf.zeros([1, 8, 8, 3]))
    assert first.shape == (1, 4, 4, 128) and second.shape == (1, 8, 8, 64)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (("relu1_3",), "expects layers among relu1_1, .*, received relu1_3"),
        ((), "received none"),
        (("input",), "with or without input, received none"),
    ],
)
def test_unknown_layers(layers, message):
    with pytest.raises(UserError, match=message):
        VGG19Features(layers, weights=None)


def test_weights_of_another_network_and_of_none(tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "torn.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    for name in ("other.weights.h5", "torn.h5", "missing.h5"):
        features = VGG19Features(LAYERS, str(tmp_path / name))
        with pytest.raises(UserError, match=f"cannot be read from .*{name}.*notop.h5"):
            features.build((None, 8, 8, 3))
