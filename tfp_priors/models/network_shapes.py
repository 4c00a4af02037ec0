"""What networks of a user take and return, and whether that fits."""

from types import NoneType

import keras
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.errors import first_line

# That of a layer that does not say it.
_COMPUTE_OUTPUT_SHAPE = keras.layers.Layer.compute_output_shape


def _shapes(specs):
    """The shape of inputs, or those of a pair."""
    return tf.nest.map_structure(lambda spec: tuple(spec.shape), specs)


def output_shape(name, network, specs):
    """The shape of a network's outputs, given inputs of these specs.

    Args:
      name: of the network, for messages.
      network: a Keras layer.
      specs: a `tf.TensorSpec`, or a pair of those of inputs and conditions.

    Raises:
      UserError: if it does not take them, or returns no single tensor.
    """
    inputs, input_shape = getattr(network, "inputs", None), _shapes(specs)
    expected = len(specs) if isinstance(specs, tuple) else 1
    for what, own, count in (
        ("input(s)", inputs, expected),
        ("output(s)", getattr(network, "outputs", None), 1),
    ):
        if own and len(own) != count:
            raise UserError(
                f"Expected the {name} to have {count} {what}, received {len(own)}."
            )
    if inputs and expected == 1:
        own = inputs[0].shape
        if len(own) != len(input_shape) or any(
            None not in (n, m) and n != m for n, m in zip(own, input_shape, strict=True)
        ):
            raise UserError(
                f"Expected the {name} to take inputs of shape {input_shape}, its own "
                f"are {tuple(own)}."
            )
    takes = "pairs of inputs and conditions" if expected == 2 else "inputs alone"
    error = UserError(
        f"Expected the {name} to take {takes}, received a {type(network).__name__} "
        "that does not: a conditioner's conditions_networks says which, and "
        "networks.ConditionalEncoder makes such networks of others."
    )
    tells_shape = type(network).compute_output_shape is not _COMPUTE_OUTPUT_SHAPE
    if tells_shape and (inputs or not isinstance(network, keras.Model)):
        try:
            shape = network.compute_output_shape(input_shape)
        except TypeError as cause:
            raise error from cause
    else:
        # Layers of a user's class may be built by its first call alone.
        try:
            outputs = network(tf.nest.map_structure(_symbolic, specs))
        except Exception as cause:
            if expected == 2:
                raise error from cause
            raise UserError(
                f"The {name} cannot take inputs of shape {input_shape}: "
                f"{first_line(cause)}"
            ) from cause
        shape = getattr(outputs, "shape", outputs)
    # That of what takes the first shape for the size of the batch.
    if isinstance(shape, tuple) and isinstance(shape[0], tuple):
        raise error
    if not isinstance(shape, (tuple, list)) or not isinstance(
        shape[-1], (int, NoneType)
    ):
        raise UserError(
            f"Expected the {name} to return one tensor, received one that returns a "
            f"{type(shape).__name__} of them."
        )
    return tuple(shape)


def build_network(network, specs):
    """Builds a network, unless it is; by a call if its layer leaves that to the first.

    Args:
      network: a Keras layer.
      specs: as in `output_shape`.
    """
    if not network.built and type(network).build is keras.layers.Layer.build:
        zeros = [tf.zeros([1, *s.shape[1:]], s.dtype) for s in tf.nest.flatten(specs)]
        network(tf.nest.pack_sequence_as(specs, zeros))
    if not network.built:
        network.build(_shapes(specs))


def _symbolic(spec):
    return keras.KerasTensor(spec.shape, spec.dtype.name)
