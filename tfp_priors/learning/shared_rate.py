"""One learning rate in front of the optimizers of several groups."""

import functools

import keras

from tfp_priors.errors import UserError

_EXCLUDED = (
    "_exclude_from_weight_decay",
    "_exclude_from_weight_decay_pattern",
)


def share_rate(optimizers: dict[str, keras.optimizers.Optimizer]) -> None:
    """Makes the rates follow that of the first optimizer when it is set or assigned.

    Callbacks such as `LearningRateScheduler` and `ReduceLROnPlateau` set that of
    `model.optimizer` alone, which is the first one: the others are multiplied by the
    same factor.

    Args:
      optimizers: by group. The first one gets a subclass of its class.
    """
    (first, *others) = optimizers.values()
    kind = type(first)

    @functools.cache
    def ratios():
        """Of others and their rates to the first one's, which may come back from 0."""
        if not others:
            return []
        rate = _rate(first)
        if not rate > 0:
            raise UserError(
                "The learning rate is set, and multiplies that of all groups: "
                "expected one > 0 for the first group, received 0."
            )
        # A schedule stays one, as where a checkpoint brings the first one's rate back.
        constant = [other for other in others if not _has_schedule(other)]
        return [(other, _rate(other) / rate) for other in constant]

    def set_rate(self, rate):
        if callable(rate) and others:
            raise UserError(
                "The learning rate of all groups is set by a number: compile with a "
                "dict of optimizers that have schedules."
            )
        if not callable(rate):
            _refuse_schedules(optimizers)
        ratios()
        kind.learning_rate.fset(self, rate)

    variable = getattr(first, "inner_optimizer", first)._learning_rate
    if isinstance(variable, keras.Variable):
        assign = variable.assign

        def assign_all(rate):
            # A checkpoint that brings the same rate back changes none.
            if _number(rate) != _number(variable):
                for other, ratio in ratios():
                    other.learning_rate = ratio * _number(rate)
            return assign(rate)

        variable.assign = assign_all

    # A property is the class's: a callback meets it as any optimizer's.
    leading = type(kind.__name__, (kind,), {"__module__": kind.__module__})
    leading.learning_rate = property(kind.learning_rate.fget, set_rate)
    leading.led_class = kind
    first.__class__ = leading


def _refuse_schedules(optimizers):
    for name, optimizer in optimizers.items():
        if _has_schedule(optimizer):
            raise UserError(
                f"The learning rate is set while that of the group {name!r} follows a "
                "schedule: compile with numbers, or leave the callback out."
            )


def _has_schedule(optimizer):
    """Whether the rate is a schedule or a function, and no number that is set."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return not isinstance(inner._learning_rate, keras.Variable)


def _rate(optimizer):
    return _number(getattr(optimizer, "inner_optimizer", optimizer).learning_rate)


def _number(rate):
    # A variable of several replicas is no number for Python.
    return float(keras.ops.convert_to_numpy(rate))


def copied(optimizer: str | dict | keras.optimizers.Optimizer):
    """A new optimizer with the same settings, as it was before `share_rate`.

    Raises:
      UserError: if it is none.
    """
    try:
        optimizer = keras.optimizers.get(optimizer)
    except (TypeError, ValueError) as error:
        raise UserError(
            "Expected a Keras optimizer, such as keras.optimizers.Adam(1e-3), or the "
            f"name of one, received {optimizer!r}."
        ) from error
    rate = getattr(optimizer, "_learning_rate", None)
    if isinstance(rate, keras.Variable) or rate is None:
        config = optimizer.get_config()
    else:
        # A schedule or a function of the user need not have a config.
        optimizer._learning_rate = None
        try:
            config = optimizer.get_config() | {"learning_rate": rate}
        finally:
            optimizer._learning_rate = rate
    copy = _own_class(optimizer).from_config(config)
    # What `exclude_from_weight_decay` has set is not in the config.
    for name in _EXCLUDED:
        if hasattr(optimizer, name):
            setattr(copy, name, getattr(optimizer, name))
    return copy


def _own_class(optimizer):
    return getattr(optimizer, "led_class", type(optimizer))


def serialized(optimizer: keras.optimizers.Optimizer) -> dict:
    """An optimizer as Keras serializes it, without what `compile` has put on it.

    Raises:
      UserError: if its learning rate cannot be.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # Not a copy: Keras takes two objects for one if they had the same address.
    leading, optimizer.__class__ = type(optimizer), _own_class(optimizer)
    try:
        return keras.saving.serialize_keras_object(optimizer)
    except NotImplementedError as error:
        raise UserError(
            f"The learning rate's {type(optimizer._learning_rate).__name__} cannot be "
            "saved: give it a get_config, and register it by "
            "keras.saving.register_keras_serializable."
        ) from error
    finally:
        optimizer.__class__ = leading
