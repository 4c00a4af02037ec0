"""A model's functions for runtimes that are not TensorFlow."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfp_priors.core import normal
from tfp_priors.errors import UserError
from tfp_priors.export.saved_model import named
from tfp_priors.models import PriorModel

#: What the one output of each function is called.
OUTPUTS = {
    "sample": "images",
    "decode": "images",
    "encode": "z",
    "log_prob": "log_prob",
    "to_base": "z0",
    "from_base": "z",
}


class PortableFunction(NamedTuple):
    """A function of tensors.

    Attributes:
      name: such as "sample".
      function: has the arguments that the signature names, and returns a dict of the
        output by its name in `OUTPUTS`.
      signature: of each argument; the first dimension is the batch.
    """

    name: str
    function: Callable
    signature: list[tf.TensorSpec]


def portable_functions(model: PriorModel) -> list[PortableFunction]:
    """What a model can do without TensorFlow, and without random numbers of its own.

        sample(z0) -> images          decode(z) -> images
        encode(images) -> z           log_prob(z) -> nats, [batch]
        to_base(z) -> z0              from_base(z0) -> z

    with images float32 in [0, 1], `[batch, height, width, channels]`, z
    `[batch, *code_shape]` and z0 `[batch, base_size]`. Draws of z0 from N(0, I), or
    those of the prior's own base, times a temperature, make samples of the model. As in
    a SavedModel, functions that the model does not have are left out, and so is a
    log_prob that is an estimate by random numbers; a prior alone has no sample, encode
    and decode.

    Given labels, int32 `[batch]`, or attributes, float32 `[batch, attributes]`, sample,
    log_prob, to_base and from_base have them as another argument, and sample, of a
    prior that has it, the guidance, a float32.

    Raises:
      UserError: if the networks are conditional too.
    """
    conditioner = model.conditioner
    given, guidance = [], []
    if conditioner is not None:
        if conditioner.conditions_networks:
            raise UserError(
                "the networks are conditional on more than a code, which this format "
                "has no place for: take --format=saved_model."
            )
        dtype = tf.as_dtype(conditioner.condition_dtype)
        shape = (None, *conditioner.condition_shape)
        given = [tf.TensorSpec(shape, dtype, conditioner.argument)]
        if model.has_guidance:
            guidance = [tf.TensorSpec((), tf.float32, "guidance")]
    z = tf.TensorSpec((None, *model.code_shape), tf.float32, "z")
    z0 = tf.TensorSpec((None, model.prior.base_size), tf.float32, "z0")
    prior, found = model.prior, []
    if model.has_decoder:
        if prior.has_base:
            found.append(("sample", _sample(model), [z0, *given, *guidance]))
        found.append(("decode", model.decode, [z]))
    if model.has_encoder:
        images = tf.TensorSpec((None, *model.image_shape), tf.float32, "images")
        found.append(("encode", model.encode, [images]))
    if prior.has_density and prior.has_exact_density:
        found.append(("log_prob", model.log_prob, [z, *given]))
    if prior.is_invertible:
        found.append(("to_base", model.to_base, [z, *given]))
    if prior.has_base:
        found.append(("from_base", model.from_base, [z0, *given]))
    return [PortableFunction(n, _elementary(n, f, s), s) for n, f, s in found]


def no_place(model: PriorModel, name: str, format: str) -> UserError:
    """The error of a function whose operations a format does not have."""
    return UserError(
        f"{format} has no operations for {name} of a {type(model.prior).__name__}: "
        "take --format=saved_model."
    )


def _sample(model):
    def sample(z0, condition=None, guidance=1.0):
        with model.prior.guided(guidance):
            return model.decode(model.from_base(z0, condition))

    return sample


def _elementary(name, function, signature):
    def traced(*arguments):
        with normal.elementary():
            return {OUTPUTS[name]: function(*arguments)}

    return named(traced, signature)
