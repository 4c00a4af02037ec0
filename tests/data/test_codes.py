"""Codes of files: the arrays that NumPy wrote, without taking memory."""

import os
import resource
import tracemalloc
import zipfile

import numpy as np
import pytest

from tfp_priors.data import CodeDataset
from tfp_priors.data import load_codes
from tfp_priors.data import open_array
from tfp_priors.errors import UserError
from tfp_priors.priors import GaussianMixturePrior

CODES = np.random.RandomState(0).randn(50, 3).astype(np.float32)


@pytest.fixture(
    params=["npy", "npz", "named", "shards", "columns", "version 2", "version 3"]
)
def path(request, tmp_path):
    """The same codes, written in many ways."""
    path = tmp_path / "codes.npy"
    if request.param == "npy":
        np.save(path, CODES)
    elif request.param == "columns":
        np.save(path, np.asfortranarray(CODES))
    elif request.param.startswith("version"):
        version = (int(request.param[-1]), 0)
        with open(path, "wb") as file:
            np.lib.format.write_array(file, CODES, version=version)
    elif request.param == "shards":
        path = tmp_path / "shards"
        path.mkdir()
        np.save(path / "a.npy", CODES[:20])
        np.savez(path / "b.npz", CODES[20:21])
        np.save(path / "c.npy", CODES[21:])
    else:
        path = tmp_path / "codes.npz"
        others = {"labels": np.arange(50)} if request.param == "named" else {}
        np.savez_compressed(path, codes=CODES, **others)
    return path


def test_rows_are_those_of_the_array(path):
    array = open_array(path)
    assert array.shape == (50, 3) and array.dtype == np.float32
    for index in (
        slice(None),
        slice(15, 30),
        slice(40, 90),
        slice(9, 2),
        slice(0, 50, 7),
        np.array([49, 0, 20, 20, 3]),
        np.array([], np.int64),
    ):
        np.testing.assert_array_equal(array[index], CODES[index])


def test_a_data_set_of_codes(tmp_path):
    np.save(tmp_path / "codes.npy", CODES.reshape(50, 1, 3).astype(">f8"))
    np.save(tmp_path / "labels.npy", np.arange(50) % 4)
    dataset = load_codes(tmp_path / "codes.npy", tmp_path / "labels.npy")
    assert dataset.size == 50 and dataset.image_shape == (1, 3)
    learned, held_out = dataset.split(0.1, seed=0)
    assert (learned.size, held_out.size) == (45, 5)
    both = np.concatenate([learned.rows[:], held_out.rows[:]])
    np.testing.assert_allclose(np.sort(both[:, 0]), np.sort(CODES[:, 0]), rtol=1e-6)
    batch = held_out.take(2)
    row = int(np.flatnonzero(np.isclose(CODES[:, 0], batch["posterior"][1, 0]))[0])
    np.testing.assert_allclose(batch["posterior"][1], CODES[row], rtol=1e-6)
    np.testing.assert_array_equal(batch["context"][1], np.eye(4)[row % 4])


def test_files_cost_no_memory(tmp_path):
    path = tmp_path / "codes.npy"
    shape = (400_000, 64)
    np.lib.format.open_memmap(path, "w+", np.float32, shape).flush()
    tracemalloc.start()
    dataset = CodeDataset(open_array(path))
    dataset.rows[np.random.RandomState(0).randint(0, shape[0], 512)]
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The codes are 102 MB; 4 million numbers are looked at at a time, with their sizes
    # and a byte each for whether these are small enough.
    assert peak < 1.05 * 2**22 * (4 + 4 + 1)
    assert kept < 2**20


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("none.npy", lambda path: None, "There is no file"),
        ("codes.csv", lambda path: path.write_text("1,2"), "a .npy or .npz file"),
        ("codes.npy", lambda path: path.write_bytes(b"1,2"), "no array of numbers"),
        ("empty.npy", lambda path: path.write_bytes(b""), "no array of numbers"),
        (
            "objects.npy",
            lambda path: np.save(path, np.array([{}, 1], object)),
            r"objects.npy is no array of numbers .*\(it holds Python objects\)",
        ),
        (
            "objects.npz",
            lambda path: np.savez(path, codes=np.array([{}, 1], object)),
            "no array of numbers",
        ),
        ("cut.npy", lambda path: _cut(path), "cut.npy is no array .*ends too early"),
        *(
            ("shape.npy", lambda path, s=shape: _say(path, s), "shape.npy is no array ")
            for shape in (
                "(-5, 3)",
                "(2**9, 3)",
                "(True, 3)",
                "((50,3",
                "(8**21, 8**21)",
            )
        ),
        ("bytes.npz", lambda path: _damage(path), "bytes.npz is no array of numbers"),
        (
            "two.npz",
            lambda path: np.savez(path, a=CODES, b=CODES),
            "one that is named codes, received a, b",
        ),
        ("folder", lambda path: path.mkdir(), "no .npy or .npz files"),
        ("nan.npy", lambda path: np.save(path, CODES * np.nan), "row 0"),
        ("huge.npy", lambda path: np.save(path, np.full((2, 2), 1e300)), "row 0"),
        ("text.npy", lambda path: np.save(path, np.array(["a"])), "of numbers"),
        ("none.npy", lambda path: np.save(path, CODES[:0]), "with a row each"),
        ("flat.npy", lambda path: np.save(path, CODES[:, :0]), "with a row each"),
        ("words.npz", lambda path: _zip(path), "its member is no array"),
        ("scalar.npy", lambda path: np.save(path, 3.0), "with a row each"),
    ],
)
def test_mistakes(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(UserError, match=message):
        load_codes(tmp_path / name)


def _zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "1, 2")


