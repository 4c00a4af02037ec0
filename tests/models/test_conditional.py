"""A model that is conditional on a pose: the Variational U-Net."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.conftest import randomize
from tests.networks.test_people import standing
from tfp_priors import divergences
from tfp_priors import likelihoods
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors import regularizers
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.images import chunk_seed
from tfp_priors.evaluation.images import quantized
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.export import export

SHAPE = (16, 16, 3)
LATENT = (4, 4, 5)
N = 3


def make(prior=None, beta=0.0, context_size=45, **kwargs):
    if prior is None:
        prior = priors.RealNVPPrior(
            LATENT,
            couplings=2,
            hidden_sizes=(6,),
            standardize=True,
            context_size=context_size,
        )
    return models.LatentVariableModel(
        encoder=networks.AppearanceEncoder(
            SHAPE, LATENT, crop_size=8, width=3, max_width=3
        ),
        posterior=posteriors.FixedScaleNormalPosterior(
            LATENT, scale=1.0, project=False
        ),
        decoder=networks.UNetDecoder(SHAPE, width=3, max_width=3),
        likelihood=likelihoods.BernoulliLikelihood(),
        prior=prior,
        beta=beta,
        conditioner=networks.PoseContext(),
        **({"divergence": divergences.KLDivergence()} | kwargs),
    )


def batch():
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (N, *SHAPE)).astype(np.uint8)
    return {"image": images, "keypoints": standing()}


def poses(seed=0):
    return tf.constant(standing(seed, spread=0.1))


@pytest.mark.parametrize(
    "prior", [None, priors.UNetPrior(LATENT, width=3, context_size=45)]
)
def test_the_pose_changes_density_draws_and_images(prior):
    model = make(prior)
    randomize(model.prior)
    z = tf.random.stateless_normal([N, *LATENT], [1, 2])
    densities = [model.log_prob(z, poses(seed)) for seed in (1, 2)]
    assert np.abs(densities[0] - densities[1]).min() > 1e-3
    codes = [model.sample_prior(N, condition=poses(seed)) for seed in (1, 2)]
    assert np.abs(codes[0] - codes[1]).max() > 1e-3
    images = [model.sample(N, condition=poses(seed)).numpy() for seed in (1, 2)]
    assert images[0].shape == (N, *SHAPE)
    assert np.abs(images[0] - images[1]).max() > 1e-3


def test_the_pose_reaches_every_coupling_and_the_base():
    """Each part of the flow alone makes the density depend on the pose."""
    model = make()
    prior = model.prior
    randomize(prior)
    z = tf.random.stateless_normal([N, *LATENT], [1, 2])
    rows = [prior._base_mean.kernel]
    rows += [c._hidden[0].kernel for c in prior._conditioners]
    values = [row.numpy() for row in rows]
    assert len(rows) == 3
    for kept in range(len(rows)):
        for i, (row, value) in enumerate(zip(rows, values, strict=True)):
            value = value.copy()
            if i != kept:
                # The context is the last of the inputs.
                value[..., -45:, :] = 0.0
            row.assign(value)
        densities = [model.log_prob(z, poses(seed)) for seed in (1, 2)]
        assert np.abs(densities[0] - densities[1]).max() > 1e-4, kept


def test_transfer_to_its_own_pose_is_the_reconstruction():
    model = make()
    # A new decoder does not look at the code.
    randomize(model.encoder)
    randomize(model.decoder)
    images = batch()["image"] / np.float32(255)
    own = poses(0)
    expected = model.reconstruct(images, own)
    np.testing.assert_array_equal(model.transfer(images, own, own), expected)
    other = model.transfer(images, own, poses(3)).numpy()
    assert np.abs(other - expected).max() > 1e-4
    # What is kept is read off the images under their own pose.
    expected = model.decode(model.encode(images, own), condition=poses(3))
    np.testing.assert_array_equal(other, expected)


@pytest.mark.slow
def test_trains_and_summarises(tmp_path):
    model = make()
    model.compile("adam")
    data = tf.data.Dataset.from_tensors(batch()).repeat(3)
    history = model.fit(data, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    evaluated = model.evaluate(data, verbose=0, return_dict=True)
    assert np.isfinite(evaluated["prior_nll"])
    held_out = {
        "image": batch()["image"] / np.float32(255),
        "keypoints": tf.constant(standing()),
    }
    summary = model.summary_of(held_out)
    # A row of ten draws for each of the three poses.
    assert summary.pictures["samples"].shape == (30, *SHAPE)
    assert summary.pictures["reconstructions"].shape == (6, *SHAPE)
    assert "standard deviation" in model.diagnosis(held_out)


@pytest.mark.slow
def test_a_critic_sees_the_pose():
    divergence = divergences.AdversarialDivergence(networks.MLP((4,), 1))
    model = make(divergence=divergence)
    model.compile("adam")
    data = tf.data.Dataset.from_tensors(batch()).repeat(2)
    assert np.isfinite(model.fit(data, shuffle=False, verbose=0).history["loss"]).all()
    kernel = divergence.trainable_variables[0]
    assert kernel.shape[0] == math.prod(LATENT) + 45


def test_at_beta_zero_the_prior_does_not_touch_the_autoencoder():
    model = make()
    randomize(model.prior)
    images = batch()["image"] / np.float32(255)

    def gradients():
        with tf.GradientTape() as tape:
            loss = model.objective(
                images, 0.0, tf.constant([1, 2]), condition=poses()
            ).loss
        return tape.gradient(loss, model.variable_groups())

    before = gradients()["autoencoder"]
    randomize(model.prior, seed=5, scale=1.0)
    for a, b in zip(before, gradients()["autoencoder"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(g is not None for g in gradients()["prior"])


@pytest.mark.slow
def test_export(tmp_path):
    model = make()
    randomize(model.prior)
    randomize(model.decoder)
    export(model, tmp_path / "saved_model")
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    images = tf.constant(batch()["image"] / np.float32(255))
    own, other = poses(0), poses(1)
    draws = loaded.sample(other[0], 5, 3)
    expected = model.sample(5, 3, condition=tf.repeat(other[:1], 5, axis=0))
    np.testing.assert_allclose(draws, expected, atol=1e-5)
    assert np.abs(draws[0] - draws[1]).max() > 1e-4
    np.testing.assert_allclose(
        loaded.transfer(images, own, other),
        model.transfer(images, own, other),
        atol=1e-5,
    )
    z = loaded.encode(images, own)
    np.testing.assert_allclose(
        loaded.decode(z, own), loaded.reconstruct(images, own), atol=1e-5
    )
    np.testing.assert_allclose(
        loaded.from_base(loaded.to_base(z, own), own), z, atol=1e-4
    )
    np.testing.assert_allclose(
        loaded.log_prob(z, other), model.log_prob(z, other), rtol=1e-5
    )
    flags = {"saved_model": tmp_path / "saved_model", "out": tmp_path / "a.png"}
    assert "expected --keypoints=TABLE" in commands.refused("sample", **flags)


@pytest.mark.slow
def test_evaluation(tmp_path):
    """The conditions of the metrics' draws and codes are those of the test images."""
    model = make()
    randomize(model.prior)
    data = batch()
    dataset = ImageDataset(data["image"], {"keypoints": data["keypoints"]}, SHAPE)
    subject = subject_of_model(model, "identity")
    evaluator = Evaluator(subject, lambda split: dataset)
    order = evaluator.real_images("test", N).condition
    assert order.shape == (N, 15, 2)
    chunk = np.concatenate(list(evaluator.samples(5)))
    given = order[[0, 1, 2, 0, 1]]
    expected = model.sample(5, chunk_seed(0, 0), condition=given)
    np.testing.assert_array_equal(chunk, quantized(expected))
    codes = evaluator.prior_codes(5)
    np.testing.assert_allclose(
        model.decode(codes["z"], condition=given), expected, atol=1e-5
    )
    groups = np.concatenate(list(evaluator.draws_of_conditions(2, 4)))
    repeated = np.repeat(order[:2], 4, axis=0)
    expected = model.sample(8, chunk_seed(0, 0), condition=repeated)
    np.testing.assert_array_equal(groups, quantized(expected))
    for name in ("two_sample_accuracy_quadratic_test", "active_units_test"):
        (result,) = evaluator.evaluate(name)
        assert np.isfinite(result["value"])
    with pytest.raises(UserError, match="conditional on keypoints, which this metric"):
        evaluator.evaluate("rate_distortion3_test")
    with pytest.raises(UserError, match="have 3 conditions, not 4"):
        evaluator.evaluate("lpips_diversity_alex_v0.1_4c2p")


