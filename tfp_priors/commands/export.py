"""Writes the model of a run as a SavedModel that needs only TensorFlow.

  bin/export --run_dir=runs/mnist_beta0 --out=sampler

  >>> model = tf.saved_model.load("sampler")
  >>> images = model.sample(64, 0, 1.0)     # n, seed, temperature; in [0, 1]

Its other functions are decode, log_prob and, of a model with an encoder, encode and
reconstruct. Of a prior of bin/fit_prior it draws codes.
"""

import shlex

from absl import flags

from tfp_priors.commands import command
from tfp_priors.commands import gin_flags

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a run of bin/train.")
_OUT = flags.DEFINE_string("out", None, "Folder to write; must not exist.")
flags.adopt_module_key_flags(gin_flags)


def main():
    from tfp_priors.errors import UserError

    if not _RUN_DIR.value or not _OUT.value:
        raise UserError("expected --run_dir=FOLDER and --out=FOLDER, see --help.")

    config = gin_flags.config()
    from tfp_priors.export import export

    model = config.load_run(_RUN_DIR.value).model
    export(model, _OUT.value)
    out = "grid.png" if model.has_decoder else "draws.npy"
    given = command.given_to(model)
    command.say(
        f"SavedModel in {_OUT.value}\n"
        f"  bin/sample --saved_model={shlex.quote(_OUT.value)}{given} --out={out}"
    )
