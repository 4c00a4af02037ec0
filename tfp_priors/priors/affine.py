"""Bounded numbers and affine maps, as couplings and autoregressive flows use."""

import tensorflow as tf
import tensorflow_probability as tfp

tfb = tfp.bijectors


def bounded(x, bound):
    """c tanh(x / c): near x for small x, within +- c for all."""
    return bound * tf.tanh(x / bound)


def affine_bijector(shift, log_scale) -> tfb.Bijector:
    """exp(log_scale) * x + shift, dimension by dimension."""
    return tfb.Chain([tfb.Shift(shift), tfb.Scale(log_scale=log_scale)])
