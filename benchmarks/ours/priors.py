"""Our priors, by the public API: density and draws of a batch of codes."""

import functools

import keras
import tensorflow as tf

from benchmarks.prior_settings import BATCH_SIZE
from benchmarks.prior_settings import COMPONENTS
from benchmarks.prior_settings import TIMED
from benchmarks.prior_settings import Sizes
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors

# Where XLA makes ours faster; elsewhere its random numbers and solves are slow.
_WITH_XLA = (
    "realnvp.log_prob",
    "maf.log_prob",
    "maf.sample",
    "iaf.log_prob",
    "spline.log_prob",
)


def versions():
    return {"tensorflow": tf.__version__}


def build(variant, case):
    del variant
    name, method = case.split(".")
    prior = _prior(name)
    z = tf.random.normal([BATCH_SIZE, TIMED.latent_size])
    seed = tf.constant([0, 1])

    @tf.function(jit_compile=case in _WITH_XLA)
    def run(z, seed):
        density = method == "log_prob"
        draw = prior.log_prob if density else prior.sample
        return tf.reduce_sum(draw(z) if density else draw(BATCH_SIZE, seed))

    return lambda: float(run(z, seed).numpy())


def flow(name: str, sizes: Sizes) -> priors.Prior:
    """A flow of these sizes: "realnvp", "maf", "iaf" or "spline"."""
    size, hidden = sizes.latent_size, sizes.hidden_sizes
    if name == "realnvp":
        return priors.RealNVPPrior(size, sizes.couplings, hidden)
    if name == "spline":
        return priors.SplinePrior(
            size,
            couplings=sizes.spline_couplings,
            bins=sizes.bins,
            bound=sizes.bound,
            hidden_sizes=hidden,
        )
    kinds = {
        "maf": priors.MaskedAutoregressivePrior,
        "iaf": priors.InverseAutoregressivePrior,
    }
    return kinds[name](size, flows=sizes.flows, hidden_sizes=hidden)


@functools.cache
def _prior(name):
    """A prior whose zero-initialised parts, which would be trivial, are moved."""
    keras.utils.set_random_seed(0)
    size = TIMED.latent_size
    others = {
        "mixture": lambda: priors.GaussianMixturePrior(size, COMPONENTS),
        "normal": lambda: priors.StandardNormalPrior(size),
        "vamp": _vamp,
        "generator": lambda: priors.GeneratorPrior(size),
        "second_stage": lambda: priors.SecondStageVAEPrior(size),
    }
    prior = others[name]() if name in others else flow(name, TIMED)
    if not prior.built:
        prior.build()
    for variable in prior.trainable_variables:
        variable.assign_add(0.02 * tf.random.normal(variable.shape))
    return prior


def _vamp():
    """A VampPrior of 500 pseudo-inputs at MNIST's shape."""
    encoder = networks.InfoGANEncoder((28, 28, 1))
    posterior = posteriors.NormalPosterior(TIMED.latent_size)
    encoder.build()
    posterior.build((None, 1024))
    prior = priors.VampPrior(TIMED.latent_size, (28, 28, 1))
    prior.connect(encoder, posterior)
    return prior
