"""The paper's figures of a model or a sweep: what was measured, drawn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfp_priors import latent_space
from tfp_priors import sweeps
from tfp_priors.errors import UserError
from tfp_priors.evaluation import paths
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.figures.attribute_curves import save_attribute_curves
from tfp_priors.figures.code_paths import save_code_paths
from tfp_priors.figures.code_scatter import save_code_scatter
from tfp_priors.figures.image_rows import save_image_rows
from tfp_priors.figures.latent_panels import save_latent_panels
from tfp_priors.figures.scores import save_scores

# Codes, and draws, of a scatter plot.
_CODES = 5_000

# Images without the attribute whose paths make a curve.
_CURVES = 200

# For each condition, and conditions for each appearance.
_DRAWS = 8

_SPLIT = "test"


def samples(evaluator: Evaluator, out: Path, **_) -> None:
    """100 draws, uncurated (figure 6)."""
    images = evaluator.samples(100).floats()
    rows = {str(i): images[i : i + 10] for i in range(0, 100, 10)}
    title = f"{evaluator.subject.name}: draws 0 to 99 of seed {evaluator.seed}"
    save_image_rows(rows, out / "samples", title)


def reconstructions(evaluator: Evaluator, out: Path, **_) -> None:
    """Random test images above their reconstructions."""
    images, *given = _some(evaluator, min(40, evaluator.dataset(_SPLIT).size))
    decoded = np.asarray(evaluator.subject.ask("reconstruct")(images, *given))
    rows = {}
    for i in range(0, len(images), 10):
        rows[f"images {i}"] = images[i : i + 10]
        rows[f"reconstructions {i}"] = decoded[i : i + 10]
    save_image_rows(rows, out / "reconstructions", "Test images and reconstructions")


def poses(evaluator: Evaluator, out: Path, *, pairs: int, **_) -> None:
    """Test images and what they give to a conditional model at the left, and draws
    given the same (figure 9)."""
    evaluator.subject.ask("show_condition")
    rows = rows_of(evaluator, pairs)
    title = f"Test images, their conditions, and draws of seed {evaluator.seed}"
    save_image_rows(rows, out / "poses", title)


def labels(evaluator: Evaluator, out: Path, **_) -> None:
    """A row of draws for each label; a model that is given labels."""
    if evaluator.subject.condition != "label":
        raise UserError(f"{evaluator.subject.name} has no labels that it is given.")
    title = f"Labels, and draws of seed {evaluator.seed} given the same"
    save_image_rows(_rows_of_labels(evaluator), out / "labels", title)


def _rows_of_labels(evaluator):
    classes = np.unique(evaluator.dataset(_SPLIT).features["label"])
    draws = _draws_given(evaluator, classes)
    return dict(zip(map(str, classes), draws, strict=True))


def rows_of(evaluator: Evaluator, n: int) -> dict[str, np.ndarray]:
    """Rows of draws: one, named "", or one for each label, or of figure 9 for n other
    conditions, by their numbers.

    The last begin with a test image and, if it has one, a picture of its condition.

    Raises:
      UserError: if there are fewer than n test images.
    """
    if evaluator.subject.condition is None:
        return {"": evaluator.samples(16).floats()}
    if evaluator.subject.condition == "label":
        return _rows_of_labels(evaluator)
    images, conditions = _some(evaluator, n)
    left = [images]
    if evaluator.subject.show_condition is not None:
        left.append(np.asarray(evaluator.subject.show_condition(conditions)))
    draws = _draws_given(evaluator, conditions)
    rows = np.concatenate([np.stack(left, axis=1), draws], axis=1)
    return {str(i + 1): row for i, row in enumerate(rows)}


def transfers(evaluator: Evaluator, out: Path, *, pairs: int, **_) -> None:
    """The appearance of the test images at the left under the conditions at the top."""
    transfer = evaluator.subject.ask("transfer")
    images, conditions = _some(evaluator, pairs + _DRAWS)
    targets = conditions[pairs:]
    shown = np.asarray(evaluator.subject.ask("show_condition")(targets))
    rows = {"": np.concatenate([np.ones_like(images[:1]), shown])}
    for i in range(pairs):
        repeated = np.repeat(images[i, None], _DRAWS, axis=0)
        own = np.repeat(conditions[i, None], _DRAWS, axis=0)
        moved = np.asarray(transfer(repeated, own, targets))
        rows[str(i + 1)] = np.concatenate([images[i, None], moved])
    save_image_rows(rows, out / "transfers", "Appearance (left) under conditions (top)")


def appearances(evaluator: Evaluator, out: Path, *, pairs: int, **_) -> None:
    """Paths in z between the appearances of two test images, under the condition of the
    first; a conditional model."""
    evaluator.subject.ask("transfer")
    ends = paths.random_pairs(evaluator.dataset(_SPLIT).size, pairs, evaluator.seed)
    rows = {}
    for i, indices in enumerate(ends.T):
        images, conditions = _of(evaluator, indices)
        codes = np.asarray(evaluator.subject.ask("encode")(images, conditions))
        path = latent_space.lerp(*codes, paths.T)
        own = np.repeat(conditions[:1], len(path), axis=0)
        decoded = np.asarray(evaluator.subject.ask("decode")(path, own))
        rows[str(i + 1)] = np.concatenate([images[:1], decoded, images[1:]])
    title = "Test images at the ends; lerp in z under the condition of the left one"
    save_image_rows(rows, out / "appearances", title, ends=True)


def latent_panels(evaluator: Evaluator, out: Path, **_) -> None:
    """Codes, base codes and draws of the prior; two latent dimensions (figure 2)."""
    subject = evaluator.subject
    codes = evaluator.mean_codes(_SPLIT)
    if codes.shape[1] != 2:
        raise UserError(
            f"The panels of figure 2 need 2 latent dimensions, {subject.name} has "
            f"{codes.shape[1]}: train one with LATENT_SIZE = 2."
        )
    labels = evaluator.dataset(_SPLIT).features.get("label")
    save_latent_panels(
        base_codes=None
        if subject.to_base is None
        else np.array(subject.to_base(codes)),
        codes=codes,
        prior_codes=evaluator.prior_codes(len(codes))["z"],
        labels=np.zeros(len(codes), int) if labels is None else np.asarray(labels),
        path=out / "latent_panels",
    )


def code_scatter(evaluator: Evaluator, out: Path, **_) -> None:
    """Codes beside as many draws, in the plane of the codes' largest variance."""
    split = "held_out" if evaluator.subject.of_codes else _SPLIT
    codes = evaluator.codes(split)
    # Those of a file may be sorted.
    order = np.random.RandomState(evaluator.seed).permutation(len(codes))
    codes = codes[order[:_CODES]]
    save_code_scatter(
        codes, evaluator.prior_codes(len(codes))["z"], out / "code_scatter"
    )


