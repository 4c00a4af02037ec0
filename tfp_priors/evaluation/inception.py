"""The Inception network of FID, KID and Inception score: TF-GAN's TF-Hub module."""

from pathlib import Path

import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.files import saved_model_sha256

# As in TF-GAN's `inception_metrics`.
_TFHUB = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"
_SIDE = 299

_BATCH_SIZE = 50


def inception(directory: str | Path | None = None) -> Extractor:
    """The network as an `Extractor`.

    Images of any size are scaled to 299 x 299 bilinearly, without antialiasing, gray
    ones repeated to three channels, and mapped to [-1, 1]. Features are the 2,048
    outputs of the last pooling, logits the 1,008 of the 2015 network.

    Args:
      directory: an unpacked copy of the module; None: TF-Hub's, which is downloaded
        at the first use.

    Raises:
      UserError: if the module cannot be had, or the directory holds another one.
    """
    if directory is None:
        directory = _download(_TFHUB)
    if not tf.saved_model.contains_saved_model(str(directory)):
        raise UserError(
            f"{directory} holds no SavedModel: expected an unpacked copy of "
            f"{_TFHUB}, with saved_model.pb and variables/."
        )
    module = tf.saved_model.load(str(directory))

    def function(images):
        # As TF-GAN scales images: bilinear, then [-1, 1].
        images = tf.image.resize(tf.cast(images, tf.float32), [_SIDE, _SIDE])
        if images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        outputs = module(images / 127.5 - 1.0)
        flat = [
            tf.reshape(outputs[key], [tf.shape(images)[0], -1])
            for key in ("pool_3", "logits")
        ]
        return tuple(flat)

    _check(function, directory)
    identity = f"inception-{saved_model_sha256(directory)}"
    return Extractor("inception", identity, function, _BATCH_SIZE)


def _check(function, directory):
    try:
        features, logits = function(tf.zeros([1, 8, 8, 3], tf.uint8))
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"The SavedModel in {directory} is not TF-GAN's Inception module: it does "
            "not map images [n, 299, 299, 3] to 'pool_3' and 'logits'."
        ) from error
    if features.shape[-1] != 2048:
        raise UserError(
            f"The SavedModel in {directory} has {features.shape[-1]} features, "
            "TF-GAN's Inception module has 2048."
        )


def _download(handle):
    import tensorflow_hub  # Slow, and needed for this alone.

    try:
        return tensorflow_hub.resolve(handle)
    except Exception as error:  # It lets errors of several HTTP libraries through.
        raise UserError(
            f"The Inception network could not be downloaded ({type(error).__name__}). "
            f"On a machine with a connection, fetch {handle}?tf-hub-format=compressed, "
            "unpack it here and pass --inception_dir=FOLDER; or use the metrics of a "
            "classifier (fcd, kcd, cs) with --classifier=RUN."
        ) from error
