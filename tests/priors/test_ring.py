"""Every learned prior learns a ring of eight Gaussians that is held fixed as codes."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfp_priors import divergences
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors.latent_space.latent_match import sliced_wasserstein
from tfp_priors.training import PostHoc

_RADIUS, _SCALE = 2.0, 0.4
_ANGLES = np.arange(8) * np.pi / 4
_MEANS = _RADIUS * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def ring(n, seed):
    random = np.random.RandomState(seed)
    means = _MEANS[random.randint(8, size=n)]
    return (means + _SCALE * random.randn(n, 2)).astype(np.float32)


def log_density(z):
    normals = [scipy.stats.multivariate_normal(m, _SCALE**2) for m in _MEANS]
    return np.log(np.mean([normal.pdf(z) for normal in normals], axis=0))


def critic(**kwargs):
    network = networks.MLP((64, 64), 1, "leaky_relu")
    return divergences.AdversarialDivergence(network, **kwargs)


def mmd():
    return divergences.MMDDivergence(divergences.GaussianKernel((0.2, 0.5, 1.0)))


def generator():
    return priors.GeneratorPrior(2, hidden_sizes=(64, 64))


class Pixels(keras.layers.Layer):
    """An encoder that passes four pixels on, stretched to [-2, 2]."""

    image_shape = (4, 4, 1)

    def call(self, images, training=False):
        return 4.0 * keras.layers.Flatten()(images)[:, :4] - 2.0

    def compute_output_shape(self, shape):
        return (shape[0], 4)


KL = divergences.KLDivergence
SMALL = {"hidden_sizes": (64, 64)}
# Prior, divergence, steps, learning rate. Every step sees 256 codes.
CASES = {
    "gaussian_mixture": (lambda: priors.GaussianMixturePrior(2, 16), KL, 100, None),
    "vamp": (lambda: priors.VampPrior(2, (4, 4, 1), 64), KL, 800, 2e-2),
    "real_nvp": (lambda: priors.RealNVPPrior(2, **SMALL), KL, 800, 5e-3),
    "spline": (lambda: priors.SplinePrior(2, **SMALL), KL, 400, 3e-3),
    "masked_autoregressive": (
        lambda: priors.MaskedAutoregressivePrior(2, 8, **SMALL),
        KL,
        800,
        5e-3,
    ),
    "inverse_autoregressive": (
        lambda: priors.InverseAutoregressivePrior(2, 8, **SMALL),
        KL,
        800,
        5e-3,
    ),
    "flow_matching": (
        lambda: priors.FlowMatchingPrior(2, units=64),
        divergences.FlowMatchingDivergence,
        1500,
        5e-3,
    ),
    "second_stage_vae": (
        lambda: priors.SecondStageVAEPrior(2, **SMALL),
        KL,
        1500,
        3e-3,
    ),
    "mmd": (generator, mmd, 1000, 3e-3),
    "non_saturating": (generator, lambda: critic(r1=1.0), 1000, 2e-3),
    "wasserstein": (
        generator,
        lambda: critic(
            loss=divergences.WassersteinLoss(), gradient_penalty=1.0, critic_steps=3
        ),
        1000,
        # Of four seeds 0.07 to 0.11 from the ring; at 1e-3 it is still on its way.
        5e-4,
    ),
    "hinge": (
        generator,
        lambda: critic(loss=divergences.HingeLoss(), r1=1.0),
        1000,
        2e-3,
    ),
}


def autoencoder(make_model, noisy):
    """An autoencoder for codes that come from elsewhere, and those codes.

    The parameters of a deterministic posterior are the codes. A noisy posterior adds
    the ring's own scale to its means.
    """
    if not noisy:
        model = make_model(
            2,
            posterior=posteriors.DeterministicPosterior(2),
            prior=priors.StandardNormalPrior(2),
        )
        return model, ring(20_000, 0)
    model = make_model(
        2,
        Pixels.image_shape,
        encoder=Pixels(),
        posterior=posteriors.FixedScaleNormalPosterior(2, _SCALE),
        prior=priors.StandardNormalPrior(2),
    )
    model.posterior.variables[0].assign([[1, 0], [0, 1], [1, 0], [0, 1]])
    return model, _MEANS[np.random.RandomState(0).randint(8, size=20_000)]


def trained(make_model, name):
    prior, divergence, steps, rate = CASES[name]
    model, codes = autoencoder(make_model, noisy=name == "vamp")
    codes = tf.constant(codes, tf.float32)
    post_hoc = PostHoc(steps, prior, divergence)
    model = post_hoc.model(model)
    model.fit_directly(codes, steps, seed=0)
    if not model.prior.learns_by_steps:
        return model.prior
    critic_steps = model.divergence.critic_steps
    lengths = {"prior": steps, "discriminator": steps * critic_steps}
    optimizers = {
        group: keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(rate, length),
            beta_1=0.5 if critic_steps else 0.9,
        )
        for group, length in lengths.items()
        if length
    }
    model.compile(optimizers, clip_norm=5.0, jit_compile=False)
    batches = model.code_batches(codes)
    model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False)
    return model.prior


def _case(name):
    quick = name in ("gaussian_mixture", "vamp", "non_saturating")
    return pytest.param(name, id=name, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize("name", [_case(name) for name in CASES])
def test_ring(make_model, name):
    prior = trained(make_model, name)
    draws = prior.sample(4000, tf.constant([1, 2])).numpy()
    held_out = ring(4000, 1)
    # Two samples of the ring of this size are about 0.03 apart, N(0, I) is 0.6 away.
    assert sliced_wasserstein(draws, held_out) < 0.15
    if prior.has_density:
        gap = np.mean(log_density(held_out) - prior.log_prob(held_out))
        # No density is above the ring's own on average; the gap's standard error, over
        # 4,000 codes, is 0.005 at most.
        assert -0.02 < gap < 0.1
