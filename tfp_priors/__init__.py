"""Autoencoders with learned priors: Keras models, TFP priors, one objective."""

import os
import sys

from tfp_priors.errors import UserError

__version__ = "0.1.0"

# Else Keras takes the backend of the user's keras.json.
_BACKEND = (
    sys.modules["keras"].config.backend()
    if "keras" in sys.modules
    else os.environ.setdefault("KERAS_BACKEND", "tensorflow")
)
if _BACKEND != "tensorflow":
    raise UserError(
        f"Expected the Keras backend tensorflow, it is {_BACKEND}: set "
        "KERAS_BACKEND=tensorflow before Keras is imported."
    )
