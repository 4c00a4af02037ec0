"""One learning rate in front of the optimizers of several groups."""

import keras

from tfp_priors.errors import UserError


class SharedRate:
    """What callbacks meet as `model.optimizer`: the first group's optimizer.

    Setting its `learning_rate`, as `LearningRateScheduler` and `ReduceLROnPlateau` do,
    multiplies those of the other groups by the same factor.

    Args:
      optimizers: by group.
    """

    def __init__(self, optimizers: dict[str, keras.optimizers.Optimizer]):
        self._groups = dict(optimizers)
        self._first = next(iter(self._groups.values()))
        # Relative to the first one's, which may come back from 0.
        self._ratios = None

    @property
    def learning_rate(self):
        """The rate of the first group."""
        return self._first.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate):
        if self._ratios is None:
            rates = {n: self._constant(n, o) for n, o in self._groups.items()}
            first = next(iter(rates.values()))
            if not first > 0:
                raise UserError(
                    "A callback changes the learning rate of all groups by one factor: "
                    "expected one > 0 for the first group, received 0."
                )
            self._ratios = {name: own / first for name, own in rates.items()}
        for name, optimizer in self._groups.items():
            optimizer.learning_rate = self._ratios[name] * rate

    def _constant(self, name, optimizer):
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        schedule = keras.optimizers.schedules.LearningRateSchedule
        if isinstance(optimizer._learning_rate, schedule):
            raise UserError(
                f"A callback wants to set the learning rate, which follows a schedule "
                f"in the group {name!r}: compile with numbers, or leave the callback "
                "out."
            )
        return float(optimizer.learning_rate)

    @property
    def use_ema(self):
        raise UserError(
            "There is no moving average of the weights: leave SwapEMAWeights out."
        )

    @property
    def iterations(self):
        """Steps that the first group has taken."""
        return self._first.iterations

    @property
    def variables(self):
        """Those of all optimizers."""
        return [v for optimizer in self._groups.values() for v in optimizer.variables]