def interpolations(evaluator: Evaluator, out: Path, *, pairs: int, **_) -> None:
    """Paths between test images in z0 and in z, the images at both ends (figures 4
    and 8)."""
    subject = evaluator.subject
    images, spaces = _pairs(evaluator, pairs)
    rows, numbers = {}, {"pair": [], "space": [], "t": [], "log_density": []}
    for pair in range(pairs):
        for space, path in spaces.items():
            decoded = np.asarray(subject.ask("decode")(path[:, pair]))
            ends = images[0, pair, None], images[1, pair, None]
            rows[f"{pair + 1}, {space}"] = np.concatenate([ends[0], decoded, ends[1]])
            numbers["pair"] += [pair + 1] * paths.STEPS
            numbers["space"] += [space] * paths.STEPS
            numbers["t"] += list(paths.T)
            numbers["log_density"] += list(_log_density(subject, path[:, pair]))
    title = "Test images at the ends; lerp in z, slerp in z0"
    save_image_rows(rows, out / "interpolations", title, ends=True, numbers=numbers)


def code_paths(evaluator: Evaluator, out: Path, **_) -> None:
    """The codes with both paths between two of them, and the density along them
    (figure 5)."""
    subject = evaluator.subject
    subject.ask("to_base")
    _, spaces = _pairs(evaluator, 1)
    one = {space: spaces[space][:, 0] for space in ("z", "z0")}
    save_code_paths(
        evaluator.mean_codes(_SPLIT),
        one,
        {space: _log_density(subject, path) for space, path in one.items()},
        out / "code_paths",
        labels=evaluator.dataset(_SPLIT).features.get("label"),
    )


def attribute(
    evaluator: Evaluator, out: Path, *, attribute: int, pairs: int, **_
) -> None:
    """Images that get an attribute step by step in z0 and in z, and how fast a
    classifier sees it come (figure 7)."""
    _refuse_condition(evaluator)
    indices, a, b = paths.attribute_ends(evaluator, attribute, pairs, _SPLIT)
    paths.check_classifier(evaluator, _SPLIT)
    lacking = np.count_nonzero(~paths.attributes(evaluator, _SPLIT)[:, attribute])
    many = min(_CURVES, lacking)
    curves = paths.attribute_curves(evaluator, attribute, many, _SPLIT)
    # The path in z is the black one, as in figure 5.
    save_attribute_curves(
        paths.T, dict(sorted(curves.items())), out / f"attribute_curves{attribute}"
    )
    (images,) = _of(evaluator, indices)
    spaces = paths.paths_between(evaluator.subject, a, b)
    seen = {s: paths.probabilities(evaluator, spaces[s], attribute) for s in spaces}
    rows, numbers = {}, {"image": [], "space": [], "t": [], "probability": []}
    for i in range(pairs):
        for space, path in spaces.items():
            decoded = np.asarray(evaluator.subject.ask("decode")(path[:, i]))
            rows[f"{i + 1}, {space}"] = np.concatenate([images[i, None], decoded])
            numbers["image"] += [i + 1] * paths.STEPS
            numbers["space"] += [space] * paths.STEPS
            numbers["t"] += list(paths.T)
            numbers["probability"] += list(seen[space][i])
    title = f"Test images (left) that get attribute {attribute}; lerp in z, slerp in z0"
    save_image_rows(rows, out / f"attribute{attribute}", title, numbers=numbers)


