import numpy as np
import pytest

from tfp_priors.data import load_dataset
from tfp_priors.data.builders import procedural_faces
from tfp_priors.data.builders.procedural_faces import ATTRIBUTES
from tfp_priors.data.builders.procedural_faces import attributes_of
from tfp_priors.data.builders.procedural_faces import face


def test_a_face_is_a_function_of_seed_and_number():
    image, attributes = face(1, 7)
    again, same = face(1, 7)
    np.testing.assert_array_equal(image, again)
    assert attributes == same
    assert image.shape == (128, 128, 3) and image.dtype == np.uint8
    for other in (face(1, 8), face(2, 7)):
        assert np.any(other[0] != image)


def test_shares_and_correlations_are_those_that_are_told():
    n = 10_000
    random = np.random.RandomState(0)
    drawn = [attributes_of(random) for _ in range(n)]
    has = {name: np.array([d[name] for d in drawn]) for name in ATTRIBUTES}
    hair, glasses = has["long_hair"], has["glasses"]
    for values, share in (
        (has["smile"], 0.5),
        (has["dark_hair"], 0.6),
        (glasses, 0.2),
        (has["beard"][hair], 0.05),
        (has["beard"][~hair], 0.45),
        (has["hat"][glasses], 0.5),
        (has["hat"][~glasses], 0.15),
        (has["smile"][glasses], 0.5),
    ):
        # Within 4 standard errors.
        error = np.sqrt(share * (1 - share) / len(values))
        assert abs(values.mean() - share) < 4 * error


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_attribute_shows_in_a_part_of_the_picture(name, monkeypatch):
    before, _ = face(0, 3)

    def flipped(random):
        attributes = attributes_of(random)
        return attributes | {name: not attributes[name]}

    monkeypatch.setattr(procedural_faces, "attributes_of", flipped)
    after, _ = face(0, 3)
    changed = np.abs(before.astype(int) - after).max(axis=-1) > 20
    # The smallest are the pupils: some dozen of 16,384 pixels.
    assert 20 < changed.sum() < 0.8 * changed.size


def test_prepared_faces_come_with_their_attributes(tmp_path, monkeypatch):
    examples = {"train": 6, "test": 3}
    monkeypatch.setattr(procedural_faces, "_EXAMPLES", examples)
    for seed, split in enumerate(examples):
        dataset = load_dataset("procedural_faces", split, str(tmp_path))
        batch = dataset.take(10)
        drawn = [face(seed, i) for i in range(examples[split])]
        expected = {
            image.tobytes(): [attributes[name] for name in sorted(attributes)]
            for image, attributes in drawn
        }
        # TFDS shuffles what it writes.
        received = {
            np.round(image * 255).astype(np.uint8).tobytes(): list(attributes)
            for image, attributes in zip(
                batch["image"], batch["attributes"], strict=True
            )
        }
        assert received == expected
