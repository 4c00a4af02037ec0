"""A prior that is given labels, and networks that are not, or are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import randomize
from tfp_priors import divergences
from tfp_priors import networks
from tfp_priors import priors
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.images import chunk_seed
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.export import export
from tfp_priors.training import PostHoc

SHAPE = (8, 8, 1)
CLASSES = 3


def prior(**kwargs):
    return priors.FlowMatchingPrior(
        4, units=32, standardize=True, context_size=CLASSES, **kwargs
    )


@pytest.fixture
def model(make_model):
    return make_model(
        prior=prior(),
        divergence=divergences.FlowMatchingDivergence(),
        conditioner=networks.LabelContext(CLASSES),
    )


def grey(n):
    """The same as a set of data."""
    data = batch(n)
    images = np.rint(255 * data["image"]).astype(np.uint8)
    return ImageDataset(images, {"label": data["label"]}, SHAPE)


def batch(n=60):
    """Images of one grey each, which is their label."""
    labels = np.arange(n) % CLASSES
    random = np.random.RandomState(0)
    images = 0.2 + 0.3 * labels[:, None, None, None] + 0.02 * random.randn(n, *SHAPE)
    return {"image": images.astype(np.float32), "label": labels}


def test_images_have_codes_without_their_labels(model):
    images = batch()["image"]
    np.testing.assert_array_equal(
        model.encode(images), model.encode(images, batch()["label"])
    )
    assert model.reconstruct(images).shape == images.shape


def test_the_label_moves_densities_and_draws(model):
    randomize(model.prior, scale=0.3)
    z = tf.random.stateless_normal([4, 4], [1, 2])
    one, two = (model.log_prob(z, np.full(4, label)) for label in (1, 2))
    assert np.abs(one - two).min() > 1e-3
    one, two = (model.sample_of_condition(label, 4).numpy() for label in (1, 2))
    assert np.abs(one - two).max() > 1e-3
    with pytest.raises(UserError, match="context of width 3, received none"):
        model.sample(2)


def test_it_learns_along_with_the_autoencoder(model):
    model.compile("adam")
    data = tf.data.Dataset.from_tensors(batch()).repeat(3)
    history = model.fit(data, shuffle=False, verbose=0).history
    assert np.isfinite(history["velocity_error"]).all()
    summary = model.summary_of(batch(12))
    assert summary.pictures["samples"].shape == (100, *SHAPE)
    assert np.isfinite(summary.scalars["held_out/prior_nll"])


def test_a_label_that_is_not_there_is_told_in_one_line(model):
    """It is found in the graph, whichever of Keras' ways leads there."""
    model.compile("adam")
    data = batch(12) | {"label": np.full(12, CLASSES)}
    dataset = tf.data.Dataset.from_tensors(data)
    for use in (
        lambda: model.fit(dataset, shuffle=False, verbose=0),
        lambda: model.evaluate(dataset, verbose=0),
        lambda: model.train_on_batch(data),
        lambda: model.test_on_batch(data),
    ):
        with pytest.raises(UserError, match="^Expected a label from 0 to 2.$"):
            use()
    with pytest.raises(UserError, match="^Expected integers as labels, [^\\\\]*astype"):
        model.fit(data["image"], np.full(12, 0.5), verbose=0)


def test_one_hot_rows_are_told(model):
    model.compile("adam", jit_compile=False)
    data = batch(12)
    rows = np.eye(CLASSES, dtype=int)[data["label"]]
    with pytest.raises(UserError, match="received .*: of one-hot rows take argmax"):
        model.fit(data["image"], rows, verbose=0)
    model.fit(data["image"], data["label"], verbose=0)
    # Keras has made a graph of any rank by then.
    for _ in range(2):
        with pytest.raises(UserError, match="of one-hot rows take argmax"):
            model.fit(data["image"], rows, verbose=0)


def test_a_prior_at_rest_draws_codes_of_the_label(model):
    """Codes of a label lie together; draws are nearest to those of their own."""
    data, dataset = batch(300), grey(300)
    rest = model.at_rest()
    rows, context = PostHoc(1).encode(rest, dataset)
    np.testing.assert_array_equal(context, np.eye(CLASSES)[data["label"]])
    rest.fit_directly(rows, 1, seed=0)
    rest.compile({"prior": keras.optimizers.Adam(3e-3)})
    batches = rest.code_batches(rows, context, batch_size=256)
    rest.fit(batches, steps_per_epoch=600, shuffle=False, verbose=0)
    centres = [rows.numpy()[data["label"] == i].mean(0) for i in range(CLASSES)]
    scale = rows.numpy()[data["label"] == 0].std(0)
    labels = np.arange(150) % CLASSES
    for guidance in (1.0, 2.0):
        draws = rest.sample_prior(150, condition=labels, guidance=guidance)
        distances = np.abs((draws[:, None] - centres) / scale).sum(-1)
        assert np.mean(distances.argmin(1) == labels) > 0.95
    # Whatever the label, all of them are drawn.
    draws = rest.sample_prior(150, condition=np.zeros(150, int), guidance=0.0)
    nearest = np.abs((draws[:, None] - centres) / scale).sum(-1).argmin(1)
    assert (np.bincount(nearest, minlength=CLASSES) > 25).all()


