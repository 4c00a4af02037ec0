"""Schedules: scalars as functions of the training step."""

import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within


def share(part: float, of: int, most: int | None = None, least: int = 1) -> int:
    """A number of steps, as a share of those of a run, or of what is learned from.

    Args:
      part: the share, above 0 and at most 1.
      of: the steps of the run, STEPS in gin files, or the number of codes, CODES.
      most: the largest number, if there is one.
      least: the smallest number.

    Raises:
      UserError: if the share is none, or `most` and `least` are no numbers of steps.
    """
    check_within("share", "(0, 1]", part=part)
    check_counts("share", least=least, **({} if most is None else {"most": most}))
    steps = max(least, round(part * of))
    return steps if most is None else min(steps, most)


class LinearAnnealing(Configured):
    """Rises linearly from `initial` to `value` within `steps` steps, then stays.

    The paper anneals the KL weight of VAE and FP-VAE over the first 50k iterations
    (section 4.1; Bowman et al. 2016).

    Args:
      value: the final value.
      steps: length of the rise.
      start: step at which the rise begins.
      initial: the value until then.

    >>> beta = LinearAnnealing(1.0, steps=100)
    >>> [float(beta(step)) for step in (0, 50, 200)]
    [0.0, 0.5, 1.0]
    """

    def __init__(
        self,
        value: float = 1.0,
        steps: int = 50_000,
        start: int = 0,
        initial: float = 0.0,
    ):
        name = type(self).__name__
        check_counts(name, steps=steps)
        check_within(name, "[0, inf)", start=start, value=value)
        check_within(name, f"[0, {value}]", initial=initial)
        self.value = value
        self.is_zero = value == 0
        self.steps = steps
        self.start = start
        self.initial = initial

    def __call__(self, step):
        """The value at a step, a float32 scalar."""
        progress = (tf.cast(step, tf.float32) - self.start) / self.steps
        progress = tf.clip_by_value(progress, 0.0, 1.0)
        return self.initial + (self.value - self.initial) * progress


class CyclicalAnnealing(Configured):
    """Repeats a linear rise from 0 to `value` (Fu et al. 2019).

    Within each cycle of `period` steps the rise takes the first `rise` of them, as a
    share, and the value stays for the rest.

    Args:
      value: the value at the end of each rise.
      period: steps per cycle.
      rise: share of a cycle that rises, in (0, 1].
      cycles: number of cycles, after which the value stays.
    """

    def __init__(
        self,
        value: float = 1.0,
        period: int = 25_000,
        rise: float = 0.5,
        cycles: int = 4,
    ):
        name = type(self).__name__
        check_counts(name, period=period, cycles=cycles)
        check_within(name, "[0, inf)", value=value)
        check_within(name, "(0, 1]", rise=rise)
        self.value = value
        self.is_zero = value == 0
        self.period = period
        self.rise = rise
        self.cycles = cycles

    def __call__(self, step):
        """The value at a step, a float32 scalar."""
        step = tf.cast(step, tf.int32)
        position = tf.cast(step % self.period, tf.float32) / self.period
        risen = self.value * tf.minimum(position / self.rise, 1.0)
        return tf.where(step < self.period * self.cycles, risen, self.value)
