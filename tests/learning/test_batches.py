import functools
import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.learning.batches import batch_of
from tfp_priors.learning.batches import check_images
from tfp_priors.learning.batches import first_batch
from tfp_priors.learning.batches import scaled
from tfp_priors.models import Classifier
from tfp_priors.training import create_strategy

SHAPE = (8, 8, 1)
PIXELS = np.random.RandomState(0).randint(0, 256, (6, *SHAPE)).astype("uint8")
IMAGES = (PIXELS / 255).astype("float32")
LABELS = np.arange(6)
DATASET = tf.data.Dataset.from_tensor_slices(IMAGES[:5])


@pytest.mark.parametrize(
    "data",
    [
        {"image": IMAGES},
        IMAGES,
        (IMAGES,),
        (IMAGES, None),
        (IMAGES, LABELS),
        ({"image": IMAGES}, LABELS),
        (IMAGES, {"label": LABELS}),
        [IMAGES, LABELS, None],
    ],
)
def test_forms(data):
    batch = batch_of(data)
    assert batch["image"] is IMAGES
    assert batch.get("label", LABELS) is LABELS
    assert set(batch) <= {"image", "label"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((IMAGES, IMAGES), "two sets of images"),
        ((IMAGES, LABELS, LABELS), "sample_weight"),
    ],
)
def test_what_would_be_ignored_is_refused(data, message):
    with pytest.raises(UserError, match=message):
        batch_of(data)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (255 * IMAGES, r"\[0, 255\]: divide by 255"),
        (2 * IMAGES - 1, r"in \[-1, "),
        (np.where(IMAGES > 0.5, np.nan, IMAGES), "without NaN"),
        (PIXELS.astype("int64"), "received int64"),
        (IMAGES[..., 0], r"received \(6, 8, 8\)"),
        (IMAGES[0], r"received \(8, 8, 1\)"),
        (IMAGES[:, :4], r"received \(6, 4, 8, 1\)"),
        (np.repeat(IMAGES, 3, axis=-1), r"received \(6, 8, 8, 3\)"),
    ],
)
@pytest.mark.parametrize("convert", [np.asarray, tf.constant])
def test_images_that_are_none(images, message, convert):
    with pytest.raises(UserError, match=message):
        check_images(convert(images), SHAPE)


def test_a_mask_is_refused():
    with pytest.raises(UserError, match="without a mask"):
        check_images(np.ma.masked_greater(IMAGES, 0.5), SHAPE)
    check_images(np.ma.asarray(IMAGES), SHAPE)


@pytest.mark.parametrize("images", [IMAGES, PIXELS, IMAGES > 0.5, IMAGES[:0]])
def test_images(images):
    check_images(images, SHAPE)
    expected = images / np.float32(255) if images.dtype == np.uint8 else images
    np.testing.assert_allclose(scaled(images), expected.astype("float32"), rtol=1e-6)
    assert scaled(images).dtype == tf.float32


def test_a_look_at_the_first_batch_loses_nothing():
    def batches():
        yield from (IMAGES[:2], IMAGES[2:4], IMAGES[4:])

    first, rest = first_batch(batches())
    np.testing.assert_array_equal(first, IMAGES[:2])
    np.testing.assert_array_equal(np.concatenate([x for (x,) in rest]), IMAGES)
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(4)
    np.testing.assert_array_equal(first_batch(dataset)[0], IMAGES[:4])
    assert first_batch(dataset)[1] is dataset
    # Integers alone have no images.
    assert first_batch(tf.data.Dataset.from_tensors(LABELS))[0] is None


def test_a_look_leaves_a_cache_whole():
    """Prefetching before it, as Keras' own loaders of folders do."""
    for _ in range(20):
        dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(2).prefetch(2)
        first, rest = first_batch(dataset.cache())
        np.testing.assert_array_equal(first, IMAGES[:2])
        for _ in range(2):
            assert sum(len(batch) for batch in rest) == len(IMAGES)


@pytest.mark.parametrize("later", [255 * IMAGES, 2 * IMAGES - 1])
def test_batches_after_the_first_are_checked_as_they_come(make_model, later):
    model = make_model()
    model.compile("sgd", jit_compile=False)
    data = np.concatenate([np.zeros_like(IMAGES), later])
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(len(IMAGES))
    fit = functools.partial(model.fit, shuffle=False)
    for use in (fit, model.evaluate, model.predict):
        with pytest.raises(UserError, match="received others: divide"):
            use(dataset, verbose=0)


def generator():
    yield 255 * IMAGES


