import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.commands import ROOT
from tests.commands import TINY
from tests.conftest import randomize
from tfp_priors import config
from tfp_priors.core.gradients import gradient_norm
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.evaluation.subject import subject_of_saved_model
from tfp_priors.export import export
from tfp_priors.models import ProgressiveGAN
from tfp_priors.networks import ProgressiveDiscriminator
from tfp_priors.networks import ProgressiveGenerator
from tfp_priors.networks import progressive
from tfp_priors.report import gallery
from tfp_priors.training import Adam
from tfp_priors.training import Trainer
from tfp_priors.training import create_strategy
from tfp_priors.training.workers import Workers

SHAPE = (16, 16, 1)
LATENT_SIZE = 5


def networks(shape=SHAPE, channels=4, **kwargs):
    """Small ones, with three levels at 16 x 16."""
    generator = ProgressiveGenerator(shape, LATENT_SIZE, channel_max=channels)
    return generator, ProgressiveDiscriminator(shape, channel_max=channels, **kwargs)


def uncompiled(seed=0, shape=SHAPE, steps_per_phase=2, **kwargs):
    return ProgressiveGAN(
        *networks(shape), steps_per_phase=steps_per_phase, seed=seed, **kwargs
    )


def adam(rate=1e-3):
    return Adam(rate, beta_1=0.0, beta_2=0.99, epsilon=1e-8)


def make(optimizer=adam, compiled=None, **kwargs):
    keras.utils.set_random_seed(0)
    model = uncompiled(**kwargs)
    optimizers = {name: optimizer() for name in ("generator", "discriminator")}
    model.compile(optimizers, **({"jit_compile": False} | (compiled or {})))
    return model


def images(n=8, seed=0, shape=SHAPE):
    return np.random.RandomState(seed).rand(n, *shape).astype(np.float32)


def batch(n=8, seed=0):
    return {"image": tf.constant(images(n, seed))}


def state(model):
    optimizers = model.optimizers.values()
    return [*model.weights, *(v for o in optimizers for v in o.variables)]


def numbers(variables):
    return [variable.numpy() for variable in variables]


# The schedule --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps_per_phase", "table"),
    [
        (
            (2, 4, 5),
            {
                0: (0, 1.0),
                1: (0, 1.0),
                2: (1, 0.0),
                3: (1, 0.25),
                5: (1, 0.75),
                6: (1, 1.0),
                9: (1, 1.0),
                10: (2, 0.0),
                11: (2, 0.2),
                15: (2, 1.0),
                10**6: (2, 1.0),
            },
        ),
        (3, {2: (0, 1.0), 3: (1, 0.0), 8: (1, 1.0), 9: (2, 0.0), 12: (2, 1.0)}),
    ],
)
def test_level_and_alpha_are_a_function_of_the_step(steps_per_phase, table):
    model = uncompiled(steps_per_phase=steps_per_phase)
    for step, (level, alpha) in table.items():
        received = model.phase(step)
        assert int(received.level) == level, step
        np.testing.assert_allclose(received.alpha, alpha, rtol=1e-6)
        shown = {name: float(v) for name, v in model.schedules(step).items()}
        expected = {"level": level, "resolution": 4 * 2**level, "alpha": alpha}
        assert shown == pytest.approx(expected)


@pytest.mark.slow
def test_one_trace_serves_all_phases():
    traces, shape = [], (8, 8, 1)

    class Counting(ProgressiveGAN):
        def train_step(self, data):
            traces.append(1)
            return super().train_step(data)

    model = Counting(*networks(shape), steps_per_phase=1)
    model.compile("adam", jit_compile=False)
    data = tf.data.Dataset.from_tensors({"image": images(shape=shape)}).repeat()
    before = numbers(model.weights)
    model.fit(data, steps_per_epoch=4, shuffle=False, verbose=0)
    assert len(traces) == 1
    assert int(model.steps_done) == 4 and int(model.phase(4).level) == 1
    for a, b, v in zip(before, numbers(model.weights), model.weights, strict=True):
        # Steps 0 to 3 have had all levels, and alpha between 0 and 1 at none.
        assert np.abs(a - b).max() > 0, v.path


