"""Experiments by name, in a folder of gin files."""

import pytest

from tfp_priors import config
from tfp_priors import experiments


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models").mkdir()
    for name, text in {
        "a": "# Set a.\n\nIMAGE_SHAPE = (2, 2, 1)\nload_dataset.name = 'a'\n",
        "a_b": "# Set a b, of X et al. 2020: small.\nIMAGE_SHAPE=(2, 2, 1)\n",
        "a_own": "# Its own: bin/train --gin_file=a_own.gin\n\nBETA = 1.0\n",
        "models/b_c": "# Model b c.\nLATENT_SIZE = 3\n",
        "models/c": "# Model c.\nLATENT_SIZE = 2\n",
        "models/own": "BETA = 2.0\n",
    }.items():
        (tmp_path / f"{name}.gin").write_text(text)
    return tmp_path


def names(folder, name):
    files = experiments.gin_files(folder / f"{name}.gin")
    return [str(path.relative_to(folder)) for path in files]


def test_a_name_is_a_file_or_a_data_set_with_a_model(folder):
    assert names(folder, "a_c") == ["a.gin", "models/c.gin"]
    # The shortest data set that there is.
    assert names(folder, "a_b_c") == ["a.gin", "models/b_c.gin"]
    (folder / "models" / "b_c.gin").unlink()
    assert names(folder, "a_b_c") == ["a_b.gin", "models/c.gin"]
    assert names(folder, "a_own") == ["a_own.gin"]
    # What is not a data set's takes no model.
    assert names(folder, "a_own_c") == ["a_own_c.gin"]
    assert names(folder, "a_d") == ["a_d.gin"]


def test_a_wrong_name_is_told_the_nearest(folder):
    assert experiments.nearest(folder / "a_oen.gin") == str(folder / "a_own.gin")
    assert experiments.nearest(folder / "ab_c.gin") == str(folder / "a_b_c.gin")
    assert experiments.nearest(folder / "zzzzz.gin") is None
    assert experiments.nearest(folder / "nowhere" / "a.gin") is None


def test_the_listing_has_a_sentence_for_each(folder):
    listing = [
        line.split(maxsplit=1) for line in experiments.listing(folder).split("\n")
    ]
    assert ["a", "Set a"] in listing and ["c", "Model c"] in listing
    assert ["a_b", "Set a b, of X et al. 2020: small"] in listing
    assert ["a_own", "Its own"] in listing


def test_an_include_may_name_two_files(folder):
    """As a user's file does that includes an experiment which has no file."""
    (folder / "mine.gin").write_text("include 'a_c.gin'\n")
    text = config.parse([str(folder / "mine.gin")], used=[], strict=False)
    assert "LATENT_SIZE = 2" in text and "load_dataset.name = 'a'" in text