def neighbours(evaluator: Evaluator, out: Path, **_) -> None:
    """Draws above the training and the test images that are nearest in pixels."""
    draws = evaluator.samples(16).floats()
    rows = {"draws": draws}
    numbers = {"draw": [], "split": [], "rank": [], "image": [], "distance": []}
    found = evaluator.neighbours(draws, 3, ("train", _SPLIT))
    for split, near in found.items():
        for rank in range(near.images.shape[1]):
            rows[f"{split}, {rank + 1}"] = near.images[:, rank]
            numbers["draw"] += range(len(draws))
            numbers["split"] += [split] * len(draws)
            numbers["rank"] += [rank + 1] * len(draws)
            numbers["image"] += list(near.numbers[:, rank])
            numbers["distance"] += list(near.distances[:, rank])
    n = found[_SPLIT].among
    title = f"Draws of seed {evaluator.seed}; the nearest of {n:,} images of each split"
    save_image_rows(rows, out / "neighbours", title, numbers=numbers)


#: All figures of a model by name. Of what `bin/figures` is told, by keyword, each takes
#: what it uses.
FIGURES: dict[str, Callable] = {
    figure.__name__: figure
    for figure in (
        samples,
        reconstructions,
        labels,
        poses,
        transfers,
        appearances,
        latent_panels,
        code_scatter,
        interpolations,
        code_paths,
        attribute,
        neighbours,
    )
}


def scores(folder: str | Path, out: Path) -> None:
    """Each metric of a sweep over its last axis of numbers, if it has one (figure 3).

    Args:
      folder: of the sweep.
      out: folder for the figures, which are named as the metrics.

    Raises:
      UserError: as `sweeps.layout`.
    """
    layout = sweeps.layout(folder)
    by_metric: dict[str, list] = {}
    for row in sweeps.table(folder):
        # Else it is of another grid, or no number came out.
        if row.get(layout.x) is not None and row["value"] is not None:
            named = {"panel": layout.panel_of(row), "line": layout.line_of(row)}
            named[row["metric"]] = row["value"]
            by_metric.setdefault(row["metric"], []).append(row | named)
    for metric, rows in by_metric.items():
        everywhere = set.intersection(*map(set, rows))
        extra = {
            name: column if column in everywhere else None
            for name, column in (("floor", "floor"), ("reference", "reconstructions"))
        }
        save_scores(rows, out / metric, metric, layout.x, **extra)


def _draws_given(evaluator, conditions):
    """`_DRAWS` draws for each condition, `[n, _DRAWS, ...]`."""
    given = np.repeat(conditions, _DRAWS, axis=0)
    draws = evaluator.subject.ask("samples")(len(given), evaluator.seed, given).floats()
    return draws.reshape(-1, _DRAWS, *draws.shape[1:])


def _some(evaluator, n):
    """n random test images, as `_of` has them.

    Raises:
      UserError: if there are fewer.
    """
    size = evaluator.dataset(_SPLIT).size
    if n > size:
        raise UserError(
            f"The figure needs {n} test images, there are {size}: ask for fewer pairs."
        )
    return _of(evaluator, np.random.RandomState(evaluator.seed).permutation(size)[:n])


def _of(evaluator, indices):
    """Test images and, if the subject is given any, their conditions."""
    examples = evaluator.dataset(_SPLIT).gather(indices)
    names = ("image", *filter(None, [evaluator.subject.condition]))
    return [examples[name] for name in names]


def _refuse_condition(evaluator):
    condition = evaluator.subject.condition
    if condition is not None:
        others = "labels" if condition == "label" else "poses, transfers, appearances"
        raise UserError(
            f"{evaluator.subject.name} is conditional on {condition}: see {others}."
        )


def _pairs(evaluator, n):
    """Random pairs of images, `[2, n, ...]`, and the paths between their codes."""
    _refuse_condition(evaluator)
    size = evaluator.dataset(_SPLIT).size
    indices = paths.random_pairs(size, n, evaluator.seed)
    (images,) = _of(evaluator, indices.reshape(-1))
    codes = np.asarray(evaluator.subject.ask("encode")(images))
    a, b = codes.reshape(2, n, -1)
    images = images.reshape(2, n, *images.shape[1:])
    return images, paths.paths_between(evaluator.subject, a, b)


def _log_density(subject, path):
    """Of one path; empty texts if there is no density."""
    if subject.log_prob is None:
        return [""] * len(path)
    return paths.log_densities(subject, path[:, None])[:, 0]
