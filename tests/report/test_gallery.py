"""Every figure of a model and its numbers, in a world that NumPy can tell."""

import numpy as np
import pytest
from PIL import Image

from tests.conftest import randomize
from tests.evaluation import linear_world
from tests.figures.files import read_rows
from tests.models import test_conditional
from tests.networks.test_people import standing
from tfp_priors import latent_space
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.evaluation import paths
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.networks import people
from tfp_priors.report import gallery

PAIRS = 3


def draw(name, folder, **parts):
    """Draws a figure; returns the rows of its CSV."""
    evaluator = linear_world.evaluator(**parts)
    gallery.FIGURES[name](evaluator, folder, attribute=1, pairs=PAIRS)
    stem = "attribute1" if name == "attribute" else name
    with Image.open(folder / f"{stem}.png") as picture:
        picture.verify()
    assert (folder / f"{stem}.svg").stat().st_size > 500
    return read_rows(folder / f"{stem}.csv")


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def test_samples_are_those_of_the_seed(tmp_path):
    rows = draw("samples", tmp_path)
    assert [row["label"] for row in rows[::10]] == [str(i) for i in range(0, 100, 10)]
    pixels = np.concatenate(list(linear_world.evaluator().samples(100))) / 255
    np.testing.assert_allclose(
        column(rows, "mean"), pixels.mean(axis=(1, 2, 3)), atol=1e-5
    )


def given_labels(n, seed, given):
    """Images as bright as their label."""
    greys = np.float32(0.2 + 0.6 * np.asarray(given))
    return np.broadcast_to(greys[:, None, None, None], (n, 2, 2, 1))


def test_a_row_of_draws_for_each_label(tmp_path):
    parts = {
        "condition": "label",
        "samples": lambda n, seed, *given: from_sampler(
            given_labels, n, seed, "weights", *given
        ),
    }
    rows = draw("labels", tmp_path, **parts)
    expected = {"0": 0.2, "1": 0.8}
    assert [row["label"] for row in rows] == ["0"] * 8 + ["1"] * 8
    for row in rows:
        assert abs(float(row["mean"]) - expected[row["label"]]) < 1e-2
    assert gallery.rows_of(linear_world.evaluator(**parts), 3).keys() == {"0", "1"}
    with pytest.raises(UserError, match="conditional on label: see labels"):
        draw("interpolations", tmp_path, **parts)
    with pytest.raises(UserError, match="world has no labels that it is given"):
        draw("labels", tmp_path)


def test_rows_of_attributes_begin_with_a_test_image_alone():
    attributes = np.stack([linear_world.labels("test")] * 2, axis=1)

    def given(n, seed, conditions):
        assert (conditions[:, 0] == conditions[:, 1]).all()
        return given_labels(n, seed, conditions[:, 0])

    evaluator = linear_world.evaluator(
        features={"attributes": attributes},
        condition="attributes",
        samples=lambda n, seed, *conditions: from_sampler(
            given, n, seed, "weights", *conditions
        ),
    )
    rows = gallery.rows_of(evaluator, 3)
    assert list(rows) == ["1", "2", "3"]
    chosen = np.random.RandomState(evaluator.seed).permutation(200)
    for row, index in zip(rows.values(), chosen, strict=False):
        assert row.shape == (9, 2, 2, 1)
        image = linear_world.images("test")[index] / np.float32(255)
        np.testing.assert_array_equal(row[0], image)
        grey = 0.8 if attributes[index, 0] else 0.2
        np.testing.assert_allclose(row[1:], grey, atol=1e-2)
    with pytest.raises(UserError, match="needs 201 test images, there are 200: ask"):
        gallery.rows_of(evaluator, 201)


def test_transfers_need_as_many_images_as_they_show(tmp_path):
    parts = {"condition": "label", "transfer": lambda images, own, other: images}
    evaluator = linear_world.evaluator(**parts, show_condition=lambda given: given)
    with pytest.raises(UserError, match="needs 201 test images, there are 200: ask"):
        gallery.transfers(evaluator, tmp_path, pairs=193)


