"""The module itself cannot be had without a connection: one of its format stands in."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.evaluation.inception import inception


class Module(tf.Module):
    """The interface of TF-GAN's Inception module with outputs that are easy to know."""

    def __init__(self, size=2048, keys=("pool_3", "logits")):
        super().__init__()
        self.size = tf.Variable(float(size), trainable=False)
        self._features = size
        self._keys = keys

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3])])
    def __call__(self, images):
        largest = tf.reduce_max(images, axis=[1, 2])  # [batch, 3]
        features = tf.tile(largest[:, None, None, :1], [1, 1, 1, self._features])
        logits = tf.tile(largest[:, 2:], [1, 1008])
        return dict(zip(self._keys, (features, logits), strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("module")
    tf.saved_model.save(Module(), str(path))
    return path


def test_images_are_scaled_to_what_the_module_expects(folder):
    extractor = inception(folder)
    images = np.zeros([2, 8, 8, 3], np.uint8)
    images[1] = [255, 0, 51]
    features, logits = extractor.function(images)
    assert features.shape == (2, 2048) and logits.shape == (2, 1008)
    # [0, 255] becomes [-1, 1]: 51 of 255 is -0.6.
    np.testing.assert_allclose(features[:, 0], [-1.0, 1.0], atol=1e-5)
    np.testing.assert_allclose(logits[:, 0], [-1.0, -0.6], atol=1e-5)


def test_gray_images_are_repeated(folder):
    gray = np.full([1, 28, 28, 1], 255, np.uint8)
    features, logits = inception(folder).function(gray)
    np.testing.assert_allclose([features[0, 0], logits[0, 0]], 1.0, atol=1e-5)


def test_identity_follows_the_weights(folder, tmp_path):
    tf.saved_model.save(Module(), str(tmp_path / "same"))
    other = Module()
    other.size.assign(0.0)
    tf.saved_model.save(other, str(tmp_path / "other"))
    assert inception(folder).identity == inception(folder).identity
    assert inception(folder).identity != inception(tmp_path / "other").identity


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Module(keys=("features", "logits")), "is not TF-GAN's Inception module"),
        (Module(size=100), "100 features"),
    ],
)
def test_another_module_is_refused(module, message, tmp_path):
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(UserError, match=message):
        inception(tmp_path)


def test_a_folder_without_a_module(tmp_path):
    with pytest.raises(UserError, match="holds no SavedModel"):
        inception(tmp_path)


def test_without_a_connection_the_message_says_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # Nobody listens there.
    with pytest.raises(UserError, match="--inception_dir=FOLDER") as error:
        inception()
    assert "tfgan/eval/inception/1" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