@pytest.mark.parametrize(
    "data",
    [
        255 * IMAGES,
        {"image": 255 * IMAGES},
        tf.data.Dataset.from_tensor_slices({"image": 255 * IMAGES}).batch(2),
        tf.data.Dataset.from_tensor_slices((255 * IMAGES, LABELS)).batch(2),
        generator(),
    ],
    ids=["array", "dict", "dataset", "pairs", "generator"],
)
def test_no_step_is_taken_on_images_out_of_range(make_model, data):
    model = make_model()
    model.compile("sgd")
    for use in (model.fit, model.evaluate, model.predict):
        with pytest.raises(UserError, match=r"values in \[0, 25"):
            use(data, verbose=0)
        if hasattr(data, "send"):
            break
    assert int(model.optimizer.iterations) == 0


def test_bytes_are_scaled_wherever_images_enter(make_model):
    model = make_model(posterior=posteriors.NormalPosterior(4))
    model.compile("sgd", jit_compile=False)
    seed = tf.constant([1, 2])
    for use in (
        model,
        model.encode,
        model.reconstruct,
        model.posterior_parameters,
        lambda x: model.sample_posterior(x, seed),
        lambda x: model.log_terms(x, seed, 2)[0],
        lambda x: model.objective(x, 1.0, seed).loss,
        lambda x: model.predict(x, verbose=0),
        lambda x: model.evaluate(x, verbose=0, return_dict=True)["loss"],
    ):
        np.testing.assert_allclose(use(PIXELS), use(IMAGES), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_evaluation_does_not_depend_on_the_batches(make_model, size):
    """Every image has noise of its own, whatever batch it is in."""
    model = make_model(posterior=posteriors.NormalPosterior(4))
    model.compile("sgd", jit_compile=False)
    same = np.repeat(IMAGES[:1], 6, axis=0)
    for images in (IMAGES, same):
        whole = model.evaluate(images, batch_size=6, verbose=0, return_dict=True)
        parts = model.evaluate(images, batch_size=size, verbose=0, return_dict=True)
        assert parts == pytest.approx(whole, rel=1e-5, abs=1e-5)
    # Not the same noise for each batch.
    one = model.evaluate(same[:1], verbose=0, return_dict=True)
    assert abs(whole["prior_nll"] - one["prior_nll"]) > 1e-2


@pytest.fixture
def replicated(make_model):
    """Makes a model of one or two replicas; its posteriors have noise."""

    def make(strategy="mirrored", **parts):
        keras.utils.set_random_seed(0)
        with create_strategy(strategy).scope():
            model = make_model(posterior=posteriors.NormalPosterior(4), **parts)
            model.compile(keras.optimizers.SGD(1e-3), jit_compile=False)
        return model

    yield make
    # TensorFlow waits for an iterator of replicas for as long as it has lived.
    gc.collect()


def test_evaluation_on_replicas_is_that_of_one_device(replicated):
    prior = functools.partial(priors.RealNVPPrior, 4, couplings=2, hidden_sizes=(8,))
    one, two = (
        replicated(name, prior=prior()).evaluate(
            DATASET.batch(4), verbose=0, return_dict=True
        )
        for name in ("one_device", "mirrored")
    )
    assert two == pytest.approx(one, rel=1e-5)


class Batches(keras.utils.PyDataset):
    """Batches of 4 and of 1 image."""

    num_batches = 2

    def __getitem__(self, i):
        return (IMAGES[4 * i : 4 * i + 4][: 4 - 3 * i],)


@pytest.mark.parametrize(
    "fit",
    [
        lambda model: model.fit(DATASET.batch(5), shuffle=False, verbose=0),
        lambda model: model.fit(IMAGES[:5], batch_size=4, verbose=0),
        lambda model: model.fit(
            IMAGES, batch_size=6, validation_split=0.1, verbose=0, shuffle=False
        ),
        lambda model: model.fit((IMAGES[:n] for n in (4, 5)), shuffle=False, verbose=0),
        lambda model: model.fit(Batches(), verbose=0),
        lambda model: model.train_on_batch(IMAGES[:5]),
    ],
    ids=["dataset", "arrays", "split", "generator", "PyDataset", "batch"],
)
def test_batches_that_replicas_cannot_share_are_refused(replicated, fit):
    with pytest.raises(UserError, match="evenly.* drop_remainder=True\\)\\.$"):
        fit(replicated())


@pytest.mark.parametrize(
    "fit",
    [
        lambda model: model.train_on_batch(IMAGES[:4], return_dict=True)["loss"],
        lambda model: model.fit(
            (IMAGES[:n] for n in (4, 2)), steps_per_epoch=2, shuffle=False, verbose=0
        ),
        lambda model: model.fit(
            DATASET.batch(4, drop_remainder=True), shuffle=False, verbose=0
        ),
    ],
    ids=["batch", "generator", "dataset"],
)
def test_replicas_that_share_a_batch_take_the_step_of_one_device(replicated, fit):
    models = [replicated(name) for name in ("one_device", "mirrored")]
    one, two = (fit(model) for model in models)
    if not hasattr(one, "history"):
        assert two == pytest.approx(one, rel=1e-5)
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 5])
def test_replicas_share_single_batches_of_held_out_images(replicated, rows):
    models = [replicated(name) for name in ("one_device", "mirrored")]
    images = IMAGES[:rows]
    one, two = (model.test_on_batch(images, return_dict=True) for model in models)
    assert two == pytest.approx(one, rel=1e-5)
    for predict in (
        lambda m: m.predict(images, verbose=0),
        lambda m: m.predict_on_batch(images),
    ):
        one, two = map(predict, models)
        assert two.shape == images.shape
        np.testing.assert_allclose(two, one, atol=1e-6)


