import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors.divergences import AdversarialDivergence
from tfp_priors.divergences import KLDivergence
from tfp_priors.divergences import MMDDivergence
from tfp_priors.errors import UserError
from tfp_priors.learning.code_model import CodeModel
from tfp_priors.likelihoods import PerceptualLikelihood
from tfp_priors.models import POSTERIOR
from tfp_priors.models import LatentVariableModel
from tfp_priors.networks import MLP
from tfp_priors.networks import VGG19Features
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.posteriors import FixedScaleNormalPosterior
from tfp_priors.posteriors import NormalPosterior
from tfp_priors.priors import GeneratorPrior
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior
from tfp_priors.training import CyclicalAnnealing
from tfp_priors.training import LinearAnnealing
from tfp_priors.training import create_strategy

SEED = tf.constant([1, 2])


def images(n=8, shape=(8, 8, 1)):
    return tf.random.stateless_uniform([n, *shape], [3, 4])


def dataset(n=8, seeds=3):
    batches = [tf.random.stateless_uniform([n, 8, 8, 1], [i, 0]) for i in range(seeds)]
    return tf.data.Dataset.from_tensor_slices({"image": tf.stack(batches)})


def compiled(model, rate=1e-2):
    # Keras refuses XLA under op determinism; test_commands trains with it.
    model.compile(keras.optimizers.Adam(rate), jit_compile=False)
    return model


def gradients(model, beta):
    groups = model.variable_groups()
    with tf.GradientTape() as tape:
        loss = model.objective(images(), beta, SEED, training=True).loss
    return tape.gradient(loss, groups)


def assert_same(first, second, **tolerance):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def test_at_beta_zero_the_prior_does_not_touch_the_autoencoder(make_model):
    model = make_model(posterior=FixedScaleNormalPosterior(4))
    before = gradients(model, 0.0)["autoencoder"]
    randomize(model.prior, scale=1.0)
    after = gradients(model, 0.0)["autoencoder"]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    pushed = gradients(model, 1.0)["autoencoder"]
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(after, pushed, strict=True))


def test_the_priors_gradient_does_not_depend_on_beta(make_model):
    model = make_model(posterior=NormalPosterior(4))
    randomize(model.prior)
    expected = gradients(model, 1.0)["prior"]
    for beta in (0.0, 0.1, tf.constant(0.3)):
        assert_same(gradients(model, beta)["prior"], expected, rtol=1e-4, atol=1e-6)
    assert all(np.abs(gradient).max() > 0 for gradient in expected)


def test_objective_adds_up(make_model):
    model = make_model(posterior=NormalPosterior(4), prior=StandardNormalPrior(4))
    objective = model.objective(images(), 0.3, SEED)
    metrics = objective.metrics
    expected = metrics["reconstruction"] + 0.3 * metrics["kl"]
    np.testing.assert_allclose(objective.loss, expected, rtol=1e-5)


@pytest.mark.parametrize("frozen", ["autoencoder", "prior"])
def test_a_step_moves_only_its_group(make_model, frozen):
    model = make_model()
    rates = {"autoencoder": 1e-2, "prior": 1e-2} | {frozen: 0.0}
    optimizers = {name: keras.optimizers.Adam(rate) for name, rate in rates.items()}
    model.compile(optimizers, jit_compile=False)
    groups = model.variable_groups()
    before = {name: [v.numpy() for v in group] for name, group in groups.items()}
    model.fit(dataset(), verbose=0, shuffle=False)
    for name, group in groups.items():
        moved = [
            np.abs(v - old).max() > 0
            for v, old in zip(group, before[name], strict=True)
        ]
        assert not any(moved) if name == frozen else all(moved)


def test_groups_are_disjoint_and_complete(make_model):
    model = make_model()
    groups = [v.path for group in model.variable_groups().values() for v in group]
    assert len(groups) == len(set(groups))
    assert sorted(groups) == sorted(v.path for v in model.trainable_variables)