def test_variables_of_later_levels_do_not_move():
    model = make(steps_per_phase=10)
    before = numbers(model.weights)
    for _ in range(2):
        model.train_step(batch())
    after = numbers(model.weights)
    blocks = model.generator._blocks, model.discriminator._blocks
    later = [
        *(v for block in (*blocks[0][1:], *blocks[1]) for v in block.weights),
        *(v for layer in model.generator._to_image[1:] for v in layer.weights),
        *(v for layer in model.discriminator._from_image[1:] for v in layer.weights),
    ]
    still = {v.path for v in later}
    averages = {v.path for v in model.averaged_generator.weights}
    moved = 0
    for a, b, v in zip(before, after, model.weights, strict=True):
        if v.path in still:
            np.testing.assert_array_equal(a, b, err_msg=v.path)
        elif v.path not in averages:
            moved += np.abs(a - b).max() > 0
    # Biases of 2 blocks with two layers each and 1 x 1 layers, and their kernels.
    assert moved == len(model.weights) - len(still) - len(averages)


# Losses ----------------------------------------------------------------------------


@pytest.fixture
def smooth(monkeypatch):
    """Differences need networks without the bends of leaky ReLU."""
    monkeypatch.setattr(progressive, "_activated", tf.nn.silu)


def draws(n=8, seed=1):
    random = np.random.RandomState(seed)
    z = random.normal(size=(n, LATENT_SIZE)).astype(np.float32)
    return tf.constant(z), tf.constant(random.rand(n, 1, 1, 1), tf.float32)


def test_losses_against_numpy():
    model, x, (z, shares) = make(gradient_penalty=7.0, drift=0.5), images(), draws()
    level, alpha = 1, tf.constant(0.3)

    def scores(pictures):
        return model.discriminator(pictures, level=level, alpha=alpha).numpy()

    pooled = x.reshape(8, 8, 2, 8, 2, 1).mean((2, 4))
    low = pooled.reshape(8, 4, 2, 4, 2, 1).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    real = 2 * (0.3 * pooled + 0.7 * low) - 1
    fake = model.generator(z, level=level, alpha=alpha).numpy()
    wasserstein = scores(real).mean() - scores(fake).mean()
    between = tf.constant((1 - shares) * real + shares * fake)
    with tf.GradientTape() as tape:
        tape.watch(between)
        score = model.discriminator(between, level=level, alpha=alpha)
    slope = tape.gradient(score, between).numpy()
    penalty = ((np.sqrt((slope**2).sum((1, 2, 3))) - 1) ** 2).mean()
    loss = -wasserstein + 7.0 * penalty + 0.5 * (scores(real) ** 2).mean()
    total, metrics = model.discriminator_terms(x, z, shares, level, alpha)
    np.testing.assert_allclose(total, loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["discriminator_loss"], loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["wasserstein"], wasserstein, atol=1e-5)
    np.testing.assert_allclose(metrics["gradient_penalty"], penalty, rtol=1e-4)
    total, metrics = model.generator_terms(z, level, alpha)
    np.testing.assert_allclose(total, -scores(fake).mean(), atol=1e-6)
    assert set(metrics) == {"generator_loss"}


@pytest.mark.slow
def test_gradient_norm_against_differences(smooth):
    """Each score also depends on the other images of its group."""
    _, discriminator = networks((8, 8, 1))
    discriminator.build()
    x = np.random.RandomState(0).uniform(-1, 1, (4, 8, 8, 1)).astype(np.float32)

    def total(x):
        scores = discriminator(x, level=1, alpha=tf.constant(0.4))
        return scores.numpy().astype(np.float64).sum()

    h, slopes = 1e-2, np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        slopes[place] = (total(up) - total(down)) / (2 * h)
    expected = np.sqrt((slopes**2).sum((1, 2, 3)))
    received = gradient_norm(
        lambda x: discriminator(x, level=1, alpha=tf.constant(0.4)), tf.constant(x)
    )
    np.testing.assert_allclose(received, expected, rtol=1e-3)


