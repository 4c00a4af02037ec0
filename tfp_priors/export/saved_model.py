"""SavedModels for programs that have TensorFlow and nothing of this project."""

import functools
import inspect
from pathlib import Path

import keras
import tensorflow as tf

from tfp_priors.models import PriorModel


def write_saved_model(model: PriorModel, folder: Path) -> None:
    """Writes a SavedModel; `tf.saved_model.load(folder)` gives functions and signatures

        sample(n: int32, seed: int32, temperature: float32) -> images
        encode(images) -> z           decode(z) -> images
        reconstruct(images) -> images log_prob(z) -> nats, [batch]
        to_base(z) -> z0              from_base(z0) -> z

    with images `[batch, height, width, channels]`, float32 in [0, 1] or uint8, z
    float32 `[batch, *code_shape]` and z0 float32 `[batch, latent_size]`; the
    `signatures` take float32 alone. The same seed gives the images of `model.sample`. A
    prior without a density has no log_prob, one that is no flow no to_base and
    from_base; a model without an encoder has no encode and reconstruct.

    A prior alone (`Prior`, `CodeModel`) has sample, which draws codes, log_prob,
    to_base and from_base; given a context, `[n, size]`, it is sample(context, seed,
    temperature, guidance), and the second argument of the others.

    A prior given labels or attributes (`networks.LabelContext`) has instead

        sample(label, n: int32, seed: int32, temperature, guidance) -> n images of one
        labels() -> int32, [classes]
        log_prob(z, label), to_base(z, label), from_base(z0, label)

    with an int32 label, or attributes float32 `[attributes]`. A prior that has none
    (`Prior.guided`) takes no guidance.

    A model whose networks are conditional too, as on poses (keypoints), has instead

        sample(pose, n: int32, seed: int32) -> n images of one pose
        transfer(image, image_pose, pose) -> images of their appearance in other poses

    and takes poses, `[batch, ...]`, as the second argument of encode, decode,
    reconstruct, log_prob, to_base and from_base.
    """
    archive = keras.export.ExportArchive()
    for name, function, signature in _endpoints(model):
        if signature and signature[0].name == "images":
            archive.add_endpoint(name, _of_images(function, signature))
        elif model.conditioner is not None:
            archive.add_endpoint(name, named(function, signature), signature)
        else:
            archive.add_endpoint(name, function, signature)
    archive.write_out(str(folder), verbose=False)


def _of_images(function, signature):
    """A function of images, traced for float32 and for uint8."""

    images, *others = signature
    traced = tf.function(function, autograph=False)
    # The first one is the signature's.
    for dtype in (tf.float32, tf.uint8):
        first = tf.TensorSpec(images.shape, dtype, images.name)
        traced.get_concrete_function(first, *others)
    return traced


def _endpoints(model):
    """Yields (name, function, input signature)."""
    images = tf.TensorSpec((None, *model.image_shape), tf.float32, "images")
    z = tf.TensorSpec((None, *model.code_shape), tf.float32, "z")
    z0 = tf.TensorSpec((None, model.latent_size), tf.float32, "z0")
    n, seed = (tf.TensorSpec((), tf.int32, name) for name in ("n", "seed"))
    of_networks, of_prior, conditioner = [], [], model.conditioner
    if conditioner is None:
        yield "sample", model.sample, [n, seed, *_how(model)]
    else:
        name, shape = conditioner.argument, conditioner.condition_shape
        dtype = tf.as_dtype(conditioner.condition_dtype)
        one = tf.TensorSpec(shape, dtype, name)
        of_prior = [tf.TensorSpec((None, *shape), dtype, name)]
        how = _how(model)
        if model.has_decoder and conditioner.conditions_networks:
            of_networks, how = of_prior, []
            own = tf.TensorSpec((None, *shape), dtype, f"image_{name}")
            yield "transfer", model.transfer, [images, own, *of_prior]
        if model.has_decoder:
            yield "sample", model.sample_of_condition, [one, n, seed, *how]
        else:
            yield "sample", _sample_given(model), [*of_prior, seed, *how]
        if conditioner.argument == "label":
            yield "labels", lambda: tf.range(conditioner.context_size), []

    if model.has_decoder:
        yield "decode", _decoder(model), [z, *of_networks]
    if model.has_encoder:
        yield "encode", model.encode, [images, *of_networks]
        yield "reconstruct", model.reconstruct, [images, *of_networks]
    if model.prior.has_density:
        yield "log_prob", model.log_prob, [z, *of_prior]
    if model.prior.is_invertible:
        yield "to_base", model.to_base, [z, *of_prior]
        yield "from_base", model.from_base, [z0, *of_prior]


def _how(model):
    """How draws may be: the temperature and, if any, the guidance."""
    names = ["temperature", *(["guidance"] if model.has_guidance else [])]
    return [tf.TensorSpec((), tf.float32, name) for name in names]


def named(function, signature):
    """The function, whose arguments are called what the signature calls them."""

    @functools.wraps(function)
    def named(*args):
        return function(*args)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(spec.name, kind) for spec in signature]
    named.__signature__ = inspect.Signature(parameters)
    return named


def _sample_given(model):
    return lambda context, seed, temperature, *guidance: model.sample(
        tf.shape(context)[0], seed, temperature, context, *guidance
    )


def _decoder(model):
    conditioner = model.conditioner
    if conditioner is None or not conditioner.conditions_networks:
        return model.decode
    # Whose second argument is another one.
    return lambda z, condition: model.decode(z, condition=condition)
