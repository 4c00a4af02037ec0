import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.networks import ProgressiveDiscriminator
from tfp_priors.networks import ProgressiveGenerator
from tfp_priors.networks.progressive import EqualizedConv2D
from tfp_priors.networks.progressive import EqualizedDense
from tfp_priors.networks.progressive import pixel_norm
from tfp_priors.networks.progressive import with_minibatch_stddev

RANDOM = np.random.RandomState(0)
SHAPE = (16, 16, 3)
LATENTS = tf.constant(RANDOM.normal(size=(4, 5)), tf.float32)


def images(level, n=4):
    side = 4 * 2**level
    return tf.constant(RANDOM.uniform(-1, 1, (n, side, side, 3)), tf.float32)


def generator(**kwargs):
    network = ProgressiveGenerator(SHAPE, 5, channel_base=32, channel_max=6, **kwargs)
    network.build()
    return network


def discriminator(**kwargs):
    network = ProgressiveDiscriminator(SHAPE, channel_base=32, channel_max=6, **kwargs)
    network.build()
    return network


def convolved(x, kernel):
    """Correlation with zeros around, in float64."""
    size = kernel.shape[0] // 2
    x = np.pad(x, [(0, 0), (size, size), (size, size), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows, kernel)


def halved(x):
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def doubled(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


# Layers ------------------------------------------------------------------------


def test_dense_layer_by_hand():
    layer = EqualizedDense(3, gain=0.7)
    x = RANDOM.normal(size=(2, 5))
    layer.build(x.shape)
    layer.bias.assign([1.0, 2.0, 3.0])
    expected = x @ (0.7 / np.sqrt(5) * layer.kernel.numpy()) + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("resize", "size", "before", "after"),
    [
        (None, 1, np.array, np.array),
        (None, 3, np.array, np.array),
        ("up", 3, doubled, np.array),
        ("down", 3, np.array, halved),
    ],
)
def test_convolution_by_hand(resize, size, before, after):
    layer = EqualizedConv2D(4, size, resize)
    x = RANDOM.normal(size=(2, 6, 8, 3))
    layer.build(x.shape)
    layer.bias.assign([1.0, 2.0, 3.0, 4.0])
    # He et al. 2015: gain sqrt(2), fan_in the numbers that meet in one output.
    scale = np.sqrt(2.0) / np.sqrt(size * size * 3)
    kernel = scale * layer.kernel.numpy().astype(np.float64)
    expected = after(convolved(before(x), kernel)) + [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_weights_begin_with_unit_variance_and_keep_the_outputs():
    layer = EqualizedConv2D(64)
    layer.build((None, None, None, 64))
    # 36,864 draws: a standard error of 0.4%.
    np.testing.assert_allclose(layer.kernel.numpy().std(), 1.0, atol=0.02)
    x = RANDOM.normal(size=(2, 12, 12, 64))
    y = layer(x).numpy()[:, 1:-1, 1:-1]
    np.testing.assert_allclose(y.std(), np.sqrt(2), rtol=0.05)


def test_one_rate_for_all_weights():
    """The gradient of a weight has the scale's factor too (section 4.1)."""
    layer = EqualizedDense(3)
    x = tf.constant(RANDOM.normal(size=(2, 5)), tf.float32)
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x))
    gradient = tape.gradient(total, layer.kernel)
    expected = np.sqrt(2 / 5) * np.repeat(x.numpy().sum(0)[:, None], 3, axis=1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_pixel_norm_against_numpy():
    x = RANDOM.normal(size=(2, 3, 3, 5)).astype(np.float32)
    expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(pixel_norm(x), expected, rtol=1e-5)
    low = pixel_norm(tf.cast(300.0 * x, tf.float16))  # Squares beyond float16.
    assert low.dtype == tf.float16
    np.testing.assert_allclose(low, expected, rtol=4e-3)
    assert np.abs(pixel_norm(np.zeros((2, 3), np.float32))).max() == 0


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (4, 4), (2, 2), (3, 3)])
def test_minibatch_stddev_against_numpy(batch, group):
    x = RANDOM.normal(size=(batch, 2, 3, 5)).astype(np.float32)
    expected = np.empty((batch, 2, 3, 1))
    for start in range(0, batch, group):
        rows = slice(start, start + group)
        expected[rows] = np.sqrt(x[rows].var(0) + 1e-8).mean()
    received = with_minibatch_stddev(tf.constant(x), 4)
    np.testing.assert_array_equal(received[..., :5], x)
    np.testing.assert_allclose(received[..., 5:], expected, rtol=1e-5)
    unknown = tf.function(
        lambda x: with_minibatch_stddev(x, 4),
        input_signature=[tf.TensorSpec((None, 2, 3, 5))],
    )
    np.testing.assert_allclose(unknown(x), received, rtol=1e-6)


def test_batch_that_is_no_multiple_of_the_groups():
    with pytest.raises(UserError, match="groups of 4, received 6: choose 4 or 8"):
        discriminator()(images(0, 6), level=0)


