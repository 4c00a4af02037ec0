"""Whether samples are what was asked for, in a world where brightness is the label."""

import numpy as np
import pytest

from tests.evaluation.test_evaluator import EXTRACTOR
from tests.evaluation.test_evaluator import flat
from tests.evaluation.test_evaluator import load_dataset
from tests.evaluation.test_evaluator import pixels
from tests.evaluation.test_evaluator import subject
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.feature_metrics import frechet_distance
from tfp_priors.evaluation.images import from_sampler

N = 400


def of_labels(n, seed, labels):
    """Nine of ten as asked for."""
    asked = np.where(np.arange(n) % 10 == 0, 1 - labels, labels)
    noise = pixels(n, seed, 0.0).reshape(n, -1)
    values = np.where(asked[:, None], 130, 70) + noise % 5
    return values.reshape(n, 2, 2, 1).astype(np.uint8)


def evaluator(**parts):
    parts = {
        "condition": "label",
        "samples": lambda n, seed, *given: from_sampler(
            of_labels, n, seed, "weights", *given
        ),
    } | parts
    return Evaluator(
        subject(**parts), load_dataset, {"classifier": lambda: EXTRACTOR}, seed=3
    )


def test_the_share_that_is_what_was_asked_for():
    (result,) = evaluator().evaluate(f"condition_accuracy{N}")
    np.testing.assert_allclose(result["value"], 0.9)
    assert result["ceiling"] == 1.0
    np.testing.assert_allclose(result["standard_error"], np.sqrt(0.09 / (N - 1)))


def test_attributes_are_averaged():
    def load(split):
        images = pixels(N, 1)
        bright = (images.reshape(N, -1).sum(1) > 400).astype(np.float32)
        attributes = np.stack([1 - bright, np.ones(N, np.float32)], axis=1)
        return ImageDataset(images, {"attributes": attributes}, (2, 2, 1))

    world = Evaluator(
        subject(
            condition="attributes",
            samples=lambda n, seed, given: from_sampler(
                lambda n, seed, given: of_labels(n, seed, given[:, 0] == 0),
                n,
                seed,
                "weights",
                given,
            ),
        ),
        load,
        {"classifier": lambda: EXTRACTOR._replace(exclusive_classes=False)},
        seed=3,
    )
    (result,) = world.evaluate(f"condition_accuracy{N}")
    bright = load("test").features["attributes"][:, 0] == 0
    # Dark is told by the first logit, and bright by the second.
    expected = (0.9 + np.mean(np.where(bright, 0.9, 0.1))) / 2
    np.testing.assert_allclose(result["value"], expected, atol=0.01)


def test_a_classifier_of_other_things_is_refused():
    world = Evaluator(
        evaluator().subject,
        load_dataset,
        {"classifier": lambda: EXTRACTOR._replace(exclusive_classes=False)},
    )
    with pytest.raises(UserError, match="tells attributes, the model is given classes"):
        world.evaluate(f"condition_accuracy{N}")


def test_the_distance_within_each_label():
    world = evaluator()
    (result,) = world.evaluate(f"fcd{N}_within_test")
    real, samples = world.real_images("test", N), world.samples(N)
    each = {}
    for label in (0, 1):
        chosen = [
            flat(np.concatenate(list(images)))[images.condition == label]
            for images in (real, samples)
        ]
        each[str(label)] = frechet_distance(*chosen)
    assert result["labels"].keys() == each.keys()
    for label, value in each.items():
        np.testing.assert_allclose(result["labels"][label], value, rtol=1e-3)
    np.testing.assert_allclose(result["value"], np.mean(list(each.values())), rtol=1e-3)


def test_a_label_of_one_image():
    with pytest.raises(UserError, match="fewer than 2 samples or images of label"):
        evaluator().evaluate("fcd2_within_test")


@pytest.mark.parametrize("name", ["condition_accuracy10", "fcd10_within_test"])
def test_models_that_are_given_nothing(name):
    with pytest.raises(UserError, match="conditional on nothing: expected a model"):
        evaluator(condition=None).evaluate(name)
