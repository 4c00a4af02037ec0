"""What a visitor sees of a run, against NumPy and the model itself."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors import divergences
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.explorer import Explored
from tfp_priors.explorer import Settings

SHAPE = (8, 8, 1)
CLASSES = 3


def dataset(split):
    n, seed = {"train": (60, 0), "test": (40, 1)}[split]
    random = np.random.RandomState(seed)
    images = random.randint(0, 256, (n, *SHAPE)).astype(np.uint8)
    return ImageDataset(images, {"label": np.arange(n) % CLASSES}, SHAPE)


def floats(split, index=slice(None)):
    images = dataset(split)
    return images.gather(np.arange(images.size)[index])["image"]


def explored(model):
    randomize(model.prior, scale=0.3)
    return Explored(model, dataset, "RUN")


@pytest.fixture
def run(make_model):
    return explored(make_model())


@pytest.fixture
def labelled(make_model):
    prior = priors.FlowMatchingPrior(4, units=16, context_size=CLASSES)
    return explored(
        make_model(
            prior=prior,
            divergence=divergences.FlowMatchingDivergence(),
            conditioner=networks.LabelContext(CLASSES),
        )
    )


@pytest.fixture
def with_attributes(make_model):
    prior = priors.RealNVPPrior(4, couplings=2, hidden_sizes=(8,), context_size=CLASSES)
    conditioner = networks.AttributeContext(CLASSES)
    return explored(make_model(prior=prior, conditioner=conditioner))


def test_draws_are_those_of_the_model(run):
    settings = Settings(seed=3, temperature=0.5)
    z = run.codes(settings, 10)
    expected = run.model.sample(10, 3, 0.5)
    np.testing.assert_allclose(run.decoded(z), expected, atol=1e-6)
    point = run.draw(7, settings)
    # Of 64, as many as are shown.
    np.testing.assert_allclose(point.image, run.model.sample(64, 3, 0.5)[7], atol=1e-6)
    np.testing.assert_allclose(
        run.log_density(point.z[None]), run.model.log_prob(point.z[None]), atol=1e-4
    )


def test_a_test_image_has_its_code_and_is_its_own_neighbour(run):
    point = run.test_image(5)
    image = floats("test", [5])
    np.testing.assert_array_equal(point.image, image[0])
    np.testing.assert_allclose(point.z[None], run.model.encode(image), atol=1e-6)
    found = run.neighbours(point.image)
    assert found["test"].numbers[0, 0] == 5 and found["test"].distances[0, 0] == 0.0
    distances = np.linalg.norm((floats("train") - image).reshape(60, -1), axis=1)
    # Of as many images as the test split has.
    searched = np.random.RandomState(0).permutation(60)[:40]
    nearest = searched[np.argsort(distances[searched])[:4]]
    np.testing.assert_array_equal(found["train"].numbers, [nearest])
    np.testing.assert_allclose(
        found["train"].distances, [distances[nearest]], rtol=1e-6
    )
    np.testing.assert_array_equal(found["train"].images[0], floats("train", nearest))


def test_a_picture_from_elsewhere_is_encoded(run):
    pixels = np.full(SHAPE, 51, np.uint8)
    expected = run.model.encode(np.full((1, *SHAPE), 0.2, np.float32))
    np.testing.assert_allclose(run.picture(pixels).z[None], expected, atol=1e-6)


def test_paths_end_where_they_should_and_go_through_both_spaces(run):
    a, b = run.test_image(0).z, run.test_image(1).z
    found = run.along(a, b, np.array([0.0, 0.5, 1.0]))
    assert list(found) == ["z0", "z"]
    for codes in found.values():
        np.testing.assert_allclose(codes[[0, 2]], [a, b], atol=1e-4)
    np.testing.assert_allclose(found["z"][1], (a + b) / 2, atol=1e-6)
    # Halfway on a slerp both ends have the same weight.
    z0 = run.model.to_base(np.stack([a, b])).numpy()
    middle = run.model.to_base(found["z0"][1:2]).numpy()[0]
    cosine = z0[0] @ z0[1] / np.prod(np.linalg.norm(z0, axis=1))
    weight = np.sin(np.arccos(cosine) / 2) / np.sin(np.arccos(cosine))
    np.testing.assert_allclose(middle, weight * z0.sum(0), atol=1e-3)


def test_the_map_is_the_plane_of_the_largest_variance(run):
    codes = run.model.encode(floats("test")).numpy()
    known = run.map()
    centred = codes - codes.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    assert known.share == pytest.approx((singular[:2] ** 2).sum() / (singular**2).sum())
    np.testing.assert_allclose(
        np.linalg.norm(known.points, axis=0), singular[:2], rtol=1e-4
    )
    np.testing.assert_array_equal(known.labels, np.arange(40) % CLASSES)


def test_draws_in_a_region_are_those_within_it(run):
    z = run.codes(Settings(seed=1), 4096)
    points = run.map().project(z)
    low, high = np.quantile(points, [0.411, 0.611], axis=0)
    box = [low, (high[0], low[1]), high, (low[0], high[1])]
    inside = ((points > low) & (points < high)).all(axis=1)
    chosen, codes, share = run.within(np.array(box), Settings(seed=1))
    assert share == inside.mean()
    assert len(chosen) == 64 and inside[chosen].all()
    np.testing.assert_array_equal(codes, z[chosen])
    point = run.draw(int(chosen[0]), Settings(seed=1), of=4096)
    np.testing.assert_array_equal(point.z, codes[0])


def test_an_attribute_is_the_difference_of_mean_codes(run):
    codes = run.model.encode(floats("test")).numpy()
    has = np.arange(40) % CLASSES == 1
    vector = codes[has].mean(0) - codes[~has].mean(0)
    found = run.edited(codes[0], {1: 0.5, 2: 0.0})
    np.testing.assert_allclose(found["z"][0], codes[0] + 0.5 * vector, atol=1e-5)
    z0 = run.model.to_base(codes).numpy()
    vector = z0[has].mean(0) - z0[~has].mean(0)
    moved = run.model.to_base(found["z0"]).numpy()[0]
    np.testing.assert_allclose(moved, z0[0] + 0.5 * vector, atol=1e-3)
    assert run.attribute_count == CLASSES and run.has_classes


def test_labels_are_given(labelled):
    assert labelled.given_count == CLASSES
    how = Settings(seed=2, given=(1,), guidance=2.0)
    expected = labelled.model.sample_of_condition(1, 5, 2, 1.0, 2.0)
    images = labelled.decoded(labelled.codes(how, 5), how.given)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    z = labelled.test_image(0).z[None]
    np.testing.assert_allclose(
        labelled.log_density(z, (1,)),
        labelled.model.log_prob(z, np.array([1])),
        atol=1e-4,
    )
    assert labelled.edited(z[0], {0: 1.0}, (1,))["z0"].shape == (1, 4)
    with pytest.raises(UserError, match="no label 3: expected 0 to 2"):
        labelled.codes(how._replace(given=(3,)))
    with pytest.raises(UserError, match="RUN is given one label"):
        labelled.codes(how._replace(given=()))


def test_attributes_are_given(with_attributes):
    run = with_attributes
    images = run.decoded(run.codes(Settings(given=(0, 2)), 5), (0, 2))
    expected = run.model.sample_of_condition(np.float32([1, 0, 1]), 5)
    np.testing.assert_allclose(images, expected, atol=1e-6)


def test_what_a_run_does_not_take_is_left_out(run, labelled):
    how = Settings(1, 0.5, (2,), 2.0)
    assert run.fitting(how) == Settings(1, 0.5)
    assert labelled.fitting(how) == how


def test_a_prior_without_density_and_base_has_neither(make_model):
    prior = priors.GeneratorPrior(4, hidden_sizes=(8,))
    model = make_model(prior=prior, divergence=divergences.MMDDivergence())
    run = explored(model)
    assert run.log_density(np.zeros([2, 4])) is None
    assert list(run.along(np.zeros(4), np.ones(4), np.array([0.5]))) == ["z"]


def test_a_gan_has_draws_and_paths_between_them():
    generator = networks.ProgressiveGenerator(SHAPE, 4, channel_max=4)
    discriminator = networks.ProgressiveDiscriminator(SHAPE, channel_max=4)
    model = models.ProgressiveGAN(generator, discriminator, steps_per_phase=2)
    run = Explored(model, dataset, "RUN")
    images = run.decoded(run.codes(Settings(seed=3), 5))
    np.testing.assert_allclose(images, model.sample(5, 3), atol=1e-6)
    z = run.codes(Settings(), 2)
    assert np.ptp(images, axis=0).max() > 1e-3
    half = run.along(*z, np.array([0.5]))
    np.testing.assert_allclose(half["z"][0], z.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        run.log_density(z),
        scipy.stats.norm.logpdf(z).sum(axis=1),
        rtol=1e-5,
    )
    with pytest.raises(UserError, match="RUN has no encoder"):
        run.test_image(0)


def test_numbers_that_are_not_there_are_told(run):
    for wrong in (run.test_image, lambda i: run.draw(i, Settings())):
        with pytest.raises(UserError, match="There is no .* 64: expected 0 to"):
            wrong(64)
    with pytest.raises(UserError, match="no attribute 3: expected 0 to 2"):
        run.edited(np.zeros(4), {3: 1.0})


def test_a_noisy_posterior_is_seen_by_its_mean(make_model):
    run = explored(make_model(posterior=posteriors.NormalPosterior(4)))
    image = floats("test", [0])
    mean = run.model.posterior_distribution(tf.constant(image)).mean()
    np.testing.assert_allclose(run.test_image(0).z[None], mean, atol=1e-6)
