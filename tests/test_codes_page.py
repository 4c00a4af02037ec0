"""The examples of docs/codes.md, from an array to draws."""

import re

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tests.commands import ROOT

PAGE = (ROOT / "docs" / "codes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Runs the block that has a text in it; returns its names."""
    monkeypatch.chdir(tmp_path)

    def run(text):
        (block,) = (block for block in BLOCKS if text in block)
        names = {"np": np}
        exec(block, names)
        return names

    return run


@pytest.mark.slow
def test_principal_components(ran):
    names = ran("PCA(16)")
    assert names["draws"].shape == (100, 64)
    # Draws are as bright as digits.
    assert abs(names["draws"].mean() - names["images"].mean()) < 0.03
    codes = names["pca"].transform(names["images"])
    normal = scipy.stats.multivariate_normal(codes.mean(0), np.cov(codes.T))
    # Better than a normal that has seen all of them.
    density = names["prior"].log_prob(codes).numpy().mean()
    assert density > normal.logpdf(codes).mean() + 1


def test_a_table(ran, capsys, tmp_path):
    names = ran("load_wine")
    assert "two_sample_accuracy" in capsys.readouterr().out
    assert (tmp_path / "wine.keras").is_file()
    draws = names["prior"].sample(500).numpy()
    spread = names["train"].std(0)
    assert (np.abs(draws.mean(0) - names["train"].mean(0)) < 0.3 * spread).all()


@pytest.mark.slow
def test_a_class(ran):
    names = ran("load_iris")
    table, draws = names["table"], names["draws"].numpy()
    means = [table.data[table.target == label].mean(0) for label in range(3)]
    distances = [np.abs(draws.mean(0) - mean).sum() for mean in means]
    assert np.argmin(distances) == 1


@pytest.mark.slow
def test_an_autoencoder_of_keras(ran, tmp_path):
    names = ran("models.attach")
    assert names["pictures"].shape == (64, 8, 8, 1)
    exported = tf.saved_model.load(str(tmp_path / "sampler"))
    np.testing.assert_allclose(
        exported.sample(64, 0, 1.0), names["pictures"], atol=1e-5
    )


def test_codes_of_a_file(ran, tmp_path):
    random = np.random.RandomState(0)
    codes = np.tanh(random.randn(400, 6) @ random.randn(6, 6)).astype(np.float32)
    np.save(tmp_path / "codes.npy", codes)
    names = ran('mmap_mode="r"')
    draws = np.load(tmp_path / "draws.npy")
    assert draws.shape == (1000, 6)
    assert names["prior"].evaluate(codes)["two_sample_accuracy"] < 0.65


@pytest.mark.slow
def test_small_tables(ran, capsys):
    ran("tables.points")
    found = [float(line) for line in capsys.readouterr().out.split()]
    # A mixture of 10 has 17.5.
    assert len(found) == 3 and np.mean(found) < 17


def test_all_examples_are_run():
    assert len(BLOCKS) == 6
