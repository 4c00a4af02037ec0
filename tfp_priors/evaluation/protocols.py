"""The metrics by name. A name fixes the protocol: what is counted, and against what.

The modules that compute them are imported where they are used: a list of the names and
the message on a wrong one should not wait for TensorFlow.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tfp_priors.errors import UserError

# What may stand for a placeholder of a metric's name.
_PLACEHOLDERS = {
    "n": r"\d+k?",
    "m": r"\d+k?",
    "k": r"\d+",
    "split": r"train|test|validation|held_out",
    "space": r"z0|z",
    "classifier": r"quadratic|mlp",
    "features": r"pixels|inception|classifier",
    "extractor": r"inception|classifier",
    "net": r"alex|vgg|squeeze",
    "version": r"0\.0|0\.1",
}

#: What is measured of a run if nothing is asked for: all that needs no other network.
DEFAULTS = ("two_sample_accuracy_quadratic_test", "two_sample_accuracy_mlp_test")

#: What comes before them for a prior with a density: an overfitted one may pass them.
DEFAULTS_OF_DENSITIES = ("prior_nll_test", "prior_overfitting")


class Metric(NamedTuple):
    """A family of metrics.

    Attributes:
      template: of its names, with placeholders such as {n} and {split}.
      example: a name.
      needs: what must be there.
      cost: what takes the time.
      description: in a sentence.
      compute: maps an `Evaluator` and the placeholders' values to results.
    """

    template: str
    example: str
    needs: str
    cost: str
    description: str
    compute: Callable[..., Iterator[dict[str, Any]]]


METRICS: list[Metric] = []


class Request(NamedTuple):
    """A metric that was asked for.

    Attributes:
      name: in its one spelling: "fid10k_test" also for "fid10000_test".
      metric: its family.
      values: of the template's placeholders.
    """

    name: str
    metric: Metric
    values: dict[str, Any]


def find(name: str) -> Request:
    """The metric of a name.

    Raises:
      UserError: if there is none.
    """
    for metric in METRICS:
        pattern = re.sub(
            r"\\{(\w+)\\}",
            lambda match: f"(?P<{match[1]}>{_PLACEHOLDERS[match[1]]})",
            re.escape(metric.template),
        )
        match = re.fullmatch(pattern, name)
        if match:
            values = match.groupdict()
            numbers = {key: count(values[key]) for key in "nmk" if key in values}
            if 0 in numbers.values():
                break
            texts = {key: _text(value) for key, value in numbers.items()}
            name = metric.template.format(**(values | texts))
            return Request(name, metric, values | numbers)
    examples = [metric.example for metric in METRICS]
    nearest = difflib.get_close_matches(name, examples, n=1, cutoff=0.0)[0]
    raise UserError(
        f"There is no metric {name!r}: did you mean one like {nearest}? "
        "bin/evaluate --list explains them all."
    )


def count(text: str) -> int:
    """The number that "500" or "10k" stands for."""
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)


def _metric(template, example, needs, cost):
    def register(compute):
        description = " ".join(compute.__doc__.split())
        METRICS.append(Metric(template, example, needs, cost, description, compute))
        return compute

    return register


def _frechet(evaluator, extractor, n, split):
    from tfp_priors.evaluation import feature_metrics

    real = evaluator.real_images(split, n)
    fresh = evaluator.fresh_images(split, n)
    target = evaluator.moments(extractor, real, f"{split} images")

    def distance(images, label):
        if images is None:
            return None
        moments = evaluator.moments(extractor, images, label)
        return feature_metrics.frechet_distance_of_moments(target, moments)

    yield {
        "value": distance(evaluator.samples(n), "samples"),
        "reconstructions": distance(
            evaluator.reconstructions(fresh), "reconstructions"
        ),
        "floor": distance(fresh, "fresh real images"),
        "samples": n,
        "images": real.size,
        "fresh_images": fresh.size if fresh else 0,
        "extractor": extractor,
    }


@_metric("fid{n}_{split}", "fid10k_test", "Inception", "n passes of Inception")
def _fid(evaluator, n, split):
    """Frechet Inception distance between n samples and n images of a split."""
    return _frechet(evaluator, "inception", n, split)


@_metric("fcd{n}_{split}", "fcd10k_test", "a classifier", "n passes of the classifier")
def _fcd(evaluator, n, split):
    """Frechet distance in the features of a classifier of the data set; not an FID."""
    return _frechet(evaluator, "classifier", n, split)


def _kernel(evaluator, extractor, n, split):
    from tfp_priors.evaluation import feature_metrics

    real = evaluator.real_images(split, n)
    fresh = evaluator.fresh_images(split, n)
    target = evaluator.activations(extractor, real, f"{split} images").features
    # Ten blocks at least, for the standard error.
    block = min(1000, max(2, min(n, real.size) // 10))

    def distance(images, label):
        features = evaluator.activations(extractor, images, label).features
        return feature_metrics.kernel_distance(target, features, block)

    estimate = distance(evaluator.samples(n), "samples")
    yield {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "floor": distance(fresh, "fresh real images").value if fresh else None,
        "samples": n,
        "images": real.size,
        "extractor": extractor,
    }


@_metric("kid{n}_{split}", "kid10k_test", "Inception", "as fid; shares its passes")
def _kid(evaluator, n, split):
    """Kernel Inception distance, an unbiased squared MMD, with its standard error."""
    return _kernel(evaluator, "inception", n, split)


@_metric("kcd{n}_{split}", "kcd10k_test", "a classifier", "as fcd; shares its passes")
def _kcd(evaluator, n, split):
    """Kernel distance as KID, in the features of a classifier of the data set."""
    return _kernel(evaluator, "classifier", n, split)


def _score(evaluator, extractor, n):
    from tfp_priors.evaluation import feature_metrics

    def score(images, label):
        logits = evaluator.logits(extractor, images, label)
        return feature_metrics.classifier_score(logits)

    real = evaluator.real_images("test", n)
    yield {
        "value": score(evaluator.samples(n), "samples"),
        "real": score(real, "test images"),
        "samples": n,
        "images": real.size,
        "extractor": extractor,
    }


@_metric("is{n}", "is50k", "Inception", "n passes of Inception")
def _is(evaluator, n):
    """Inception score of n samples in one piece; beside it that of test images."""
    return _score(evaluator, "inception", n)


@_metric("cs{n}", "cs10k", "a classifier", "n passes of the classifier")
def _cs(evaluator, n):
    """Classifier score: as the Inception score, from 1 to the number of classes."""
    return _score(evaluator, "classifier", n)


@_metric(
    "prdc_{extractor}{n}_{split}",
    "prdc_classifier10k_test",
    "a classifier or Inception",
    "the passes of fcd or fid, and n^2 distances",
)
def _prdc(evaluator, extractor, n, split):
    """Precision, recall, density and coverage with 5 neighbours; four results."""
    from tfp_priors.evaluation.precision_recall import precision_recall

    real = evaluator.real_images(split, n)
    fresh = evaluator.fresh_images(split, n)
    target = evaluator.activations(extractor, real, f"{split} images").features

    def compare(images, label):
        features = evaluator.activations(extractor, images, label).features
        return precision_recall(target, features)._asdict()

    values = compare(evaluator.samples(n), "samples")
    floor = compare(fresh, "fresh real images") if fresh else {}
    for name, value in values.items():
        yield {
            "name": f"{name}_{extractor}{_text(n)}_{split}",
            "value": value,
            "floor": floor.get(name),
            "samples": n,
            "images": real.size,
            "extractor": extractor,
        }


@_metric(
    "memorization_{features}{n}",
    "memorization_pixels10k",
    "train and test images",
    "n distances to each of 2n images",
)
def _memorization(evaluator, features, n):
    """Share of n samples nearer to a test than to a training image, both in equal
    number; 0.5 if nothing is memorised, less if training images are."""
    from tfp_priors.evaluation.neighbours import memorization

    kinds = {
        "samples": evaluator.samples(n),
        "train images": evaluator.real_images("train", n),
        "test images": evaluator.real_images("test", n),
    }
    if features == "pixels":
        points = [np.concatenate(list(images)) for images in kinds.values()]
        points = [images.astype(np.float32) / 255 for images in points]
    else:
        points = [
            evaluator.activations(features, images, label).features
            for label, images in kinds.items()
        ]
    result = memorization(*points, seed=evaluator.seed)
    yield {
        "value": result.share,
        "standard_error": result.standard_error,
        "z": result.z,
        "samples": result.samples,
        "images": result.points,
        "extractor": None if features == "pixels" else features,
    }


@_metric(
    "nll{n}_iw{k}_{split}",
    "nll1k_iw100_test",
    "densities of prior and posterior",
    "n k passes of the decoder",
)
def _nll(evaluator, n, k, split):
    """Upper bound of -log p(x) in nats by importance sampling with k draws; the same
    in bits per dimension."""
    from tfp_priors.evaluation import likelihood

    images = evaluator.float_images(split, n)
    terms = evaluator.subject.ask("log_terms")

    bound = likelihood.importance_weighted_bound(terms, images, k, evaluator.seed)
    bits = likelihood.bits_per_dimension(
        bound, int(np.prod(images.shape[1:])), evaluator.subject.pixel_levels
    )
    yield _mean(-bound) | {"bits_per_dimension": float(bits.mean())}


@_metric(
    "rate_distortion{n}_{split}",
    "rate_distortion10k_test",
    "densities of prior and posterior",
    "n passes of encoder and decoder",
)
def _rate_distortion(evaluator, n, split):
    """Rate E[log q(z|x) - log p(z)] and distortion -E[log p(x|z)] in nats, one draw
    per image; two results."""
    from tfp_priors.evaluation import likelihood

    images = evaluator.float_images(split, n)
    terms = evaluator.subject.ask("log_terms")
    parts = likelihood.rate_and_distortion(terms, images, 1, evaluator.seed)
    for name, values in parts._asdict().items():
        yield {"name": f"{name}{_text(n)}_{split}"} | _mean(values)


@_metric(
    "reconstruction_error{n}_{split}",
    "reconstruction_error10k_test",
    "reconstructions",
    "n passes of encoder and decoder",
)
def _reconstruction_error(evaluator, n, split):
    """Mean squared error of a pixel in [0, 1], of the decoded means of q(z|x)."""
    real = evaluator.real_images(split, n)
    reconstructions = evaluator.reconstructions(real)
    if reconstructions is None:
        evaluator.subject.ask("reconstruct")
    squares = [
        np.square((a.astype(np.float64) - b) / 255).mean(axis=(1, 2, 3))
        for a, b in zip(real, reconstructions, strict=True)
    ]
    yield _mean(np.concatenate(squares))


@_metric(
    "active_units_{split}", "active_units_test", "an encoder", "a pass of the encoder"
)
def _active_units(evaluator, split):
    """Latent dimensions whose posterior mean varies by more than 0.01 (variance)."""
    from tfp_priors.evaluation import likelihood

    codes = evaluator.mean_codes(split)
    yield {"value": likelihood.active_units(codes), "images": len(codes)}


@_metric(
    "two_sample_accuracy_{classifier}_{split}",
    "two_sample_accuracy_mlp_test",
    "an encoder and a prior",
    "a pass of the encoder, a small classifier",
)
def _two_sample(evaluator, classifier, split):
    """Accuracy of a classifier told to separate codes of images, one draw of q(z|x)
    each, from draws of the prior; 0.5 is a perfect match."""
    from tfp_priors.evaluation import latent_match

    codes = evaluator.codes(split)
    draws = evaluator.prior_codes(len(codes))["z"]
    accuracy = latent_match.two_sample_accuracy(
        codes, draws, classifier, evaluator.seed
    )
    error = np.sqrt(accuracy * (1 - accuracy) / (2 * (len(codes) - len(codes) // 2)))
    yield {"value": accuracy, "standard_error": float(error), "codes": len(codes)}


@_metric("mmd_{split}", "mmd_test", "an encoder and a prior", "n^2 distances of codes")
def _mmd(evaluator, split):
    """Unbiased squared MMD between codes of images and draws of the prior, Gaussian
    kernels about the median distance."""
    from tfp_priors.evaluation import latent_match

    codes = evaluator.codes(split)
    estimate = latent_match.mmd(codes, evaluator.prior_codes(len(codes))["z"])
    yield estimate._asdict() | {"codes": len(codes)}


@_metric(
    "sliced_wasserstein_{split}",
    "sliced_wasserstein_test",
    "an encoder and a prior",
    "64 sorts of the codes",
)
def _sliced_wasserstein(evaluator, split):
    """1-Wasserstein distance between codes and draws of the prior along 64 random
    directions, in the code's units; beside it over the code's mean standard
    deviation."""
    from tfp_priors.evaluation import latent_match

    codes = evaluator.codes(split)
    distance = latent_match.sliced_wasserstein(
        codes, evaluator.prior_codes(len(codes))["z"], seed=evaluator.seed
    )
    scale = float(codes.std(axis=0).mean())
    relative = distance / scale if scale > 0 else None
    yield {"value": distance, "relative": relative, "codes": len(codes)}


@_metric(
    "prior_nll_{split}",
    "prior_nll_test",
    "an encoder and a prior with a density",
    "a pass of the encoder",
)
def _prior_nll(evaluator, split):
    """-E[log p(z)] in nats of codes, one draw of q(z|x) per image; it depends on the
    code's scale, so compare splits of one model and not models."""
    log_prob = evaluator.subject.ask("log_prob")
    codes = evaluator.codes(split)
    yield _mean(-np.asarray(log_prob(codes))) | {"codes": len(codes)}