@pytest.mark.parametrize("clip_norm", [1e-3, 1e9])
def test_clipping_is_by_the_groups_norm(make_model, clip_norm):
    model = make_model()
    rates = {"autoencoder": 1.0, "prior": 0.0}
    optimizers = {name: keras.optimizers.SGD(rate) for name, rate in rates.items()}
    model.compile(optimizers, clip_norm=clip_norm, jit_compile=False)
    expected = gradients(model, 0.0)["autoencoder"]
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in expected))
    variables = model.variable_groups()["autoencoder"]
    before = [v.numpy() for v in variables]
    logs = model.train_step({"image": images()})
    np.testing.assert_allclose(logs["autoencoder_gradient_norm"], norm, rtol=1e-5)
    assert float(logs["autoencoder_clipped_share"]) == (norm > clip_norm)
    scale = min(1.0, clip_norm / norm)
    for variable, old, gradient in zip(variables, before, expected, strict=True):
        np.testing.assert_allclose(
            old - variable, scale * gradient, rtol=1e-2, atol=1e-7
        )


def test_each_group_may_have_a_norm_of_its_own(make_model):
    model = make_model()
    norms = {"autoencoder": 1e-3}
    model.compile(keras.optimizers.SGD(1.0), clip_norm=norms, jit_compile=False)
    expected = gradients(model, 0.0)["prior"]
    variables = model.variable_groups()
    before = {name: [v.numpy() for v in group] for name, group in variables.items()}
    logs = model.train_step({"image": images()})
    assert float(logs["autoencoder_clipped_share"]) == 1.0
    assert "prior_clipped_share" not in logs and model.clip_norm == norms
    moves = [v - old for v, old in zip(variables["autoencoder"], before["autoencoder"])]
    norm = np.sqrt(sum(np.sum(np.square(move)) for move in moves))
    np.testing.assert_allclose(norm, 1e-3, rtol=1e-2)
    # The prior's gradient is taken whole.
    for variable, old, gradient in zip(
        variables["prior"], before["prior"], expected, strict=True
    ):
        np.testing.assert_allclose(old - variable, gradient, rtol=1e-2, atol=1e-5)


def test_posterior_noise_is_a_function_of_seed_and_step(make_model):
    def losses(seed):
        keras.utils.set_random_seed(0)
        model = compiled(make_model(posterior=NormalPosterior(4), seed=seed), rate=0.0)
        same = tf.data.Dataset.from_tensors({"image": images()}).repeat(2)
        seen = []
        log = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda _, logs: (
                seen.append(float(logs["kl"])),
                model.reset_metrics(),
            )
        )
        model.fit(same, verbose=0, shuffle=False, callbacks=[log])
        return seen

    first, again, other = losses(1), losses(1), losses(2)
    assert first == again
    assert first[0] != first[1]
    assert first != other


def test_annealed_beta_is_used(make_model):
    model = make_model(posterior=NormalPosterior(4), beta=LinearAnnealing(0.5, 10))
    assert model.beta_at(5) == 0.25

    def gradient(step):
        """Of the autoencoder's loss at a step, with the same noise."""
        with tf.GradientTape() as tape:
            seed = tf.constant([1, 2])
            loss = model.objective_on({"image": images()}, step, seed).loss
        group = model.variable_groups()["autoencoder"]
        return np.concatenate([np.ravel(g) for g in tape.gradient(loss, group)])

    start, half, whole = map(gradient, (0, 5, 10))
    # Linear in beta, which is 0 at the start.
    np.testing.assert_allclose(half - start, (whole - start) / 2, rtol=1e-2, atol=1e-5)
    assert np.abs(whole - start).max() > 1e-3
    compiled(model).fit(dataset(), verbose=0, shuffle=False)
    assert model.optimizer.iterations == 3


@pytest.mark.parametrize(
    "prior", [RealNVPPrior(4, couplings=1, hidden_sizes=(16,)), StandardNormalPrior(4)]
)
def test_weights_of_more_than_the_model_are_told(make_model, prior, tmp_path):
    path = tmp_path / "a.weights.h5"
    saved = compiled(make_model())
    saved.train_on_batch(images())
    saved.save_weights(path)
    with pytest.raises(
        UserError, match="has weights of another model, such as .*: bui"
    ):
        make_model(prior=prior).load_weights(path)
    make_model().load_weights(path)