def test_evaluation_tells_the_prior_what_it_was_given(model):
    dataset = grey(60)
    data = dataset.take(60)
    evaluator = Evaluator(subject_of_model(model, "identity"), lambda split: dataset)
    (result,) = evaluator.evaluate("prior_nll_test")
    codes = model.encode(data["image"])
    expected = -np.mean(model.log_prob(codes, data["label"]))
    np.testing.assert_allclose(result["value"], expected, rtol=1e-5)
    codes, draws = evaluator.codes_and_draws("test")
    order = evaluator.real_images("test", 60).condition
    for columns in (codes, draws):
        np.testing.assert_array_equal(columns[:, 4:], np.eye(CLASSES)[order])
    for name, message in (
        ("transfer", "has no condition"),
        ("to_base", "conditional on label, which"),
    ):
        with pytest.raises(UserError, match=message):
            evaluator.subject.ask(name)


def test_two_samples_of_the_wrong_labels_are_told_apart(model):
    """Whose marginals are the same."""
    dataset = grey(600)
    codes = dataset.map(model.encode)

    class Ignorant(type(model.prior)):
        def _sample_base(self, n, seed, temperature, context):
            return tf.zeros([n, 4])

        def _from_base(self, z0, context):
            random = np.random.RandomState(0)
            return tf.constant(codes[random.permutation(len(codes))])

    model.prior.__class__ = Ignorant
    evaluator = Evaluator(subject_of_model(model, "identity"), lambda split: dataset)
    (result,) = evaluator.evaluate("two_sample_accuracy_mlp_test")
    assert result["value"] > 0.7


@pytest.mark.slow
def test_export(model, tmp_path):
    randomize(model.prior, scale=0.1)
    export(model, tmp_path / "sampler")
    loaded = tf.saved_model.load(str(tmp_path / "sampler"))
    np.testing.assert_array_equal(loaded.labels(), range(CLASSES))
    received = loaded.sample(2, 5, 3, 0.8, 2.0)
    expected = model.sample_of_condition(2, 5, 3, 0.8, 2.0)
    np.testing.assert_allclose(received, expected, atol=1e-5)
    assert np.abs(received - model.sample_of_condition(2, 5, 3, 0.8)).max() > 1e-4
    by_name = {"n": 5, "seed": 3, "temperature": 0.8, "guidance": 2.0}
    np.testing.assert_array_equal(loaded.sample(label=2, **by_name), received)
    images, labels = batch(6)["image"], tf.constant([0, 1, 2, 0, 1, 2])
    z = loaded.encode(images)
    np.testing.assert_allclose(loaded.decode(z), loaded.reconstruct(images), atol=1e-5)
    np.testing.assert_allclose(
        loaded.log_prob(z, label=labels), model.log_prob(z, labels), rtol=1e-4
    )
    back = loaded.from_base(loaded.to_base(z, labels), labels)
    np.testing.assert_allclose(back, z, atol=1e-3)


def test_a_prior_without_guidance(make_model):
    model = make_model(
        prior=priors.RealNVPPrior(
            4, couplings=2, hidden_sizes=(8,), context_size=CLASSES
        ),
        conditioner=networks.LabelContext(CLASSES),
    )
    assert model.sample_of_condition(1, 2).shape == (2, *SHAPE)
    with pytest.raises(UserError, match="RealNVPPrior has no guidance: leave it out"):
        model.sample_of_condition(1, 2, guidance=2.0)


