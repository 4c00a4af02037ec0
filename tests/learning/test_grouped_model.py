import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.divergences import AdversarialDivergence
from tfp_priors.errors import UserError
from tfp_priors.learning.running_means import RunningMeans
from tfp_priors.models import Classifier
from tfp_priors.networks import MLP
from tfp_priors.priors import StandardNormalPrior

RANDOM = np.random.RandomState(0)
BATCH = {
    "image": tf.constant(RANDOM.rand(12, 4, 4, 1), tf.float32),
    "label": tf.constant(RANDOM.randint(0, 3, 12)),
}


class Network(keras.Sequential):
    """A network without batch statistics, of which parts of a batch are independent."""

    image_shape = (4, 4, 1)

    def __init__(self):
        super().__init__([keras.layers.Flatten(), keras.layers.Dense(8, "tanh")])


def classifier(rate=0.1, **kwargs):
    keras.utils.set_random_seed(0)
    model = Classifier(Network(), classes=3)
    model.compile(keras.optimizers.SGD(rate), jit_compile=False, **kwargs)
    return model


def weights(model):
    return [v.numpy() for v in model.trainable_variables]


def test_running_means_against_numpy():
    means = RunningMeans(("a", "b"))
    rows = [{"a": 1.0, "b": -2.0}, {"a": 4.0}, {"a": 7.0, "b": 5.0}]
    for row in rows:
        means.update_state(row)
    assert {k: float(v) for k, v in means.result().items()} == {"a": 4.0, "b": 1.5}
    means.reset_state()
    assert float(means.result()["a"]) == 0.0
    with pytest.raises(ValueError, match="received c: name it"):
        means.update_state({"c": 0.0})


def test_running_means_keep_nan():
    means = RunningMeans(("a",))
    for value in (1.0, float("nan"), 1.0):
        means.update_state({"a": value})
    assert np.isnan(means.result()["a"])


@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("parts", [2, 3])
def test_accumulated_parts_equal_the_whole_batch(parts, clip_norm):
    whole = classifier(clip_norm=clip_norm)
    split = classifier(clip_norm=clip_norm, accumulation=parts)
    for _ in range(3):
        expected, received = (m.train_step(BATCH) for m in (whole, split))
    assert set(expected) == set(received)
    for name, value in expected.items():
        np.testing.assert_allclose(received[name], value, rtol=1e-5)
    for a, b in zip(weights(split), weights(whole), strict=True):
        # Sums of 12 float32 terms in another order.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert np.abs(weights(split)[0] - weights(classifier())[0]).max() > 1e-3


def test_accumulated_parts_have_noise_of_their_own(monkeypatch):
    model = classifier(accumulation=3)
    objective, seeds = model.objective_on, set()

    def noted(batch, step, seed):
        seeds.add(tuple(seed.numpy()))
        return objective(batch, step, seed)

    monkeypatch.setattr(model, "objective_on", noted)
    model.train_step(BATCH)
    assert len(seeds) == 3


@pytest.mark.parametrize("accumulation", [1, 3])
def test_regularizers_of_weights_act(accumulation):
    """One step of SGD on L2(0.5) takes rate * w more from a kernel."""
    plain, decayed = classifier(), classifier(accumulation=accumulation)
    kernel = decayed.network.layers[-1].kernel
    start = kernel.numpy()
    kernel.regularizer = keras.regularizers.L2(0.5)
    losses = [model.train_step(BATCH)["loss"] for model in (plain, decayed)]
    np.testing.assert_allclose(*losses, rtol=1e-5)  # What is learned, without them.
    moved = plain.network.layers[-1].kernel.numpy() - kernel.numpy()
    np.testing.assert_allclose(moved, 0.1 * start, atol=1e-6)


def test_losses_of_layers_are_refused():
    network = Network()
    network.add(keras.layers.ActivityRegularization(l2=1.0))
    model = Classifier(network, classes=3)
    model.compile("sgd", jit_compile=False)
    with pytest.raises(UserError, match="has a loss of its own, by add_loss"):
        model.train_step(BATCH)
    # What does not learn may have one.
    network.trainable = False
    model.compile("sgd", jit_compile=False)
    model.train_step(BATCH)


def test_losses_of_layers_of_a_critic_are_refused(make_model):
    regularized = keras.layers.Dense(8, activity_regularizer=keras.regularizers.L2(1.0))
    critic = keras.Sequential([regularized, keras.layers.Dense(1)])
    model = make_model(divergence=AdversarialDivergence(critic))
    model.compile("sgd", jit_compile=False)
    with pytest.raises(UserError, match="has a loss of its own, by add_loss"):
        model.train_step({"image": tf.zeros([4, 8, 8, 1])})