# Growing -----------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 2])
def test_generator_at_both_ends_of_a_fade(level):
    network = generator()
    below = network(LATENTS, level=level - 1, alpha=tf.constant(1.0)).numpy()
    start = network(LATENTS, level=level, alpha=tf.constant(0.0))
    np.testing.assert_array_equal(start, doubled(below))
    end = network(LATENTS, level=level, alpha=tf.constant(1.0)).numpy()
    # The level's own output knows nothing of the way to the image below.
    for weight in network._to_image[level - 1].weights:
        weight.assign(tf.fill(weight.shape, 1e3))
    np.testing.assert_array_equal(network(LATENTS, level=level, alpha=1.0), end)
    for weight in network._to_image[level - 1].weights:
        weight.assign(tf.zeros(weight.shape))
    middle = network(LATENTS, level=level, alpha=tf.constant(0.25))
    np.testing.assert_allclose(middle, 0.25 * end, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", [1, 2])
def test_discriminator_at_both_ends_of_a_fade(level):
    network, x = discriminator(), images(level)
    pooled = tf.nn.avg_pool2d(x, 2, 2, "VALID")
    np.testing.assert_allclose(pooled, halved(x.numpy()), atol=1e-6)
    below = network(pooled, level=level - 1, alpha=tf.constant(1.0))
    start = network(x, level=level, alpha=tf.constant(0.0))
    np.testing.assert_array_equal(start, below)
    end = network(x, level=level, alpha=tf.constant(1.0)).numpy()
    for weight in network._from_image[level - 1].weights:
        weight.assign(tf.fill(weight.shape, 1e3))
    np.testing.assert_array_equal(network(x, level=level, alpha=1.0), end)
    assert np.abs(network(x, level=level, alpha=0.5) - end).max() > 1.0


def test_real_images_fade_as_generated_ones():
    network, full = discriminator(), images(2).numpy()
    half, quarter = halved(full), halved(halved(full))
    np.testing.assert_allclose(network.at_level(full, 0), quarter, atol=1e-6)
    for alpha in (0.0, 0.25, 1.0):
        received = network.at_level(full, 1, alpha)
        expected = alpha * half + (1 - alpha) * doubled(quarter)
        np.testing.assert_allclose(received, expected, atol=1e-6)
    np.testing.assert_array_equal(network.at_level(full, 2, 1.0), full)


def test_shapes_and_full_size():
    network = generator()
    for level, side in enumerate((4, 8, 16)):
        made = network(LATENTS, level=level)
        assert made.shape == (4, side, side, 3)
        view = network.full_size(made).numpy()
        assert view.shape == (4, *SHAPE)
        np.testing.assert_array_equal(view[:, :: 16 // side, :: 16 // side], made)
        assert discriminator()(made, level=level).shape == (4,)
    assert (network.levels, discriminator().levels) == (3, 3)


def test_the_length_of_a_latent_does_not_matter():
    network = generator()
    expected = network(LATENTS, level=2)
    np.testing.assert_allclose(network(7.0 * LATENTS, level=2), expected, atol=1e-4)


def test_channels_of_the_levels():
    """Those of table 2, and of the authors' code with smaller numbers."""
    paper = ProgressiveGenerator((1024, 1024, 3), 512)
    channels = [block.channels for block in paper._blocks]
    assert channels == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert [block.channels for block in generator()._blocks] == [6, 6, 4]
    mirror = ProgressiveDiscriminator((1024, 1024, 3))
    assert [block.channels for block in mirror._blocks] == channels[1:]


@pytest.mark.slow
def test_parameters_of_the_paper():
    """Table 2: 23.1 M in either network at 1024 x 1024."""
    for network in (
        ProgressiveGenerator((1024, 1024, 3), 512),
        ProgressiveDiscriminator((1024, 1024, 3)),
    ):
        network.build()
        assert round(network.count_params() / 1e6, 1) == 23.1


def test_config_round_trip():
    for network in (generator(), discriminator(group_size=2)):
        copy = type(network).from_config(network.get_config())
        copy.build()
        assert [v.shape for v in copy.weights] == [v.shape for v in network.weights]
        assert copy.get_config() == network.get_config()


def test_low_precision_keeps_latents_alpha_and_the_outputs_dtype():
    exact, low = generator(), generator()
    for a, b in zip(low.weights, exact.weights, strict=True):
        a.assign(b)
    for layer in low._flatten_layers():
        layer.dtype_policy = "mixed_bfloat16"
    # 0.001 would be lost beside 1 in bfloat16.
    alpha = tf.constant(0.999)
    expected = exact(LATENTS, level=2, alpha=alpha).numpy()
    received = low(LATENTS, level=2, alpha=alpha)
    assert received.dtype == tf.float32
    assert low._blocks[2]._stay.compute_dtype == "bfloat16"
    # 8 bits in each factor of 7 layers; pixel normalisation enlarges the error where
    # all features are small.
    assert np.abs(received - expected).mean() < 0.03 * np.abs(expected).mean()
    assert {v.dtype for v in low.weights} == {"float32"}


@pytest.mark.parametrize(
    "shape", [(16, 8, 3), (12, 12, 3), (4, 4, 3), (16, 16), (16, 16, 0), (0, 0, 1)]
)
def test_images_that_do_not_fit(shape):
    for make in (lambda s: ProgressiveGenerator(s, 5), ProgressiveDiscriminator):
        with pytest.raises(UserError, match="a power of two and at least 8, received"):
            make(shape)