def test_networks_that_see_the_label(make_model):
    labels = networks.LabelContext(CLASSES, conditions_networks=True)
    model = make_model(
        encoder=networks.ConditionalEncoder(
            networks.InfoGANEncoder((8, 8, 1 + CLASSES), width=2), labels
        ),
        decoder=networks.ConditionalDecoder(
            networks.InfoGANDecoder(SHAPE, width=2), labels
        ),
        prior=prior(),
        divergence=divergences.FlowMatchingDivergence(),
        conditioner=labels,
    )
    randomize(model.encoder)
    randomize(model.decoder)
    model.compile("adam")
    model.fit(tf.data.Dataset.from_tensors(batch()), shuffle=False, verbose=0)
    images = batch(6)["image"]
    one, two = (model.encode(images, np.full(6, label)) for label in (0, 1))
    assert np.abs(one - two).max() > 1e-3
    one, two = (model.decode(one, condition=np.full(6, label)) for label in (0, 1))
    assert np.abs(one - two).max() > 1e-3
    with pytest.raises(UserError, match="conditional on label: pass a condition"):
        model.encode(images)
    given = batch(6)
    expected = model.reconstruct(given["image"], given["label"])
    predicted = model.predict(given, batch_size=4, verbose=0)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="networks are conditional .*set train"):
        model.at_rest()


def test_pseudo_inputs_have_no_label_for_the_encoder(make_model):
    labels = networks.LabelContext(CLASSES, conditions_networks=True)
    inner = networks.InfoGANEncoder((8, 8, 1 + CLASSES), width=2)
    with pytest.raises(UserError, match="VampPrior sends images of its own through"):
        make_model(
            encoder=networks.ConditionalEncoder(inner, labels),
            prior=priors.VampPrior(4, SHAPE, pseudo_inputs=2, context_size=CLASSES),
            conditioner=labels,
        )


def test_networks_and_a_conditioner_that_differ(make_model):
    parts = {"prior": prior(), "divergence": divergences.FlowMatchingDivergence()}
    inner = networks.InfoGANEncoder((8, 8, 1 + CLASSES), width=2)
    pairs = networks.ConditionalEncoder(inner, networks.LabelContext(CLASSES))
    with pytest.raises(UserError, match="the encoder to take inputs alone"):
        make_model(encoder=pairs, conditioner=networks.LabelContext(CLASSES), **parts)
    with pytest.raises(UserError, match="to take pairs of inputs and conditions"):
        make_model(
            encoder=networks.InfoGANEncoder(SHAPE, width=2),
            conditioner=networks.LabelContext(CLASSES, conditions_networks=True),
            **parts,
        )


def test_conditions_that_are_none(model):
    assert model.sample(2, condition=[0, 2]).shape == (2, *SHAPE)
    for condition, message in (
        ([0, 3], "Expected a label from 0 to 2"),
        ([0.5, 1.0], "Expected integers as labels"),
        ([[0, 1]], r"label of shape \[batch\], received \[1, 2\]"),
    ):
        with pytest.raises(UserError, match=message):
            model.sample(2, condition=condition)
    for guidance in (float("nan"), -1.0, "a"):
        with pytest.raises(UserError, match=r"guidance must be a number in \[0, inf\)"):
            model.sample_of_condition(1, 2, guidance=guidance)


def test_conditions_may_be_a_column(model):
    """As data sets of Keras have labels."""
    data = batch(6)
    column = data["label"][:, None]
    one, two = (model.sample(6, condition=c) for c in (data["label"], column))
    np.testing.assert_array_equal(two, one)
    model.compile("adam")
    model.fit(data["image"], column, verbose=0)


def test_data_that_have_other_labels(model):
    model.check_data(SHAPE, {"label": np.array([0, 2])})
    with pytest.raises(UserError, match="labels from 0 to 2, received 0 to 3"):
        model.check_data(SHAPE, {"label": np.array([0, 3])})
    with pytest.raises(UserError, match="conditional on a feature 'label'"):
        model.check_data(SHAPE, {"attributes": np.zeros((4, 2))})


def test_a_subject_of_guided_draws(model):
    """Its samples, and codes, are those of the model with that guidance."""
    randomize(model.prior, scale=0.1)
    labels = np.arange(6) % CLASSES
    plain, guided = (subject_of_model(model, "weights", guidance=g) for g in (1.0, 3.0))
    assert plain.identity != guided.identity
    received = guided.samples(6, 5, labels).read(0, 6)
    seed = chunk_seed(5, 0)
    expected = model.sample(6, seed, condition=labels, guidance=3.0)
    np.testing.assert_allclose(received, expected, atol=1e-5)
    codes = guided.sample_codes(6, seed, labels)["z"]
    expected = model.sample_prior(6, seed, condition=labels, guidance=3.0)
    np.testing.assert_allclose(codes, expected, atol=1e-5)
    assert np.abs(codes - plain.sample_codes(6, seed, labels)["z"]).max() > 1e-3