def test_pairs_teach_a_classifier():
    from tfp_priors.networks import ConvFeatures

    model = Classifier(ConvFeatures(SHAPE, widths=(4,), size=8), classes=6)
    model.compile("adam", jit_compile=False)
    model.fit(IMAGES, LABELS, verbose=0)
    with pytest.raises(UserError, match="needs the feature 'label'"):
        model.fit(IMAGES, verbose=0)


def test_steps_on_single_batches_check_them(make_model):
    model = make_model()
    model.compile("adam", jit_compile=False)
    for step in (model.train_on_batch, model.test_on_batch, model.predict_on_batch):
        with pytest.raises(UserError, match=r"floats? .*in \[0, 1\]"):
            step(PIXELS.astype("float32"))


@pytest.mark.parametrize("use", ["encode", "reconstruct", "log_terms", "classify"])
def test_within_a_graph_of_the_user_images_are_checked(make_model, use):
    if use == "classify":
        network = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
        function = Classifier(network, classes=3)
    elif use == "log_terms":
        parts = {"posterior": posteriors.NormalPosterior(4)}
        model = make_model(prior=priors.StandardNormalPrior(4), **parts)
        function = functools.partial(model.log_terms, seed=tf.constant([0, 1]))
    else:
        function = getattr(make_model(), use)
    batches = tf.data.Dataset.from_tensors(255 * IMAGES)
    with pytest.raises(tf.errors.InvalidArgumentError, match="images in .0, 1., rec"):
        list(batches.map(function))
    (values,) = batches.map(lambda images: function(images / 255))
    for one, other in zip(
        tf.nest.flatten(values), tf.nest.flatten(function(IMAGES)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_weights_by_their_places_are_refused_too(make_model):
    model = make_model()
    model.compile("adam", jit_compile=False)
    rest = (None, 3, 1, 0, None, 0.0, None, True, None)
    with pytest.raises(UserError, match="leave sample_weight out"):
        model.fit(IMAGES, *rest, np.ones(len(IMAGES)))
    with pytest.raises(UserError, match="leave sample_weight out"):
        model.evaluate(IMAGES, None, 3, 0, np.ones(len(IMAGES)))
    model.fit(IMAGES, *rest)
    assert model.optimizer.iterations == 2


@pytest.mark.parametrize("name", ["sample_weight", "class_weight"])
def test_weights_are_refused_without_labels_too(make_model, name):
    model = make_model()
    model.compile("adam", jit_compile=False)
    with pytest.raises(UserError, match=f"leave {name} out"):
        model.fit(IMAGES, verbose=0, **{name: np.zeros(len(IMAGES))})


class Endless(keras.utils.PyDataset):
    """As Keras has it for one without an end."""

    num_batches = None

    def __getitem__(self, i):
        return (PIXELS[:2],)


@pytest.mark.parametrize(
    "batches",
    [
        lambda: (PIXELS[i : i + 2] for i in (0, 2)),
        lambda: iter([PIXELS[:2], PIXELS[2:4]]),
        lambda: map(lambda i: PIXELS[i : i + 2], (0, 2)),
        lambda: Endless(),
        lambda: ([PIXELS[i : i + 2], LABELS[i : i + 2]] for i in (0, 2)),
    ],
    ids=["generator", "list", "map", "endless", "pairs"],
)
def test_an_iterator_of_images(make_model, batches):
    model = make_model()
    model.compile("adam", jit_compile=False)
    model.fit(batches(), steps_per_epoch=2, verbose=0, shuffle=False)
    assert model.optimizer.iterations == 2


@pytest.mark.parametrize(
    "data",
    [
        IMAGES[:0],
        PIXELS[:0],
        tf.data.Dataset.from_tensor_slices(PIXELS[:0]).batch(2),
        iter(()),
    ],
    ids=["floats", "bytes", "dataset", "iterator"],
)
def test_no_images_are_told(make_model, data):
    model = make_model()
    model.compile("adam", jit_compile=False)
    with pytest.raises(UserError, match="images, received none: the data is empty"):
        model.fit(data, verbose=0, shuffle=False)


def test_bytes_of_0_and_1_are_refused(make_model):
    """They would be black."""
    model = make_model()
    model.compile("adam", jit_compile=False)
    masks = (PIXELS > 127).astype("uint8")
    for use in (
        model.encode,
        model.fit,
        model.evaluate,
        model.predict,
        lambda x: model.encode(tf.constant(x)),
        lambda x: model.fit(tf.data.Dataset.from_tensor_slices(x).batch(2)),
        lambda x: model.fit(tf.data.Dataset.from_tensors((x, LABELS))),
    ):
        with pytest.raises(UserError, match="received 0 and 1, which are black"):
            use(masks)
    np.testing.assert_array_equal(
        model.encode(masks.astype(bool)), model.encode(masks.astype("float32"))
    )
    model.encode(0 * masks)


def test_images_in_other_forms(make_model):
    model = make_model()
    for images in (PIXELS, IMAGES):
        for use in (model, model.encode, model.reconstruct):
            np.testing.assert_allclose(use(list(images)), use(images), rtol=1e-6)
    dataset = tf.data.Dataset.from_tensors(IMAGES)
    for use, data, message in (
        (model.encode, {"image": IMAGES}, "received a dict: pass the images alone"),
        (model.encode, [IMAGES[0], IMAGES[1, :4]], "one shape, received a list of 2"),
        (model.encode, [IMAGES, LABELS], "one shape, received a list of 2"),
        (model.reconstruct, dataset, "received a _TensorDataset: pass"),
        (model, (IMAGES, LABELS), "received a tuple: pass"),
    ):
        with pytest.raises(UserError, match=f"^Expected images.*{message}"):
            use(data)


def test_what_is_no_batch_is_named(make_model):
    model = make_model()
    model.compile("adam", jit_compile=False)
    with pytest.raises(UserError, match="numpy.stack"):
        model.fit(list(IMAGES), verbose=0)
    with pytest.raises(UserError, match=r"an ImageDataset: pass its training_batches"):
        model.fit(ImageDataset(PIXELS, {}, SHAPE), verbose=0)
    unknown = tf.data.Dataset.from_generator(lambda: iter(PIXELS), tf.uint8).batch(2)
    with pytest.raises(UserError, match="known rank: give tf.data an output_signature"):
        model.fit(unknown, verbose=0, shuffle=False)


@pytest.mark.parametrize(
    "clip_norm", [-1.0, 0, float("nan"), "mse", True, {"prior": -1.0}]
)
def test_a_norm_is_a_number_above_0(make_model, clip_norm):
    with pytest.raises(UserError, match="finite clip_norm > 0, or None"):
        make_model().compile("adam", clip_norm)


def test_numbers_of_numpy_are_norms(make_model, tmp_path):
    model = make_model()
    model.compile("adam", {"prior": np.float32(2.0), "autoencoder": np.int64(3)})
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert loaded.clip_norm == {"prior": 2.0, "autoencoder": 3.0}
    model.compile("adam", {})
    assert not model.clip_norm


def test_a_norm_is_one_of_a_group_that_is_there(make_model):
    with pytest.raises(UserError, match="prior, discriminator, received one for prio"):
        make_model().compile("adam", {"prio": 1.0})


def test_nothing_to_learn_is_told(make_model):
    model = make_model()
    model.trainable = False
    model.compile("adam", jit_compile=False)
    with pytest.raises(UserError, match="nothing to learn"):
        model.fit(IMAGES, verbose=0)


def test_a_generator_of_held_out_batches_loses_none(make_model):
    model = make_model()
    model.compile("sgd", clip_norm=1.0, jit_compile=False)
    seen = []

    def batches():
        for i in range(3):
            seen.append(i)
            yield (IMAGES[2 * i : 2 * i + 2],)

    history = model.fit(
        IMAGES, validation_data=batches(), validation_steps=3, verbose=0
    ).history
    assert seen == [0, 1, 2]
    expected = model.evaluate(IMAGES, batch_size=2, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        history["val_reconstruction"][0], expected["reconstruction"], rtol=1e-5
    )


@pytest.mark.parametrize("first", [True, False])
def test_held_out_labels_may_change_their_form(make_model, first):
    model = make_model()
    model.compile("sgd", clip_norm=1.0, jit_compile=False)
    for y in (LABELS[:, None], LABELS)[:: 1 if first else -1]:
        model.evaluate(IMAGES, y, batch_size=4, verbose=0)


def test_one_dark_image_of_bytes_is_one(make_model):
    image = np.zeros((1, 8, 8, 1), np.uint8)
    image[0, 0] = 1
    assert make_model().encode(image).shape == (1, 4)