def test_images_are_not_scaled_twice():
    network = Network()
    network.add(keras.layers.Rescaling(1 / 255))
    with pytest.raises(UserError, match="scales by 0.00392, for images in 0..255"):
        Classifier(network, classes=3).compile("sgd")
    network.add(keras.layers.Rescaling(255.0))
    Classifier(network, classes=3).compile("sgd")
    network.add(keras.layers.Rescaling(255.0))
    with pytest.raises(UserError, match="scales by 255, for images in 0..255"):
        Classifier(network, classes=3).compile("sgd")
    network.add(keras.layers.Dense(3))
    Classifier(network, classes=3).compile("sgd")


def test_a_factor_of_the_loss_by_hand_is_refused():
    with pytest.raises(UserError, match="leave loss_scale_factor out"):
        Classifier(Network(), classes=3).compile(
            keras.optimizers.SGD(loss_scale_factor=1024.0)
        )


def test_a_scale_of_the_user_is_not_scaled_again():
    model = Classifier(Network(), classes=3)
    mine = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    model.compile(mine, precision="mixed_float16")
    (scaled,) = model.optimizers.values()
    assert type(scaled.inner_optimizer) is keras.optimizers.SGD


def test_each_batch_of_an_accumulation_has_noise_of_its_own():
    seeds = []

    class Noisy(Classifier):
        def objective_on(self, batch, step, seed):
            seeds.append(tuple(seed.numpy()))
            return super().objective_on(batch, step, seed)

    model = Noisy(Network(), classes=3)
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model.compile(optimizer, run_eagerly=True)
    model.fit(tf.data.Dataset.from_tensors(BATCH).repeat(4), verbose=0, shuffle=False)
    assert len(seeds) == len(set(seeds)) == 4


def test_weights_without_decay_stay_so():
    optimizer = keras.optimizers.AdamW(0.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    model = Classifier(Network(), classes=3)
    model.compile(optimizer)
    (copy,) = model.optimizers.values()
    decayed = {v.name: copy._use_weight_decay(v) for v in model.trainable_variables}
    assert decayed == {"kernel": False, "bias": True}


def test_parts_that_do_not_divide():
    with pytest.raises(UserError, match="12 per replica .* train.accumulation = 5"):
        classifier(accumulation=5).train_step(BATCH)
    with pytest.raises(UserError, match="accumulation must be at least 1"):
        classifier(accumulation=0)
    dataset = tf.data.Dataset.from_tensor_slices(BATCH).batch(4)
    with pytest.raises(UserError, match="known size: use batch.*drop_remainder=True"):
        classifier(accumulation=2).fit(dataset, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"clip_norm": 1.0}, {"accumulation": 2}, {"precision": "mixed_float16"}],
)
def test_a_variable_that_the_loss_does_not_reach_stays(kwargs):
    class Unused(Network):
        def build(self, input_shape):
            super().build(input_shape)
            self.idle = self.add_weight(name="idle", shape=(3,), initializer="ones")

    model = Classifier(Unused(), classes=3)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False, **kwargs)
    before = weights(model)
    model.train_step(BATCH)
    np.testing.assert_array_equal(model.network.idle, np.ones(3))
    moved = [np.abs(a - b).max() for a, b in zip(weights(model), before, strict=True)]
    assert sum(move > 0 for move in moved) >= 4


def test_the_networks_alone_compute_in_less():
    model = classifier(precision="mixed_bfloat16")
    assert model.network.compute_dtype == "bfloat16"
    assert all(layer.compute_dtype == "bfloat16" for layer in model.network.layers)
    assert model._head.compute_dtype == "float32"
    assert {v.dtype for v in model.variables} == {"float32"}
    assert model(BATCH["image"]).dtype == tf.float32
    assert model.network(BATCH["image"]).dtype == tf.bfloat16


def test_a_precision_is_that_of_the_last_model_that_was_compiled():
    first = classifier()
    second = Classifier(first.network, classes=3)
    second.compile("sgd", precision="mixed_bfloat16", jit_compile=False)
    with pytest.raises(UserError, match="computes in mixed_bfloat16, .* compile again"):
        first.fit(BATCH, verbose=0)
    second.fit(BATCH, verbose=0)


