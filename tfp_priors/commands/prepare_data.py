"""Turns local files into prepared TFDS data; needs no connection.

  bin/prepare_data --dataset=mnist --source=FOLDER      the four idx files
  bin/prepare_data --dataset=cifar10 --source=FOLDER    cifar-10-binary.tar.gz
  bin/prepare_data --dataset=celeb_a --source=FOLDER    the files of the CelebA page
  bin/prepare_data --dataset=deepfashion --source=FOLDER   pictures and keypoints
  bin/prepare_data --dataset=image_folder/NAME --source=FOLDER --image_size=64

Subfolders of an image folder are its classes.
"""

from absl import flags

from tfp_priors import remote
from tfp_priors.commands import command
from tfp_priors.errors import UserError

_DATASET = flags.DEFINE_string("dataset", None, "Name of the data set.")
_SOURCE = flags.DEFINE_string("source", None, "Folder of the files.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where to write [TFDS's folder].")
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", None, "Side in pixels for image folders [that of one of them].", 1
)
_SKIP_DAMAGED = flags.DEFINE_boolean(
    "skip_damaged", False, "Leave damaged pictures of celeb_a out, and count them."
)
_SKIP_INCOMPLETE = flags.DEFINE_boolean(
    "skip_incomplete",
    False,
    "Leave pictures of deepfashion without hips and shoulders out, and count them.",
)


def main():
    if not _DATASET.value:
        raise UserError("expected --dataset=NAME, see --help.")

    command.import_tensorflow()
    from tfp_priors.data.prepare import prepare

    data_dir = _DATA_DIR.value
    if remote.is_remote(data_dir):
        data_dir = str(remote.mirrored(data_dir, part=_DATASET.value))
    prepared = prepare(
        _DATASET.value,
        _SOURCE.value,
        data_dir,
        _IMAGE_SIZE.value,
        _SKIP_DAMAGED.value,
        _SKIP_INCOMPLETE.value,
    )
    for note in prepared.notes:
        command.say(note)
    if prepared.is_new:
        command.say(f"{_DATASET.value} is prepared in {prepared.path}")
    else:
        command.say(
            f"{_DATASET.value} was prepared before in {prepared.path}, and is left as "
            "it is: to prepare it anew, remove that folder."
        )
