"""Draws from a run or a SavedModel; writes one picture, a folder of them, or codes.

bin/sample --run_dir=runs/mnist_beta0 --n=64 --out=grid.png
bin/sample --run_dir=runs/mnist_beta0 --n=10000 --out=samples/
bin/sample --saved_model=sampler --n=64 --seed=1 --temperature=0.8 --out=grid.png
bin/sample --run_dir=RUN --keypoints=poses.json --out=grid.png
bin/sample --run_dir=RUN --label=all --guidance=2 --out=grid.png
bin/sample --run_dir=runs/codes --n=10000 --out=draws.npy

A folder, with its slash, gets a PNG file for each image: those that bin/evaluate draws
for as many samples, which `bin/evaluate --images=samples` measures as it does them.

A prior of bin/fit_prior draws codes, --out=draws.npy; given a context, one for each row
of --context=FILE.npy.

A model that is given labels takes --label=7, or --label=all for a picture with a row of
--n draws of each; one that is given attributes --attributes=0,3, the numbers of those
that images have, the others being absent. --guidance=2 makes draws surer of either.

Models of people in poses take a pose from a table of keypoints, JSON or CSV, as
docs/datasets.md describes it: of its first picture, or of --picture=NAME.
"""

import itertools
import math
from pathlib import Path

from absl import flags

from tfp_priors.commands import command
from tfp_priors.commands import gin_flags
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph
from tfp_priors.files import folder_written
from tfp_priors.files import is_hidden
from tfp_priors.files import written_atomically
from tfp_priors.runs.run_dir import UNREAD

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a run of bin/train.")
_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "Folder of bin/export.")
_N = flags.DEFINE_integer(
    "n", 64, "Number of images; with --label=all of each label [10].", lower_bound=1
)
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
_LABEL = flags.DEFINE_string(
    "label", None, "Number of a class, or all, for models that are given labels."
)
_ATTRIBUTES = flags.DEFINE_list(
    "attributes", None, "Numbers of attributes that images have, with commas."
)
_GUIDANCE = flags.DEFINE_float(
    "guidance", 1.0, "How much draws are of the label or the attributes.", lower_bound=0
)
_CONTEXT = flags.DEFINE_string(
    "context", None, "File of the context of each code, for a conditional prior."
)
_OUT = flags.DEFINE_string(
    "out", None, "PNG or .npy file to write; or a new or empty folder, samples/."
)
flags.adopt_module_key_flags(gin_flags)

# Of a run on a store: it is only read, and not all of it.
WRITTEN = ("out",)
WITHOUT = UNREAD

# Draws of each label, if --n does not say it.
_PER_LABEL = 10

# A picture of more would not open in most programs.
_LARGEST_GRID = 10_000


def main():
    if bool(_RUN_DIR.value) == bool(_SAVED_MODEL.value):
        raise UserError("expected one of --run_dir=FOLDER and --saved_model=FOLDER.")
    if not _OUT.value:
        raise UserError("expected --out=FILE.png, or --out=FOLDER/.")

    out = Path(_OUT.value)
    in_folder = _OUT.value.endswith("/") or out.is_dir()
    if in_folder:
        out = out.resolve()  # It may be a link.
    elif out.suffix.lower() not in (".png", ".npy"):
        raise UserError(
            f"expected --out=FILE.png, --out=FOLDER/ or, of a prior alone, "
            f"--out=FILE.npy, received --out={out}."
        )
    if _PICTURE.value and not _KEYPOINTS.value:
        raise UserError("--picture is one of a table: expected --keypoints=TABLE too.")
    for flag in (_TEMPERATURE, _GUIDANCE):
        if not math.isfinite(flag.value):
            raise UserError(f"--{flag.name}={flag.value} is not finite.")
    if in_folder and _LABEL.value == "all":
        raise UserError("--label=all is one picture: expected --out=FILE.png.")
    if in_folder:
        _check_folder(out)
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


def _check_folder(out):
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: expected a new or an empty folder.")
    if out.exists() and not all(is_hidden(path.name) for path in out.iterdir()):
        raise UserError(f"{out} is not empty: expected a new or an empty folder.")


def _sample_images(out, in_folder):
    """Writes images into one picture, or a file each."""
    command.import_tensorflow()
    import numpy as np

    from tfp_priors.figures.grid import image_grid
    from tfp_priors.figures.grid import save_image

    model = _model()
    if not _draws_images(model):
        raise UserError("the prior draws codes: expected --out=FILE.npy.")
    argument, classes = _condition_of(model)
    draw = _drawing(model, argument, classes)
    with raised_in_graph():
        if _LABEL.value == "all":
            n = _N.value if flags.FLAGS["n"].present else _PER_LABEL
            if n * classes > _LARGEST_GRID:
                raise UserError(
                    f"expected at most {_LARGEST_GRID} images in one picture, received "
                    f"{n} of each of {classes} labels: take a smaller --n."
                )
            rows = [draw(n, _SEED.value, label) for label in range(classes)]
            save_image(image_grid(np.concatenate(rows), columns=n), out)
            what = f"{n} images of each of {classes} labels"
        else:
            what = f"{_N.value} images"
            if in_folder:
                _write_pictures(draw, out)
            else:
                save_image(image_grid(draw(_N.value, _SEED.value)), out)
    command.say(f"{what} of seed {_SEED.value} in {_OUT.value}")


def _condition_of(model):
    """What the model calls its condition, or None, and how many numbers it has."""
    conditioner = getattr(model, "conditioner", None)
    if conditioner is not None:
        return conditioner.argument, conditioner.context_size
    if hasattr(model, "prior"):
        return None, 0
    # An export says it by its signatures.
    inputs = model.signatures["sample"].structured_input_signature[1]
    argument = next((name for name in command.GIVEN if name in inputs), None)
    if argument == "label":
        return argument, len(model.labels())
    return argument, 0 if argument is None else inputs[argument].shape[-1]


