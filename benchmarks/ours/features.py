"""Our evaluation: features, the Frechet distance, and both from draws; and SciPy's."""

import keras
import numpy as np
import scipy
import scipy.linalg
import tensorflow as tf

from benchmarks import pictures
from benchmarks.sides import ROOT
from tfp_priors import config
from tfp_priors.evaluation.activations import Activator
from tfp_priors.evaluation.activations import classifier_extractor
from tfp_priors.evaluation.feature_metrics import frechet_distance
from tfp_priors.evaluation.images import Images
from tfp_priors.evaluation.subject import subject_of_model

_FRECHET_SHAPE = (10_000, 2048)
_SAMPLES = 10_000
_FEATURES = 128


def versions():
    return {"tensorflow": tf.__version__, "scipy": scipy.__version__}


def build(variant, case):
    keras.utils.set_random_seed(0)
    if case == "frechet":
        return _frechet({"ours": frechet_distance, "scipy": _by_scipy}[variant])
    return {"extract": _extract, "end_to_end": _end_to_end}[case]()


def _model(name):
    config.parse([str(ROOT / "gin" / f"{name}.gin")])
    return config.trainer().make_model()


def _activator():
    return Activator(classifier_extractor(_model("mnist_classifier"), "fresh"))


def _extract():
    activator, array = _activator(), pictures.arrays(1000)[..., None]

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


def _end_to_end():
    subject, activator = subject_of_model(_model("mnist_beta0"), "fresh"), _activator()
    real = np.random.RandomState(0).rand(_SAMPLES, _FEATURES)

    def call():
        features = activator.activations(subject.samples(_SAMPLES, 0)).features
        return float(frechet_distance(real, features))

    return call