def test_reconstructions_keep_the_two_pixels_of_the_code(tmp_path):
    rows = draw("reconstructions", tmp_path)
    assert len(rows) == 80
    evaluator = linear_world.evaluator()
    means = {row["label"]: [] for row in rows}
    for row in rows:
        means[row["label"]].append(float(row["mean"]))
    real = np.concatenate([means[f"images {i}"] for i in range(0, 40, 10)])
    chosen = np.random.RandomState(evaluator.seed).permutation(200)[:40]
    pixels = linear_world.images("test")[chosen] / 255
    np.testing.assert_allclose(real, pixels.mean(axis=(1, 2, 3)), atol=1e-5)
    decoded = np.concatenate([means[f"reconstructions {i}"] for i in range(0, 40, 10)])
    expected = (pixels[:, 0, :, 0].sum(axis=1) + 1.0) / 4
    np.testing.assert_allclose(decoded, expected, atol=1e-5)


def test_interpolations_tell_the_density_along_both_paths(tmp_path):
    rows = draw("interpolations", tmp_path)
    assert len(rows) == PAIRS * 2 * paths.STEPS
    evaluator = linear_world.evaluator()
    codes = linear_world.codes("test")
    a, b = codes[paths.random_pairs(200, PAIRS, evaluator.seed)]
    straight = [row for row in rows if row["pair"] == "2" and row["space"] == "z"]
    expected = evaluator.subject.log_prob(latent_space.lerp(a[1], b[1], paths.T))
    np.testing.assert_allclose(
        column(straight, "log_density"), expected, rtol=1e-4, atol=1e-4
    )


def test_interpolations_of_a_prior_without_density_or_inverse(tmp_path):
    parts = {"to_base": None, "from_base": None, "log_prob": None}
    rows = draw("interpolations", tmp_path, **parts)
    assert {row["space"] for row in rows} == {"z"}
    assert {row["log_density"] for row in rows} == {""}


def test_code_paths_begin_and_end_at_the_same_codes(tmp_path):
    rows = draw("code_paths", tmp_path)
    of_z0 = [row for row in rows if row["path"] == "z0"]
    of_z = [row for row in rows if row["path"] == "z"]
    assert len(of_z) == len(of_z0) == paths.STEPS
    for name in ("x", "y", "log_density"):
        for end in (0, -1):
            assert float(of_z[end][name]) == pytest.approx(
                float(of_z0[end][name]), abs=1e-4
            )


def test_attribute_tells_the_classifiers_probability(tmp_path):
    rows = draw("attribute", tmp_path, slope=20.0)
    of_z = [row for row in rows if row["image"] == "1" and row["space"] == "z"]
    evaluator = linear_world.evaluator(slope=20.0)
    _, a, b = paths.attribute_ends(evaluator, 1, PAIRS, "test")
    first = np.rint(255 * latent_space.lerp(a[0], b[0], paths.T)[:, 0]) / 255
    expected = 1 / (1 + np.exp(-20.0 * (first - 0.47)))
    np.testing.assert_allclose(column(of_z, "probability"), expected, rtol=1e-4)
    assert {row["path"] for row in read_rows(tmp_path / "attribute_curves1.csv")} == {
        "z",
        "z0",
    }


def test_neighbours_are_the_nearest_of_both_splits(tmp_path):
    rows = draw("neighbours", tmp_path)
    assert len(rows) == 16 * 2 * 3
    draws = np.concatenate(list(linear_world.evaluator().samples(16))) / 255
    for split in ("train", "test"):
        images = linear_world.images(split) / 255
        for row in rows:
            if row["split"] != split or row["rank"] != "1":
                continue
            gaps = images - draws[int(row["draw"])]
            distances = np.sqrt(np.square(gaps).sum(axis=(1, 2, 3)))
            assert float(row["distance"]) == pytest.approx(
                distances[int(row["image"])], abs=1e-5
            )
    # Of all 200 test images none is nearer.
    tested = [row for row in rows if row["split"] == "test" and row["rank"] == "1"]
    images = linear_world.images("test") / 255
    gaps = images[None] - draws[:, None]
    nearest = np.sqrt(np.square(gaps).sum(axis=(2, 3, 4))).min(axis=1)
    np.testing.assert_allclose(column(tested, "distance"), nearest, atol=1e-5)


