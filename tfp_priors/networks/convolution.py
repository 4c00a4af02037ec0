"""The convolution that the networks of this room are made of."""

import keras


def convolution(width: int, kernel: int = 3, **kwargs) -> keras.layers.Conv2D:
    """A convolution that keeps the sides, with He et al.'s initial weights.

    Args:
      width: channels of the outputs.
      kernel: side in pixels.
      **kwargs: of `keras.layers.Conv2D`, which come first.
    """
    settings = {"padding": "same", "kernel_initializer": "he_normal"}
    return keras.layers.Conv2D(width, kernel, **(settings | kwargs))
