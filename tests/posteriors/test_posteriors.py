import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors.errors import UserError
from tfp_priors.posteriors import DeterministicPosterior
from tfp_priors.posteriors import FixedScaleNormalPosterior
from tfp_priors.posteriors import InverseAutoregressivePosterior
from tfp_priors.posteriors import NormalPosterior

FEATURES = np.random.RandomState(0).randn(5, 6).astype(np.float32)


@pytest.mark.parametrize(
    "posterior",
    [
        DeterministicPosterior(3),
        FixedScaleNormalPosterior(3),
        InverseAutoregressivePosterior(3, hidden_sizes=(8,)),
        NormalPosterior(3),
    ],
    ids=lambda posterior: type(posterior).__name__,
)
def test_contract(posterior):
    parameters = posterior(FEATURES)
    distribution = posterior.distribution(parameters)
    code = posterior.code(parameters)
    assert code.shape == (5, 3)
    assert distribution.batch_shape == (5,)
    assert distribution.event_shape == (3,)
    copy = type(posterior).from_config(posterior.get_config())
    assert copy.get_config() == posterior.get_config()
    log_prob = distribution.log_prob(code + 0.01)
    assert np.isfinite(log_prob).all() == posterior.has_density


def test_features_as_parameters():
    posterior = FixedScaleNormalPosterior(6, project=False)
    posterior.build(FEATURES.shape)
    np.testing.assert_array_equal(posterior(FEATURES), FEATURES)
    assert not posterior.weights
    with pytest.raises(UserError, match="projection expects 3 features, received 6"):
        FixedScaleNormalPosterior(3, project=False).build(FEATURES.shape)


def test_scales():
    normal = NormalPosterior(3, scale_floor=0.5)
    parameters = np.array([[0.0] * 3 + [-100.0, 0.0, 2.0]], np.float32)
    scale = normal.distribution(parameters).stddev().numpy()[0]
    assert scale[0] == 0.5
    np.testing.assert_allclose(scale[1], 1.5, rtol=1e-5)
    fixed = FixedScaleNormalPosterior(3, scale=0.2)
    np.testing.assert_allclose(fixed.distribution(np.zeros((1, 3), "f")).stddev(), 0.2)


def test_deterministic_sample_is_the_head():
    posterior = DeterministicPosterior(3)
    parameters = posterior(FEATURES)
    randomize(posterior)
    parameters = posterior(FEATURES)
    sample = posterior.distribution(parameters).sample(seed=[1, 2])
    np.testing.assert_array_equal(sample, parameters)


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (NormalPosterior, {"latent_size": 0}, "a latent size of at least 1, or"),
        (
            NormalPosterior,
            {"scale_floor": 0.0},
            "scale_floor must be a number in .* 0.0",
        ),
        (
            FixedScaleNormalPosterior,
            {"scale": -1.0},
            "scale must be a number in .* -1",
        ),
        (InverseAutoregressivePosterior, {"flows": 0}, "flows must be at least 1, rec"),
        (InverseAutoregressivePosterior, {"flows": 2.5}, "flows must be a whole numbe"),
        (
            InverseAutoregressivePosterior,
            {"context_size": 0},
            "size must be at least 1",
        ),
    ],
)
def test_bad_arguments(make, given, message):
    with pytest.raises(UserError, match=f"^{make.__name__}.*{message}"):
        make(**{"latent_size": 2} | given)


@pytest.fixture
def autoregressive():
    posterior = InverseAutoregressivePosterior(3, flows=2, hidden_sizes=(8,))
    posterior.build((None, 6))
    randomize(posterior, scale=0.3)
    return posterior


def test_autoregressive_density_against_autodiff(autoregressive):
    parameters = autoregressive(FEATURES)
    base, context = autoregressive._split(parameters)
    noise = base.sample(seed=tf.constant([1, 2]))
    with tf.GradientTape() as tape:
        tape.watch(noise)
        z = autoregressive._bijector(context).forward(noise)
    _, log_det = np.linalg.slogdet(tape.batch_jacobian(z, noise).numpy().astype("d"))
    # The identity breaks TFP's cache: the density of any point takes the slow way.
    received = autoregressive.distribution(parameters).log_prob(tf.identity(z))
    np.testing.assert_allclose(received, base.log_prob(noise) - log_det, rtol=1e-4)


def test_autoregressive_draw_and_density_take_one_pass(autoregressive):
    calls = []
    for network in autoregressive._networks:
        call = network.call

        def counted(*args, call=call):
            calls.append(1)
            return call(*args)

        network.call = counted
    distribution = autoregressive.distribution(autoregressive(FEATURES))
    z = distribution.sample(seed=tf.constant([1, 2]))
    distribution.log_prob(z)
    # Once for the draw and once for its density, per network.
    assert len(calls) == 4


def test_gates_by_hand():
    """A new flow has m = s = 0, so each map shrinks by sigmoid(2)."""
    posterior = InverseAutoregressivePosterior(3, flows=1, hidden_sizes=(8,))
    parameters = posterior(FEATURES)
    base, _ = posterior._split(parameters)
    expected = base.mean() / (1 + np.exp(-2.0))
    np.testing.assert_allclose(posterior.code(parameters), expected, rtol=1e-5)


def test_gates_mix_the_code_with_the_networks_output():
    """z' = g z + (1 - g) m, of one dimension, where m and s are constants."""
    posterior = InverseAutoregressivePosterior(1, flows=1, hidden_sizes=(8,))
    parameters = posterior(FEATURES)
    posterior._networks[0]._biases[-1].assign([0.7, 0.3])  # m and s
    base, _ = posterior._split(parameters)
    gate = 1 / (1 + np.exp(-2.3))
    expected = gate * base.mean() + (1 - gate) * 0.7
    np.testing.assert_allclose(posterior.code(parameters), expected, rtol=1e-5)


def test_the_order_is_reversed_between_flows(autoregressive):
    """Each dimension depends on some before it and on some after it."""
    base, context = autoregressive._split(autoregressive(FEATURES[:1]))
    forward = autoregressive._bijector(tf.repeat(context, 3, axis=0)).forward
    noise = tf.repeat(base.mean(), 3, axis=0)
    moves = np.abs(forward(noise + tf.eye(3)) - forward(noise))
    assert np.triu(moves, 1).max() > 1e-3 and np.tril(moves, -1).max() > 1e-3
