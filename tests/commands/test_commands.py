"""All commands: their help, their start, and mistakes."""

import subprocess
import sys

import pytest

from tests import commands
from tests.commands import GIN


@pytest.mark.parametrize(
    "name",
    [
        "train",
        "prepare_data",
        "export",
        "sample",
        "figures",
        "evaluate",
        "sweep",
        "convert_lpips",
        "bench",
    ],
)
def test_help_needs_no_tensorflow(name):
    program = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "sys.path.insert(0, 'bin')\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'gin'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    command = commands.arguments(name, "--help")
    process = subprocess.run(
        [command[0], "-c", program, *command[1:]],
        cwd=commands.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert f"bin/{name} --" in process.stdout and "Flags:" in process.stdout


def test_the_backend_of_the_users_shell_is_for_other_programs():
    # Not by `commands.run`, whose server has imported Keras.
    process = subprocess.run(
        commands.arguments("export", run_dir="none", out="new"),
        cwd=commands.ROOT,
        env=commands.ENVIRONMENT | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr.startswith("export: none is not a run")
    code = "import tfp_priors, keras; assert keras.backend.backend() == 'tensorflow'"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=commands.ENVIRONMENT | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "in place of jax, which KERAS_BACKEND names" in process.stderr


def test_a_start_leaves_out_what_keras_imports_for_itself():
    code = (
        "import sys\n"
        "from tfp_priors.commands import command\n"
        "command.import_tensorflow(and_probability=True)\n"
        "assert {'keras', 'tf_keras'} <= set(sys.modules)\n"
        "assert not {'matplotlib', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "import matplotlib, sklearn.cluster\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("train", {}, "expected --gin_file"),
        ("bench", {"items": "trian_step"}, "no item begins with 'trian_step'"),
        ("bench", {"items": "x", "seconds": "nan"}, "--seconds=nan is not finite: ex"),
        ("bench", {"items": "x", "seconds": "inf"}, "--seconds=inf is not finite: ex"),
        ("train", {"gin_fil": "x"}, "Did you mean: gin_file"),
        ("train", {"gin_file": GIN, "gin_param": "LATENT_SIZE = 0"}, "latent size of"),
        (
            "train",
            {"gin_file": GIN, "gin_param": "IMAGE_SHAPE = (32, 32, 1)"},
            "set IMAGE_SHAPE = (28, 28, 1)",
        ),
        (
            "train",
            {"gin_file": GIN, "steps": 1, "gin_param": "train.steps=7"},
            "--steps=1 and --gin_param='train.steps=7' set the same: leave one out",
        ),
        (
            "train",
            {"gin_file": GIN, "steps": 1, "gin_param": "STEPS = 7"},
            "--gin_param='STEPS = 7' set the same",
        ),
        (
            "fit_prior",
            {"codes": "none.npy", "seed": 1, "gin_param": "train.seed = 2"},
            "--seed=1 and --gin_param='train.seed = 2' set the same",
        ),
        ("train", {"gin_file": GIN, "steps": "many"}, "many"),
        ("train", {"gin_file": GIN, "steps": 0}, "is not a positive integer. See"),
        ("prepare_data", {}, "expected --dataset"),
        ("prepare_data", {"dataset": "image_folder/x", "source": "."}, "found none"),
        ("export", {"run_dir": ".", "out": "new"}, "is not a run"),
        ("sample", {"saved_model": ".", "out": "g.png"}, "is not a SavedModel"),
        ("sample", {"saved_model": ".", "out": "g.png", "n": 0}, "n=0"),
        ("sample", {"saved_model": ".", "out": "g.png", "n": "a\nb"}, r"--n=a\nb: inv"),
        (
            "export",
            {"run_dir": "a" * 300, "out": "new"},
            "aaa/config.gin: File name too",
        ),
        ("train", {"gin_file": GIN, "run_dir": "/dev/null/a"}, "Not a directory"),
        ("train", {"gin_file": GIN, "data_dir": "setup.py"}, "setup.py is a file"),
        (
            "train",
            {"gin_file": GIN, "seed": -1},
            "train.seed in [0, 2^31), received -1",
        ),
        (
            "train",
            {"gin_file": GIN, "gin_param": "train.clip_norm = -1"},
            "clip_norm >",
        ),
        (
            "evaluate",
            {"run_dir": ".", "gin_param": "A = 1"},
            "measured as it was train",
        ),
        (
            "evaluate",
            {"run_dir": ".", "classifier": "none"},
            "--classifier=none is not",
        ),
        ("evaluate", {"run_dir": ".", "seed": -1}, "--seed=-1"),
        ("sample", {"run_dir": ".", "out": "g.jpg"}, "expected --out=FILE.png"),
        ("sample", {"run_dir": ".", "out": "g.png", "seed": 2**31}, "seed=2147483648"),
        ("sample", {"run_dir": ".", "out": "a.png", "picture": "b"}, "--keypoints=TAB"),
        (
            "sample",
            {"run_dir": ".", "out": "a.png", "temperature": "nan"},
            "not finite",
        ),
        (
            "prepare_data",
            {"dataset": "image_folder/x", "source": ".", "skip_damaged": True},
            "skip_damaged is for celeb_a alone",
        ),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(
    tmp_path, data_dir, name, flags, message
):
    if name == "train":
        flags = {"run_dir": tmp_path / "run", "data_dir": data_dir} | flags
    if "source" in flags:
        flags = flags | {"source": tmp_path, "data_dir": tmp_path / "data"}
    line = commands.refused(name, **flags)
    assert message in line
    assert not (tmp_path / "run").exists()
