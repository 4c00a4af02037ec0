"""Draws from a run or a SavedModel; writes one picture, a folder of them, or codes.

bin/sample --run_dir=runs/mnist_beta0 --n=64 --out=grid.png
bin/sample --run_dir=runs/mnist_beta0 --n=10000 --out=samples/
bin/sample --saved_model=sampler --n=64 --seed=1 --temperature=0.8 --out=grid.png
bin/sample --run_dir=RUN --keypoints=poses.json --out=grid.png
bin/sample --run_dir=runs/codes --n=10000 --out=draws.npy

A folder, with its slash, gets a PNG file for each image: those that bin/evaluate draws
for as many samples, which `bin/evaluate --images=samples` measures as it does them.

A prior of bin/fit_prior draws codes, --out=draws.npy; given a context, one for each row
of --context=FILE.npy.

Models of people in poses take a pose from a table of keypoints, JSON or CSV, as
docs/datasets.md describes it: of its first picture, or of --picture=NAME.
"""

import math
from pathlib import Path

from absl import flags

from tfp_priors.commands import command
from tfp_priors.commands import gin_flags

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a run of bin/train.")
_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "Folder of bin/export.")
_N = flags.DEFINE_integer("n", 64, "Number of images.", lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed",
    0,
    "The same seed gives the same images.",
    lower_bound=0,
    upper_bound=2**31 - 1,
)
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 1.0, "Factor on the base's standard deviation.", lower_bound=0.0
)
_KEYPOINTS = flags.DEFINE_string(
    "keypoints", None, "Table of keypoints, for models conditional on a pose."
)
_PICTURE = flags.DEFINE_string(
    "picture", None, "Whose pose of that table to take [the first]."
)
_CONTEXT = flags.DEFINE_string(
    "context", None, "File of the context of each code, for a conditional prior."
)
_OUT = flags.DEFINE_string(
    "out", None, "PNG or .npy file to write; or a new or empty folder, samples/."
)
flags.adopt_module_key_flags(gin_flags)

# A picture of more would not open in most programs.
_LARGEST_GRID = 10_000


def main():
    from tfp_priors.errors import UserError

    if bool(_RUN_DIR.value) == bool(_SAVED_MODEL.value):
        raise UserError("expected one of --run_dir=FOLDER and --saved_model=FOLDER.")
    if not _OUT.value:
        raise UserError("expected --out=FILE.png, or --out=FOLDER/.")

    out = Path(_OUT.value)
    in_folder = _OUT.value.endswith("/") or out.is_dir()
    if in_folder:
        out = out.resolve()  # It may be a link.
    elif out.suffix.lower() not in ("", ".png", ".npy"):
        raise UserError(
            f"expected --out=FILE.png, --out=FOLDER/ or, of a prior alone, "
            f"--out=FILE.npy, received --out={out}."
        )
    if _PICTURE.value and not _KEYPOINTS.value:
        raise UserError("--picture is one of a table: expected --keypoints=TABLE too.")
    if not math.isfinite(_TEMPERATURE.value):
        raise UserError(f"--temperature={_TEMPERATURE.value} is not finite.")
    if in_folder and out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty: expected a new or an empty folder.")
    if out.suffix.lower() == ".npy" and not in_folder:
        _sample_codes(out)
        return
    if _CONTEXT.value:
        raise UserError("--context is of a prior alone: expected --out=FILE.npy too.")
    if not in_folder and _N.value > _LARGEST_GRID:
        raise UserError(
            f"expected at most {_LARGEST_GRID} images in one picture, received "
            f"--n={_N.value}: for a file each, end --out with a slash, as samples/."
        )
    _sample_images(out, in_folder)


def _sample_images(out, in_folder):
    """Writes images into one picture, or a file each."""
    command.import_tensorflow()
    from tfp_priors.errors import UserError
    from tfp_priors.figures.grid import image_grid
    from tfp_priors.figures.grid import save_image

    model = _model()
    if not _draws_images(model):
        raise UserError("the prior draws codes: expected --out=FILE.npy.")
    # A conditional export has it, a conditional model has a conditioner too.
    conditional = (
        hasattr(model, "transfer") and getattr(model, "conditioner", model) is not None
    )
    if conditional != bool(_KEYPOINTS.value):
        raise UserError(
            "the model draws people in poses: expected --keypoints=TABLE, JSON or CSV."
            if conditional
            else "the model is not conditional on a pose: leave --keypoints out."
        )
    if conditional:
        if _TEMPERATURE.value != 1.0:
            raise UserError("given a pose, the temperature is 1: leave the flag out.")
        of_pose, pose = getattr(model, "sample_of_condition", model.sample), _pose()

        def draw(n, seed):
            return of_pose(pose, n, seed)
    else:

        def draw(n, seed):
            return model.sample(n, seed, _TEMPERATURE.value)

    if in_folder:
        _write_pictures(draw, out)
    else:
        save_image(image_grid(draw(_N.value, _SEED.value)), out)
    command.say(f"{_N.value} images of seed {_SEED.value} in {_OUT.value}")


