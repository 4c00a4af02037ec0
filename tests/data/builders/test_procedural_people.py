import itertools

import numpy as np
import pytest

from tfp_priors.core import joints
from tfp_priors.data import load_dataset
from tfp_priors.data.builders import procedural_people
from tfp_priors.data.builders.procedural_people import COLOURS
from tfp_priors.data.builders.procedural_people import FACTORS
from tfp_priors.data.builders.procedural_people import SKIN
from tfp_priors.data.builders.procedural_people import TEXTURES
from tfp_priors.data.builders.procedural_people import attributes_of
from tfp_priors.data.builders.procedural_people import factor_slices
from tfp_priors.data.builders.procedural_people import factors_of
from tfp_priors.data.builders.procedural_people import person


@pytest.fixture(scope="module")
def people():
    return [person(0, i) for i in range(400)]


def test_a_person_is_a_function_of_seed_and_number(people):
    image, keypoints, factors = person(0, 7)
    np.testing.assert_array_equal(image, people[7][0])
    np.testing.assert_array_equal(keypoints, people[7][1])
    assert factors == people[7][2]
    assert image.shape == (128, 128, 3) and image.dtype == np.uint8
    assert keypoints.shape == (15, 2) and keypoints.dtype == np.float32
    for other in (people[8], person(1, 7)):
        assert np.any(other[0] != image) and np.any(other[1] != keypoints)


def test_factors_are_uniform_and_independent():
    n = 20_000
    random = np.random.RandomState(0)
    drawn = [factors_of(random) for _ in range(n)]
    columns = {name: np.array([d[name] for d in drawn]) for name in FACTORS}

    def assert_uniform(values, size):
        # Counts are binomial. Of the 384 that are compared the largest deviation of a
        # right one is above 4.5 standard errors with probability 0.003.
        counts = np.bincount(values, minlength=size)
        error = np.sqrt(n * (1 / size) * (1 - 1 / size))
        assert len(counts) == size
        assert np.abs(counts - n / size).max() < 4.5 * error

    for name, size in FACTORS.items():
        assert_uniform(columns[name], size)
    for one, other in itertools.combinations(FACTORS, 2):
        both = columns[one] * FACTORS[other] + columns[other]
        assert_uniform(both, FACTORS[one] * FACTORS[other])


def test_the_pose_is_the_same_whatever_the_factors(people, monkeypatch):
    def others(random):
        factors = factors_of(random)
        return {name: (factors[name] + 1) % FACTORS[name] for name in FACTORS}

    monkeypatch.setattr(procedural_people, "factors_of", others)
    for i in range(30):
        image, keypoints, factors = person(0, i)
        assert all(factors[name] != people[i][2][name] for name in FACTORS)
        assert np.any(image != people[i][0])
        np.testing.assert_array_equal(keypoints, people[i][1])


def test_the_pose_tells_nothing_of_the_factors(people):
    # Correlations of n independent pairs are about normal with variance 1 / n. The
    # largest of 28 * 30 is above 4.7 standard deviations with probability 0.002.
    one_hot = np.array(
        [list(attributes_of(factors).values()) for *_, factors in people]
    )
    places = np.array([keypoints.ravel() for _, keypoints, _ in people])
    n, attributes = one_hot.shape
    correlations = np.corrcoef(one_hot.T, places.T)[:attributes, attributes:]
    assert np.abs(correlations).max() < 4.7 / np.sqrt(n)


def test_joints_lie_where_they_are_drawn(people):
    for image, keypoints, factors in people:
        shirt = COLOURS[factors["shirt_colour"]]
        trousers = COLOURS[factors["trousers_colour"]]
        skin = SKIN[factors["skin"]]
        colours = {
            "shoulder": {shirt},
            "elbow": {shirt, skin},
            "wrist": {skin},
            "hip": {trousers},
            "knee": {trousers},
            "ankle": {trousers, procedural_people._SHOE},
        }
        if TEXTURES[factors["shirt_texture"]] != "plain":
            del colours["shoulder"], colours["elbow"]
        for joint, (x, y) in zip(joints.JOINTS, keypoints, strict=True):
            if x >= 0 and joint[1:] in colours:
                pixel = tuple(image[int(128 * y), int(128 * x)])
                assert pixel in colours[joint[1:]], joint


