"""One file of TFLite, whose signatures are the model's functions."""

import re
import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from tfp_priors.errors import UserError
from tfp_priors.errors import silenced
from tfp_priors.export.portable import no_place
from tfp_priors.export.portable import portable_functions
from tfp_priors.models import PriorModel


def write_tflite(model: PriorModel, path: Path) -> None:
    """Writes a file for the interpreters of TFLite and LiteRT.

        runtime = ai_edge_litert.interpreter.Interpreter(path)
        sample = runtime.get_signature_runner("sample")
        images = sample(z0=np.random.randn(64, 8).astype("float32"))["images"]

    It has the built-in operations alone; see `portable_functions`.

    Raises:
      UserError: as `portable_functions`, and if TFLite has no operations for the
        model's.
    """
    archive = keras.export.ExportArchive()
    functions = portable_functions(model)
    for name, function, signature in functions:
        archive.add_endpoint(name, function, signature)
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[function.name for function in functions]
        )
        try:
            # What it lacks, it tells in hundreds of lines too.
            with silenced():
                path.write_bytes(converter.convert())
        except ConverterError as error:
            _check_float32(model)
            # It names the signature, and in many lines the operations.
            named = re.search("failed while converting: '(\\w+)'", str(error))
            raise no_place(model, named[1] if named else "it", "TFLite") from error


def _check_float32(model):
    """Raises: UserError: if the networks compute in less."""
    for layer in (one for part in model.networks() for one in part._flatten_layers()):
        if layer.compute_dtype != "float32":
            raise UserError(
                f"The layer {layer.name} computes in {layer.compute_dtype}, which "
                "TFLite has no operations for: compile with precision='float32' first."
            )
