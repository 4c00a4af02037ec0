import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tests.networks.test_people import standing
from tfp_priors.errors import UserError
from tfp_priors.networks import AppearanceEncoder
from tfp_priors.networks import UNetDecoder
from tfp_priors.networks.people import part_crops

SHAPE = (16, 16, 3)
LATENT = (4, 4, 10)


def images(seed=0, n=3):
    return np.random.RandomState(seed).uniform(size=(n, *SHAPE)).astype("f4")


def codes(seed=0, n=3):
    return np.random.RandomState(seed).normal(size=(n, *LATENT)).astype("f4")


@pytest.fixture
def encoder():
    layer = AppearanceEncoder(SHAPE, LATENT, crop_size=8, width=4, max_width=5)
    layer.build()
    randomize(layer)
    return layer


@pytest.fixture
def decoder():
    layer = UNetDecoder(SHAPE, width=3, max_width=5)
    layer.build(((None, *LATENT), (None, 15, 2)))
    randomize(layer)
    return layer


def test_the_encoder_sees_crops_alone(encoder):
    keypoints = standing()
    z = encoder((images(), keypoints)).numpy()
    assert z.shape == (3, *LATENT)
    # Another picture in another pose with the same crops has the same code.
    moved = np.zeros_like(images())
    moved[:, :, :-1] = images()[:, :, 1:]
    same = part_crops(images(), keypoints, 8).numpy()
    shifted = keypoints - np.array([1 / 16, 0], np.float32)
    np.testing.assert_allclose(part_crops(moved, shifted, 8), same, atol=1e-5)
    np.testing.assert_allclose(encoder((moved, shifted)), z, atol=1e-4)


def test_both_pictures_of_the_code_reach_the_image(decoder):
    z, keypoints = codes(), standing()
    image = decoder((z, keypoints)).numpy()
    assert image.shape == (3, *SHAPE)
    for part in (slice(0, 2), slice(2, None)):
        other = z.copy()
        other[..., part] += 1.0
        assert np.abs(decoder((other, keypoints)) - image).max() > 1e-3


def test_the_pose_reaches_the_image_by_skips(decoder):
    image = decoder((codes(), standing()))
    other = decoder((codes(), standing(seed=1, spread=0.1)))
    assert np.abs(other - image).max() > 1e-3
    # At full resolution: nothing but the first and last blocks.
    lowest = decoder._down[0]
    lowest.kernel.assign(tf.zeros_like(lowest.kernel))
    image = decoder((codes(), standing()))
    other = decoder((codes(), standing(seed=1, spread=0.1)))
    assert np.abs(other - image).max() > 1e-3


def test_every_variable_learns(encoder, decoder):
    keypoints = standing()
    with tf.GradientTape() as tape:
        image = decoder((encoder((images(), keypoints)), keypoints))
        loss = tf.reduce_mean(tf.square(image))
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]
    gradients = tape.gradient(loss, [v.value for v in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_keypoints_keep_their_digits_in_bfloat16():
    """Eight bits tell 256 pixels apart at best; crops must not move by whole ones."""
    keras.utils.set_random_seed(0)
    layer = AppearanceEncoder(SHAPE, LATENT, crop_size=8, width=4, max_width=5)
    layer.build()
    expected = layer((images(), standing())).numpy()
    for inner in layer._flatten_layers():
        inner.dtype_policy = "mixed_bfloat16"
    received = layer((images(), standing()))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        tf.cast(received, tf.float32), expected, atol=0.03 * scale
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((16, 12, 3), r" expects square images of 3 .*, received \(16, 12, 3\)"),
        ((16, 16, 1), r" expects square images of 3 .*, received \(16, 16, 1\)"),
        ((24, 24, 3), "'s image expects a side of 8, 16, 32 or .*, received 24"),
        ((4, 4, 3), "'s image expects a side of 8, 16, 32 or .*, received 4"),
    ],
)
def test_shapes_that_do_not_fit(shape, message):
    with pytest.raises(UserError, match=f"^UNetDecoder{message}"):
        UNetDecoder(shape)


def test_crops_that_do_not_fit():
    message = "^AppearanceEncoder.crop_size expects a side of 8, .*, received 12"
    with pytest.raises(UserError, match=message):
        AppearanceEncoder(SHAPE, LATENT, crop_size=12)


def test_latent_size_that_does_not_fit():
    for size in (80, (4, 4, 6)):
        with pytest.raises(UserError, match="with a multiple of 5 channels, received"):
            AppearanceEncoder(SHAPE, size, crop_size=8)
    with pytest.raises(UserError, match="a code of 4 x 4 pixels, received one of 8"):
        AppearanceEncoder(SHAPE, (8, 8, 5), crop_size=8)
