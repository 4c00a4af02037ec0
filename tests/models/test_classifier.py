import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from tests.conftest import randomize
from tfp_priors.errors import UserError
from tfp_priors.evaluation.activations import predictor_extractor
from tfp_priors.models import Classifier
from tfp_priors.networks import ConvFeatures
from tfp_priors.training import Checkpoints
from tfp_priors.training import create_strategy

SHAPE = (8, 8, 1)


def make(classes=3, **kwargs):
    if "attributes" in kwargs:
        classes = None
    network = ConvFeatures(SHAPE, widths=(4,), size=6)
    model = Classifier(network, classes=classes, **kwargs)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    return model


def data(n=12, seed=0):
    random = np.random.RandomState(seed)
    return {
        "image": tf.constant(random.rand(n, *SHAPE), tf.float32),
        "label": tf.constant(random.randint(0, 3, n)),
        "attributes": tf.constant(random.rand(n, 2) < 0.5),
    }


def test_loss_and_accuracy_of_classes_against_numpy():
    model, batch = make(), data()
    logits = model(batch["image"]).numpy().astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = np.arange(12), batch["label"].numpy()
    result = model.test_step(batch)
    np.testing.assert_allclose(result["loss"], -np.log(p[rows]).mean(), rtol=1e-5)
    expected = np.mean(p.argmax(1) == rows[1])
    np.testing.assert_allclose(result["accuracy"], expected, rtol=1e-6)


def test_loss_and_accuracy_of_attributes_against_numpy():
    model, batch = make(attributes=2), data()
    logits = model(batch["image"]).numpy().astype(np.float64)
    p = 1 / (1 + np.exp(-logits))
    has = batch["attributes"].numpy()
    expected = -np.where(has, np.log(p), np.log(1 - p)).sum(1).mean()
    result = model.test_step(batch)
    np.testing.assert_allclose(result["loss"], expected, rtol=1e-5)
    expected = np.mean((p > 0.5) == has)
    np.testing.assert_allclose(result["accuracy"], expected, rtol=1e-6)


def test_learns_which_half_is_bright():
    random = np.random.RandomState(0)
    labels = random.randint(0, 2, 400)
    images = 0.7 * random.rand(400, *SHAPE).astype(np.float32)
    images[labels == 1, :4] += 0.3
    model = make(classes=2)
    dataset = tf.data.Dataset.from_tensor_slices({"image": images, "label": labels})
    model.fit(dataset.batch(50), epochs=20, shuffle=False, verbose=0)
    right = model.correct(model(images), labels).numpy().mean()
    # A linear classifier finds the rule too: the task is solvable.
    flat = images.reshape(400, -1)
    assert LogisticRegression(max_iter=1000).fit(flat, labels).score(flat, labels) > 0.9
    assert right > 0.9


def test_activations_are_the_logits_inputs():
    model, batch = make(), data()
    features, logits = model.activations(batch["image"])
    weights, bias = (w.numpy() for w in model.variable_groups()["classifier"][-2:])
    np.testing.assert_allclose(logits, features @ weights + bias, atol=1e-5)
    np.testing.assert_allclose(logits, model(batch["image"]), atol=1e-6)


def test_extractor_takes_uint8_and_knows_its_shape():
    model = make(attributes=2)
    images = np.random.RandomState(0).randint(0, 256, (5, *SHAPE)).astype(np.uint8)
    extractor = predictor_extractor(model, "sum")
    features, logits = extractor.function(images)
    expected = model.activations(images.astype(np.float32) / 255)
    np.testing.assert_allclose(features, expected[0], atol=1e-5)
    np.testing.assert_allclose(logits, expected[1], atol=1e-5)
    assert extractor.image_shape == SHAPE and not extractor.exclusive_classes
    assert predictor_extractor(make(), "sum").exclusive_classes


def test_shifted_and_mirrored_images():
    model = make(shift=2, flip=True)
    images = data(400)["image"]
    moved = model._augmented(images, tf.constant([1, 2])).numpy()
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), (1, 2))
    windows = windows[:, :, :, 0].reshape(400, 25, 8, 8)  # 5 x 5 places
    mirrored = np.pad(images[:, :, ::-1], [(0, 0), (2, 2), (2, 2), (0, 0)])
    others = np.lib.stride_tricks.sliding_window_view(mirrored, (8, 8), (1, 2))
    others = others[:, :, :, 0].reshape(400, 25, 8, 8)
    candidates = np.concatenate([windows, others], axis=1)  # [400, 50, 8, 8]
    same = (candidates == moved[:, None, :, :, 0]).all(axis=(2, 3))
    assert same.any(axis=1).all()
    # Both kinds, within 4 standard deviations, and all of the 25 places occur.
    chosen = same.argmax(axis=1)
    assert 160 < np.sum(chosen >= 25) < 240
    assert set(chosen % 25) == set(range(25))


