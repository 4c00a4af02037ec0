"""Where a model is trained: one device, or mirrored over several."""

import tensorflow as tf

from tfp_priors.errors import UserError

STRATEGIES = ("auto", "one_device", "mirrored")


def create_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of that name.

    Args:
      name: "one_device": the first GPU, or the CPU; "mirrored": all GPUs, or all
        logical CPU devices if there is no GPU; "auto": mirrored if there are
        several GPUs, one device otherwise.
    """
    if name not in STRATEGIES:
        raise UserError(
            f"Unknown strategy {name!r}: expected one of {', '.join(STRATEGIES)}."
        )
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()
