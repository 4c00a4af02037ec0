"""Learning rates times a factor, for a training that went back to a checkpoint."""

import keras


@keras.saving.register_keras_serializable("tfp_priors")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of learning rates times a factor."""

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        factor: float,
    ):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        """The rate at a step, a float32 scalar."""
        return self.factor * self.schedule(step)

    def get_config(self):
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["factor"])


def scale_learning_rate(
    optimizer: keras.optimizers.Optimizer,
    configured: keras.optimizers.Optimizer,
    factor: float,
) -> None:
    """Gives an optimizer the learning rate of another one times a factor.

    Args:
      optimizer: what it has learned, a rate in its variables aside, stays.
      configured: whose rate is the full one. `optimizer` may have a lowered one, as
        constant rates are among the variables that checkpoints hold.
      factor: of the rate, or of all values of its schedule.
    """
    rate = configured._learning_rate
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        inner._learning_rate = ScaledSchedule(rate, factor)
    else:
        # Not as `share_rate` has it, which moves those of other groups too.
        variable = inner._learning_rate
        type(variable).assign(variable, factor * float(rate.numpy()))
