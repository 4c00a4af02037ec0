import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.covariance
import tensorflow as tf

from tests.priors.test_expectation_maximization import draws
from tfp_priors.errors import UserError
from tfp_priors.priors import MixtureStandardization
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior
from tfp_priors.priors.expectation_maximization import fit_mixture
from tfp_priors.priors.standardization import LatentStandardization


def layer_on(codes, components=3):
    layer = MixtureStandardization(components)
    layer.build((None, codes.shape[1]))
    layer.fit(codes, seed=0)
    return layer


def test_the_codes_of_a_mixture_become_normal():
    layer = layer_on(draws(50_000))
    standard = layer(draws(20_000, seed=1)).numpy()
    np.testing.assert_allclose(np.cov(standard.T), np.eye(3), atol=0.04)
    for column in standard.T:
        assert scipy.stats.kstest(column, "norm").statistic < 0.015
    # The marginals of the codes themselves are not: they have several modes.
    z = draws(20_000, seed=1)
    raw = (z - z.mean(0)) / z.std(0)
    assert scipy.stats.kstest(raw[:, 0], "norm").statistic > 0.05


def test_a_normal_prior_under_it_has_the_density_of_the_mixture():
    codes = draws(5_000) * np.float32([2.0, 0.1, 1.0]) + np.float32([5.0, 0.0, 0.0])
    layer = layer_on(codes)
    prior = StandardNormalPrior(3, standardize=layer)
    prior.build()
    mean, scale = codes.mean(0), codes.std(0)
    mixture = fit_mixture((codes - mean) / scale, 3, 40, 0, 5e-6, 5.0)
    z = codes[:200]
    parts = [
        np.log(w) + scipy.stats.multivariate_normal(m, c).logpdf((z - mean) / scale)
        for w, m, c in zip(*mixture, strict=True)
    ]
    expected = scipy.special.logsumexp(parts, axis=0) - np.log(scale).sum()
    np.testing.assert_allclose(prior.log_prob(z), expected, atol=2e-3)
    np.testing.assert_allclose(prior.distribution().log_prob(z), expected, atol=2e-3)


def test_one_dimension_at_a_time_against_scipy():
    """Rosenblatt's map by numerical conditionals of the mixture."""
    layer = layer_on(draws(5_000))
    mean, scale = layer.mean.numpy(), np.sqrt(layer.variance.numpy())
    mixture = fit_mixture((draws(5_000) - mean) / scale, 3, 40, 0, 5e-6, 5.0)
    z = draws(5, seed=3)
    u = (z - mean) / scale
    expected = np.zeros_like(u, np.float64)
    for row, x in zip(expected, u.astype(np.float64), strict=True):
        log_seen = np.log(mixture.weights)
        for i in range(3):
            below = 0.0
            for k, (m, c) in enumerate(
                zip(mixture.means, mixture.covariances, strict=True)
            ):
                gain = np.linalg.solve(c[:i, :i], c[:i, i]) if i else np.zeros(0)
                centre = m[i] + gain @ (x[:i] - m[:i])
                spread = np.sqrt(c[i, i] - gain @ c[:i, i])
                share = np.exp(log_seen[k] - scipy.special.logsumexp(log_seen))
                below += share * scipy.stats.norm.cdf(x[i], centre, spread)
            row[i] = scipy.stats.norm.ppf(below)
            log_seen = np.array(
                [
                    np.log(w)
                    + scipy.stats.multivariate_normal(
                        m[: i + 1], c[: i + 1, : i + 1]
                    ).logpdf(x[: i + 1])
                    for w, m, c in zip(*mixture, strict=True)
                ]
            )
    np.testing.assert_allclose(layer(z), expected, atol=2e-3)


def test_there_and_back_also_in_the_tails():
    layer = layer_on(draws(5_000))
    normal = np.random.RandomState(0).randn(2_000, 3).astype(np.float32)
    normal[:6] = [[5, 5, 5], [-5, -5, -5], [5, -5, 5], [0, 0, 0], [4, 0, 0], [0, 0, -4]]
    z = tf.identity(layer.bijector().forward(normal))
    assert np.isfinite(z).all()
    np.testing.assert_allclose(layer(z), normal, atol=5e-3)


def test_the_log_determinant_is_that_of_the_jacobian():
    layer = layer_on(draws(5_000))
    z = tf.constant(draws(6, seed=2))
    with tf.GradientTape() as tape:
        tape.watch(z)
        standard = layer(z)
    _, expected = np.linalg.slogdet(tape.batch_jacobian(standard, z))
    log_det = layer.bijector().inverse_log_det_jacobian(z, 1)
    np.testing.assert_allclose(log_det, expected, atol=1e-3)


