"""Whatever a command line holds: it is obeyed, or refused in one line."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st
from PIL import Image

from tests import commands
from tests.reliability import fuzz

GIN = commands.ROOT / "gin" / "embedded_digits_beta0.gin"

#: Of each command, flags that it obeys in seconds. Paths without a slash at their
#: beginning are in the folder of the case, those in braces are of a run.
FLAGS = {
    "bench": {"items": "nothing", "rounds": "1", "seconds": "0", "out": "times.json"},
    "convert_lpips": {
        "net": "alex",
        "version": "0.1",
        "trunk": "text",
        "linear": "text",
        "out": "lpips.npz",
    },
    "evaluate": {
        "run_dir": "{run}",
        "metrics": "accuracy_test",
        "data_dir": "{data}",
        "cache_dir": "cache",
        "seed": "0",
        "out": "results",
    },
    "export": {"run_dir": "{run}", "out": "saved_model"},
    "figures": {
        "run_dir": "{run}",
        "out": "figures",
        "figures": "samples",
        "data_dir": "{data}",
        "pairs": "2",
    },
    "prepare_data": {
        "dataset": "image_folder/a",
        "source": "pictures",
        "data_dir": "data",
        "image_size": "4",
    },
    "sample": {
        "run_dir": "{run}",
        "out": "grid.png",
        "n": "4",
        "seed": "1",
        "temperature": "0.5",
    },
    "sweep": {
        "out": "sweep",
        "grid": "seed=0,1",
        "gin_file": str(GIN),
        "metrics": "accuracy_test",
        "jobs": "1",
        "print_commands": "true",
    },
    "train": {
        "run_dir": "run",
        "gin_file": str(GIN),
        "gin_param": "train.jit_compile = False",
        "data_dir": "{data}",
        "seed": "1",
        "strategy": "one_device",
        "on_nonfinite": "stop",
    },
}
# None of them leads out of the folder of the case.
VALUES = st.one_of(
    st.sampled_from(
        ["", " ", "-1", "0", "1.5", "nan", "inf", "None", "true", "x", ","]
    ),
    st.sampled_from(["text", "pictures", "empty", "broken", "missing", "pictures/no"]),
    st.sampled_from(["text/a", "/dev/null/a", ".", "link", "pipe", "*", "missing/a"]),
    st.sampled_from(
        ["a" * 300, "a/" * 3000, "a\nb", "\udc80", "ä", "a b", "=", "{", "}"]
    ),
    st.sampled_from(
        ["seed=", "=1", "seed=1,1", "a=1=2", "train.steps = 'a'", "@", "%A"]
    ),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0/~."), max_size=6
    ),
)
EXTRAS = st.one_of(
    st.sampled_from(
        ["--stesp=1", "--", "-", "-x", "--no", "a", "", "--out", "--run_dir"]
    ),
    st.sampled_from(["--flagfile=missing", "--flagfile=text", "--=", "--nosuch=1"]),
    VALUES,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    """A run and its data, by the names that `FLAGS` has in braces."""
    folder = tmp_path_factory.mktemp("trained")
    commands.run(
        "train",
        gin_file=GIN,
        gin_param=[*commands.TINY, "train.post_hoc = None"],
        run_dir=folder / "run",
        data_dir=data_dir,
        steps=1,
    )
    return {"run": str(folder / "run"), "data": str(data_dir)}


def _fill(folder):
    """Makes what the names of `VALUES` stand for."""
    for part in ("train", "test"):
        (folder / "pictures" / part).mkdir(parents=True)
        Image.new("L", (4, 4)).save(folder / "pictures" / part / "a.png")
    (folder / "empty").mkdir()
    (folder / "text").write_text("text\n")
    (folder / "broken").mkdir()
    (folder / "broken" / "config.gin").write_text("train.steps = 'a'\n")
    (folder / "link").symlink_to("link")
    os.mkfifo(folder / "pipe")


def _filled(value, trained):
    for name, path in trained.items():
        value = value.replace("{" + name + "}", path)
    return value


def _files(folder):
    return {path for path in folder.rglob("*") if not path.is_dir()}


@fuzz.few_or_many(8, 150)
def test_command_lines(cases, tmp_path, trained, faults):
    def case(drawn):
        name, changes, extras = drawn
        flags = FLAGS[name] | changes
        if name == "bench":
            # The items of a real one take minutes.
            flags["items"] += ",nothing"
        if name == "train":
            # A valid one takes a step.
            extras = [
                "--steps=1",
                *(f"--gin_param={p}" for p in commands.TINY),
                *extras,
            ]
        line = [f"--{flag}={_filled(value, trained)}" for flag, value in flags.items()]
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            folder = Path(folder)
            _fill(folder)
            before = _files(folder)
            with commands.started(name, *line, *extras, cwd=folder) as (
                process,
                output,
            ):
                process.join()
                _, stderr = output()
            left = _files(folder) - before
        assert process.exitcode in (0, 1, 2), (process.exitcode, stderr)
        assert "Traceback" not in stderr, stderr
        if process.exitcode:
            (told,) = stderr.splitlines()
            assert told.startswith(f"{name}: ")
            assert {path.suffix for path in left} <= {".lock"}, left

    def inputs(name):
        flags = st.sampled_from(list(FLAGS[name]))
        changes = st.dictionaries(flags, VALUES, min_size=1, max_size=2)
        extras = st.just([]) | st.lists(EXTRAS, max_size=1)
        return st.tuples(st.just(name), changes, extras)

    count = fuzz.run(case, st.sampled_from(list(FLAGS)).flatmap(inputs), cases)
    faults.add(
        "command lines with random flags",
        f"hypothesis, seed {fuzz.SEED}: values, paths, unknown and misspelt flags",
        "obeyed, or refused in one line",
        times=count,
    )
