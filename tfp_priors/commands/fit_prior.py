"""Fits a prior to codes of any autoencoder, or to any table of numbers.

  bin/fit_prior --codes=codes.npy --run_dir=runs/prior
  bin/fit_prior --codes=codes.npy --context=labels.npy --gin_file=gin/priors/maf.gin

Codes are a .npy or .npz file, or a folder of such files; a row each, of any shape. A
tenth of them is held out, by which the weights are chosen. --context has a row for each
code, or a class from 0 for each. Run again with the same --run_dir, it goes on from the
last checkpoint.
"""

import os
import shlex
from pathlib import Path

from absl import flags

from tfp_priors.commands import command
from tfp_priors.commands import gin_flags
from tfp_priors.errors import UserError

_CODES = flags.DEFINE_string("codes", None, "File or folder of codes.")
_CONTEXT = flags.DEFINE_string("context", None, "File of vectors, or of classes.")
_GIN_FILE = flags.DEFINE_multi_string(
    "gin_file", [], "Configuration; repeatable [gin/priors/flow_matching.gin]."
)
_GIN_PARAM = flags.DEFINE_multi_string(
    "gin_param", [], "Binding that overrides the files', 'name = value'; repeatable."
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run [runs/NAME].")
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Gradient steps, or EM's, at most [as its file says; flow matching: 80 passes].",
)
_SEED = flags.DEFINE_integer("seed", None, "Seed of weights, order and noise [0].")
flags.adopt_module_key_flags(gin_flags)


def main():
    if not _CODES.value:
        raise UserError("expected --codes=FILE.npy, see --help.")
    gin_files = _GIN_FILE.value or ["gin/priors/flow_matching.gin"]
    name = Path(os.path.realpath(_CODES.value)).stem
    run_dir = Path(_RUN_DIR.value or Path("runs") / name)
    result = gin_flags.config().fit_prior(
        run_dir,
        gin_files,
        gin_flags.with_flags(
            _GIN_PARAM.value, {"PRIOR_STEPS": _STEPS, "train.seed": _SEED}
        ),
        _CODES.value,
        _CONTEXT.value,
    )
    if not gin_flags.say_where(result, run_dir):
        return
    width = result.model.prior.context_size
    if width:
        what = f"one of {width} classes, or a vector of as many numbers"
        if width == 1:
            what = "a number; classes would be integers"
        command.say(f"The context of a code is {what}.")
    from tfp_priors.training import checkpoints_of

    best, value = checkpoints_of(run_dir)[1].best()
    if best is not None:
        command.say(
            f"Step {best} of {result.step} is the best on held-out codes: {value:.3f}."
        )
    quoted = shlex.quote(str(run_dir))
    command.say(f"  bin/evaluate --run_dir={quoted}")
    command.say(f"  bin/figures --run_dir={quoted} --out={quoted}/figures --report")
    draws = f"--context={shlex.quote(_CONTEXT.value)}" if _CONTEXT.value else "--n=1000"
    command.say(f"  bin/sample --run_dir={quoted} {draws} --out=draws.npy")
    command.say(f"  bin/export --run_dir={quoted} --out={quoted}/saved_model")
    command.say(f"  tensorboard --host=localhost --logdir={quoted}")
