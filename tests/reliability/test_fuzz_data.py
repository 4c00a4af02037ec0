"""Whatever the files of a data set hold: it is prepared, or refused by their name."""

import csv
import functools
import gzip
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import strategies as st
from PIL import Image

from tests.data import test_deepfashion
from tests.data import test_prepare
from tests.reliability import fuzz
from tfp_priors.data import load_dataset
from tfp_priors.data import prepare as prepare_module
from tfp_priors.data.prepare import prepare
from tfp_priors.errors import UserError
from tfp_priors.errors import printable


@pytest.fixture(autouse=True)
def quiet():
    tfds.disable_progress_bar()


def refusal(name, source, **kwargs):
    """The line with which a folder is refused, or None if it is prepared and read."""
    data_dir = source.parent / "data"
    try:
        prepare(name, str(source), str(data_dir), **kwargs)
    except UserError as error:
        (line,) = str(error).splitlines()
        # The empty file that keeps other processes out stays.
        left = [path for path in data_dir.rglob("*") if path.is_file()]
        assert {path.suffix for path in left} <= {".lock"}, left
        assert not list(data_dir.rglob("*incomplete*"))
        return line
    for split in ("train", "test"):
        dataset = load_dataset(name, split, str(data_dir))
        assert dataset.take(dataset.size)["image"].shape[0] == dataset.size
    return None


# Bytes -------------------------------------------------------------------------


def _cut(content, at):
    return content[: int(at * len(content))]


def _flipped(content, at, bit):
    if not content:
        return content
    place = min(int(at * len(content)), len(content) - 1)
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def _inserted(content, at, piece):
    place = int(at * len(content))
    return content[:place] + piece + content[place:]


def _other(content, other):
    return other


def some(function, **arguments):
    """Functions of one argument, whose others have strategies."""
    return st.fixed_dictionaries(arguments).map(
        lambda drawn: functools.partial(function, **drawn)
    )


PLACES = st.floats(0, 1)
BITS = st.integers(0, 7)
#: Functions that damage bytes.
DAMAGE = st.one_of(
    some(_cut, at=PLACES),
    some(_flipped, at=PLACES, bit=BITS),
    some(_flipped, at=st.floats(0, 0.02), bit=BITS),
    some(_inserted, at=PLACES, piece=st.binary(min_size=1, max_size=30)),
    some(_other, other=st.binary(max_size=60)),
)


def _sometimes(strategy, times):
    """A strategy's values once in so many times, else None."""
    return st.integers(1, times).flatmap(lambda n: st.none() if n > 1 else strategy)


# Idx files ---------------------------------------------------------------------

IDX = list(prepare_module._IDX_SHAPES)


@pytest.fixture
def small_mnist(monkeypatch):
    """MNIST of 3 and 2 images: the real ones would take a second each."""
    test_prepare.shrink_mnist(monkeypatch, 3, 2)


def _idx(name):
    shape = prepare_module._IDX_SHAPES[name]
    values = np.random.RandomState(0).randint(0, 10, shape).astype(np.uint8)
    return test_prepare.idx(values)


def _damage(path, how):
    path.write_bytes(how(path.read_bytes()))


def _damage_content(path, how):
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.compress(how(gzip.decompress(content)))
    path.write_bytes(content)


