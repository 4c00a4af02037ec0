"""Trains a model, or resumes the training of a run.

  bin/train --gin_file=gin/mnist_beta0.gin
  bin/train --gin_file=gin/mnist_beta0.gin --gin_param="LATENT_SIZE = 2" \\
      --steps=5000 --run_dir=runs/two_dimensions

Run again with the same --run_dir, it goes on from the last checkpoint. Where a prior
learns last, from the codes of the autoencoder at rest, as in gin/mnist_beta0.gin,
--autoencoder names another run whose autoencoder to take: then its prior alone learns.
"""

import shlex
from pathlib import Path

from absl import flags

from tfp_priors.commands import command
from tfp_priors.commands import gin_flags
from tfp_priors.errors import UserError

_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "Configuration; repeatable.")
_GIN_PARAM = flags.DEFINE_multi_string(
    "gin_param", [], "Binding that overrides the files', 'name = value'; repeatable."
)
_LIST = flags.DEFINE_bool("list", False, "Say which gin files there are, and end.")
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run [runs/GIN_FILE].")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data [TFDS's].")
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    None,
    gin_flags.STRATEGIES,
    "Devices: auto takes all GPUs, and the cluster of TF_CONFIG if it is set [auto].",
)
_AUTOENCODER = flags.DEFINE_string(
    "autoencoder", None, "Folder of a run whose autoencoder to start from."
)
_VGG19_WEIGHTS = flags.DEFINE_string(
    "vgg19_weights", None, "File of Keras' VGG19 weights, for perceptual losses."
)
_PERCEPTUAL_CLASSIFIER = flags.DEFINE_string(
    "perceptual_classifier",
    None,
    "Folder of a classifier's run, for perceptual losses in its activations.",
)
_STEPS = flags.DEFINE_integer("steps", None, "Total training steps.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", None, "Seed of weights, order and noise [0].")
_ON_NONFINITE = flags.DEFINE_enum(
    "on_nonfinite",
    None,
    ["stop", "rollback"],
    "At a NaN: stop, or go back to the last checkpoint and learn slower [stop].",
)
flags.adopt_module_key_flags(gin_flags)


def main():
    from tfp_priors.experiments import folder
    from tfp_priors.experiments import listing

    if _LIST.value:
        command.say(listing(folder()))
        return
    if not _GIN_FILE.value:
        raise UserError(
            "expected --gin_file=gin/NAME.gin: --list says which there are."
        )
    run_dir = Path(_RUN_DIR.value or Path("runs") / Path(_GIN_FILE.value[-1]).stem)
    gin_params = gin_flags.with_flags(
        _GIN_PARAM.value,
        {
            "train.steps": _STEPS,
            "train.seed": _SEED,
            "train.strategy": _STRATEGY,
            "train.on_nonfinite": _ON_NONFINITE,
            "VGG19Features.weights": _VGG19_WEIGHTS,
        },
    )
    result = gin_flags.config().train(
        run_dir,
        _GIN_FILE.value,
        gin_params,
        _DATA_DIR.value,
        _AUTOENCODER.value,
        _PERCEPTUAL_CLASSIFIER.value,
    )
    if not gin_flags.say_where(result, run_dir):
        return
    for line in _next_commands(result.model, run_dir):
        command.say(f"  {line}")


def _next_commands(model, run_dir):
    run_dir = shlex.quote(str(run_dir))
    from tfp_priors.models import KeypointRegressor
    from tfp_priors.models import Predictor

    if isinstance(model, Predictor):
        yield f"bin/evaluate --run_dir={run_dir}"
        use = f"--classifier={run_dir} --metrics=fcd10k_test"
        if isinstance(model, KeypointRegressor):
            use = f"--keypoint_regressor={run_dir} --metrics=pose_error5k"
        yield f"bin/evaluate --run_dir=RUN {use}"
    else:
        metrics = "" if model.has_encoder else " --classifier=RUN --metrics=fcd10k_test"
        yield f"bin/evaluate --run_dir={run_dir}{metrics}"
        yield f"bin/figures --run_dir={run_dir} --out={run_dir}/figures --report"
        given = command.given_to(model)
        yield f"bin/sample --run_dir={run_dir}{given} --out=grid.png"
        yield f"bin/export --run_dir={run_dir} --out={run_dir}/saved_model"
    yield f"tensorboard --host=localhost --logdir={run_dir}"
