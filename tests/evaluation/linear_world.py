"""A world of images of 2 x 2 pixels: codes are their first two pixels, scaled.

The prior is a normal, z = SHIFT + SCALE * z0; an image has label 1 if its first pixel
is bright, and the classifier's logit is linear in that pixel.
"""

import numpy as np
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.evaluation.subject import Subject

SHAPE = (2, 2, 1)
SHIFT = np.array([0.3, 0.5])
SCALE = np.array([0.2, 0.1])

# Two groups, so that no attribute vector leaves the range of the pixels.
_LOW, _HIGH = (70, 90), (150, 170)


def images(split):
    """uint8, `[n, 2, 2, 1]`; half of the first pixels are dark."""
    n, seed = {"train": (300, 0), "test": (200, 1)}[split]
    random = np.random.RandomState(seed)
    pixels = random.randint(60, 200, (n, *SHAPE)).astype(np.uint8)
    pixels[: n // 2, 0, 0, 0] = random.randint(*_LOW, n // 2)
    pixels[n // 2 :, 0, 0, 0] = random.randint(*_HIGH, n - n // 2)
    return pixels


def labels(split):
    return (images(split)[:, 0, 0, 0] > 120).astype(int)


def codes(split):
    return encode(images(split).astype(np.float32) / 255)


def encode(pixels):
    return np.float32(pixels)[:, 0, :, 0]


def decode(z):
    z = np.clip(np.asarray(z), 0.0, 1.0)
    pixels = np.full((len(z), *SHAPE), 0.5, np.float32)
    pixels[:, 0, :, 0] = z
    return pixels


def _log_prob(z):
    z0 = (np.asarray(z, np.float64) - SHIFT) / SCALE
    constant = np.log(2 * np.pi) + np.log(SCALE).sum()
    return -0.5 * np.square(z0).sum(axis=1) - constant


def _samples(n, seed):
    random = np.random.RandomState(seed)
    return decode(SHIFT + SCALE * random.randn(n, 2))


def evaluator(slope=1.0, features=None, seed=3, **parts):
    """An evaluator of the world; `parts` replace those of the subject."""
    defaults = {
        "name": "world",
        "identity": "weights",
        "image_shape": SHAPE,
        "samples": lambda n, seed: from_sampler(_samples, n, seed, "weights"),
        "reconstruct": lambda pixels: decode(encode(pixels)),
        "encode": encode,
        "decode": decode,
        "to_base": lambda z: ((z - SHIFT) / SCALE).astype(np.float32),
        "from_base": lambda z0: (SHIFT + SCALE * z0).astype(np.float32),
        "sample_codes": lambda n, seed: {"z": encode(_samples(n, seed))},
        "log_prob": _log_prob,
    }

    def load_dataset(split):
        known = {"label": labels(split)} if features is None else features
        return ImageDataset(images(split), known, SHAPE)

    def activations(pixels):
        pixels = tf.cast(tf.reshape(pixels, [-1, 4]), tf.float32) / 255
        logit = slope * (pixels[:, 0] - 0.47)
        return pixels, tf.stack([-logit / 2, logit / 2], axis=1)

    return Evaluator(
        Subject(**(defaults | parts)),
        load_dataset,
        {"classifier": lambda: Extractor("classifier", "known", activations)},
        seed=seed,
    )
