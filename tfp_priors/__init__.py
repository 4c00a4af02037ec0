"""Autoencoders with learned priors: Keras models, TFP priors, one objective."""

import os
import sys
import warnings

from tfp_priors.errors import UserError

__version__ = "0.1.0"

if "keras" in sys.modules:
    _BACKEND = sys.modules["keras"].config.backend()
    if _BACKEND != "tensorflow":
        raise UserError(
            f"Expected the Keras backend tensorflow, it is {_BACKEND}: set "
            "KERAS_BACKEND=tensorflow before Keras is imported."
        )
else:
    _BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
    if _BACKEND != "tensorflow":
        warnings.warn(
            f"Keras is imported with the backend tensorflow, as the models here need, "
            f"in place of {_BACKEND}, which KERAS_BACKEND names.",
            stacklevel=2,
        )
    # Else Keras takes the backend of the user's keras.json.
    os.environ["KERAS_BACKEND"] = "tensorflow"
