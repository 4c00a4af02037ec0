"""Our priors, by the public API: density and draws of a batch of codes."""

import functools

import keras
import tensorflow as tf

from benchmarks import prior_settings as settings
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
    z = tf.random.normal([settings.BATCH_SIZE, settings.LATENT_SIZE])
    seed = tf.constant([0, 1])

    @tf.function(jit_compile=case in _WITH_XLA)
    def run(z, seed):
        density = method == "log_prob"
        draw = prior.log_prob if density else prior.sample
        return tf.reduce_sum(draw(z) if density else draw(settings.BATCH_SIZE, seed))

    return lambda: float(run(z, seed).numpy())


@functools.cache
def _prior(name):
    """A prior whose zero-initialised parts, which would be trivial, are moved."""
    keras.utils.set_random_seed(0)
    size, hidden = settings.LATENT_SIZE, settings.HIDDEN_SIZES
    flows = {"flows": settings.FLOWS, "hidden_sizes": hidden}
    prior = {
        "realnvp": lambda: priors.RealNVPPrior(size, settings.COUPLINGS, hidden),
        "maf": lambda: priors.MaskedAutoregressivePrior(size, **flows),
        "iaf": lambda: priors.InverseAutoregressivePrior(size, **flows),
        "spline": lambda: priors.SplinePrior(
            size,
            couplings=settings.SPLINE_COUPLINGS,
            bins=settings.BINS,
            bound=settings.BOUND,
            hidden_sizes=hidden,
        ),
        "mixture": lambda: priors.GaussianMixturePrior(size, settings.COMPONENTS),
        "normal": lambda: priors.StandardNormalPrior(size),
        "vamp": _vamp,
        "generator": lambda: priors.GeneratorPrior(size),
        "second_stage": lambda: priors.SecondStageVAEPrior(size),
    }[name]()
    if not prior.built:
        prior.build()
    for variable in prior.trainable_variables:
        variable.assign_add(0.02 * tf.random.normal(variable.shape))
    return prior


def _vamp():
    """A VampPrior of 500 pseudo-inputs at MNIST's shape."""
    encoder = networks.InfoGANEncoder((28, 28, 1))
    posterior = posteriors.NormalPosterior(settings.LATENT_SIZE)
    encoder.build()
    posterior.build((None, 1024))
    prior = priors.VampPrior(settings.LATENT_SIZE, (28, 28, 1))
    prior.connect(encoder, posterior)
    return prior