def _pack_again(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


def _write_another(path, name):
    path.write_bytes(_idx(name))


def _replace(path, make):
    """Puts something else in the place of a file."""
    path.unlink()
    make(path)


def _link(path):
    path.symlink_to("nowhere")


def _link_to_itself(path):
    path.symlink_to(path)


def _link_to_folder(path):
    path.symlink_to(path.parent)


IDX_CHANGES = st.one_of(
    some(_damage, how=DAMAGE),
    some(_damage_content, how=DAMAGE),
    some(_write_another, name=st.sampled_from(IDX)),
    some(
        _replace,
        make=st.sampled_from(
            [Path.mkdir, os.mkfifo, _link, _link_to_itself, _link_to_folder]
        ),
    ),
    st.sampled_from([Path.unlink, _pack_again]),
)


@fuzz.few_or_many(10, 400)
def test_idx_files(cases, tmp_path, small_mnist, faults):
    def case(drawn):
        name, packed, changes = drawn
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            source = Path(folder, "source")
            source.mkdir()
            for file, is_packed in zip(IDX, packed, strict=True):
                if is_packed:
                    (source / f"{file}.gz").write_bytes(gzip.compress(_idx(file), 1))
                else:
                    (source / file).write_bytes(_idx(file))
            for file, change in changes.items():
                change(next(source.glob(f"{file}*")))
            line = refusal(name, source)
            assert line is None or any(file in line for file in changes), line

    inputs = st.tuples(
        st.sampled_from(["mnist", "fashion_mnist"]),
        st.tuples(*[st.booleans()] * len(IDX)),
        st.dictionaries(st.sampled_from(IDX), IDX_CHANGES, min_size=1, max_size=2),
    )
    count = fuzz.run(case, inputs, cases)
    faults.add(
        "idx files with random damage",
        f"hypothesis, seed {fuzz.SEED}: headers, lengths, gzip streams, other things "
        "in a file's place",
        "prepared if whole, else refused with the file's name",
        times=count,
    )


# Image folders -----------------------------------------------------------------


def _encoded(mode, size, **how):
    file = io.BytesIO()
    pixels = np.random.RandomState(0).randint(0, 256, (size[1], size[0], 4))
    picture = Image.fromarray(pixels.astype(np.uint8), "RGBA").convert("RGB")
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    picture.save(file, **how)
    return file.getvalue()


PICTURES = [
    *(_encoded(m, (5, 4), format="png") for m in ("1", "L", "P", "RGB", "RGBA", "LA")),
    *(_encoded(m, (9, 8), format="jpeg") for m in ("L", "RGB", "CMYK")),
    _encoded("I;16", (3, 4), format="png"),
    _encoded("P", (4, 4), format="png", transparency=bytes(range(9))),
    _encoded("RGB", (1, 1), format="png"),
    _encoded("RGB", (1, 200), format="png"),
    _encoded("L", (8, 8), format="jpeg", progressive=True),
    *(_encoded("P", (4, 3), format=f) for f in ("gif", "tiff", "bmp", "tga")),
    _encoded("F", (4, 3), format="tiff"),
    _encoded("RGB", (16, 16), format="webp"),
    _encoded("RGB", (4, 3), format="eps"),
]
CONTENTS = st.one_of(
    st.sampled_from(PICTURES),
    st.sampled_from(PICTURES),
    st.builds(lambda content, how: how(content), st.sampled_from(PICTURES), DAMAGE),
    st.binary(max_size=40),
)
PLAIN = st.sampled_from(["cats", "dogs", "x", "1"])
# Without what would lead out of the folder.
NAMES = st.one_of(
    PLAIN,
    st.text(min_size=1, max_size=8),
    st.sampled_from(
        ["a", " b", "c ", ".d", "-e", "f\ng", "\n", "h\r", "ä", "CON", "%s"]
    ),
    st.binary(min_size=1, max_size=8).map(os.fsdecode),
).map(lambda name: name.replace("/", "_").replace("..", "._"))
SUFFIXES = st.sampled_from([".png", ".png", ".jpg", ".JPEG", ".gif", ".txt", ""])
LAYOUTS = st.sampled_from([("train", "test"), ("train", "test"), ("",), ("a", "b")])


def _write(path, content):
    """Writes a file; what the file system refuses is not written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.symlink_to(path.parent)
        else:
            path.write_bytes(content)
    except (OSError, ValueError):
        pass


@fuzz.few_or_many(25, 400)
def test_image_folders(cases, tmp_path, faults):
    def case(drawn):
        layout, files, image_size = drawn
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            source = Path(folder, "source")
            source.mkdir()
            for number, (folders, name, suffix, content) in enumerate(files):
                part = layout[number % len(layout)]
                _write(Path(source, part, *folders, name + suffix), content)
            line = refusal("image_folder/a", source, image_size=image_size)
            assert line is None or str(source) in line, line
            if line is not None and line.startswith("Cannot read"):
                # By their last names: links may lead to them in several ways.
                names = {path.name for path in source.rglob("*") if path.is_file()}
                assert any(printable(f"/{name} (") in line for name in names), line

    files = st.lists(
        st.tuples(
            st.lists(PLAIN | NAMES, max_size=2), NAMES, SUFFIXES, st.none() | CONTENTS
        ),
        max_size=6,
    )
    inputs = st.tuples(LAYOUTS, files, st.none() | st.integers(1, 9))
    count = fuzz.run(case, inputs, cases)
    faults.add(
        "image folders with random contents",
        f"hypothesis, seed {fuzz.SEED}: names, links, formats, modes, damaged pictures",
        "prepared if all can be read, else refused with the path",
        times=count,
    )


# Keypoint tables ---------------------------------------------------------------

PARTITION = "list_eval_partition.txt"
VALUES = st.one_of(
    st.floats(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(["", "nan", "inf", "-1", "1e999", "1_0", "0x1", "٣", "9" * 5000]),
    st.sampled_from(["\0", "\n", '"', '"""', "a,b", "\ufeff", "\ud800", "x" * 140_000]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=5), inner, max_size=4),
    ),
    max_leaves=10,
)


