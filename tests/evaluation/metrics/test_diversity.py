"""How diverse samples are, in a world whose images say which value each factor has."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.evaluation.subject import Subject

SHAPE = (1, 2, 1)
FACTORS = {"colour": slice(0, 4), "side": slice(4, 6)}


def images_of(colour, side):
    """A pixel for each factor."""
    pixels = np.stack(np.broadcast_arrays(colour, side), axis=1)
    return pixels.reshape(-1, *SHAPE).astype(np.uint8)


def read(images):
    """Logits that are as good as sure."""
    colour, side = tf.unstack(tf.cast(images[:, 0, :, 0], tf.int32), axis=1)
    values = tf.concat([tf.one_hot(colour, 4), tf.one_hot(side, 2)], axis=1)
    return values, 40.0 * values - 20.0


# Of as many draws as there are pairs of values each pair is one.
WORLDS = {
    "uniform": lambda i, label: images_of(i % 4, i // 4 % 2),
    "side ignored": lambda i, label: images_of(i % 4, 0),
    "colour given": lambda i, label: images_of(label, i % 2),
}


def evaluator(world="uniform", condition="label", factors=FACTORS):
    """An evaluator of a world that is given labels, or nothing."""

    def load(split):
        i = np.arange(16)
        dataset = ImageDataset(images_of(i % 4, i // 8), {"label": i % 4}, SHAPE)
        dataset.factors = factors
        return dataset

    def draw(n, seed, label=None):
        return WORLDS[world](np.arange(n), label)

    subject = Subject(
        "world",
        "weights",
        SHAPE,
        condition=condition,
        samples=lambda n, seed, *given: from_sampler(draw, n, seed, "w", *given),
    )
    extractor = Extractor("classifier", "known", read)
    return Evaluator(subject, load, {"classifier": lambda: extractor})


@pytest.mark.parametrize(
    ("world", "colour", "side"),
    [("uniform", 1, 1), ("side ignored", 1, 0), ("colour given", 0, 1)],
)
def test_the_share_of_the_entropy_that_a_condition_leaves(world, colour, side):
    (result,) = evaluator(world).evaluate("factor_entropy_16c8s")
    assert result["factors"] == pytest.approx({"colour": colour, "side": side})
    share = (colour * np.log(4) + side * np.log(2)) / np.log(8)
    assert result["value"] == pytest.approx(share)
    # All conditions are alike.
    assert result["standard_error"] == pytest.approx(0)
    assert (result["conditions"], result["samples"]) == (16, 8)
    assert result["extractor_identity"] == "known"


def test_the_share_of_a_model_that_is_given_nothing():
    world = evaluator("side ignored", condition=None)
    (result,) = world.evaluate("factor_entropy_1c8s")
    assert result["value"] == pytest.approx(np.log(4) / np.log(8))
    assert "standard_error" not in result


@pytest.mark.parametrize(
    ("world", "colour", "side"),
    [("uniform", 4, 2), ("side ignored", 4, 1), ("colour given", 4, 2)],
)
def test_the_score_of_a_factor_is_its_number_of_levels(world, colour, side):
    (result,) = evaluator(world).evaluate("factor_score16")
    assert result["factors"] == pytest.approx({"colour": colour, "side": side})
    assert result["value"] == pytest.approx(np.sqrt(colour * side))
    assert result["real"] == pytest.approx(np.sqrt(4 * 2))
    assert (result["samples"], result["images"]) == (16, 16)


@pytest.mark.parametrize("name", ["factor_entropy_16c8s", "factor_score16"])
def test_data_without_known_factors_is_refused(name):
    with pytest.raises(UserError, match="no factors that are known to be independent"):
        evaluator(factors={}).evaluate(name)