class Falling:
    """Of a user: from 4 to its `value`, in a step."""

    value = 0.0

    def __call__(self, step):
        return tf.where(step < 1, 4.0, self.value)


def test_a_schedule_is_zero_if_it_always_is(make_model):
    falling = make_model(posterior=NormalPosterior(4), beta=Falling())
    assert falling.beta_at(tf.constant(0)) == 4.0
    assert make_model(beta=LinearAnnealing(0.0, 10)).beta == 0.0
    assert make_model(beta=CyclicalAnnealing(0.0)).beta == 0.0


def test_round_trip_of_every_variable(make_model, tmp_path):
    model = compiled(make_model(posterior=NormalPosterior(4)))
    model.fit(dataset(), verbose=0, shuffle=False)
    path = tmp_path / "state.weights.h5"
    model.save_weights(path)
    keras.utils.set_random_seed(1)
    other = compiled(make_model(posterior=NormalPosterior(4)))
    other.load_weights(path)

    def state(m):
        return [
            *m.variables,
            *(v for o in m.optimizers.values() for v in o.variables),
        ]

    assert set(other.optimizers) == {"autoencoder", "prior"}
    for optimizer in other.optimizers.values():
        assert optimizer.iterations == 3
    # Weights, two Adam moments each, steps and rates.
    trainable = len(model.trainable_variables)
    assert len(state(model)) >= 3 * trainable + 4
    for saved, loaded in zip(state(model), state(other), strict=True):
        np.testing.assert_array_equal(saved, loaded, err_msg=saved.path)


def test_two_replicas_equal_one(make_model):
    def trained(strategy):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = make_model()
            randomize(model.prior)
            model.compile(keras.optimizers.SGD(1e-2), clip_norm=1.0, jit_compile=False)
        options = tf.data.Options()
        off = tf.data.experimental.AutoShardPolicy.OFF
        options.experimental_distribute.auto_shard_policy = off
        history = model.fit(
            dataset().with_options(options), verbose=0, shuffle=False
        ).history
        return [v.numpy() for v in model.weights], history

    one, one_history = trained(tf.distribute.get_strategy())
    two, two_history = trained(create_strategy("mirrored"))
    # Sums over 8 images in another order, in float32, over 3 steps.
    assert_same(one, two, rtol=1e-3, atol=1e-5)
    for name, value in one_history.items():
        np.testing.assert_allclose(value, two_history[name], rtol=1e-3)


