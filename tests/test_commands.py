"""The commands, as a user runs them."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import commands
from tfp_priors import config
from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import from_folder
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.export import export

SHAPE = (28, 28, 1)
GIN = "gin/embedded_digits_beta0.gin"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    """A short run of bin/train and its SavedModel."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data").symlink_to(data_dir)
    process = commands.run(
        "train",
        gin_file=GIN,
        gin_param=[*commands.TINY, "train.scalars_every = 10"],
        run_dir=folder / "run",
        data_dir=folder / "data",
        steps=20,
    )
    commands.run("export", run_dir=folder / "run", out=folder / "saved_model")
    return folder, process


def test_train_reports_and_names_the_next_commands(trained):
    folder, process = trained
    assert "step 20/20" in process.stderr
    assert "images/s" in process.stderr and "left" in process.stderr
    assert "reconstruction" in process.stderr and "prior_nll" in process.stderr
    for command in ("bin/sample", "bin/export", "tensorboard --host=localhost"):
        assert command in process.stdout
    names = {path.name for path in (folder / "run").iterdir()}
    assert names == {
        "checkpoints",
        "config.gin",
        "environment.jsonl",
        "finished.json",
        "lock",
        "operative_config.gin",
        "samples",
        "tensorboard",
    }
    operative = (folder / "run" / "operative_config.gin").read_text()
    assert "LatentVariableModel.beta = 0.0" in operative
    assert "train.steps = 20" in operative
    assert "RealNVPPrior.log_scale_bound = 2.0" in operative


def test_same_run_dir_resumes_and_another_config_is_refused(trained):
    folder, _ = trained
    flags = {
        "gin_file": GIN,
        "run_dir": folder / "run",
        "data_dir": folder / "data",
    }
    params = [*commands.TINY, "train.scalars_every = 1"]
    process = commands.run("train", gin_param=params, steps=22, **flags)
    assert "step 21/22" in process.stderr and "step 20/22" not in process.stderr
    line = commands.refused("train", gin_param=commands.TINY, seed=1, **flags)
    assert "train.seed (unset there, 1 here)" in line


# What a user's program does, with TensorFlow and nothing else.
_FRESH = """
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
images = model.sample(7, 3, 0.5)
z = model.encode(images)
assert z.shape == (7, 8), z.shape
assert model.log_prob(z).shape == (7,)
assert model.decode(z).shape == images.shape == (7, 28, 28, 1)
reconstruction = model.reconstruct(images)
assert float(tf.reduce_max(abs(reconstruction - model.decode(z)))) < 1e-6
assert float(tf.reduce_max(abs(model.from_base(model.to_base(z)) - z))) < 1e-3
names = {"sample", "encode", "decode", "reconstruct", "log_prob", "to_base"}
assert names <= set(model.signatures)
by_signature = model.signatures["sample"](
    n=tf.constant(7), seed=tf.constant(3), temperature=tf.constant(0.5))
assert float(tf.reduce_max(abs(list(by_signature.values())[0] - images))) == 0
assert not [m for m in sys.modules if m.split(".")[0] in
            ("tfp_priors", "tensorflow_probability", "gin")]
open(sys.argv[2], "wb").write(tf.io.serialize_tensor(images).numpy())
"""


def test_saved_model_in_a_process_with_tensorflow_only(trained, tmp_path):
    folder, _ = trained
    model = config.load_run(folder / "run").model
    export(model, tmp_path / "saved_model")
    out = tmp_path / "images"
    subprocess.run(
        [sys.executable, "-c", _FRESH, str(tmp_path / "saved_model"), str(out)],
        cwd=tmp_path,
        env=commands.ENVIRONMENT,
        check=True,
        timeout=120,
    )
    received = tf.io.parse_tensor(out.read_bytes(), tf.float32)
    expected = model.sample(7, seed=3, temperature=0.5)
    np.testing.assert_allclose(received, expected, atol=1e-5)
    with pytest.raises(UserError, match="exists already"):
        export(model, tmp_path / "saved_model")
    assert {path.name for path in tmp_path.iterdir()} == {"saved_model", "images"}


@pytest.mark.slow
def test_train_with_xla_on_a_mirrored_device(trained, tmp_path):
    folder, _ = trained
    flags = {"gin_file": GIN, "data_dir": folder / "data", "steps": 2}
    params = [p for p in commands.TINY if "jit_compile" not in p]
    for strategy in ("one_device", "mirrored"):
        run_dir = tmp_path / strategy
        process = commands.run(
            "train", gin_param=params, strategy=strategy, run_dir=run_dir, **flags
        )
        assert "step 2/2" in process.stderr