@_metric(
    "prior_overfitting",
    "prior_overfitting",
    "an encoder and a prior with a density",
    "a pass of the encoder over train and test",
)
def _prior_overfitting(evaluator):
    """Nats by which the prior's NLL of test codes exceeds that of training codes: 0 if
    it fits what it has not seen as well."""
    log_prob = evaluator.subject.ask("log_prob")
    train, test = (
        -np.asarray(log_prob(evaluator.codes(split)), np.float64)
        for split in ("train", "test")
    )
    error = np.sqrt(train.var() / len(train) + test.var() / len(test))
    yield {
        "value": float(test.mean() - train.mean()),
        "standard_error": float(error),
        "train": float(train.mean()),
        "test": float(test.mean()),
    }


@_metric(
    "separability{n}_{space}",
    "separability200k_z",
    "a prior and a classifier",
    "n samples and passes of the classifier, a support vector machine per attribute",
)
def _separability(evaluator, n, space):
    """StyleGAN's linear separability of z or z0 by the classifier's attributes or
    classes, the more confident half of n samples kept; 1 is perfect."""
    from tfp_priors.evaluation.separability import one_vs_rest_logits
    from tfp_priors.evaluation.separability import separability

    codes = evaluator.prior_codes(n)
    if space not in codes:
        raise UserError(
            f"{evaluator.subject.name} has no z0, which separability in z0 needs: its "
            "prior's codes are not the image of one base variable. Measure it in z."
        )
    logits = evaluator.logits("classifier", evaluator.samples(n), "samples")
    if evaluator.exclusive_classes:
        logits = one_vs_rest_logits(logits)
    result = separability(codes[space], logits)
    yield {
        "value": result.score,
        "conditional_entropies": [float(h) for h in result.conditional_entropies],
        "degenerate": list(result.degenerate),
        "unconverged": list(result.unconverged),
        "samples": n,
        "kept": n // 2,
        "extractor": "classifier",
    }


