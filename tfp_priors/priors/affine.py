"""Affine maps with a bounded log-scale, as couplings and autoregressive flows use."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.errors import UserError

tfb = tfp.bijectors


def check_log_scale_bound(bound: float, owner: str) -> float:
    """Returns the bound if it is positive; raises UserError otherwise."""
    if not bound > 0:
        raise UserError(f"{owner} expects log_scale_bound > 0, received {bound}.")
    return bound


def bounded_log_scale(s, bound):
    """c tanh(s / c): near s for small s, within +- c for all."""
    return bound * tf.tanh(s / bound)


def affine_bijector(shift, log_scale) -> tfb.Bijector:
    """exp(log_scale) * x + shift, dimension by dimension."""
    return tfb.Chain([tfb.Shift(shift), tfb.Scale(log_scale=log_scale)])