def _drawing(model, argument, size):
    """A function of a number, a seed and a label: the images that the flags ask for."""
    _refuse_conditions_but(argument)
    if argument is None:
        _guidance(model)
        return lambda n, seed: model.sample(n, seed, _TEMPERATURE.value)
    given = command.GIVEN[argument]
    if flags.FLAGS[given.flag].value is None:
        raise UserError(
            f"the model is {given.without}: expected --{given.flag}={given.value}."
        )
    of_condition = getattr(model, "sample_of_condition", model.sample)
    if argument == "pose":
        if _TEMPERATURE.value != 1.0:
            raise UserError("given a pose, the temperature is 1: leave the flag out.")
        _guidance(model)
        pose = _pose()
        return lambda n, seed: of_condition(pose, n, seed)
    how = [_TEMPERATURE.value, *_guidance(model)]
    chosen = _chosen(argument, size)

    def draw(n, seed, label=chosen):
        return of_condition(label, n, seed, *how)

    return draw


def _refuse_conditions_but(argument):
    """Raises: UserError: if a flag gives another condition than the model has."""
    for name, given in command.GIVEN.items():
        if name != argument and flags.FLAGS[given.flag].value is not None:
            takes = f", it takes --{command.GIVEN[argument].flag}" if argument else ""
            raise UserError(
                f"the model is not {given.without}{takes}: leave --{given.flag} out."
            )


def _guidance(model):
    """The guidance as the last argument of a draw, if the model takes any.

    Raises:
      UserError: if it does not, and the flag says one.
    """
    if hasattr(model, "prior"):
        takes = model.has_guidance
    else:
        signature = model.signatures["sample"].structured_input_signature
        takes = "guidance" in signature[1]
    if not takes and _GUIDANCE.value != 1.0:
        raise UserError("the model has no guidance: leave --guidance out.")
    return [_GUIDANCE.value] if takes else []


def _chosen(argument, size):
    """The label or the attributes that the flags say; None for all labels."""
    import numpy as np

    texts = _ATTRIBUTES.value if argument == "attributes" else [_LABEL.value]
    if texts == ["all"] and argument == "label":
        return None
    numbers = [int(text) if text.isdecimal() else -1 for text in texts]
    for number, text in zip(numbers, texts, strict=True):
        if not 0 <= number < size:
            raise UserError(
                f"--{argument}={text}: expected a number from 0 to {size - 1}."
            )
    if argument == "label":
        return np.int32(numbers[0])
    return np.isin(np.arange(size), numbers).astype(np.float32)


def _model():
    if _RUN_DIR.value:
        return gin_flags.config().load_run(_RUN_DIR.value).model
    from tfp_priors.evaluation.subject import load_saved_model

    return load_saved_model(_SAVED_MODEL.value)


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
    from tfp_priors.evaluation.images import from_sampler
    from tfp_priors.evaluation.subject import compiled

    model, n, given = _model(), _N.value, ()
    if _draws_images(model):
        raise UserError("the model draws images: expected --out=FILE.png.")
    argument, size = _condition_of(model)
    _refuse_conditions_but(argument)
    guidance = _guidance(model)
    if _CONTEXT.value:
        context = open_array(_CONTEXT.value)[:]
        if flags.FLAGS["n"].present and n != len(context):
            raise UserError(
                f"{_CONTEXT.value} has {len(context)} rows, a code each: leave --n out."
            )
        n = len(context)
        given = (checked_context(context, size, n),)
    elif size:
        raise UserError("the prior is conditional: expected --context=FILE.npy.")
    exported = not hasattr(model, "prior")

    def draw(n, seed, *given):
        temperature = tf.constant(_TEMPERATURE.value, tf.float32)
        if exported:
            return model.sample(*(given or (n,)), seed, temperature, *guidance)
        return model.sample(n, seed, temperature, *given, *guidance)

    chunks = from_sampler(compiled(draw), n, _SEED.value, "", *given)
    # A memory map on a full disk would be ended by a signal.
    with written_atomically(out) as path, open(path, "wb") as file:
        for start, stop in chunks.spans():
            part = chunks.read(start, stop).numpy()
            if not start:
                header = {"descr": part.dtype.str, "fortran_order": False}
                shape = {"shape": (n, *part.shape[1:])}
                np.lib.format.write_array_header_1_0(file, header | shape)
            file.write(part.data)
    command.say(f"{n} codes of seed {_SEED.value} in {out}")


def _write_pictures(draw, out):
    """Writes a PNG file for each image, chunk by chunk; the folder appears whole."""
    from tfp_priors.evaluation.images import from_sampler
    from tfp_priors.evaluation.subject import compiled
    from tfp_priors.figures.grid import png

    images = from_sampler(compiled(draw), _N.value, _SEED.value, "")
    digits = len(str(_N.value - 1))
    with folder_written(out) as folder:
        for number, pixels in enumerate(itertools.chain.from_iterable(images)):
            (folder / f"{number:0{digits}}.png").write_bytes(png(pixels))


def _pose():
    from tfp_priors.data import read_keypoints

    path = Path(_KEYPOINTS.value)
    if not path.is_file():
        raise UserError(f"there is no table {path}.")
    poses = read_keypoints(path)
    picture = _PICTURE.value or next(iter(poses), None)
    if picture not in poses:
        raise UserError(f"{path} has no keypoints of {picture or 'any picture'}.")
    return poses[picture]
