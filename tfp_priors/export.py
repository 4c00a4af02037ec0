"""SavedModels for programs that have TensorFlow and nothing of this project."""

import os
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.models import GenerativeModel


def export(model: GenerativeModel, out: str | Path) -> None:
    """Writes a SavedModel; `tf.saved_model.load(out)` gives functions and signatures

        sample(n: int32, seed: int32, temperature: float32) -> images
        encode(images) -> z           decode(z) -> images
        reconstruct(images) -> images log_prob(z) -> nats, [batch]
        to_base(z) -> z0              from_base(z0) -> z

    with images float32 `[batch, height, width, channels]` in [0, 1] and z float32
    `[batch, latent_size]`. The same seed gives the images of `model.sample`. A prior
    without a density has no log_prob, one that is no flow no to_base and from_base; a
    model without an encoder has no encode and reconstruct.

    Raises:
      UserError: if `out` exists.
    """
    out = Path(out)
    if out.exists():
        raise UserError(f"{out} exists already: remove it, or choose another --out.")
    images = tf.TensorSpec((None, *model.image_shape), tf.float32, "images")
    z = tf.TensorSpec((None, model.latent_size), tf.float32, "z")
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "sample",
        model.sample,
        [
            tf.TensorSpec((), tf.int32, "n"),
            tf.TensorSpec((), tf.int32, "seed"),
            tf.TensorSpec((), tf.float32, "temperature"),
        ],
    )
    archive.add_endpoint("decode", model.decode, [z])
    if model.has_encoder:
        archive.add_endpoint("encode", model.encode, [images])
        archive.add_endpoint("reconstruct", model.reconstruct, [images])
    if model.prior.has_density:
        archive.add_endpoint("log_prob", model.log_prob, [z])
    if model.prior.is_invertible:
        z0 = tf.TensorSpec((None, model.latent_size), tf.float32, "z0")
        archive.add_endpoint("to_base", model.to_base, [z])
        archive.add_endpoint("from_base", model.from_base, [z0])
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        archive.write_out(str(temporary), verbose=False)
        os.rename(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
