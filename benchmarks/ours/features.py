"""Our features of images and Frechet distance; and SciPy's."""

import keras
import numpy as np
import scipy
import scipy.linalg
import tensorflow as tf

from benchmarks import pictures
from benchmarks.sides import ROOT
from tfp_priors import config
from tfp_priors.evaluation.activations import Activator
from tfp_priors.evaluation.activations import predictor_extractor
from tfp_priors.evaluation.feature_metrics import frechet_distance
from tfp_priors.evaluation.images import Images

_FRECHET_SHAPE = (10_000, 2048)


def versions():
    return {"tensorflow": tf.__version__, "scipy": scipy.__version__}


def build(variant, case):
    keras.utils.set_random_seed(0)
    if case == "frechet":
        return _frechet({"ours": frechet_distance, "scipy": _by_scipy}[variant])
    return _extract()


def _extract():
    config.parse([str(ROOT / "gin" / "mnist_classifier.gin")])
    classifier = config.trainer().make_model()
    activator = Activator(predictor_extractor(classifier, "fresh"))
    array = pictures.arrays(1000)[..., None]

    def call():
        images = Images(len(array), lambda start, stop: array[start:stop], "array")
        return float(activator.activations(images).features.sum())

    return call


def _frechet(distance):
    first, second = np.random.RandomState(0).randn(2, *_FRECHET_SHAPE)
    second *= 1.1
    return lambda: float(distance(first, second))


def _by_scipy(first, second):
    covariances = np.cov(first.T), np.cov(second.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    shift = np.sum((first.mean(0) - second.mean(0)) ** 2)
    return shift + np.trace(covariances[0] + covariances[1] - 2 * root)