@pytest.mark.parametrize("group", ["generator", "discriminator"])
def test_gradients_against_differences(group, smooth):
    """Along a random direction, through the penalty's second derivative."""
    model, x, (z, shares) = make(), images(), draws()
    variables = model.variable_groups()[group]
    alpha = tf.constant(0.4)

    def loss():
        if group == "generator":
            return model.generator_terms(z, 1, alpha)[0]
        return model.discriminator_terms(x, z, shares, 1, alpha)[0]

    with tf.GradientTape() as tape:
        total = loss()
    gradients = tape.gradient(total, variables)
    assert [g is None for g in gradients].count(False) > 10
    random = np.random.RandomState(0)
    directions = [random.normal(size=v.shape).astype(np.float32) for v in variables]
    expected = sum(
        float(np.vdot(g, d))
        for g, d in zip(gradients, directions, strict=True)
        if g is not None
    )
    ends, h = [], 3e-3
    for sign in (1, -2):
        for variable, direction in zip(variables, directions, strict=True):
            variable.assign_add(sign * h * direction)
        ends.append(float(loss()))
    # float32 keeps 1e-7 of a loss near 5: 1e-4 of a slope near 1.
    slope = (ends[0] - ends[1]) / (2 * h)
    np.testing.assert_allclose(slope, expected, rtol=5e-3, atol=1e-3)