def _cut(path):
    np.save(path, CODES)
    path.write_bytes(path.read_bytes()[:-9])


def _say(path, shape):
    """A file whose header says another shape."""
    np.save(path, CODES)
    shape = shape.replace("8**21", str(8**21)).encode()
    path.write_bytes(path.read_bytes().replace(b"(50, 3)", shape, 1))


def _damage(path):
    """Deflate has no block of the type of these bits, the first after the names."""
    np.savez_compressed(path, CODES)
    content = bytearray(path.read_bytes())
    names = sum(np.frombuffer(content, "<u2", 2, offset=26))
    content[30 + names] = 255
    path.write_bytes(content)


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path):
    np.save(tmp_path / "codes.npy", CODES)
    rows = load_codes(tmp_path / "codes.npy").rows
    _cut(tmp_path / "codes.npy")
    np.testing.assert_array_equal(rows[[0, 48]], CODES[[0, 48]])
    with pytest.raises(UserError, match="codes.npy ends too early: it was cut off"):
        rows[[0, 49]]


def test_shards_of_different_rows(tmp_path):
    np.save(tmp_path / "a.npy", CODES)
    np.save(tmp_path / "b.npy", CODES[:, :2])
    with pytest.raises(UserError, match=r"shape \(3,\) as in .*a.npy, received \(2,\)"):
        load_codes(tmp_path)


def test_numbers_in_names_are_counted(tmp_path):
    for number in (10, 2, 1, 11, 0):
        np.save(tmp_path / f"part{number}.npy", np.full((2, 1), number))
    rows = open_array(tmp_path)[:]
    np.testing.assert_array_equal(rows[::2, 0], [0, 1, 2, 10, 11])


def test_hidden_files_are_no_codes(tmp_path):
    np.save(tmp_path / "part0.npy", CODES)
    for name in (".part0-checkpoint.npy", "._part0.npy"):
        np.save(tmp_path / name, CODES)
    assert open_array(tmp_path).shape == CODES.shape
    (tmp_path / "part0.npy").unlink()
    with pytest.raises(UserError, match="no .npy or .npz files"):
        open_array(tmp_path)


def test_all_files_of_a_folder_count(tmp_path):
    np.save(tmp_path / "1.npy", CODES[:2])
    with open(tmp_path / "2.NPY", "wb") as file:
        np.save(file, CODES[2:5])
    np.testing.assert_array_equal(open_array(tmp_path)[:], CODES[:5])
    (tmp_path / "more").mkdir()
    with pytest.raises(UserError, match="with a folder more in it: name one"):
        open_array(tmp_path)


def test_numbers_alone_are_codes_of_one(tmp_path):
    np.save(tmp_path / "a.npy", CODES[:, 0])
    dataset = load_codes(tmp_path / "a.npy")
    np.testing.assert_array_equal(dataset.rows[:], CODES[:, :1])
    assert dataset.image_shape == (1,)
    found = []
    for codes in (CODES[:, 0], CODES[:, :1]):
        prior = GaussianMixturePrior(1, components=1, standardize=True)
        prior.fit(codes)
        found.append(prior.log_prob(CODES[:, :1]))
        assert prior.sample(4).shape == (4, 1)
    np.testing.assert_array_equal(*found)


def test_more_files_than_may_be_open(tmp_path):
    for number in range(40):
        np.save(tmp_path / f"part{number}.npy", np.full((2, 1), number))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = len(os.listdir("/proc/self/fd")) + 20
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        rows = open_array(tmp_path)
        assert (rows[np.arange(80)][:, 0] == np.arange(80) // 2).all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_file_that_goes_away_is_named(tmp_path):
    np.save(tmp_path / "codes.npy", CODES)
    rows = open_array(tmp_path / "codes.npy")
    (tmp_path / "codes.npy").unlink()
    with pytest.raises(UserError, match="Cannot read .*codes.npy any more .No such"):
        rows[[0]]


def test_codes_of_a_folder_that_are_no_numbers(tmp_path):
    np.save(tmp_path / "codes.npy", CODES)
    np.save(tmp_path / "days.npy", np.zeros(CODES.shape, "datetime64[D]"))
    with pytest.raises(UserError, match="codes of numbers, received datetime64.*days"):
        load_codes(tmp_path)


def test_contexts_among_codes(tmp_path):
    np.save(tmp_path / "codes.npy", CODES)
    np.save(tmp_path / "labels.npy", np.arange(len(CODES)))
    with pytest.raises(UserError, match="labels.npy: a folder of codes has nothing"):
        load_codes(tmp_path)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (np.arange(49), "for each of the 50 codes"),
        (np.arange(50) - 1, "labels from 0 on, received -1 to 48"),
        (np.full((50, 2), np.inf), "finite context"),
    ],
)
def test_mistakes_of_the_context(context, message):
    with pytest.raises(UserError, match=message):
        CodeDataset(CODES, context)


def test_there_is_one_split(tmp_path):
    np.save(tmp_path / "codes.npy", CODES)
    with pytest.raises(UserError, match="no split test: take held_out"):
        load_codes(tmp_path / "codes.npy", split="test")


def test_one_code_cannot_be_split():
    with pytest.raises(UserError, match="at least 2 codes"):
        CodeDataset(CODES[:1]).split(0.1, 0)