def test_sample(trained, tmp_path):
    folder, _ = trained
    grids = []
    for source in ("saved_model", "saved_model", "run"):
        flag = {"run": "run_dir"}.get(source, source)
        out = tmp_path / "grid.png"
        flags = {flag: folder / source, "out": out, "n": 9, "seed": 1}
        commands.run("sample", temperature=0.9, **flags)
        with Image.open(out) as picture:
            assert picture.size == (88, 88)
            grids.append(np.asarray(picture))
    np.testing.assert_array_equal(grids[0], grids[1])


def test_a_saved_model_of_another_program_is_refused(tmp_path):
    module = tf.Module()
    x = tf.TensorSpec((None, 3), tf.float32, "x")
    module.draw = tf.function(lambda: tf.zeros(3), input_signature=[])
    module.sample = tf.function(lambda x: x + 1, input_signature=[x])
    for folder, signatures in (
        ("other", None),
        ("named_so", {"sample": module.sample}),
    ):
        tf.saved_model.save(module, str(tmp_path / folder), signatures)
    for folder, out in (
        ("other", "a.png"),
        ("other", "a.npy"),
        ("other", "a/"),
        ("named_so", "a.npy"),
    ):
        flags = {"saved_model": tmp_path / folder, "out": f"{tmp_path}/{out}"}
        line = commands.refused("sample", **flags)
        assert f"{folder} has no function sample of a seed: expected a Saved" in line


@pytest.mark.slow
def test_figures_and_report_of_a_run(trained, tmp_path):
    folder, _ = trained
    flags = {"run_dir": folder / "run", "data_dir": folder / "data"}
    process = commands.run("figures", "--report", out=tmp_path, **flags)
    names = {"samples", "reconstructions", "interpolations", "code_paths"}
    names |= {"code_scatter", "neighbours"}
    expected = {
        f"{name}.{suffix}" for name in names for suffix in ("png", "svg", "csv")
    }
    assert {p.name for p in tmp_path.iterdir()} == {*expected, "report.html"}
    left_out = "labels, poses, transfers, appearances, latent_panels, attribute"
    assert f"Not for this run: {left_out}; --figures=NAME says" in process.stdout
    line = commands.refused("figures", out=tmp_path, figures="attribute", **flags)
    assert "the metric needs another network of the data set" in line
    line = commands.refused("figures", out=tmp_path, figures="latent_panels", **flags)
    assert "train one with LATENT_SIZE = 2" in line
    line = commands.refused("figures", out=tmp_path, figures="panels", **flags)
    assert "there is no figure 'panels': choose of samples," in line
    assert "attribute" in commands.run("figures", "--list").stdout


def test_figures_of_several_runs(trained, tmp_path):
    folder, _ = trained
    run_dirs = [folder / "run", folder / "run" / "."]
    process = commands.run(
        "figures", out=tmp_path, run_dir=run_dirs, data_dir=folder / "data"
    )
    assert "Figures in" in process.stdout
    assert (tmp_path / "models.png").exists()
    line = commands.refused("figures", "--report", out=tmp_path / "x", run_dir=run_dirs)
    assert "--report is of one run" in line and not (tmp_path / "x").exists()
    line = commands.refused(
        "figures", figures="samples", out=tmp_path / "x", run_dir=run_dirs
    )
    assert "--figures is of one run" in line and not (tmp_path / "x").exists()


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


def test_single_samples_are_those_that_are_measured(trained, tmp_path):
    """Over the end of a chunk; ~ is the user's home."""
    home = tmp_path / "it's a höme"
    home.mkdir()
    environment = commands.ENVIRONMENT | {"HOME": str(home)}
    flags = {"run_dir": trained[0] / "run", "n": 1003, "out": "~/drawn/"}
    commands.run("sample", environment=environment, **flags)
    files = sorted((home / "drawn").iterdir())
    assert [path.name for path in files[::1002]] == ["0000.png", "1002.png"]
    run = config.load_run(trained[0] / "run")
    expected = subject_of_model(run.model, run.identity).samples(1003, 0)
    drawn = from_folder(home / "drawn", SHAPE)
    for mine, theirs in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    refused = commands.refused("sample", environment=environment, **flags)
    assert "is not empty: expected a new or an empty folder" in refused
    flags = {"run_dir": trained[0] / "run", "n": 10_001, "out": tmp_path / "a.png"}
    assert "end --out with a slash" in commands.refused("sample", **flags)


def test_an_export_scales_bytes_and_refuses_other_floats(trained):
    model = tf.saved_model.load(str(trained[0] / "saved_model"))
    pixels = np.random.RandomState(0).randint(0, 256, (3, *SHAPE)).astype("uint8")
    floats = (pixels / 255).astype("float32")
    np.testing.assert_allclose(
        model.encode(pixels), model.encode(floats), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="floats in \\[0, 1\\]"):
        model.encode(255 * floats)