def test_lists_of_results_begin_with_the_loss(make_model):
    """As Keras has them, and its idiom of `metrics_names`."""
    images, labels = (BATCH[name].numpy() for name in ("image", "label"))
    model = classifier()
    found = model.test_on_batch(images, labels, return_dict=True)
    assert model.test_on_batch(images, labels) == [found["loss"], found["accuracy"]]
    model = make_model()
    model.compile("sgd", jit_compile=False)
    images = RANDOM.rand(4, 8, 8, 1).astype("float32")
    found = model.evaluate(images, verbose=0, return_dict=True)
    values = model.evaluate(images, verbose=0)
    assert dict(zip(model.metrics_names, values, strict=False)) == found
    values = model.train_on_batch(images)
    assert values[0] == float(model.get_metrics_result()["loss"])


def test_a_loss_that_would_not_be_asked_is_told():
    class Own(Classifier):
        def compute_loss(self, *args, **kwargs):
            return 0.0

    with pytest.raises(UserError, match="Own.compute_loss would not be asked: overr"):
        Own(Network(), classes=3).compile("sgd")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_follows_float32(precision):
    exact, low = classifier(), classifier(precision=precision)
    for _ in range(10):
        exact.train_step(BATCH)
        low.train_step(BATCH)
    start = weights(classifier())
    for a, b, c in zip(weights(low), weights(exact), start, strict=True):
        # bfloat16 keeps 8 bits: each factor of a product is off by up to 2^-9.
        assert np.abs(a - b).max() < 0.02 * np.abs(b - c).max()


def test_an_overflow_leaves_the_step_out_and_halves_the_scale():
    model = classifier(precision="mixed_float16", clip_norm=1.0)
    optimizer = model.optimizers["classifier"]
    optimizer.dynamic_scale.assign(2.0**40)
    before = weights(model)
    logs = model.train_step(BATCH)
    assert all(np.isfinite(value) for value in logs.values())
    assert float(optimizer.dynamic_scale) == 2.0**39
    assert int(optimizer.iterations) == 0
    for a, b in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_loss_scaling_does_not_change_the_clipped_step():
    def step(scale):
        model = classifier(precision="mixed_float16", clip_norm=0.05)
        model.optimizers["classifier"].dynamic_scale.assign(scale)
        before = weights(model)
        logs = model.train_step(BATCH)
        moves = [a - b for a, b in zip(weights(model), before, strict=True)]
        assert float(logs["classifier_clipped_share"]) == 1.0
        return moves, float(logs["classifier_gradient_norm"])

    (small, small_norm), (large, large_norm) = step(2.0**4), step(2.0**12)
    np.testing.assert_allclose(small_norm, large_norm, rtol=1e-3)
    norm = np.sqrt(sum(np.sum(np.square(m)) for m in large))
    np.testing.assert_allclose(norm, 0.1 * 0.05, rtol=1e-3)
    for a, b in zip(small, large, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_without_a_likelihood_there_is_no_bound():
    with pytest.raises(UserError, match="^A Classifier has no likelihood that trainin"):
        classifier().bound_of(None)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            {"jit_compile": "never"},
            "jit_compile of True, False, auto, received 'never'",
        ),
        ({"steps_per_execution": 0}, "steps_per_execution must be at least 1"),
    ],
)
def test_arguments_that_are_none(argument, message):
    with pytest.raises(UserError, match=message):
        classifier().compile("sgd", **argument)


def test_unknown_precision():
    with pytest.raises(UserError, match="mixed_float16, received 'float8'"):
        classifier(precision="float8")


@pytest.mark.parametrize("steps", [0, 1])
def test_what_is_frozen_after_compile_is_told(make_model, steps):
    model = make_model()
    model.compile("sgd", jit_compile=False)
    images = RANDOM.rand(4, 8, 8, 1).astype("float32")
    for _ in range(steps):
        model.train_on_batch(images)
    model.prior.trainable = False
    for learn in (
        lambda: model.fit(images, verbose=0),
        lambda: model.train_on_batch(images),
    ):
        with pytest.raises(UserError, match="variables of the prior .* compile again"):
            learn()
    model.compile("sgd", jit_compile=False)
    model.fit(images, verbose=0)
    assert set(model.optimizers) == {"autoencoder"}


def test_a_frozen_discriminator_does_not_learn(make_model):
    divergence = AdversarialDivergence(MLP((4,), 1))
    model = make_model(divergence=divergence, prior=StandardNormalPrior(4))
    divergence.discriminator.trainable = False
    model.compile("sgd", jit_compile=False)
    before = divergence.get_weights()
    model.fit(RANDOM.rand(4, 8, 8, 1).astype("float32"), verbose=0)
    for old, new in zip(before, divergence.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