def test_conditions_are_taken_as_numpy_has_them():
    model, images = make(), batch()["image"]
    z = model.encode(images, tf.constant(standing()))
    decoded = model.decode(z, condition=tf.constant(standing()))
    for given in (standing().astype(np.float64), standing().tolist()):
        np.testing.assert_array_equal(model.encode(images, given), z)
        np.testing.assert_array_equal(model.decode(z, condition=given), decoded)
    with pytest.raises(UserError, match=r"keypoints of shape \[batch, 15, 2\], rec"):
        model.encode(images, standing()[:, :14])


def test_a_condition_that_is_missing():
    with pytest.raises(
        UserError, match=r"conditional on keypoints: .*\[batch, 15, 2\]"
    ):
        make().encode(tf.zeros([1, *SHAPE]))
    with pytest.raises(UserError, match="context of width 45, received none"):
        make().sample(2)


def test_a_prior_without_the_context():
    with pytest.raises(UserError, match="set the prior's context_size = 45"):
        make(context_size=0)


def test_data_without_poses():
    with pytest.raises(
        UserError, match="feature 'keypoints' of shape .15, 2.; .*label"
    ):
        make().check_data(SHAPE, {"label": np.zeros(4)})
    make().check_data(SHAPE, {"keypoints": np.zeros((4, 15, 2))})


def test_post_hoc_is_refused():
    with pytest.raises(UserError, match="set train.post_hoc = None"):
        make().at_rest(priors.RealNVPPrior(LATENT), divergences.KLDivergence())


@pytest.mark.parametrize(
    "regularizer", [regularizers.LatentReconstruction, regularizers.DecoderGradient]
)
def test_regularizers_see_the_condition(regularizer):
    model = make(regularizers=[regularizer(1.0)])
    randomize(model.decoder)
    images = batch()["image"]
    seed = tf.constant([1, 2])
    terms = [
        model.objective(images, 0.0, seed, condition=poses(other)).metrics
        for other in (1, 2)
    ]
    assert terms[0][regularizer.name] != terms[1][regularizer.name]
