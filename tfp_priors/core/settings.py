"""What Keras must be set to, whatever other projects of the user need."""

import keras

from tfp_priors.errors import UserError


def check_settings() -> None:
    """Raises: UserError: if Keras is set to what models and priors cannot work with."""
    settings = {
        "the image_data_format": (keras.config.image_data_format(), "channels_last"),
        "the dtype policy": (keras.config.dtype_policy().name, "float32"),
    }
    for name, (received, expected) in settings.items():
        if received != expected:
            raise UserError(
                f"Expected {name} {expected}, Keras is set to {received}: set it back "
                "with keras.config, or in keras.json. Networks compute in less by "
                "compile(precision=...)."
            )
