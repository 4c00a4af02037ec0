"""Bounded numbers and affine maps, as couplings and autoregressive flows use."""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.errors import UserError

tfb = tfp.bijectors


def check_bound(owner: str, name: str, bound: float) -> float:
    """Returns the bound if it is a finite number > 0; raises UserError otherwise."""
    is_number = isinstance(bound, (int, float, np.number))
    if not is_number or isinstance(bound, bool) or not 0 < bound < math.inf:
        raise UserError(
            f"{owner} expects a finite {name} > 0, received {bound!r}: choose another."
        )
    return bound


def bounded(x, bound):
    """c tanh(x / c): near x for small x, within +- c for all."""
    return bound * tf.tanh(x / bound)


def affine_bijector(shift, log_scale) -> tfb.Bijector:
    """exp(log_scale) * x + shift, dimension by dimension."""
    return tfb.Chain([tfb.Shift(shift), tfb.Scale(log_scale=log_scale)])
