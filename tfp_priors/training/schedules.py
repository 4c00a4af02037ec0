"""Schedules: scalars as functions of the training step."""

import tensorflow as tf

from tfp_priors.errors import UserError


class LinearAnnealing:
    """Rises linearly from 0 at step 0 to `value` at step `steps`, then stays.

    The paper anneals the KL weight of VAE and FP-VAE over the first 50k iterations
    (section 4.1; Bowman et al. 2016).

    Args:
      value: the final value.
      steps: length of the rise.
    """

    def __init__(self, value: float = 1.0, steps: int = 50_000):
        if steps < 1 or not 0 <= value < float("inf"):
            raise UserError(
                "LinearAnnealing expects a finite value >= 0 and steps >= 1, received "
                f"value = {value} and steps = {steps}."
            )
        self.value = value
        self.steps = steps

    def __call__(self, step):
        """The value at a step, a float32 scalar."""
        progress = tf.cast(step, tf.float32) / self.steps
        return self.value * tf.minimum(progress, 1.0)
