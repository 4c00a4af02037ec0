"""The shape of the images that an encoder takes."""

from collections.abc import Callable

from tfp_priors.errors import UserError


def image_shape_of(encoder: Callable) -> tuple[int, int, int]:
    """The shape of an encoder's images: its `image_shape`, or a Keras model's input.

    Raises:
      UserError: if it has neither, or none of images of a known size.
    """
    shape = getattr(encoder, "image_shape", None)
    if shape is None:
        inputs = getattr(encoder, "inputs", None)
        shape = inputs[0].shape[1:] if inputs else ()
    if len(shape) != 3 or None in shape:
        raise UserError(
            "Expected a network of images (height, width, channels) of known size, "
            f"received a {type(encoder).__name__} of {tuple(shape) or 'no shape'}: "
            "give it an Input of that shape, or an image_shape."
        )
    return tuple(int(n) for n in shape)