@_metric(
    "path_density{n}_{split}",
    "path_density1k_test",
    "an encoder and a flow prior",
    "passes of the flow, a search for neighbours",
)
def _path_density(evaluator, n, split):
    """Nats by which the mean log p(z) along paths in z0 (slerp) exceeds that along
    paths in z (lerp) between the same n pairs of codes; 11 points each, with ends.
    Beside it the mean distance to the nearest code of the split, over inner points."""
    from tfp_priors.evaluation import paths

    densities, distances = paths.path_densities(evaluator, n, split)
    difference = densities["z0"] - densities["z"]
    yield _mean(difference) | {
        **{name: float(values.mean()) for name, values in densities.items()},
        "nearest": {name: float(values.mean()) for name, values in distances.items()},
        "share": float(np.mean(difference > 0)),
        "pairs": len(difference),
    }


@_metric(
    "attribute_unevenness{n}_{space}_{split}",
    "attribute_unevenness100_z_test",
    "an encoder, labels, a classifier; for z0 a flow prior",
    "11 n passes of decoder and classifier per attribute",
)
def _attribute_unevenness(evaluator, n, space, split):
    """How unevenly an attribute or class appears along the path from a code without it
    to that code plus the attribute vector: variance of the rate of change over its
    squared mean, 0 if constant, 9 if sudden; median of n images, mean of attributes."""
    from tfp_priors.evaluation import paths

    if space == "z0":
        evaluator.subject.ask("to_base")
    curves = [
        paths.attribute_curves(evaluator, attribute, n, split)[space]
        for attribute in range(paths.attribute_count(evaluator, split))
    ]
    values = [paths.median_unevenness(curve) for curve in curves]
    gains = [float(np.mean(curve[:, -1] - curve[:, 0])) for curve in curves]
    if np.all(np.isnan(values)):
        raise UserError(
            f"The classifier sees no change along {n} paths of any attribute: ask for "
            "more paths, or train the decoder or the classifier longer."
        )
    yield {
        # Without attributes of which nothing changes; their own value is null.
        "value": float(np.nanmean(values)),
        "per_attribute": values,
        "gains": gains,
        "images": n,
        "extractor": "classifier",
    }