def _repeated(text, times):
    return text * times


RAW = some(
    _repeated,
    text=st.sampled_from(["[", '{"a":', "9", "null", '"a"', "NaN", '{"": []}', ","]),
    times=st.sampled_from([0, 1, 5_000, 100_000]),
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"])


def _change_row(rows, row, column, value, action):
    at = row % len(rows)
    if action == "cell":
        rows[at][column % len(rows[at])] = value
    elif action == "drop":
        del rows[at][column % len(rows[at])]
    elif action == "add":
        rows[at].append(value)
    elif action == "repeat":
        rows.insert(at, list(rows[at]))
    else:
        del rows[at]


def _change_entry(table, row, joint, value, depth):
    name = list(table)[row % len(table)]
    if depth == "name":
        table[str(value)] = table.pop(name)
    elif depth == "joints" or not isinstance(table[name], list) or not table[name]:
        table[name] = value
    elif depth == "joint":
        table[name][joint % len(table[name])] = value
    else:
        table[name][joint % len(table[name])] = [value, value]


def _csv_text(changes):
    values = test_deepfashion.coordinates().reshape(-1, 30).tolist()
    rows = [["image_name", *test_deepfashion.COLUMNS]]
    rows += [[n, *v] for n, v in zip(test_deepfashion.NAMES, values, strict=True)]
    for change in changes:
        change(rows)
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def _json_text(changes):
    values = test_deepfashion.coordinates().tolist()
    table = dict(zip(test_deepfashion.NAMES, values, strict=True))
    for change in changes:
        change(table)
    return json.dumps(table)


NUMBERS = st.integers(0, 40)
ACTIONS = st.sampled_from(["cell", "cell", "drop", "add", "repeat", "delete"])
DEPTHS = st.sampled_from(["name", "joints", "joint", "pair"])
ROW_CHANGES = some(
    _change_row, row=NUMBERS, column=NUMBERS, value=VALUES, action=ACTIONS
)
ENTRY_CHANGES = some(
    _change_entry, row=NUMBERS, joint=NUMBERS, value=JSON | VALUES, depth=DEPTHS
)
#: The name of a file and what makes its text.
TABLES = st.one_of(
    st.tuples(
        st.just("keypoints.csv"),
        some(_csv_text, changes=st.lists(ROW_CHANGES, max_size=2)),
    ),
    st.tuples(
        st.just("keypoints.json"),
        some(_json_text, changes=st.lists(ENTRY_CHANGES, max_size=2)),
    ),
    st.tuples(
        st.sampled_from(["keypoints.csv", "keypoints.json"]),
        some(json.dumps, obj=JSON) | RAW,
    ),
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Pictures and the split of a small DeepFashion."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in test_deepfashion.NAMES:
        (folder / name).parent.mkdir(parents=True)
        Image.new("RGB", (256, 256), "red").save(folder / name)
    test_deepfashion.write_split(folder)
    return folder


@fuzz.few_or_many(30, 500)
def test_keypoint_tables(cases, tmp_path, pictures, faults):
    def case(drawn):
        (file, text), encoding, damage, split_damage, skip_incomplete = drawn
        content = text().encode(encoding, errors="replace")
        split = (pictures / PARTITION).read_bytes()
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            source = Path(folder, "source")
            source.mkdir()
            (source / "img").symlink_to(pictures / "img")
            (source / file).write_bytes(damage(content) if damage else content)
            split = split_damage(split) if split_damage else split
            (source / PARTITION).write_bytes(split)
            line = refusal("deepfashion", source, skip_incomplete=skip_incomplete)
            assert line is None or str(source) in line, line

    inputs = st.tuples(
        TABLES,
        ENCODINGS,
        _sometimes(DAMAGE, 3),
        _sometimes(DAMAGE, 8),
        st.booleans(),
    )
    count = fuzz.run(case, inputs, cases)
    faults.add(
        "keypoint tables with random contents",
        f"hypothesis, seed {fuzz.SEED}: cells, columns, rows, JSON of any kind, "
        "encodings, damaged bytes",
        "prepared if whole, else refused with the file's name",
        times=count,
    )