def test_evaluate_reports_the_terms_and_moves_nothing(make_model):
    model = compiled(make_model())
    before = [v.numpy() for v in model.weights]
    result = model.evaluate(dataset(), verbose=0, return_dict=True)
    assert set(result) == {"loss", "reconstruction", "prior_nll"}
    # The untrained flow is a standard normal; the decoder's pixels are near 1/2.
    np.testing.assert_allclose(result["reconstruction"], 64 * np.log(2), rtol=0.05)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_evaluate_of_fixed_codes_is_the_priors_likelihood(make_model):
    model = compiled(make_model())
    randomize(model.prior)
    codes = np.random.RandomState(0).normal(size=(20, 4)).astype("float32")
    batches = tf.data.Dataset.from_tensor_slices({POSTERIOR: codes}).batch(8)
    expected = -np.mean(model.prior.log_prob(codes))
    for data in (batches, {POSTERIOR: codes}):
        result = model.evaluate(data, verbose=0, return_dict=True)
        assert result["loss"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(UserError, match="needs the feature 'image'"):
        model.predict(batches, verbose=0)
    # Each row has noise of its own, however they are batched.
    model = compiled(make_model(posterior=NormalPosterior(4)))
    data = {POSTERIOR: np.zeros([20, 8], "float32")}
    losses = [
        model.evaluate(data, batch_size=size, verbose=0, return_dict=True)["loss"]
        for size in (1, 8, 20)
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_no_retracing(make_model):
    model = compiled(make_model())
    traces = []
    step = model.train_step
    model.train_step = lambda data: (traces.append(1), step(data))[1]
    for _ in range(2):
        model.fit(dataset(seeds=6), verbose=0, shuffle=False)
        assert len(traces) == 1


def test_inference(make_model):
    model = make_model()
    randomize(model.prior)
    x = images()
    z = model.encode(x)
    assert z.shape == (8, 4)
    reconstruction = model.reconstruct(x)
    assert reconstruction.shape == x.shape
    np.testing.assert_array_equal(reconstruction, model.decode(z))
    np.testing.assert_array_equal(reconstruction, model(x))
    samples = model.sample(5, seed=3)
    assert samples.shape == (5, 8, 8, 1)
    assert np.min(samples) >= 0 and np.max(samples) <= 1
    np.testing.assert_array_equal(samples, model.sample(5, seed=3))
    np.testing.assert_allclose(model.from_base(model.to_base(z)), z, atol=1e-4)
    np.testing.assert_array_equal(model.log_prob(z), model.prior.log_prob(z))


def test_a_condition_of_a_model_without_is_refused(make_model):
    model, pictures, z = make_model(), images(), tf.zeros([8, 4])
    labels = np.arange(8)
    for use in (
        lambda: model.sample(8, condition=labels),
        lambda: model.sample_of_condition(1, 8),
        lambda: model.sample_prior(8, condition=labels),
        lambda: model.log_prob(z, labels),
        lambda: model.to_base(z, labels),
        lambda: model.from_base(z, labels),
        lambda: model.encode(pictures, labels),
        lambda: model.decode(z, condition=labels),
        lambda: model.reconstruct(pictures, labels),
        lambda: model.transfer(pictures, labels, labels),
        lambda: CodeModel(model.prior).sample(8, condition=labels),
    ):
        with pytest.raises(UserError, match="on nothing, received a condition: leave"):
            use()


VGG = VGG19Features(("relu1_1",), weights=None)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"likelihood": PerceptualLikelihood(VGG)},
            "PerceptualLikelihood is no density of images: the",
        ),
        (
            {"prior": GeneratorPrior(4), "divergence": MMDDivergence()},
            r"GeneratorPrior has no density p\(z\): the likelihood",
        ),
        ({}, r"DeterministicPosterior has no density q\(z\|x\): the likelihood"),
    ],
)
def test_terms_that_are_no_densities_are_refused(make_model, parts, message):
    shape = (8, 8, 3)
    with pytest.raises(UserError, match=f"^A {message}"):
        make_model(image_shape=shape, **parts).log_terms(images(shape=shape), SEED)


def test_bad_parts(make_model):
    with pytest.raises(UserError, match="one latent size, received 4 and 3"):
        make_model(prior=StandardNormalPrior(3))
    with pytest.raises(UserError, match="beta must be"):
        make_model(beta=-1.0)
    with pytest.raises(UserError, match="does not have"):
        make_model(beta=0.1)


def adversarial(make_model, **parts):
    discriminator = MLP((16,), 1, "leaky_relu")
    divergence = AdversarialDivergence(discriminator, critic_steps=3)
    prior = GeneratorPrior(4, hidden_sizes=(8,), standardize=True)
    return make_model(**({"prior": prior, "divergence": divergence} | parts))


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_critic_learns_beside_the_model(make_model, beta):
    model = compiled(adversarial(make_model, beta=beta))
    groups = model.variable_groups()
    assert all(groups[name] for name in ("autoencoder", "prior", "discriminator"))
    before = {name: [v.numpy() for v in group] for name, group in groups.items()}
    logs = model.train_step({"image": images()})
    for name, group in groups.items():
        for v, old in zip(group, before[name], strict=True):
            assert np.abs(v - old).max() > 0, v.path
    names = {"discriminator_loss", "discriminator_accuracy", "prior_adversarial"}
    assert names <= set(logs)
    assert ("adversarial" in logs) == (beta > 0)
    steps = {name: int(o.iterations) for name, o in model.optimizers.items()}
    assert steps == {"autoencoder": 1, "prior": 1, "discriminator": 3}


