"""What a model that is compiled must be: groups, rates and the layers of others."""

import math
import numbers
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts

#: What networks may compute in.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def check_arguments(
    model: keras.Model, jit_compile, precision, accumulation, **kwargs
) -> None:
    """Raises: UserError: if an argument of `compile` is none, or of another model."""
    unknown = sorted(set(kwargs) - {"run_eagerly", "steps_per_execution"})
    if unknown:
        raise UserError(
            f"{type(model).__name__}.compile takes no {unknown[0]}: the model has a "
            "loss and metrics of its own. Leave it out."
        )
    if type(model).compute_loss is not keras.Model.compute_loss:
        raise UserError(
            f"{type(model).__name__}.compute_loss would not be asked: override "
            "objective_on, which gives the loss, or leave it out."
        )
    for name, value, known in (
        ("precision", precision, PRECISIONS),
        ("jit_compile", jit_compile, (True, False, "auto")),
    ):
        if value not in known:
            raise UserError(
                f"Expected a {name} of {', '.join(map(str, known))}, received "
                f"{value!r}."
            )
    check_counts("compile", accumulation=accumulation)
    at_once = kwargs.get("steps_per_execution", 1)
    if at_once != "auto":
        check_counts("compile", steps_per_execution=at_once)
    if at_once != 1 and model.replicas > 1:
        raise UserError(
            "Keras takes one step at a time on several replicas: leave "
            "steps_per_execution out."
        )


def checked_clip_norm(clip_norm, groups):
    """A norm, or one by group, as Python's numbers.

    Raises:
      UserError: if a norm is none, or one of a group that is not there.
    """
    if not isinstance(clip_norm, Mapping):
        return None if clip_norm is None else _norm(clip_norm)
    unknown = sorted(set(clip_norm) - set(groups))
    if unknown:
        raise UserError(
            f"Expected a clip_norm for {', '.join(groups)}, received one for "
            f"{', '.join(unknown)}."
        )
    norms = {group: norm for group, norm in clip_norm.items() if norm is not None}
    return {group: _norm(norm) for group, norm in norms.items()}


def _norm(norm):
    is_number = isinstance(norm, numbers.Real) and not isinstance(norm, bool)
    if not (is_number and 0 < norm < math.inf):
        raise UserError(
            f"Expected a finite clip_norm > 0, or None, received {norm!r}; the loss "
            "is the model's own."
        )
    return float(norm)


def check_variables(variables: list[keras.Variable]) -> None:
    """Raises: UserError: if one that learns is no float32."""
    for variable in variables:
        if variable.dtype != "float32":
            raise UserError(
                f"Expected variables of float32 to learn, received {variable.path} of "
                f"{variable.dtype}: make its layer without a dtype. Networks compute "
                "in less by compile(precision=...)."
            )


def check_optimizer(
    group: str, optimizer: keras.optimizers.Optimizer, replicas: int
) -> None:
    """Raises: UserError: if a group's optimizer would not do what it says."""
    # Of one that scales the loss, what it scales it for.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    _check_rate(group, optimizer)
    if getattr(optimizer, "loss_scale_factor", None):
        raise UserError(
            "The loss is not multiplied by hand: leave loss_scale_factor out, and "
            "compile with precision='mixed_float16', which scales it."
        )
    if replicas > 1 and getattr(optimizer, "gradient_accumulation_steps", None):
        raise UserError(
            "Keras accumulates no gradients over several replicas: leave "
            "gradient_accumulation_steps out, and compile with accumulation, which "
            "splits each batch."
        )
    if getattr(optimizer, "use_ema", False):
        raise UserError(
            "There is no moving average of the weights: leave use_ema out, and let "
            "the learning rate fall to 0, which serves as well."
        )


def _check_rate(group, optimizer):
    """Raises: UserError: if a rate, or the first of a schedule, is negative or inf."""
    rate = getattr(optimizer, "_learning_rate", 0.0)
    rate = getattr(rate, "initial_learning_rate", rate)
    if isinstance(rate, keras.Variable):
        rate = rate.numpy()
    try:
        rate = float(rate)
    except (TypeError, ValueError):
        return  # A schedule of the user.
    if not 0 <= rate < math.inf:
        raise UserError(
            f"Expected a finite learning rate >= 0 for the {group}, received {rate:g}."
        )


def check_own_losses(parts: list[keras.layers.Layer]) -> None:
    """Raises: UserError: if one of the parts that learn has called `add_loss`."""
    layers = (layer for part in parts for layer in part._flatten_layers())
    names = [layer.name for layer in layers if layer._losses]
    if names:
        raise UserError(
            f"The layer {names[0]} has a loss of its own, by add_loss or an "
            "activity_regularizer: the objective takes regularizers of weights alone, "
            "and those of tfp_priors.regularizers."
        )


def check_known(model: keras.Model, watched: Sequence[tf.Variable]) -> None:
    """Raises: UserError: if what was read is a variable that Keras does not know.

    It would neither learn nor be saved.
    """
    values = [variable.value for variable in model.variables]
    # A variable of a strategy has one in it for each replica.
    known = {id(v) for value in values for v in (value, *getattr(value, "values", ()))}
    unknown = [variable.name for variable in watched if id(variable) not in known]
    if unknown:
        raise UserError(
            f"The variable {unknown[0]} is TensorFlow's own, as those of tf.Variable, "
            "tf_keras and TFP's networks are, and would not learn: make it by "
            "self.add_weight in build, or by a layer of Keras 3."
        )


def check_layers(network: keras.layers.Layer, replicas: int) -> None:
    """Raises: UserError: if a layer of a network does not do here what it is for."""
    _check_rescaling(network)
    if replicas > 1:
        _check_batch_normalization(network)


def _check_rescaling(network):
    """Raises: UserError: if a network of Keras' layers is for images in 0..255."""
    # What has no `layers` is a part of ours, or scales by itself, as `attach` has it.
    layers = network._flatten_layers() if hasattr(network, "layers") else ()
    scalings = [layer for layer in layers if isinstance(layer, keras.layers.Rescaling)]
    # Two may undo each other, before a network that was trained on 0..255.
    scale = math.prod(float(np.abs(layer.scale).max()) for layer in scalings)
    # To 0..255 it may, as such a network without a Rescaling wants, but for outputs.
    if scale <= 0.01 or (scale >= 100 and network.layers[-1] in scalings):
        raise UserError(
            f"The layer {scalings[-1].name} scales by {scale:.3g}, for images in "
            "0..255: they are in [0, 1] within the model. Leave it out, or take "
            "tfp_priors.models.attach with value_range=(0, 255)."
        )


def _check_batch_normalization(network):
    """Raises: UserError: if replicas would normalise their own shares of a batch."""
    for layer in network._flatten_layers():
        is_one = isinstance(layer, keras.layers.BatchNormalization)
        if is_one and layer.trainable and not layer.synchronized:
            raise UserError(
                f"The layer {layer.name} would normalise each replica's share of a "
                "batch by itself: set its synchronized = True, or make the networks "
                "within the strategy's scope()."
            )