def test_some_joints_are_hidden(people):
    keypoints = np.array([keypoints for _, keypoints, _ in people])
    seen = keypoints.min(axis=2) >= 0
    assert keypoints.max() <= 1.0
    # Both coordinates say so.
    np.testing.assert_array_equal(seen, keypoints.max(axis=2) >= 0)
    share = dict(zip(joints.JOINTS, seen.mean(axis=0), strict=True))
    for joint in joints.JOINTS:
        if joint in (*joints.REQUIRED, "nose"):
            assert share[joint] == 1.0
        else:
            assert 0.75 < share[joint] < 1.0


def test_people_fill_the_picture_and_stand_in_many_ways(people):
    keypoints = np.array([keypoints for _, keypoints, _ in people])
    at = {joint: keypoints[:, i] for i, joint in enumerate(joints.JOINTS)}
    drawn = [
        (image != procedural_people.BACKGROUND).any(axis=2) for image, *_ in people
    ]
    heights = np.array([np.ptp(np.flatnonzero(d.any(axis=1))) for d in drawn]) + 1
    assert heights.min() > 64 and np.median(heights) > 100
    raised = (at["rwrist"] >= 0).all(axis=1) & (at["rwrist"][:, 1] < at["nose"][:, 1])
    assert 0.05 < raised.mean() < 0.5
    # Seen from the side the shoulders are close to each other.
    torso = (at["rhip"] + at["lhip"] - at["rshoulder"] - at["lshoulder"]) / 2
    across = np.linalg.norm(at["lshoulder"] - at["rshoulder"], axis=1)
    breadth = across / np.linalg.norm(torso, axis=1)
    assert breadth.min() < 0.4 and breadth.max() > 0.75
    middle = (at["rhip"] + at["lhip"]) / 2
    assert (np.ptp(middle, axis=0) > (0.4, 0.15)).all()


@pytest.mark.parametrize("name", FACTORS)
def test_each_factor_shows_in_a_part_of_the_picture(name, people, monkeypatch):
    for step in range(1, FACTORS[name]):

        def others(random, step=step):
            factors = factors_of(random)
            return factors | {name: (factors[name] + step) % FACTORS[name]}

        monkeypatch.setattr(procedural_people, "factors_of", others)
        for i in range(5):
            before, after = people[i][0].astype(int), person(0, i)[0]
            changed = np.abs(before - after).max(axis=-1) > 20
            # The smallest is the hair.
            assert 80 < changed.sum() < 0.5 * changed.size


def test_each_factor_has_columns_of_its_own():
    names = sorted(attributes_of(dict.fromkeys(FACTORS, 0)))
    slices = factor_slices()
    assert list(slices) == list(FACTORS)
    assert [name for s in slices.values() for name in names[s]] == names
    for factor, size in FACTORS.items():
        assert names[slices[factor]] == [f"{factor}_{i}" for i in range(size)]
    assert len(COLOURS) == FACTORS["shirt_colour"] == FACTORS["trousers_colour"]
    assert len(TEXTURES) == FACTORS["shirt_texture"]
    assert (len(SKIN), len(procedural_people.HAIR)) == (3, 4)


def test_prepared_people_come_with_keypoints_and_attributes(tmp_path, monkeypatch):
    examples = {"train": 6, "test": 3}
    monkeypatch.setattr(procedural_people, "_EXAMPLES", examples)
    for seed, split in enumerate(examples):
        dataset = load_dataset("procedural_people", split, str(tmp_path))
        batch = dataset.take(10)
        expected = {
            image.tobytes(): (keypoints, factors)
            for image, keypoints, factors in (
                person(seed, i) for i in range(examples[split])
            )
        }
        # TFDS shuffles what it writes.
        assert len(batch["image"]) == len(expected) == examples[split]
        for i, image in enumerate(batch["image"]):
            key = np.round(image * 255).astype(np.uint8).tobytes()
            keypoints, factors = expected[key]
            np.testing.assert_array_equal(batch["keypoints"][i], keypoints)
            columns = batch["attributes"][i]
            assert columns.dtype == bool and columns.sum() == len(FACTORS)
            values = {n: columns[s].argmax() for n, s in factor_slices().items()}
            assert values == factors