def test_average_against_numpy():
    # It reaches back half a phase, 2 steps.
    model = make(averaged=0.5, steps_per_phase=4, optimizer=lambda: adam(1e-2))
    expected = numbers(model.generator.weights)
    for a, b in zip(expected, model.averaged_generator.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    for _ in range(5):
        model.train_step(batch())
        for i, variable in enumerate(model.generator.weights):
            expected[i] = 0.5 * expected[i] + 0.5 * variable.numpy()
    moved = 0
    for a, b, v in zip(
        model.averaged_generator.weights,
        expected,
        model.generator.weights,
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        moved = max(moved, np.abs(a - v).max())
    assert moved > 1e-3
    assert not set(map(id, model.averaged_generator.variables)) & set(
        map(id, model.trainable_variables)
    )


def test_the_discriminator_learns_first_and_from_other_latents():
    model = make(optimizer=lambda: keras.optimizers.SGD(0.1))
    twin = make(optimizer=lambda: keras.optimizers.SGD(0.1))
    seed = model.step_seed(model.seed, 0)
    seeds = [tf.random.experimental.stateless_fold_in(seed, i) for i in (0, 1)]
    logs = model.train_step(batch())
    by_hand = {}
    for group, seed in zip(("discriminator", "generator"), seeds, strict=True):
        turn, gradients = twin._gradients(batch(), [group], 0, seed)
        twin.apply_gradients(group, gradients[group])
        by_hand |= turn.metrics
    assert set(logs) == set(by_hand)
    for name, value in by_hand.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-6)
    for a, b in zip(model.trainable_variables, twin.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_accumulation_averages_over_parts():
    model = make(shape=(8, 8, 1), compiled={"accumulation": 2})
    seed, whole = tf.constant([1, 2]), {"image": tf.constant(images(shape=(8, 8, 1)))}
    for group in ("discriminator", "generator"):
        turn, gradients = model._accumulated(whole, [group], 0, seed)
        parts = [
            model._gradients(
                {"image": whole["image"][4 * i : 4 * i + 4]},
                [group],
                0,
                tf.random.experimental.stateless_fold_in(seed, i),
            )
            for i in (0, 1)
        ]
        np.testing.assert_allclose(
            turn.loss, np.mean([part.loss for part, _ in parts]), rtol=1e-5
        )
        for i, gradient in enumerate(gradients[group]):
            expected = np.mean([g[group][i] for _, g in parts], axis=0)
            np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    data = tf.data.Dataset.from_tensors(whole).repeat()
    model.fit(data, steps_per_epoch=4, shuffle=False, verbose=0)
    assert int(model.steps_done) == 4


# Training --------------------------------------------------------------------------


def load_dataset(split, shape=SHAPE):
    random = np.random.RandomState(len(split))
    pictures = random.randint(0, 256, (50, *shape)).astype(np.uint8)
    return ImageDataset(pictures, {}, shape)


def trainer(steps, optimizer=adam, model=uncompiled, **kwargs):
    optimizers = dict.fromkeys(("generator", "discriminator", "prior"), optimizer)
    settings = {"batch_size": 8, "checkpoint_every": 3, "jit_compile": False}
    return Trainer(model, optimizers, steps, **(settings | kwargs))


@pytest.mark.slow
def test_resumes_exactly_within_a_fade(tmp_path):
    load = functools.partial(load_dataset, shape=(8, 8, 1))

    def model(seed):
        return uncompiled(seed, (8, 8, 1), steps_per_phase=4)

    whole = trainer(9, model=model).train(tmp_path / "whole", load)
    assert (tmp_path / "whole/samples/samples_00000009.png").is_file()
    first = trainer(6, model=model).train(tmp_path / "run", load)
    np.testing.assert_allclose(first.model.phase(6).alpha, 0.5)

    def other(seed):
        # Other weights, which the checkpoint must replace one and all.
        built = model(seed)
        randomize(built, seed=7)
        for weight in built.averaged_generator.weights:
            weight.assign_add(tf.ones(weight.shape))
        return built

    resumed = trainer(9, model=other).train(tmp_path / "run", load)
    assert resumed.start_step == 6 and int(resumed.model.steps_done) == 9
    # Counters, moments and rates of two optimizers, a mean, a step count and weights.
    assert len(state(whole.model)) > 3 * len(whole.model.trainable_variables)
    for a, b in zip(state(resumed.model), state(whole.model), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def trained(strategy, batch_size=8, steps=6):
    """State before and after steps through two fades, and the last means."""
    # Adam's first steps are of one length, whatever the gradient is: they would
    # enlarge the rounding of gradients near 0.
    model = trainer(
        steps,
        lambda: keras.optimizers.SGD(1e-2),
        batch_size=batch_size,
        strategy=strategy,
        clip_norm=5.0,
    ).compiled_model()
    before = numbers(model.weights)
    data = {"image": images(steps * batch_size).reshape(steps, batch_size, *SHAPE)}
    dataset = Workers(create_strategy(strategy)).distributed(
        tf.data.Dataset.from_tensor_slices(data)
    )
    history = model.fit(dataset, shuffle=False, verbose=0, steps_per_epoch=steps)
    return before, numbers(model.weights), history.history


@pytest.mark.slow
def test_two_replicas_equal_one():
    (before, one, means), (same, two, means_of_two) = map(
        trained, ("one_device", "mirrored")
    )
    moved = 0.0
    for a, b, x in zip(before, same, one, strict=True):
        np.testing.assert_array_equal(a, b)
        if a.dtype == np.float32:
            moved = max(moved, np.abs(x - a).max())
    assert moved > 1e-3
    # Sums of float32 in another order.
    for x, y in zip(one, two, strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=1e-4 * moved)
    for name, value in means.items():
        np.testing.assert_allclose(
            means_of_two[name], value, rtol=1e-4, atol=1e-5, err_msg=name
        )


@pytest.mark.slow
def test_shares_that_divide_a_group_are_refused():
    assert trained("one_device", batch_size=2, steps=1)
    for size in (4, 12):
        with pytest.raises(UserError, match="train.batch_size = 8, or a multiple"):
            trained("mirrored", batch_size=size, steps=1)
    with pytest.raises(UserError, match="groups of 4, received 6"):
        trained("one_device", batch_size=6, steps=1)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_follows_float32(precision):
    exact, low = make(), make(compiled={"precision": precision})
    for optimizer in low.optimizers.values():
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # Where it comes to rest; the first value is meant to overflow.
            optimizer.dynamic_scale.assign(16.0)
    assert low.discriminator._head._conv.compute_dtype == precision[6:]
    for model in (exact, low):
        model.steps_done.assign(3)  # In a fade.
    expected, received = (model.train_step(batch()) for model in (exact, low))
    assert set(expected) == set(received)
    for name, value in expected.items():
        # Scores are sums of some hundred products with 8 bits each.
        bound = 0.05 * max(1.0, abs(float(value)))
        assert abs(float(received[name]) - float(value)) < bound, name
    assert {v.dtype for v in low.trainable_variables} == {"float32"}
    for v in state(low):
        assert np.isfinite(v).all(), v.path


@pytest.mark.slow
def test_xla_compiles_all_levels_into_one_step():
    """Its normal draws are others, so gradients are compared on given latents."""
    model, x, (z, shares) = make(steps_per_phase=1), images(), draws()

    def gradients():
        with tf.GradientTape() as tape:
            loss, _ = model.discriminator_terms(x, z, shares, 1, tf.constant(0.4))
        found = tape.gradient(loss, model.discriminator.trainable_variables)
        return [g for g in found if g is not None]

    compiled = tf.function(gradients, jit_compile=True)()
    for a, b in zip(compiled, gradients(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    # As `fit` would; under op determinism, as in these tests, Keras does without XLA.
    step = tf.function(model.train_step, jit_compile=True, autograph=False)
    before = numbers(model.trainable_variables)
    for _ in range(6):
        logs = step(batch())
    assert all(np.isfinite(value) for value in logs.values())
    assert int(model.steps_done) == 6
    for a, b in zip(before, model.trainable_variables, strict=True):
        assert np.abs(a - b).max() > 0, b.path


@pytest.mark.slow
def test_the_samples_mean_comes_to_the_datas():
    """Images of one brightness each, 0.85 on average, through a fade."""
    random = np.random.RandomState(0)
    bright = random.normal(0.85, 0.05, (400, 1, 1, 1)) * np.ones((8, 8, 1))
    data = tf.data.Dataset.from_tensor_slices({"image": bright.astype(np.float32)})
    model = make(
        shape=(8, 8, 1),
        steps_per_phase=100,
        averaged=0.2,
        optimizer=lambda: adam(5e-3),
    )
    assert abs(float(tf.reduce_mean(model.sample(64))) - 0.85) > 0.2
    model.fit(data.repeat().batch(8), steps_per_epoch=300, shuffle=False, verbose=0)
    assert abs(float(tf.reduce_mean(model.sample(64))) - 0.85) < 0.1


def test_diagnosis_and_summary():
    model = make()
    scalars, pictures = model.summary_of(batch())
    assert not scalars and pictures["samples"].shape == (100, *SHAPE)
    assert "samples: mean" in model.diagnosis(images())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"steps_per_phase": 0}, "steps_per_phase must be at least 1"),
        ({"steps_per_phase": (1, 2)}, r"each of the 3 levels, received \(1, 2\)"),
        ({"averaged": 1.5}, r"averaged must be a number in \[0, 1\], received"),
        ({"drift": -1.0}, r"drift must be a number in \[0, inf\)"),
    ],
)
def test_bad_numbers(kwargs, message):
    with pytest.raises(UserError, match=message):
        uncompiled(**kwargs)


def test_networks_and_data_that_do_not_fit():
    with pytest.raises(UserError, match="images of one shape"):
        ProgressiveGAN(networks((8, 8, 1))[0], networks()[1])
    with pytest.raises(UserError, match="IMAGE_SHAPE"):
        uncompiled().check_data((8, 8, 1), {})


# Pictures ----------------------------------------------------------------------------


def test_decode_is_the_average_at_the_present_level():
    model = make()
    randomize(model.generator, scale=1.0)
    z = draws(70)[0]
    for step, level, alpha in ((0, 0, 1.0), (3, 1, 0.5), (6, 2, 0.0), (99, 2, 1.0)):
        model.steps_done.assign(step)
        made = model.averaged_generator(z, level=level, alpha=alpha).numpy()
        factor = 16 // made.shape[1]
        expected = np.clip((made + 1) / 2, 0, 1).repeat(factor, 1).repeat(factor, 2)
        # Parts of 32 images: convolutions may add up in another order than for 70.
        np.testing.assert_allclose(model.decode(z), expected, atol=5e-6)
    assert model(z).shape == (70, *SHAPE)
    # What is drawn belongs to the prior's codes.
    codes = model.sample_prior(5, seed=3)
    np.testing.assert_allclose(model.sample(5, seed=3), model.decode(codes), atol=1e-6)
    np.testing.assert_array_equal(model.to_base(codes), codes)
    expected = -0.5 * (codes.numpy() ** 2 + np.log(2 * np.pi)).sum(1)
    np.testing.assert_allclose(model.log_prob(codes), expected, rtol=1e-5)


def test_keras_ways_to_predict_take_codes():
    model = make()
    z = np.random.RandomState(0).randn(3, LATENT_SIZE).astype(np.float32)
    for received in (model.predict(z, verbose=0), model.predict_on_batch(z)):
        np.testing.assert_allclose(received, model.decode(z), atol=1e-5)


def test_export_and_sample(tmp_path):
    model = make()
    model.steps_done.assign(3)
    export(model, tmp_path / "saved")
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    expected = model.sample(40, seed=2)
    np.testing.assert_allclose(saved.sample(40, 2, 1.0), expected, atol=1e-6)
    z = model.sample_prior(40, seed=2)
    np.testing.assert_allclose(saved.decode(z), expected, atol=1e-6)
    names = {"sample", "decode", "log_prob", "to_base", "from_base"}
    assert names <= set(saved.signatures)
    assert not {"encode", "reconstruct"} & set(saved.signatures)
    subject = subject_of_saved_model(tmp_path / "saved")
    assert subject.image_shape == SHAPE and subject.encode is None


def test_metrics_and_figures_without_an_encoder(tmp_path):
    subject = subject_of_model(make(), "sum", "the run", 3)
    evaluator = Evaluator(subject, load_dataset)
    for name, part in {
        "two_sample_accuracy_mlp_test": "encoder",
        "active_units_test": "encoder",
        "nll10_iw2_test": "that all have a density",
        "reconstruction_error10_test": "reconstructions",
    }.items():
        with pytest.raises(UserError, match=f"the run has no .*{part}") as error:
            evaluator.evaluate(name)
        assert "\n" not in str(error.value)
    (result,) = evaluator.evaluate("memorization_pixels20")
    assert 0 <= result["value"] <= 1
    choice = {"attribute": 0, "pairs": 4}
    drawn = {"samples", "neighbours"}
    for name, figure in gallery.FIGURES.items():
        if name in drawn:
            figure(evaluator, tmp_path, **choice)
        else:
            with pytest.raises(UserError, match="the run has no|no labels"):
                figure(evaluator, tmp_path, **choice)
    assert {path.stem for path in tmp_path.iterdir()} == drawn


@pytest.mark.slow
def test_a_run_is_read_back(tmp_path, monkeypatch):
    def fake(split, data_dir=None):
        del data_dir
        return load_dataset(split, (8, 8, 3))

    monkeypatch.setattr(config, "_load_dataset", fake)
    gin_file = str(ROOT / "gin" / "procedural_faces_pggan.gin")
    params = [
        *TINY,
        "train.steps = 2",
        "STEPS_PER_PHASE = 1",
        "LATENT_SIZE = 4",
        "IMAGE_SHAPE = (8, 8, 3)",
    ]
    result = config.train(tmp_path / "run", [gin_file], params)
    run = config.load_run(tmp_path / "run")
    assert run.step == int(run.model.steps_done) == 2
    np.testing.assert_array_equal(run.model.sample(3), result.model.sample(3))
    gin_file = str(ROOT / "gin" / "mnist_ae.gin")
    with pytest.raises(UserError, match="of a ProgressiveGAN: expected one of a Lat"):
        config.train(tmp_path / "other", [gin_file], TINY, autoencoder=tmp_path / "run")


def test_the_paper_and_its_code_set_the_optimizers():
    config.parse([str(ROOT / "gin" / "procedural_faces_pggan.gin")], TINY)
    model = config.trainer().compiled_model()
    for optimizer in model.optimizers.values():
        settings = optimizer.get_config()
        assert (settings["beta_1"], settings["beta_2"]) == (0.0, 0.99)
        assert settings["epsilon"] == 1e-8
        np.testing.assert_allclose(settings["learning_rate"], 1e-3, rtol=1e-6)
    assert (model.gradient_penalty, model.drift, model.averaged) == (10.0, 0.001, 0.02)
    assert model.clip_norm is None and model.discriminator.group_size == 4