def test_at_beta_zero_a_critic_does_not_touch_the_autoencoder(make_model):
    model = adversarial(make_model)
    before = gradients(model, 0.0)["autoencoder"]
    randomize(model.divergence, scale=1.0)
    for a, b in zip(before, gradients(model, 0.0)["autoencoder"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_fixed_codes_move_the_prior_alone(make_model):
    model = compiled(adversarial(make_model, posterior=NormalPosterior(4)))
    parameters = model.posterior_parameters(images())
    groups = model.variable_groups()
    before = {name: [v.numpy() for v in group] for name, group in groups.items()}
    statistics = [v.numpy() for v in model.prior.non_trainable_variables]
    logs = model.train_step({POSTERIOR: parameters})
    assert "reconstruction" not in logs
    for name, group in groups.items():
        for v, old in zip(group, before[name], strict=True):
            assert (np.abs(v - old).max() > 0) == (name != "autoencoder"), v.path
    for old, new in zip(statistics, model.prior.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_at_rest_holds_the_autoencoder_fixed(make_model):
    first = make_model(prior=StandardNormalPrior(4), seed=7)
    prior = RealNVPPrior(4, couplings=2, hidden_sizes=(8,))
    second = first.at_rest(prior, KLDivergence())
    assert second.seed == 7
    assert not second.variable_groups()["autoencoder"]
    np.testing.assert_array_equal(second.encode(images()), first.encode(images()))
    assert second.beta == 0.0
    compiled(second)
    assert set(second.optimizers) == {"prior"}
    assert second.optimizer is second.optimizers["prior"]


class Doubled(LatentVariableModel):
    """Of a user, with codes of its own, and `slope` beside what it passes on."""

    def __init__(self, slope=2.0, **kwargs):
        super().__init__(**kwargs)
        self.slope = slope

    def posterior_parameters(self, images, training=False, condition=None):
        rows = super().posterior_parameters(images, training, condition)
        return self.slope * rows


def test_at_rest_a_subclass_stays_one(make_model):
    parts = make_model().get_config() | {"slope": 3.0}
    model = Doubled.from_config(parts)
    at_rest = model.at_rest()
    np.testing.assert_allclose(at_rest.encode(images()), model.encode(images()))
    assert at_rest.slope == 3.0 and at_rest.beta == 0.0


def test_optimizers_must_match_the_groups(make_model):
    adam = keras.optimizers.Adam
    with pytest.raises(
        UserError, match="each of autoencoder, prior, received .* prior"
    ):
        make_model().compile({"prior": adam()})
    with pytest.raises(UserError, match="received them for autoencoder, priors"):
        make_model().compile({"autoencoder": adam(), "priors": adam()})
    with pytest.raises(UserError, match="^Expected an optimizer, or one for each gro"):
        make_model().compile(None)


def test_beta_is_the_constructors(make_model):
    model = make_model(beta=0.5, posterior=NormalPosterior(4))
    with pytest.raises(UserError, match="beta = 1.0 would change no step .*Linear"):
        model.beta = 1.0
    assert model.beta == 0.5


def test_features_that_it_does_not_read_may_be_anything(make_model):
    model = compiled(make_model())
    ragged = tf.ragged.constant([[1.0], [], [2.0, 3.0], [4.0]])
    pictures = images(4)
    for other in ({"a": np.zeros((4, 2)), "b": np.zeros(4)}, ragged):
        data = tf.data.Dataset.from_tensor_slices({"about": other, "image": pictures})
        model.fit(data.batch(2), shuffle=False, verbose=0)
        assert model.predict(data.batch(3), verbose=0).shape == (4, 8, 8, 1)
    alone = model.evaluate(pictures, verbose=0, return_dict=True)
    beside = model.evaluate(data.batch(4), verbose=0, return_dict=True)
    assert beside == pytest.approx(alone)


def test_units_are_active_above_a_variance_of_a_hundredth(make_model):
    """The four pixels are the code; their variances are 0, 0.0025, 0.0081 and 0.04."""
    model = make_model(
        image_shape=(2, 2, 1),
        encoder=keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()]),
        posterior=DeterministicPosterior(4, project=False),
    )
    scales = np.reshape([0.0, 0.05, 0.09, 0.2], (2, 2, 1))
    pictures = np.stack([0.5 - scales, 0.5 + scales] * 6).astype(np.float32)
    scalars = model.summary_of({"image": pictures}).scalars
    assert scalars["latent/active_units"] == 1
    np.testing.assert_allclose(scalars["latent/scale_max"], 0.2, rtol=1e-5)