def _model():
    if _RUN_DIR.value:
        return gin_flags.config().load_run(_RUN_DIR.value).model
    return _load(_SAVED_MODEL.value)


def _draws_images(model):
    # An export says it by its functions.
    return getattr(model, "has_decoder", hasattr(model, "decode"))


def _sample_codes(out):
    """Writes codes of a prior alone, those that bin/evaluate draws."""
    command.import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from tfp_priors.core.rows import checked_context
    from tfp_priors.data import open_array
    from tfp_priors.errors import UserError
    from tfp_priors.evaluation.images import from_sampler
    from tfp_priors.files import written_atomically

    model, n, given = _model(), _N.value, ()
    if _draws_images(model):
        raise UserError("the model draws images: expected --out=FILE.png.")
    if _CONTEXT.value:
        context = open_array(_CONTEXT.value)[:]
        if flags.FLAGS["n"].present and n != len(context):
            raise UserError(
                f"{_CONTEXT.value} has {len(context)} rows, a code each: leave --n out."
            )
        n = len(context)
        given = (checked_context(context, _context_size(model), n),)
    elif _context_size(model):
        raise UserError("the prior is conditional: expected --context=FILE.npy.")
    exported = not hasattr(model, "prior")

    def draw(n, seed, *given):
        temperature = tf.constant(_TEMPERATURE.value, tf.float32)
        if exported:
            return model.sample(*(given or (n,)), seed, temperature)
        return model.sample(n, seed, temperature, *given)

    compiled = tf.function(draw, reduce_retracing=True, autograph=False)
    chunks = from_sampler(
        lambda n, seed, *given: compiled(n, tf.constant(seed), *given),
        n,
        _SEED.value,
        "",
        *given,
    )
    with written_atomically(out) as path:
        codes = None
        for start, stop in chunks.spans():
            part = chunks.read(start, stop).numpy()
            if codes is None:
                codes = np.lib.format.open_memmap(
                    path, "w+", part.dtype, (n, *part.shape[1:])
                )
            codes[start:stop] = part
        codes.flush()
    command.say(f"{n} codes of seed {_SEED.value} in {out}")


def _context_size(model):
    if hasattr(model, "prior"):
        return model.prior.context_size
    inputs = model.signatures["sample"].structured_input_signature[1]
    return inputs["context"].shape[1] if "context" in inputs else 0


def _write_pictures(draw, out):
    """Writes a PNG file for each image, chunk by chunk; the folder appears whole."""
    import tensorflow as tf

    from tfp_priors.evaluation.images import from_sampler
    from tfp_priors.figures.grid import save_image
    from tfp_priors.files import temporary_beside

    compiled = tf.function(draw, reduce_retracing=True, autograph=False)
    images = from_sampler(
        lambda n, seed: compiled(n, tf.constant(seed)), _N.value, _SEED.value, ""
    )
    digits = len(str(_N.value - 1))
    with temporary_beside(out) as temporary:
        temporary.mkdir()
        number = 0
        for chunk in images:
            for pixels in chunk:
                save_image(pixels, temporary / f"{number:0{digits}}.png")
                number += 1
        if out.exists():
            out.rmdir()
        temporary.rename(out)


def _pose():
    from tfp_priors.data import read_keypoints
    from tfp_priors.errors import UserError

    path = Path(_KEYPOINTS.value)
    if not path.is_file():
        raise UserError(f"there is no table {path}.")
    poses = read_keypoints(path)
    picture = _PICTURE.value or next(iter(poses), None)
    if picture not in poses:
        raise UserError(f"{path} has no keypoints of {picture or 'any picture'}.")
    return poses[picture]


def _load(folder):
    import tensorflow as tf

    from tfp_priors.errors import UserError

    if not tf.saved_model.contains_saved_model(folder):
        raise UserError(
            f"{folder} is not a SavedModel: expected a folder of bin/export."
        )
    return tf.saved_model.load(folder)
