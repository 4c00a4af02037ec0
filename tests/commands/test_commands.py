"""The commands, as a user runs them."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from tests import commands
from tests.conftest import randomize
from tfp_priors import config
from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import from_folder
from tfp_priors.evaluation.subject import subject_of_model
from tfp_priors.export import export
from tfp_priors.figures.grid import image_grid
from tfp_priors.training import checkpoints_of

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
from ai_edge_litert.interpreter import Interpreter
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


def made_up(folder, name, *params):
    """A run of no training, whose weights are noise; its folder and its model."""
    gin_file = str(commands.ROOT / "gin" / f"embedded_digits_{name}.gin")
    text = config.parse([gin_file], [*commands.TINY, *params])
    folder.mkdir()
    (folder / "config.gin").write_text(text)
    model = config.trainer().compiled_model()
    for part in (model.prior, model.decoder):
        randomize(part, scale=0.5)
    checkpoints_of(folder)[0].save(model, 1)
    return folder, model


def drawn(**flags):
    commands.run("sample", **flags)
    with Image.open(flags["out"]) as picture:
        return np.asarray(picture).astype(int)


def grid_of(rows, columns=None):
    return image_grid(np.concatenate(rows), columns)[..., 0].astype(int)


@pytest.fixture(scope="module")
def of_labels(tmp_path_factory):
    """A run whose prior is given labels, and its model."""
    return made_up(tmp_path_factory.mktemp("labels") / "run", "labels")


@pytest.mark.parametrize(
    "source", ["run_dir", pytest.param("saved_model", marks=pytest.mark.slow)]
)
def test_draws_of_labels(of_labels, tmp_path, source):
    run, model = of_labels
    flags = {source: run, "seed": 1, "out": tmp_path / "grid.png"}
    if source == "saved_model":
        flags[source] = tmp_path / "sampler"
        said = commands.run("export", run_dir=run, out=flags[source]).stdout
        assert said.endswith("/sampler --label=all --out=grid.png\n")
    of_two, of_three, guided = (
        grid_of([model.sample_of_condition(label, 4, 1, guidance=guidance)])
        for label, guidance in ((2, 1.0), (3, 1.0), (2, 3.0))
    )
    # What is told apart below is not alike.
    assert min(np.abs(other - of_two).max() for other in (of_three, guided)) > 9
    of_all = grid_of([model.sample_of_condition(n, 2, 1) for n in range(10)], columns=2)
    for expected, given in (
        (of_two, {"label": 2, "n": 4}),
        (guided, {"label": 2, "n": 4, "guidance": 3}),
        (of_all, {"label": "all", "n": 2}),
    ):
        np.testing.assert_allclose(drawn(**flags, **given), expected, atol=1)


def test_draws_of_attributes(tmp_path):
    params = (
        "LatentVariableModel.conditioner = @AttributeContext()",
        "AttributeContext.attributes = 3",
        "FlowMatchingPrior.context_size = 3",
    )
    run, model = made_up(tmp_path / "run", "labels", *params)
    expected, other = (
        grid_of([model.sample_of_condition(np.float32(present), 4, 1)])
        for present in ([1, 0, 1], [0, 1, 0])
    )
    assert np.abs(expected - other).max() > 9
    flags = {"run_dir": run, "seed": 1, "out": tmp_path / "grid.png", "n": 4}
    np.testing.assert_allclose(drawn(attributes="0,2", **flags), expected, atol=1)
    line = commands.refused("sample", attributes="0,3", **flags)
    assert "--attributes=3: expected a number from 0 to 2." in line


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "the model is given labels: expected --label=NUMBER, or all."),
        ({"label": 10}, "--label=10: expected a number from 0 to 9."),
        ({"label": "x"}, "--label=x: expected a number from 0 to 9."),
        (
            {"label": 1, "attributes": 1},
            "is not given attributes, it takes --label: leave --attri",
        ),
        ({"label": "all", "n": 1001}, "received 1001 of each of 10 labels: take a sm"),
    ],
)
def test_what_is_no_label_is_refused(of_labels, tmp_path, given, message):
    out = tmp_path / "grid.png"
    line = commands.refused("sample", run_dir=of_labels[0], out=out, **given)
    assert message in line and not out.exists()


def functions(path):
    """The functions of an export and their arguments, as its own runtime tells them."""
    if path.is_dir():
        for file in path.iterdir():
            inputs = onnxruntime.InferenceSession(file).get_inputs()
            assert {x.type for x in inputs} == {"tensor(float)"}
            yield file.stem, {x.name: x.shape for x in inputs}
        return
    interpreter = Interpreter(str(path))
    for name in interpreter.get_signature_list():
        inputs = interpreter.get_signature_runner(name).get_input_details()
        assert {x["dtype"] for x in inputs.values()} == {np.float32}
        yield name, {x: inputs[x]["shape_signature"].tolist() for x in inputs}


def line_of(name, arguments):
    """What bin/export says of a function of floats."""
    shapes = (
        f"{argument} float32 {[n if n != -1 else 'n' for n in shape]}"
        for argument, shape in arguments.items()
    )
    return f"  {name}({', '.join(shapes)})".replace("'", "")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_a_portable_export_tells_its_functions(trained, tmp_path, format):
    out = tmp_path / f"sampler.{format}"
    flags = {"run_dir": trained[0] / "run", "out": out, "format": format}
    first, *lines = commands.run("export", **flags).stdout.splitlines()
    assert first == f"{format} in {out}, with the functions"
    found = dict(functions(out))
    names = {"sample", "decode", "encode", "log_prob", "to_base", "from_base"}
    assert set(found) == names
    assert {*lines} == {line_of(*function) for function in found.items()}


@pytest.mark.slow
def test_a_portable_export_of_no_base_tells_that_it_has_no_sample(tmp_path):
    params = ["GaussianMixturePrior.components = 2"]
    run, _ = made_up(tmp_path / "run", "gmm_beta1", *params)
    out = tmp_path / "sampler.tflite"
    flags = {"run_dir": run, "out": out, "format": "tflite"}
    _, *lines, last = commands.run("export", **flags).stdout.splitlines()
    found = dict(functions(out))
    assert set(found) == {"decode", "encode", "log_prob"}
    assert {*lines} == {line_of(*function) for function in found.items()}
    assert last == (
        "  and no sample: a GaussianMixturePrior has no z0 to draw; "
        "--format=saved_model has one."
    )


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
    out = tmp_path / "x"
    for name, value in (("figures", "samples"), ("attribute", 1), ("classifier", "x")):
        line = commands.refused("figures", out=out, run_dir=run_dirs, **{name: value})
        assert f"--{name} is of one run: give one --run_dir" in line
    line = commands.refused("figures", out=out, run_dir=run_dirs, lpips_weights="x")
    assert "no figure needs --lpips_weights: it is of bin/evaluate." in line
    flags = {"run_dir": run_dirs[0], "classifier": run_dirs[0]}
    line = commands.refused("figures", out=out, data_dir=folder / "data", **flags)
    assert "a Classifier" in line and not out.exists()


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
