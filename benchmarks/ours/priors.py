"""Our priors, by the public API: density and draws of a batch of codes."""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf

from benchmarks.prior_settings import BATCH_SIZE
from benchmarks.prior_settings import COMPONENTS
from benchmarks.prior_settings import TIMED
from benchmarks.prior_settings import Sizes
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors

# Where XLA makes ours faster; elsewhere its solves are slow.
_WITH_XLA = ("realnvp", "maf", "iaf", "spline")

# Of flow matching.
_STEPS = 12

# Passes of the loops of those that have some: a dimension each, or steps.
_TURNS = {
    "maf.sample": TIMED.latent_size,
    "iaf.log_prob": TIMED.latent_size,
    "flow_matching.sample": _STEPS,
}

# Whose time is not that of matrix products.
_NO_PRODUCTS = ("mixture", "normal", "vamp")


def versions():
    return {"tensorflow": tf.__version__}


def build(variant, case):
    del variant
    name, method = case.split(".")
    prior = _prior(name)
    z = tf.random.normal([BATCH_SIZE, TIMED.latent_size])
    seed = tf.constant([0, 1])

    compiled = functools.partial(tf.function, jit_compile=name in _WITH_XLA)
    density, from_base = compiled(prior.log_prob), compiled(prior.from_base)

    @tf.function
    def run(z, seed):
        if method == "log_prob":
            return tf.reduce_sum(density(z))
        if not prior.has_base:
            return tf.reduce_sum(prior.sample(BATCH_SIZE, seed))
        # Normal numbers are slow under XLA.
        return tf.reduce_sum(from_base(prior.sample_base(BATCH_SIZE, seed)))

    facts = {}
    if name not in _NO_PRODUCTS:
        graph = run.get_concrete_function(z, seed).graph
        facts["gflop"] = _gflop(graph, _TURNS.get(case, 1))
    return lambda: float(run(z, seed).numpy()), facts


def _gflop(graph, turns):
    """Operations of the matrix products of a graph, in units of 1e9.

    Args:
      graph: of a function.
      turns: of its loops.
    """
    total = 0.0
    for operation in graph.get_operations():
        if operation.type in ("MatMul", "BatchMatMulV2"):
            left, result = operation.inputs[0].shape, operation.outputs[0].shape
            transposed = operation.type == "MatMul" and operation.get_attr(
                "transpose_a"
            )
            inner = left[0] if transposed else left[-1]
            rows = BATCH_SIZE if result[0] is None else 1
            known = [size for size in result if size is not None]
            total += 2.0 * inner * rows * np.prod(known) / 1e9
        for name, times in (("body", turns), ("f", 1)):
            with contextlib.suppress(ValueError):
                inside = graph._get_function(operation.get_attr(name).name)
                total += times * _gflop(inside.graph, turns)
    return total


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
        "flow_matching": lambda: priors.FlowMatchingPrior(size, steps=_STEPS),
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