@_metric(
    "lpips_diversity_{net}_v{version}_{n}c{m}p",
    "lpips_diversity_alex_v0.1_1c2kp",
    "LPIPS weights",
    "2 n m passes of the network",
)
def _lpips_diversity(evaluator, net, version, n, m):
    """Mean LPIPS between m disjoint pairs of samples of each of n conditions; a model
    without conditions has one."""
    from tfp_priors.evaluation.lpips import lpips_diversity

    evaluator.check_conditions(n)
    distance = evaluator.lpips(net, version)
    images = evaluator.samples_of_conditions(n, 2 * m)
    estimate = lpips_diversity(
        distance, lambda i: images[i].astype(np.float32) / 255, n, m
    )
    yield estimate._asdict() | {"conditions": n, "pairs": m}


@_metric(
    "feature_diversity_{extractor}_{n}c{m}p",
    "feature_diversity_classifier_100c10p",
    "the extractor",
    "2 n m passes of the extractor",
)
def _feature_diversity(evaluator, extractor, n, m):
    """Mean distance in an extractor's features between m disjoint pairs of samples of
    each of n conditions; beside it, that of pairs of real test images."""
    from tfp_priors.evaluation import diversity

    evaluator.check_conditions(n)
    if n == m == 1:
        raise UserError("One pair has no spread: ask for two pairs or conditions.")
    draws = evaluator.samples_of_conditions(n, 2 * m)
    features = evaluator.features(extractor, draws)
    distances = diversity.pair_distances(features)
    # Independent are the conditions, or the pairs of a single one.
    independent = distances.mean(axis=1) if n > 1 else distances[0]
    real = evaluator.real_images("test", 2 * n * m)
    pairs = real.size // 2
    of_real = evaluator.activations(extractor, real, "test images").features
    result = _mean(independent)
    del result["images"]
    yield result | {
        "real": float(diversity.pair_distances(of_real[None, : 2 * pairs]).mean())
        if pairs
        else None,
        "conditions": n,
        "pairs": m,
        "extractor": extractor,
    }