def test_gradients_there_and_back_are_inverse():
    layer = layer_on(draws(5_000))
    z = tf.constant(draws(40, seed=2))
    far = tf.constant([[0.0, 0.0, 0.0], [12.0, -9.0, 30.0], [-3.0, 20.0, 3.0]])
    z = tf.concat([z, far], axis=0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        normal = layer(z)
    there = tape.batch_jacobian(normal, z)[:40].numpy()
    z0 = tf.constant(normal[:40])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z0)
        again = layer.bijector().forward(z0)
    back = tape.batch_jacobian(again, z0).numpy()
    np.testing.assert_allclose(
        there @ back, np.broadcast_to(np.eye(3), there.shape), atol=2e-2
    )
    prior = StandardNormalPrior(3, standardize=layer)
    prior.build()
    with tf.GradientTape() as tape:
        tape.watch(z)
        log_prob = prior.log_prob(z)
    assert np.isfinite(tape.gradient(log_prob, z)).all()


def test_far_draws_and_a_far_code_are_finite():
    layer = layer_on(draws(5_000))
    normal = tf.constant([[40.0, 0.0, -40.0], [-13.0, 12.5, 12.9]])
    assert np.isfinite(layer.bijector().forward(normal)).all()
    for scale in (1e2, 1e3, 1e5):
        codes = np.concatenate([draws(5_000), np.full([1, 3], scale, np.float32)])
        layer = layer_on(codes)
        assert np.isfinite(layer(codes)).all()


def test_before_the_fit_and_with_hardly_any_codes_it_is_affine():
    layer = MixtureStandardization(8)
    layer.build((None, 3))
    z = draws(7)
    np.testing.assert_allclose(layer(z), z, atol=2e-5)
    few = draws(6)
    layer.fit(few, seed=0)
    np.testing.assert_allclose(layer(few), (few - few.mean(0)) / few.std(0), atol=1e-4)


@pytest.mark.parametrize("number", [7, 59])
def test_of_few_codes_it_is_one_normal(number):
    few, z = draws(number), draws(50, seed=1)
    layer = layer_on(few, components=8)
    scaled = sklearn.covariance.LedoitWolf().fit((few - few.mean(0)) / few.std(0))
    normal = scipy.stats.multivariate_normal(np.zeros(3), scaled.covariance_)
    expected = normal.logpdf((z - few.mean(0)) / few.std(0))
    # The variances have a floor of 5e-6 more.
    u = (z - layer.mean) * tf.math.rsqrt(layer.variance)
    np.testing.assert_allclose(layer.to_normal(u)[1], expected, atol=5e-3)


def test_few_codes_have_few_components():
    layer = layer_on(draws(200), components=50)
    constants, _, inverses = layer._present()
    assert len(constants) == 200 // (20 * 3)
    dets = np.linalg.det(inverses)
    np.testing.assert_allclose((np.exp(constants) / dets).sum(), 1.0, rtol=1e-5)


def test_a_new_flow_begins_at_the_mixture():
    codes = draws(5_000)
    flow, normal = (
        make(3, standardize=MixtureStandardization(3))
        for make in (RealNVPPrior, StandardNormalPrior)
    )
    for prior in (flow, normal):
        prior.build()
        prior.set_statistics(codes)
    np.testing.assert_allclose(
        flow.log_prob(codes[:50]), normal.log_prob(codes[:50]), atol=1e-5
    )
    z0 = flow.sample_base(20, tf.constant([0, 1]))
    z = flow.sample(20, tf.constant([0, 1]))
    np.testing.assert_allclose(flow.from_base(z0), z, atol=1e-5)
    np.testing.assert_allclose(flow.to_base(tf.identity(z)), z0, atol=5e-3)


def test_components_are_a_number():
    with pytest.raises(UserError, match="components must be a whole .*, received None"):
        MixtureStandardization(None)


def test_few_codes_bring_back_the_plain_map():
    """Nothing stays of the components of an earlier fit."""
    codes = np.random.RandomState(0).randn(200, 2).astype(np.float32)
    codes[:100] += 6.0
    layer, plain = MixtureStandardization(4), LatentStandardization()
    for one in (layer, plain):
        one.build((None, 2))
    layer.fit(codes, seed=0)
    for one in (layer, plain):
        one.fit(codes[:4], seed=0)
    # Those that float32 has a tail for.
    near = codes[:100]
    np.testing.assert_allclose(layer(near), plain(near), atol=1e-4)


def test_codes_of_another_width_are_told():
    layer = MixtureStandardization(4)
    layer.build((None, 4))
    other = RealNVPPrior(3, couplings=1, hidden_sizes=(), standardize=layer)
    with pytest.raises(
        UserError, match="is of codes of 4 numbers, received 3: give ea"
    ):
        other.fit(np.random.RandomState(0).randn(400, 3), epochs=1)
