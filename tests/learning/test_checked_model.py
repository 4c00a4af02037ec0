import resource
import signal

import keras
import numpy as np
import pytest

from tfp_priors.errors import UserError

IMAGES = np.random.RandomState(0).rand(4, 8, 8, 1).astype("float32")


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_is_written_whole(make_model, tmp_path, overwrite):
    path, model = tmp_path / "a.keras", make_model()
    model.compile("adam", jit_compile=False)
    model.save(path, overwrite)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded.encode(IMAGES), model.encode(IMAGES))
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_keeps_the_old_file(make_model, tmp_path):
    path, model = tmp_path / "a.keras", make_model()
    model.save(path)
    old = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) // 2, hard))
    try:
        with pytest.raises(OSError, match="a.keras"):
            model.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5"])
def test_names_that_could_not_be_read(make_model, tmp_path, name):
    with pytest.raises(UserError, match="expected a name that ends in .keras"):
        make_model().save(tmp_path / name)
    assert not list(tmp_path.iterdir())