@_metric(
    "factor_entropy_{n}c{m}s",
    "factor_entropy_200c50s",
    "a classifier, and data with independent uniform factors: procedural_people",
    "n m passes of the classifier",
)
def _factor_entropy(evaluator, n, m):
    """Share of the factors' entropy that m samples of each of n conditions cover, as
    the classifier reads them; 1 if samples are as diverse as the data."""
    from tfp_priors.evaluation import diversity

    evaluator.check_conditions(n)
    factors = _factors(evaluator)
    draws = evaluator.samples_of_conditions(n, m)
    share, each = diversity.covered_entropy(
        evaluator.outputs("classifier", draws), factors
    )
    yield share._asdict() | {
        "factors": each,
        "conditions": n,
        "samples": m,
        "extractor": "classifier",
    }


def _factors(evaluator):
    factors = evaluator.dataset("test").factors
    if not factors:
        raise UserError(
            "The data has no factors that are known to be independent and uniform: "
            "procedural_people has."
        )
    return factors


@_metric(
    "factor_score{n}",
    "factor_score5k",
    "a classifier, and data with independent uniform factors: procedural_people",
    "n passes of the classifier",
)
def _factor_score(evaluator, n):
    """Classifier score of each factor, and as value their geometric mean; beside it
    that of test images."""
    from tfp_priors.evaluation import diversity

    factors = _factors(evaluator)

    def score(images, label):
        logits = evaluator.activations("classifier", images, label).logits
        each = diversity.factor_scores(logits, factors)
        return float(np.exp(np.mean(np.log(list(each.values()))))), each

    real = evaluator.real_images("test", n)
    value, each = score(evaluator.samples(n), "samples")
    yield {
        "value": value,
        "real": score(real, "test images")[0],
        "factors": each,
        "samples": n,
        "images": real.size,
        "extractor": "classifier",
    }


