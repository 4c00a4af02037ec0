"""Paths in a world whose flow, decoder and classifier can be written down."""

import numpy as np
import pytest
import scipy.stats

from tests.evaluation import linear_world
from tfp_priors import latent_space
from tfp_priors.errors import UserError
from tfp_priors.evaluation import paths


def test_random_pairs_are_disjoint_and_follow_the_seed():
    pairs = paths.random_pairs(20, 10, seed=3)
    assert sorted(pairs.reshape(-1)) == list(range(20))
    np.testing.assert_array_equal(pairs, paths.random_pairs(20, 10, seed=3))
    assert (pairs != paths.random_pairs(20, 10, seed=4)).any()
    with pytest.raises(UserError, match="11 pairs need 22 images, the split has 20"):
        paths.random_pairs(20, 11, seed=0)


def test_path_density_is_that_of_the_normal_along_both_paths():
    """z0 = (z - shift) / scale, so everything has a closed form."""
    evaluator = linear_world.evaluator()
    (result,) = evaluator.evaluate("path_density50_test")
    codes = linear_world.codes("test")
    a, b = codes[paths.random_pairs(len(codes), 50, evaluator.seed)]
    normal = scipy.stats.multivariate_normal(
        linear_world.SHIFT, np.diag(linear_world.SCALE**2)
    )
    means, distances = {}, {"z": [], "z0": []}
    for space in ("z", "z0"):
        densities = []
        for first, last in zip(a, b, strict=True):
            if space == "z":
                path = [(1 - t) * first + t * last for t in paths.T]
            else:
                ends = [
                    (z - linear_world.SHIFT) / linear_world.SCALE for z in (first, last)
                ]
                path = latent_space.slerp(*ends, paths.T) * linear_world.SCALE
                path = path + linear_world.SHIFT
            densities.append(normal.logpdf(path).mean())
            offsets = np.asarray(path)[1:-1, None] - codes[None]
            distances[space] += [np.linalg.norm(offsets, axis=-1).min(axis=1).mean()]
        means[space] = np.array(densities)
    difference = means["z0"] - means["z"]
    assert result["z"] == pytest.approx(means["z"].mean(), rel=1e-5)
    assert result["z0"] == pytest.approx(means["z0"].mean(), rel=1e-5)
    assert result["value"] == pytest.approx(difference.mean(), rel=1e-4)
    error = difference.std(ddof=1) / np.sqrt(50)
    assert result["standard_error"] == pytest.approx(error, rel=1e-4)
    assert result["share"] == np.mean(difference > 0)
    # The map is affine: what is straight in z0 is straight in z.
    assert result["z0_lerp"] == pytest.approx(result["z"], rel=1e-5)
    expected = {space: np.mean(values) for space, values in distances.items()}
    expected["z0_lerp"] = expected["z"]
    assert result["nearest"] == pytest.approx(expected, rel=1e-4)
    # A straight path cuts through the middle, where a normal is densest; slerp also
    # goes far out between ends that are nearly opposite.
    assert result["value"] < 0


def test_unevenness_of_a_linear_and_of_a_steep_classifier():
    """The probability is a function of the first coordinate, which grows linearly."""
    evaluator = linear_world.evaluator(slope=0.01)
    (even,) = evaluator.evaluate("attribute_unevenness20_z_test")
    assert even["value"] == pytest.approx(0.0, abs=1e-2)
    evaluator = linear_world.evaluator(slope=1e6)
    (sudden,) = evaluator.evaluate("attribute_unevenness20_z_test")
    # All change between one pair of 11 points: a variance of 9 squared means.
    assert sudden["value"] == pytest.approx(9.0)
    assert sudden["gains"][1] == pytest.approx(1.0)
    assert len(sudden["per_attribute"]) == 2


def test_attribute_ends_are_without_and_with_the_mean_difference():
    evaluator = linear_world.evaluator()
    indices, a, b = paths.attribute_ends(evaluator, 1, 20, "test")
    labels, codes = linear_world.labels("test"), linear_world.codes("test")
    assert not labels[indices].any() and len(set(indices)) == 20
    np.testing.assert_allclose(a, codes[indices], rtol=1e-6)
    vector = codes[labels == 1].mean(0) - codes[labels == 0].mean(0)
    np.testing.assert_allclose(b - a, np.tile(vector, (20, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        ("path_density1k_test", {}, "1000 pairs need 2000 images"),
        (
            "path_density10_test",
            {"to_base": None, "from_base": None},
            "has no prior whose z0 can be inferred",
        ),
        ("path_density10_test", {"log_prob": None}, "has no prior with a density"),
        ("attribute_unevenness1k_z_test", {}, "without attribute 0 are needed"),
        (
            "attribute_unevenness10_z0_test",
            {"to_base": None, "from_base": None},
            "has no prior whose z0",
        ),
        ("attribute_unevenness10_z_test", {"decode": None}, "has no decoder"),
    ],
)
def test_what_is_missing_is_named(name, parts, message):
    with pytest.raises(UserError, match=message):
        linear_world.evaluator(**parts).evaluate(name)


def test_a_classifier_of_other_things_is_refused():
    codes = linear_world.codes("test")
    two = np.float32(codes > np.median(codes, axis=0))
    evaluator = linear_world.evaluator(features={"attributes": two})
    with pytest.raises(UserError, match="tells classes, the paths are along attrib"):
        evaluator.evaluate("attribute_unevenness10_z_test")
    with pytest.raises(UserError, match="tells 2 things, none of them attribute 2"):
        paths.probabilities(linear_world.evaluator(), codes[None, :5], 2)


def test_data_without_labels_and_unknown_attributes():
    evaluator = linear_world.evaluator(features={})
    with pytest.raises(UserError, match="no labels and no attributes"):
        paths.attributes(evaluator, "test")
    with pytest.raises(UserError, match="no attribute 2: the data has 0 to 1"):
        paths.attribute_ends(linear_world.evaluator(), 2, 5, "test")
