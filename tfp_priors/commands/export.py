"""Writes the model of a run for programs that have nothing of this project.

bin/export --run_dir=runs/mnist_beta0 --out=sampler
bin/export --run_dir=runs/mnist_beta0 --out=sampler.tflite --format=tflite
bin/export --run_dir=runs/mnist_beta0 --out=sampler_onnx --format=onnx

A SavedModel needs TensorFlow:

  >>> model = tf.saved_model.load("sampler")
  >>> images = model.sample(64, 0, 1.0)     # n, seed, temperature; in [0, 1]

Its other functions are decode, log_prob and, of a model with an encoder, encode and
reconstruct. Of a prior of bin/fit_prior it draws codes.

The other formats need a runtime of some megabytes, ai-edge-litert or onnxruntime. Their
functions take the random numbers, a sample is one of z0:

  >>> z0 = np.random.randn(64, 8).astype("float32")
  >>> sample = Interpreter("sampler.tflite").get_signature_runner("sample")
  >>> images = sample(z0=z0)["images"]
  >>> session = onnxruntime.InferenceSession("sampler_onnx/sample.onnx")
  >>> images = session.run(None, {"z0": z0})[0]
"""

import shlex
from pathlib import Path

from absl import flags

from tfp_priors.commands import command
from tfp_priors.commands import gin_flags
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import UNREAD

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a run of bin/train.")
_OUT = flags.DEFINE_string("out", None, "What to write; must not exist.")
_FORMAT = flags.DEFINE_enum(
    "format", "saved_model", ["saved_model", "tflite", "onnx"], "What is written."
)
flags.adopt_module_key_flags(gin_flags)

# Of a run on a store: it is only read, and not all of it.
WRITTEN = ("out",)
WITHOUT = UNREAD


def main():
    if not _RUN_DIR.value or not _OUT.value:
        raise UserError("expected --run_dir=FOLDER and --out=PATH, see --help.")

    config = gin_flags.config()
    from tfp_priors.export import check_new
    from tfp_priors.export import export

    check_new(Path(_OUT.value))
    model = config.load_run(_RUN_DIR.value).model
    export(model, _OUT.value, _FORMAT.value)
    if _FORMAT.value != "saved_model":
        _say_functions(model)
        return
    out = "grid.png" if model.has_decoder else "draws.npy"
    given = command.given_to(model)
    command.say(
        f"SavedModel in {_OUT.value}\n"
        f"  bin/sample --saved_model={shlex.quote(_OUT.value)}{given} --out={out}"
    )


def _say_functions(model):
    """Names what a portable export can do, and what it cannot."""
    from tfp_priors.export.portable import portable_functions

    functions = portable_functions(model)
    command.say(f"{_FORMAT.value} in {_OUT.value}, with the functions")
    for function in functions:
        shapes = (
            f"{x.name} {x.dtype.name} {[n or 'n' for n in x.shape]}".replace("'", "")
            for x in function.signature
        )
        command.say(f"  {function.name}({', '.join(shapes)})")
    if model.has_decoder and not model.prior.has_base:
        command.say(
            f"  and no sample: a {type(model.prior).__name__} has no z0 to draw; "
            "--format=saved_model has one."
        )