@_metric(
    "pose_error{n}",
    "pose_error5k",
    "a model conditional on keypoints, and a regressor of them",
    "n passes of the regressor",
)
def _pose_error(evaluator, n):
    """Mean distance, in units of the image's side, between the joints that samples were
    given and those that the regressor finds in them; the floor is that of the test
    images themselves."""
    from tfp_priors.evaluation.diversity import joint_distances

    if evaluator.subject.condition != "keypoints":
        raise UserError(f"{evaluator.subject.name} is not conditional on keypoints.")

    def errors(images, label):
        found = evaluator.activations("keypoints", images, label).logits
        return joint_distances(found, images.condition)

    of_samples = errors(evaluator.samples(n), "samples")
    floor = errors(evaluator.real_images("test", n), "test images")
    yield _mean(of_samples) | {
        "floor": float(floor.mean()),
        "extractor": "keypoints",
    }


@_metric(
    "joint_distance_{split}",
    "joint_distance_test",
    "the run of a keypoint regressor",
    "a pass over the split",
)
def _joint_distance(evaluator, split):
    """Mean distance between the joints of the data and those that a regressor finds, in
    units of the image's side."""
    from tfp_priors.evaluation.diversity import joint_distances

    yield _mean(joint_distances(*evaluator.predictions(split)))


@_metric(
    "accuracy_{split}",
    "accuracy_test",
    "the run of a classifier",
    "a pass over the split",
)
def _accuracy(evaluator, split):
    """Share of right decisions of a classifier; for attributes the mean over them."""
    right = evaluator.decisions(split)
    yield {
        "value": float(right.mean()),
        "standard_error": float(right.mean(axis=-1).std() / np.sqrt(len(right)))
        if right.ndim > 1
        else float(right.std() / np.sqrt(len(right))),
        "images": len(right),
    }


def _text(n):
    """10000 as "10k"."""
    return f"{n // 1000}k" if n % 1000 == 0 else str(n)


def _mean(values):
    """Mean of a value per image, and its standard error if there are several."""
    values, n = np.asarray(values, np.float64), len(values)
    return {
        "value": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None,
        "images": len(values),
    }
