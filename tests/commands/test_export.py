"""bin/export, and what it makes in programs of its own."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tests import commands
from tests.commands.conftest import made_up
from tfp_priors import config
from tfp_priors.errors import UserError
from tfp_priors.export import export

SHAPE = (28, 28, 1)


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


def test_an_export_scales_bytes_and_refuses_other_floats(trained):
    model = tf.saved_model.load(str(trained[0] / "saved_model"))
    pixels = np.random.RandomState(0).randint(0, 256, (3, *SHAPE)).astype("uint8")
    floats = (pixels / 255).astype("float32")
    np.testing.assert_allclose(
        model.encode(pixels), model.encode(floats), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="images in \\[0, 1\\]"):
        model.encode(255 * floats)


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
