"""The formats of exports by name, and what they have in common."""

import os
from collections.abc import Callable
from pathlib import Path

from tfp_priors.errors import UserError
from tfp_priors.export.onnx import write_onnx
from tfp_priors.export.saved_model import write_saved_model
from tfp_priors.export.tflite import write_tflite
from tfp_priors.files import temporary_beside
from tfp_priors.models import CodeModel
from tfp_priors.models import PriorModel
from tfp_priors.priors import Prior

#: What writes a model to a path that is not there, by the name of the format.
FORMATS: dict[str, Callable[[PriorModel, Path], None]] = {
    "saved_model": write_saved_model,
    "tflite": write_tflite,
    "onnx": write_onnx,
}


def export(
    model: PriorModel | Prior, out: str | Path, format: str = "saved_model"
) -> None:
    """Writes a model for programs without this project.

    Args:
      model: it, or a prior alone.
      out: what to write: the folder of a SavedModel, a file of TFLite, or a folder of
        ONNX files.
      format: "saved_model", see `write_saved_model`, for programs with TensorFlow;
        "tflite" or "onnx", see `portable_functions`, for those without.

    Raises:
      UserError: if `out` exists, or the format has no place for such a model.
    """
    if format not in FORMATS:
        raise UserError(
            f"there is no format {format!r}: choose of {', '.join(FORMATS)}."
        )
    out = Path(out)
    check_new(out)
    if isinstance(model, Prior):
        model = CodeModel(model)
    with temporary_beside(out) as temporary:
        FORMATS[format](model, temporary)
        try:
            os.rename(temporary, out)
        except OSError:
            check_new(out)  # Another process may have written it meanwhile.
            raise


def check_new(out: Path) -> None:
    """Raises: UserError: if an export would overwrite what is there."""
    if out.exists():
        raise UserError(f"{out} exists already: remove it, or choose another --out.")