def test_latent_panels_hold_all_codes_and_need_two_dimensions(tmp_path):
    rows = draw("latent_panels", tmp_path)
    codes = [row for row in rows if row["kind"] == "code"]
    assert len(codes) == 200
    np.testing.assert_allclose(
        column(codes, "z_1"), linear_world.codes("test")[:, 0], rtol=1e-4
    )
    expected = (linear_world.codes("test") - linear_world.SHIFT) / linear_world.SCALE
    np.testing.assert_allclose(column(codes, "z0_2"), expected[:, 1], rtol=1e-3)

    def three(pixels):
        return np.reshape(pixels, [-1, 4])[:, :3]

    with pytest.raises(UserError, match="need 2 latent dimensions, world has 3"):
        draw("latent_panels", tmp_path, encode=three)


def test_code_scatter_has_a_draw_for_each_drawn_code(tmp_path):
    def half(images, seed):
        return linear_world.encode(images) / 2

    rows = draw("code_scatter", tmp_path, sample_posterior=half)
    assert [row["kind"] for row in rows] == ["code"] * 200 + ["draw"] * 200
    written = np.stack([column(rows, f"component_{i}") for i in (1, 2)], axis=1)
    # Draws of q(z|x), not its means.
    codes = linear_world.codes("test") / 2
    draws = linear_world.evaluator().prior_codes(200)["z"]
    # A plane of two dimensions is turned and moved: distances stay, in any order.
    for points, found in ((codes, written[:200]), (draws, written[200:])):
        expected = np.linalg.norm(points - codes.mean(0), axis=1)
        received = np.linalg.norm(found, axis=1)
        np.testing.assert_allclose(np.sort(received), np.sort(expected), rtol=1e-4)


@pytest.mark.slow
def test_figures_of_a_conditional_model(tmp_path):
    """Figure 9, transfers and appearances: rows hold what the model itself gives."""
    model = test_conditional.make()
    randomize(model.prior)
    randomize(model.decoder)
    shape, n = test_conditional.SHAPE, 12
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (n, *shape)).astype(np.uint8)
    keypoints = np.concatenate([standing(seed, 0.05) for seed in range(4)])
    dataset = ImageDataset(images, {"keypoints": keypoints}, shape)
    evaluator = Evaluator(subject_of_model(model, "identity"), lambda split: dataset)
    means = {}
    for name in ("poses", "transfers", "appearances"):
        gallery.FIGURES[name](evaluator, tmp_path, pairs=2)
        by_row = {}
        for row in read_rows(tmp_path / f"{name}.csv"):
            by_row.setdefault(row["label"], []).append(float(row["mean"]))
        means[name] = by_row
    pixels = images / np.float32(255)
    chosen = np.random.RandomState(0).permutation(n)

    def mean_of(pictures):
        return np.asarray(pictures).mean(axis=(1, 2, 3))

    for i in range(2):
        index = chosen[i]
        own = keypoints[index, None]
        left = mean_of([pixels[index], people.stickman(own, 16)[0]])
        poses = means["poses"][str(i + 1)]
        np.testing.assert_allclose(poses[:2], left, atol=1e-5)
        assert len(poses) == 10 and len(set(poses[2:])) > 1
        targets = keypoints[chosen[2:10]]
        repeated = np.repeat(pixels[index, None], 8, axis=0)
        moved = model.transfer(repeated, np.repeat(own, 8, axis=0), targets)
        expected = [*mean_of([pixels[index]]), *mean_of(moved)]
        received = means["transfers"][str(i + 1)]
        np.testing.assert_allclose(received, expected, atol=1e-4)
        first, last = paths.random_pairs(n, 2, 0)[:, i]
        ends = mean_of([pixels[first], pixels[last]])
        path = means["appearances"][str(i + 1)]
        np.testing.assert_allclose([path[0], path[-1]], ends, atol=1e-5)
        decoded = model.reconstruct(pixels[first, None], keypoints[first, None])
        np.testing.assert_allclose(path[1], mean_of(decoded)[0], atol=1e-4)
    with pytest.raises(UserError, match="conditional on keypoints: see poses"):
        gallery.FIGURES["interpolations"](evaluator, tmp_path, pairs=2)


def test_figures_of_a_condition_need_one(tmp_path):
    for name in ("poses", "transfers", "appearances"):
        with pytest.raises(UserError, match="has no condition"):
            draw(name, tmp_path)
