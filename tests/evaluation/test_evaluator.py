"""Metrics by name, on a world of four-pixel images whose scores NumPy can tell."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation import metrics
from tfp_priors.evaluation.activations import Extractor
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.feature_metrics import classifier_score
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.evaluation.precision_recall import precision_recall
from tfp_priors.evaluation.records import record
from tfp_priors.evaluation.subject import Subject
from tfp_priors.runs import run_dir

SHAPE = (2, 2, 1)


def pixels(n, seed, mean=100.0):
    random = np.random.RandomState(seed)
    values = np.clip(mean + 20 * random.randn(n, *SHAPE), 0, 255)
    return np.round(values).astype(np.uint8)


SPLITS = {"train": pixels(600, 0), "test": pixels(400, 1)}


def load_dataset(split):
    if split not in SPLITS:
        raise UserError(f"no split {split}")
    images = SPLITS[split]
    labels = (images.reshape(-1, 4).sum(1) > 400).astype(int)
    return ImageDataset(images, {"label": labels}, SHAPE)


def flat(images):
    return images.reshape(len(images), -1).astype(np.float64)


def extract(images):
    features = tf.cast(tf.reshape(images, [-1, 4]), tf.float32)
    bright = (tf.reduce_sum(features, axis=1) - 400.0) / 40.0
    return features, tf.stack([-bright, bright], axis=1)


EXTRACTOR = Extractor("classifier", "known", extract)


def log_terms(images, seed, draws):
    """One Bernoulli-like world: log p(x|z) = -3, log p(z) = -2, log q(z|x) = -1."""
    ones = tf.ones([draws, tf.shape(images)[0]])
    return -3.0 * ones, -2.0 * ones, -1.0 * ones


CLASSIFIER = {
    "activations": lambda images: extract(tf.cast(images * 255.0, tf.uint8)),
    "correct": lambda logits, targets: tf.argmax(logits, 1) == targets,
    "target": "label",
}


def subject(**parts):
    """Samples are brighter than the data; codes are the four pixels themselves."""
    defaults = {
        "name": "world",
        "identity": "weights",
        "image_shape": SHAPE,
        "samples": lambda n, seed: from_sampler(
            lambda n, seed: pixels(n, seed, 110.0), n, seed, "weights"
        ),
        "reconstruct": lambda images: images * 0.9,
        "encode": lambda images: np.reshape(images, [-1, 4]),
        "sample_posterior": lambda images, seed: np.reshape(images, [-1, 4]),
        "sample_codes": lambda n, seed: {"z": flat(pixels(n, seed, 110.0)) / 255},
        "log_prob": lambda z: -np.sum(np.square(z), axis=1),
    }
    return Subject(**(defaults | parts))


@pytest.fixture
def evaluator(tmp_path):
    return Evaluator(
        subject(),
        load_dataset,
        {"classifier": lambda: EXTRACTOR},
        seed=3,
        folder=tmp_path / "run",
        cache_dir=tmp_path / "cache",
    )


def drawn(evaluator, n):
    return np.concatenate(list(evaluator.samples(n)))


def frechet(a, b):
    """By SciPy."""
    covariances = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    shift = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return shift + np.trace(covariances[0] + covariances[1] - 2 * root)


def test_frechet_distance_with_its_floor_and_reconstructions(evaluator):
    (result,) = evaluator.evaluate("fcd400_test")
    test = flat(SPLITS["test"])
    samples = flat(drawn(evaluator, 400))
    np.testing.assert_allclose(result["value"], frechet(test, samples), rtol=1e-6)
    fresh = np.concatenate(list(evaluator.real_images("train", 400)))
    assert set(map(bytes, fresh)) <= set(map(bytes, SPLITS["train"]))
    np.testing.assert_allclose(result["floor"], frechet(test, flat(fresh)), rtol=1e-6)
    reconstructed = np.rint(flat(fresh) / 255 * np.float32(0.9) * 255)
    np.testing.assert_allclose(
        result["reconstructions"], frechet(test, reconstructed), rtol=1e-2
    )
    assert result["floor"] < result["reconstructions"]
    assert result["floor"] < result["value"]
    assert result["extractor_identity"] == "known" and result["seed"] == 3
    assert (result["samples"], result["images"]) == (400, 400)


@pytest.mark.parametrize(
    ("split", "other"),
    [("train", "test"), ("test", "train"), ("held_out", "learned")],
)
def test_fresh_images_are_of_another_split(split, other):
    values = {"train": 1, "test": 2, "held_out": 3, "learned": 4}

    def load(name):
        return ImageDataset(np.full((3, *SHAPE), values[name], np.uint8), {}, SHAPE)

    (fresh,) = Evaluator(subject(), load).fresh_images(split, 3)
    assert fresh.shape == (3, *SHAPE) and np.all(fresh == values[other])


def test_a_small_split_says_how_many_images_there_were(evaluator):
    (result,) = evaluator.evaluate("fcd1k_test")
    assert result["name"] == "fcd1k_test"
    assert result["samples"] == 1000 and result["images"] == 400
    assert result["fresh_images"] == 600


def test_names_have_one_spelling(evaluator):
    assert evaluator.evaluate("cs1000")[0]["name"] == "cs1k"


def test_scores_and_neighbours_are_those_of_the_functions(evaluator):
    (score,) = evaluator.evaluate("cs300")
    _, logits = extract(drawn(evaluator, 300))
    np.testing.assert_allclose(score["value"], classifier_score(logits), rtol=1e-7)
    results = evaluator.evaluate("prdc_classifier300_test")
    real = np.concatenate(list(evaluator.real_images("test", 300)))
    expected = precision_recall(flat(real), flat(drawn(evaluator, 300)))
    names = [result["name"] for result in results]
    assert names == [
        f"{name}_classifier300_test"
        for name in ("precision", "recall", "density", "coverage")
    ]
    np.testing.assert_allclose([result["value"] for result in results], expected)


def test_kernel_distance_sees_the_shift(evaluator):
    (result,) = evaluator.evaluate("kcd400_test")
    assert result["value"] > 5 * result["standard_error"]
    assert abs(result["floor"]) < result["value"] / 10


def test_memorization_of_copies(tmp_path):
    def copies(n, seed):
        return from_sampler(lambda n, _: SPLITS["train"][:n], n, seed, "copies")

    evaluator = Evaluator(subject(samples=copies), load_dataset)
    (result,) = evaluator.evaluate("memorization_pixels300")
    # Some of the copied images are left out of the equally large subset.
    assert result["value"] < 0.35 and result["z"] < -4


def test_latent_match(evaluator):
    (accuracy,) = evaluator.evaluate("two_sample_accuracy_quadratic_test")
    # Codes 20/255 wide whose means differ by half of that in 4 dimensions: the best
    # accuracy is Phi(|d| / 2 sigma) = Phi(0.5) = 0.69.
    value = accuracy["value"]
    assert abs(value - 0.69) < 0.08
    # Decided on half of the 400 codes, and as many draws.
    error = np.sqrt(value * (1 - value) / 400)
    np.testing.assert_allclose(accuracy["standard_error"], error, rtol=1e-6)
    (distance,) = evaluator.evaluate("mmd_test")
    assert distance["value"] > 5 * distance["standard_error"]
    (sliced,) = evaluator.evaluate("sliced_wasserstein_test")
    np.testing.assert_allclose(
        sliced["relative"] * 20 / 255, sliced["value"], rtol=0.05
    )


def test_a_distance_of_codes_is_relative_to_their_mean_standard_deviation():
    factors = np.array([1.0, 2.0, 3.0, 4.0])
    codes = factors * flat(SPLITS["test"]) / 255
    parts = {"sample_posterior": lambda images, seed: factors * flat(images)}
    evaluator = Evaluator(subject(**parts), load_dataset)
    (sliced,) = evaluator.evaluate("sliced_wasserstein_test")
    expected = sliced["value"] / codes.std(axis=0).mean()
    np.testing.assert_allclose(sliced["relative"], expected, rtol=1e-5)


def test_codes_have_other_noise_than_draws():
    def noise(n, seed):
        return np.random.RandomState(seed).randn(n, 4)

    parts = {
        "sample_posterior": lambda images, seed: noise(len(images), seed),
        "sample_codes": lambda n, seed: {"z": noise(n, seed)},
    }
    codes, draws = Evaluator(subject(**parts), load_dataset).codes_and_draws("test")
    correlation = np.corrcoef(codes.ravel(), draws.ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(codes.size)


def test_prior_nll_by_hand(evaluator):
    (result,) = evaluator.evaluate("prior_nll_test")
    values = np.square(flat(SPLITS["test"]) / 255).sum(1)
    np.testing.assert_allclose(result["value"], values.mean(), rtol=1e-5)
    error = values.std(ddof=1) / np.sqrt(400)
    np.testing.assert_allclose(result["standard_error"], error, rtol=1e-4)
    (gap,) = evaluator.evaluate("prior_overfitting")
    train = np.square(flat(SPLITS["train"]) / 255).sum(1)
    np.testing.assert_allclose(gap["value"], values.mean() - train.mean(), atol=1e-6)
    error = np.hypot(error, train.std(ddof=1) / np.sqrt(600))
    np.testing.assert_allclose(gap["standard_error"], error, rtol=1e-4)


def test_reconstruction_error_by_hand(evaluator):
    (result,) = evaluator.evaluate("reconstruction_error400_test")
    # A tenth of the value, rounded to levels.
    expected = np.square(flat(SPLITS["test"]) / 255 * 0.1).mean()
    np.testing.assert_allclose(result["value"], expected, rtol=0.02)


def test_likelihood_of_a_known_world():
    evaluator = Evaluator(subject(log_terms=log_terms), load_dataset)
    (bound,) = evaluator.evaluate("nll50_iw7_test")
    np.testing.assert_allclose(bound["value"], 4.0, rtol=1e-6)
    bits = 4.0 / (4 * np.log(2))
    np.testing.assert_allclose(bound["bits_per_dimension"], bits, rtol=1e-6)
    rate, distortion = evaluator.evaluate("rate_distortion50_test")
    assert (rate["name"], distortion["name"]) == ("rate50_test", "distortion50_test")
    np.testing.assert_allclose([rate["value"], distortion["value"]], [1.0, 3.0])


def test_separability_pairs_codes_with_their_images():
    """The classes are decided by the sum of the codes: a hyperplane separates them."""

    def codes(n, seed):
        return {"z": (flat(pixels(n, seed)) - 100) / 2}

    def images(n, seed):
        return from_sampler(pixels, n, seed, "weights")

    evaluator = Evaluator(
        subject(sample_codes=codes, samples=images),
        load_dataset,
        {"classifier": lambda: EXTRACTOR},
    )
    (result,) = evaluator.evaluate("separability2400_z")
    assert result["value"] < 1.01 and result["kept"] == 1200
    with pytest.raises(UserError, match="world has no z0"):
        evaluator.evaluate("separability1200_z0")


def classified(codes, draw, attributes):
    """An evaluator of images that are drawn with codes, and a classifier of them."""
    extractor = Extractor("classifier", "known", attributes, exclusive_classes=False)
    return Evaluator(
        subject(
            sample_codes=codes, samples=lambda n, seed: from_sampler(draw, n, seed, "w")
        ),
        load_dataset,
        {"classifier": lambda: extractor},
    )


def test_separability_of_known_factors():
    """Two factors lie along axes of z, and along curves of z0; a third never occurs."""

    def codes(n, seed):
        z = np.random.RandomState(seed).randn(n, 2)
        turn = 4 * np.linalg.norm(z, axis=1)
        cos, sin = np.cos(turn), np.sin(turn)
        z0 = np.stack([cos * z[:, 0] - sin * z[:, 1], sin * z[:, 0] + cos * z[:, 1]], 1)
        return {"z": z, "z0": z0}

    def draw(n, seed):
        z = codes(n, seed)["z"]
        images = np.full([n, *SHAPE], 128.0)
        images[:, 0] += 30 * z[:, :1, None]  # the upper half
        images[:, :, 0] += 30 * z[:, 1:, None]  # the left half
        return np.clip(images, 0, 255).round().astype(np.uint8)

    def attributes(images):
        x = tf.cast(images[..., 0], tf.float32)
        upper = tf.reduce_mean(x[:, 0, 1:] - x[:, 1, 1:], axis=1)
        left = tf.reduce_mean(x[:, 1:, 0] - x[:, 1:, 1], axis=1)
        return x[:, 0], tf.stack([upper, left, 0 * left - 1], axis=1)

    evaluator = classified(codes, draw, attributes)
    (z,) = evaluator.evaluate("separability3k_z")
    (z0,) = evaluator.evaluate("separability3k_z0")
    assert z["degenerate"] == z0["degenerate"] == [2]
    # A hyperplane separates both factors in z, but for ties of rounding.
    assert z["value"] < 1.02
    # In z0 the boundary is a spiral: of two bits little is known.
    assert 2.0 < z0["value"] <= 4.0
    # With the samples that lie on the boundaries, which a hyperplane may miss.
    (of_all,) = evaluator.evaluate("separability_all3k_z")
    assert of_all["kept"] == 3000 and z["value"] <= of_all["value"] < 1.2


def test_separability_of_a_rare_attribute():
    """One that a tenth has, of which the classifier is never sure, counts with all."""

    def codes(n, seed):
        return {"z": np.random.RandomState(seed).randn(n, 2)}

    def draw(n, seed):
        z = codes(n, seed)["z"][:, :1, None, None]
        return np.broadcast_to(255 * (z > 1.2816), [n, *SHAPE]).astype(np.uint8)

    def attributes(images):
        x = tf.cast(images[:, 0, 0], tf.float32) / 255.0
        return x, 2.0 * x - 1.0 - tf.cast(x == 0, tf.float32)

    evaluator = classified(codes, draw, attributes)
    (half,) = evaluator.evaluate("separability2k_z")
    (of_all,) = evaluator.evaluate("separability_all2k_z")
    assert (half["degenerate"], of_all["degenerate"]) == ([0], [])
    # What is left open is at most the attribute's entropy.
    entropy = -0.1 * np.log(0.1) - 0.9 * np.log(0.9)
    assert half["value"] == 1.0 and 1.0 < of_all["value"] < np.exp(0.3 * entropy)


def test_accuracy_of_a_classifier():
    def activations(images):
        features, logits = CLASSIFIER["activations"](images)
        return features, -logits

    parts = CLASSIFIER | {"activations": activations}
    (result,) = Evaluator(subject(**parts), load_dataset).evaluate("accuracy_test")
    # It says the contrary of the truth.
    assert result["value"] < 0.02 and result["images"] == 400
    (alone,) = few(1, **parts).evaluate("accuracy_test")
    assert alone["images"] == 1 and "standard_error" not in alone


def test_activations_of_real_images_and_samples_are_kept_apart(evaluator, tmp_path):
    evaluator.evaluate("fcd400_test")
    count = {name: len(list((tmp_path / name).iterdir())) for name in ("run", "cache")}
    assert count == {"run": 2, "cache": 2}


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        ("fid100_test", {}, "needs the inception network: pass --inception_dir"),
        ("prior_nll_test", {"log_prob": None}, "world has no prior with a density"),
        ("nll10_iw5_test", {}, r"no p\(x\|z\), q\(z\|x\) and p\(z\) that all"),
        ("fcd100_test", {"samples": None}, "world has no samples"),
        ("fcd100_validation", {}, "no split validation"),
        ("fcd100_test", {"image_shape": (3, 3, 1)}, "the data set of \\(2, 2, 1\\)"),
        ("cs100", {"image_shape": (3, 3, 1)}, "the data set of \\(2, 2, 1\\)"),
        ("lpips_diversity_alex_v0.1_1c20p", {}, "convert_lpips"),
        ("lpips_diversity_alex_v0.1_5c20p", {}, "has no conditions"),
        ("accuracy_test", {}, "world has no labels"),
    ],
)
def test_what_is_missing_is_named(name, parts, message):
    extractor = EXTRACTOR._replace(image_shape=SHAPE)
    evaluator = Evaluator(
        subject(**parts), load_dataset, {"classifier": lambda: extractor}
    )
    with pytest.raises(UserError, match=message):
        evaluator.evaluate(name)


@pytest.mark.parametrize(
    "name", ["fid", "fid0_test", "fid10k", "fcd10k_tset", "separability20k_y", ""]
)
def test_unknown_names_get_the_nearest(name):
    with pytest.raises(UserError, match="did you mean one like"):
        metrics.find(name)


@pytest.mark.parametrize("metric", metrics.METRICS, ids=lambda m: m.template)
def test_every_example_is_a_name_of_its_metric(metric):
    request = metrics.find(metric.example)
    assert request.metric is metric and request.name == metric.example
    assert metric.description.endswith(".") and metric.needs and metric.cost


def few(n, **parts):
    """An evaluator whose splits have n images, of a subject that can do all that needs
    no weights and no condition."""
    defaults = CLASSIFIER | {
        "decode": lambda z: np.reshape(np.clip(z, 0.0, 1.0), [-1, *SHAPE]),
        "to_base": lambda z: 2.0 * z,
        "from_base": lambda z0: z0 / 2.0,
        "log_terms": log_terms,
    }

    def load(split):
        features = {"label": np.arange(n) % 2, "keypoints": np.ones((n, 1, 2))}
        images = SPLITS["train" if split == "learned" else split][:n]
        dataset = ImageDataset(images, features, SHAPE)
        dataset.factors = {"brightness": slice(0, 2)}
        return dataset

    networks = dict.fromkeys(("classifier", "inception"), lambda: EXTRACTOR)
    return Evaluator(subject(**(defaults | parts)), load, networks)


# What is said of a subject without weights or a condition.
LACKING = {
    "lpips_diversity_{net}_v{version}_{n}c{m}p": "make it with bin/convert_lpips",
    "condition_accuracy{n}": "conditional on nothing: expected .* label or attributes",
    "fcd{n}_within_{split}": "conditional on nothing: expected .* given label",
    "pose_error{n}": "not conditional on keypoints",
}

# The fewest images of which a number comes, and what is said of fewer.
FEWEST = {
    "path_density{n}_{split}": (2, "1 pairs need 2 images, the split has 1: ask"),
    "attribute_unevenness{n}_{space}_{split}": (2, "received 1 with and 0 without"),
    "two_sample_accuracy_{classifier}_{split}": (12, "at least 12 codes, .* received"),
    "mmd_{split}": (2, "at least 2 codes and 2 draws of the prior, received 1 and 1"),
    "fid{n}_{split}": (2, "at least 2 images, received 1"),
    "fcd{n}_{split}": (2, "at least 2 images, received 1"),
    "kid{n}_{split}": (2, "at least 2 real images and 2 samples, received 1 and 1"),
    "kcd{n}_{split}": (2, "at least 2 real images and 2 samples, received 1 and 1"),
    "prdc_{extractor}{n}_{split}": (6, "received k = 5, . real points and . samples"),
    "separability{n}_{space}": (2, "the number of samples, 1, received 0"),
} | {template: (np.inf, words) for template, words in LACKING.items()}


def example(metric, n):
    """A name of a metric that asks for what a split of n images has."""
    values = {"extractor": "classifier", "features": "pixels", "space": "z", "k": 3}
    values |= {"classifier": "mlp", "split": "test", "net": "alex", "version": "0.1"}
    if "{m}" in metric.template:
        return metric.template.format(n=1, m=n, **values)  # The only condition.
    if metric.template.startswith(("path_density", "attribute_unevenness")):
        n = max(1, n // 2)  # Two images for each.
    return metric.template.format(n=n, **values)


@pytest.mark.parametrize("n", [1, 2, 3, 12])
@pytest.mark.parametrize("metric", metrics.METRICS, ids=lambda m: m.template)
@pytest.mark.filterwarnings("ignore:.*singular covariance")
def test_few_images_give_a_number_or_one_line(metric, n):
    name = example(metric, n)
    assert metrics.find(name).metric is metric
    regressor = {"target": "keypoints"} if name.startswith("joint_distance") else {}
    evaluator = few(n, **regressor)
    fewest, words = FEWEST.get(metric.template, (1, None))
    if n < fewest:
        with pytest.raises(UserError, match=words) as refused:
            evaluator.evaluate(name)
        assert "\n" not in str(refused.value)
        return
    for result in evaluator.evaluate(name):
        numbers = [value for value in result.values() if isinstance(value, float)]
        assert np.isfinite(result["value"]) and np.all(np.isfinite(numbers))


def test_what_is_said_of_few_images_is_of_metrics_that_there_are():
    assert FEWEST.keys() <= {metric.template for metric in metrics.METRICS}


@pytest.mark.parametrize(
    "n, name, message",
    [
        (1, "kcd12_test", "at least 2 real images and 2 samples, received 1 and 12"),
        (11, "two_sample_accuracy_mlp_test", "at least 12 codes, .* received 11"),
        (1, "two_sample_accuracy_quadratic_test", "at least 2 codes, .* received 1"),
        (1, "fcd12_test", "at least 2 images, received 1"),
    ],
)
def test_too_few_images_are_refused_with_the_number(n, name, message):
    with pytest.raises(UserError, match=message):
        few(n).evaluate(name)


def test_a_value_that_is_no_number_is_recorded(tmp_path):
    def log_prob(z):
        return np.where(np.arange(len(z)) == 5, np.nan, -1.0)

    evaluator = Evaluator(subject(log_prob=log_prob), load_dataset)
    results = evaluator.evaluate("prior_nll_test")
    (line,) = record(tmp_path, results, 7)
    assert np.isnan(line["value"]) and "standard_error" not in line
    # JSON has no NaN.
    (known,) = run_dir.metrics(tmp_path)
    assert known["value"] is None and known["images"] == 400


def test_a_single_image_has_a_mean_and_no_spread():
    (result,) = few(1).evaluate("reconstruction_error10_test")
    (image,) = SPLITS["test"][:1].astype(float)
    square = np.square(image - np.rint(image * 0.9)).mean() / 255**2
    np.testing.assert_allclose(result["value"], square, rtol=1e-5)
    assert result["images"] == 1 and "standard_error" not in result


def test_a_single_pair_has_a_distance_and_no_spread():
    (result,) = few(12).evaluate("feature_diversity_classifier_1c1p")
    first, second = flat(drawn(few(12), 2))
    np.testing.assert_allclose(result["value"], np.linalg.norm(first - second))
    assert "standard_error" not in result


def test_blocks_of_a_kernel_distance_have_two_of_each_kind():
    (result,) = few(3).evaluate("kcd12_test")
    x, y = (flat(a) for a in (SPLITS["test"][:3], drawn(few(3), 12)))

    def kernel(a, b):
        return (a @ b.T / 4 + 1) ** 3

    # Three images are one block; of equal ones the diagonal is left out.
    within = [(kernel(a, a).sum() - np.trace(kernel(a, a))) for a in (x, y)]
    unbiased = within[0] / 6 + within[1] / 132 - 2 * kernel(x, y).mean()
    np.testing.assert_allclose(result["value"], unbiased, rtol=1e-6)
    assert "standard_error" not in result
