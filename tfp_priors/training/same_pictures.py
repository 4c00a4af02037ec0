"""Whether a run goes on with the pictures that it has learned from."""

import json
from pathlib import Path

import numpy as np

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError

#: The file of a run that tells them.
PICTURES = "pictures.json"

_LOOKED_AT = 16

# Grey values by which a mean may be off: other versions decode a little otherwise.
_MARGIN = 1.0


def told_pictures(run_dir: str | Path, learned: ImageDataset) -> str:
    """A text of the images that a run learns from, for its `PICTURES`.

    It has their number, and the mean grey values of some, in 0..255.

    Raises:
      UserError: if the run's own file tells of others.
    """
    some = np.linspace(0, learned.size - 1, _LOOKED_AT).astype(int)
    means = 255 * learned.gather(some)["image"].mean(axis=(1, 2, 3), dtype=float)
    path = Path(run_dir) / PICTURES
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        off = np.abs(np.subtract(kept["means"], means)).max()
        if kept["size"] != learned.size or off > _MARGIN:
            raise UserError(
                f"The data set has other pictures than those that {run_dir} has "
                f"learned from ({learned.size}, not {kept['size']}, or as many others):"
                " put these back, or choose another --run_dir."
            )
    return json.dumps({"size": learned.size, "means": means.round(2).tolist()}) + "\n"