def test_steps_repeat_after_a_checkpoint(tmp_path):
    settings = {"shift": 1, "flip": True, "dropout": 0.5}
    whole = make(**settings)
    whole.train_step(data(seed=0))
    Checkpoints(tmp_path).save(whole, 1)
    whole.train_step(data(seed=1))
    resumed = make(**settings)
    randomize(resumed, seed=5)
    assert Checkpoints(tmp_path).restore(resumed) == 1
    resumed.train_step(data(seed=1))
    for a, b in zip(resumed.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_a_replica_without_images_does_not_count():
    """Of one image the second replica has none, and computes on zeros."""
    network = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
    with create_strategy("mirrored").scope():
        model = Classifier(network, classes=3)
        model.compile("sgd", jit_compile=False)
    images, labels = data()["image"][:1], data()["label"][:1]
    logits = model(images).numpy()[0]
    expected = scipy.special.logsumexp(logits) - logits[int(labels[0])]
    result = model.test_on_batch(images, labels, return_dict=True)
    np.testing.assert_allclose(result["loss"], expected, rtol=1e-5)


def test_summary_and_diagnosis():
    model, batch = make(), data()
    scalars, pictures = model.summary_of(batch)
    assert set(scalars) == {"held_out/loss", "held_out/accuracy"} and not pictures
    assert "outputs: mean" in model.diagnosis(batch)


@pytest.mark.parametrize(
    ("kwargs", "features", "message"),
    [
        ({}, {}, "no feature 'label'"),
        ({}, {"label": np.arange(9)}, "received 0 to 8: set Classifier.classes = 9"),
        ({}, {"label": np.arange(-1, 3)}, "from 0 to 2, received -1 to 2: number them"),
        ({"attributes": 2}, {"attributes": np.zeros((4, 5))}, "has 5 attributes"),
    ],
)
def test_data_that_does_not_fit(kwargs, features, message):
    with pytest.raises(UserError, match=message):
        make(**kwargs).check_data(SHAPE, features)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, "a label from 0 to 2"),
        (3, "a label from 0 to 2"),
        (0.5, "integers as labels, received float"),
        ("cat", "numbers as label, received <U.*: number them from 0"),
    ],
)
def test_labels_that_are_none(label, message):
    model = make(classes=3)
    labels = np.array([0, 1, 2, label])
    images = data(4)["image"]
    for call in (model.fit, model.evaluate):
        with pytest.raises(UserError, match=message):
            call(images, labels, verbose=0)


def test_labels_may_be_a_column():
    """As keras.datasets.cifar10 gives them."""
    images, labels = data()["image"], data()["label"].numpy()
    one, two = make(), make()
    two.set_weights(one.get_weights())
    one.fit(images, labels, verbose=0, shuffle=False)
    two.fit(images, labels[:, None], verbose=0, shuffle=False)
    for ours, theirs in zip(two.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    expected = one.evaluate(images, labels, verbose=0)
    assert two.evaluate(images, labels[:, None], verbose=0) == expected
    with pytest.raises(UserError, match=r"received \[None, 3\]: of one-hot"):
        make().evaluate(images, np.eye(3, dtype=int)[labels], verbose=0)


def test_images_that_do_not_fit():
    with pytest.raises(UserError, match="IMAGE_SHAPE"):
        make().check_data((4, 4, 3), {"label": np.arange(3)})


def test_classes_or_attributes():
    for kwargs in ({}, {"classes": 2, "attributes": 2}):
        with pytest.raises(UserError, match="one of classes and attributes"):
            Classifier(ConvFeatures(SHAPE), **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"classes": 0}, "Classifier.classes must be at least 1"),
        ({"attributes": 2.5}, "Classifier.attributes must be a whole number"),
        ({"classes": 2, "dropout": 1.0}, r"dropout must be .* \[0, 1\), received 1.0"),
        ({"classes": 2, "shift": -1}, r"shift must be .* \[0, inf\), received -1"),
        ({"classes": 2, "shift": 1.5}, "Classifier.shift must be a whole number"),
    ],
)
def test_numbers_that_cannot_be(kwargs, message):
    with pytest.raises(UserError, match=message):
        Classifier(ConvFeatures(SHAPE), **kwargs)


def test_a_classifier_has_no_phase_at_rest():
    with pytest.raises(UserError, match="A Classifier has no prior .* train.post_hoc"):
        make().at_rest()


def test_a_network_of_keras_says_its_shape_by_its_input(tmp_path):
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(8, "relu")]
    )
    model = Classifier(network, classes=3)
    model.compile("sgd")
    images = np.random.RandomState(0).rand(6, 4, 4, 1).astype(np.float32)
    model.fit(images, np.arange(6) % 3, verbose=0)
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    _, logits = model.activations(images)
    np.testing.assert_array_equal(loaded.activations(images)[1], logits)


def test_features_are_vectors():
    network = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(4, 3)])
    with pytest.raises(UserError, match=r"\[batch, size\], received one of .*Flatten"):
        Classifier(network, classes=3)


class OwnFeatures(keras.Model):
    """A subclassed model, whose layers are built by its first call."""

    image_shape = SHAPE

    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(5)

    def call(self, images):
        return self.dense(self.flatten(images))


def test_a_network_may_be_a_subclassed_model():
    batch = data()
    model = Classifier(OwnFeatures(), classes=3)
    model.compile("sgd")
    kernel = model.network.dense.kernel.numpy().copy()
    model.fit(batch["image"], batch["label"], verbose=0)
    assert not np.allclose(model.network.dense.kernel, kernel)
    features, _ = model.activations(batch["image"])
    flat = batch["image"].numpy().reshape(12, -1)
    expected = flat @ model.network.dense.kernel.numpy() + model.network.dense.bias
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
