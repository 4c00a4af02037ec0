"""Paths between codes and along attributes, seen by prior, decoder and classifier."""

import numpy as np

from tfp_priors import latent_space
from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import in_chunks

#: Points of a path, both ends counted.
STEPS = 11

T = np.linspace(0.0, 1.0, STEPS)


def random_pairs(size: int, n: int, seed: int) -> np.ndarray:
    """n pairs of different indices below `size`, no index in two pairs: `[2, n]`.

    Raises:
      UserError: if there are too few.
    """
    if 2 * n > size:
        raise UserError(
            f"{n} pairs need {2 * n} images, the split has {size}: ask for "
            "fewer pairs, or give more images."
        )
    return np.random.RandomState(seed).permutation(size)[: 2 * n].reshape(2, n)


def paths_between(subject, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Paths from codes to codes: "z0" by slerp, if z0 is known, and "z" by lerp.

    Args:
      subject: a `Subject`.
      a: codes z, `[n, latent_size]`.
      b: codes z, `[n, latent_size]`.

    Returns:
      z along the paths, `[STEPS, n, latent_size]`.
    """
    maps = () if subject.to_base is None else (subject.to_base, subject.from_base)
    return latent_space.paths_between(a, b, T, *map(_on_arrays, maps))


def log_densities(subject, path: np.ndarray) -> np.ndarray:
    """log p(z) in nats at each point of paths `[steps, n, latent_size]`: `[steps, n]`.

    A density is per unit of volume: paths of one model compare, not those of two.
    """
    log_prob = _on_arrays(subject.ask("log_prob"))
    points = path.reshape(-1, path.shape[-1])
    return in_chunks(log_prob, points).reshape(path.shape[:-1])


def path_densities(
    evaluator, n: int, split: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """How dense the codes are along paths between n random pairs of a split.

    The paths are those of `paths_between`, and "z0_lerp": straight lines in z0.

    Returns:
      The mean log p(z) of each path, and the mean distance of its inner points to the
      nearest code of the split, both by the name of the paths, `[n]`.
    """
    subject = evaluator.subject
    to_base = _on_arrays(subject.ask("to_base"))
    codes = evaluator.mean_codes(split)
    a, b = codes[random_pairs(len(codes), n, evaluator.seed)]
    found = paths_between(subject, a, b)
    straight = latent_space.lerp(to_base(a), to_base(b), T)
    from_base = _on_arrays(subject.from_base)
    found["z0_lerp"] = np.stack([from_base(points) for points in straight])
    densities, distances = {}, {}
    for name, path in found.items():
        log_density = log_densities(subject, path)
        densities[name] = log_density.mean(axis=0, dtype=np.float64)
        inner = path[1:-1]
        nearest, _ = latent_space.nearest_neighbours(
            inner.reshape(-1, inner.shape[-1]), codes
        )
        distances[name] = nearest.reshape(len(inner), n).mean(axis=0)
    return densities, distances


def attributes(evaluator, split: str) -> np.ndarray:
    """Which image has which attribute or is of which class, booleans `[size, count]`.

    Raises:
      UserError: if the data has neither.
    """
    features = evaluator.dataset(split).features
    if "attributes" in features:
        return np.asarray(features["attributes"]).astype(bool)
    if "label" in features:
        labels = np.asarray(features["label"])
        return labels[:, None] == np.arange(labels.max() + 1)
    raise UserError(
        "The data set has no labels and no attributes: choose one that has."
    )


def attribute_count(evaluator, split: str) -> int:
    """The number of attributes, or of classes."""
    return attributes(evaluator, split).shape[1]


def attribute_ends(evaluator, attribute: int, n: int, split: str):
    """Where n paths along an attribute begin and end (section 5.2).

    Returns:
      Indices of random images without the attribute, `[n]`, their codes, and these
      plus the attribute vector of all codes of the split, both `[n, latent_size]`.

    Raises:
      UserError: if there is no such attribute, or too few images lack it.
    """
    has = attributes(evaluator, split)
    if not 0 <= attribute < has.shape[1]:
        raise UserError(
            f"There is no attribute {attribute}: the data has 0 to {has.shape[1] - 1}."
        )
    has = has[:, attribute]
    codes = evaluator.mean_codes(split)
    vector = latent_space.attribute_vector(codes, has)
    without = np.flatnonzero(~has)
    if len(without) < n:
        raise UserError(
            f"{n} images without attribute {attribute} are needed, the split has "
            f"{len(without)}: ask for fewer."
        )
    chosen = np.random.RandomState(evaluator.seed).choice(without, n, replace=False)
    start = codes[chosen]
    return chosen, start, (start + vector).astype(start.dtype)


def attribute_curves(
    evaluator, attribute: int, n: int, split: str
) -> dict[str, np.ndarray]:
    """The classifier's probability of an attribute along n paths, by space.

    Returns:
      `[n, STEPS]` each; see `attribute_ends` and `paths_between`.
    """

    def compute():
        subject = evaluator.subject
        _, a, b = attribute_ends(evaluator, attribute, n, split)
        check_classifier(evaluator, split)
        return {
            space: probabilities(evaluator, path, attribute)
            for space, path in paths_between(subject, a, b).items()
        }

    return evaluator.cached(("attribute", attribute, n, split), compute)


def check_classifier(evaluator, split: str) -> None:
    """Raises: UserError: if the classifier tells other things than `attributes`."""
    features = evaluator.dataset(split).features
    of_data = "attributes" if "attributes" in features else "classes"
    told = "classes" if evaluator.exclusive_classes else "attributes"
    if told != of_data:
        raise UserError(
            f"The classifier tells {told}, the paths are along {of_data} of the data: "
            "give a classifier of these."
        )


def probabilities(evaluator, path: np.ndarray, attribute: int) -> np.ndarray:
    """Of an attribute in the decoded points of paths `[steps, n, d]`: `[n, steps]`.

    Raises:
      UserError: if the classifier does not tell it.
    """
    decode = evaluator.subject.ask("decode")
    rows = [evaluator.probabilities(np.asarray(decode(points))) for points in path]
    if rows[0].shape[1] <= attribute:
        raise UserError(
            f"The classifier tells {rows[0].shape[1]} things, none of them attribute "
            f"{attribute} of the data: give a classifier of all."
        )
    return np.stack(rows, axis=1)[..., attribute]


def _on_arrays(function):
    return lambda values: np.asarray(function(np.asarray(values, np.float32)))
