"""The shape of a code: a vector of numbers, or a map of them."""

import math
import numbers
from collections.abc import Sequence

from tfp_priors.errors import UserError

#: Dimensions of a code, or `(height, width, channels)` of one that is a map.
LatentSize = int | Sequence[int]


class OfCodes:
    """What has a `latent_size`: a number, or the shape of a map.

    Within the models a code is one row of numbers; a map's are in the order of its
    pixels, the channels of each together.

    Attributes:
      latent_size: dimensions of z.
      map_shape: `(height, width, channels)` if the codes are maps, else None.
    """

    #: Whether codes may be maps.
    takes_maps = False
    #: What to do if they may not, the numbers of a map being {}.
    instead_of_maps = "take another part"

    latent_size: int
    map_shape: tuple[int, int, int] | None = None

    def set_latent_size(self, latent_size: LatentSize) -> None:
        """Sets the attributes above.

        Raises:
          UserError: if it is none, or a shape and codes may be no maps.
        """
        name = type(self).__name__
        shape = checked_code_shape(latent_size, name)
        if len(shape) > 1:
            if not self.takes_maps:
                raise UserError(
                    f"{name} expects codes that are vectors, received a latent size of "
                    f"{shape}: {self.instead_of_maps.format(math.prod(shape))}."
                )
            self.map_shape = shape
        self.latent_size = math.prod(shape)

    @property
    def own_shape(self) -> tuple[int, ...]:
        """`map_shape`, or `(latent_size,)`."""
        return self.map_shape or (self.latent_size,)

    @property
    def latent_argument(self) -> int | tuple[int, int, int]:
        """The `latent_size` that makes another part for the same codes."""
        return self.map_shape or self.latent_size

    def _argument(self, name):
        return (
            self.latent_argument if name == "latent_size" else super()._argument(name)
        )


def checked_code_shape(latent_size: LatentSize, owner: str) -> tuple[int, ...]:
    """A latent size as a shape: `(size,)`, or `(height, width, channels)`.

    Raises:
      UserError: if it is neither; `owner` is named in the message.
    """
    is_map = isinstance(latent_size, (list, tuple))
    sizes = tuple(latent_size) if is_map else (latent_size,)
    if len(sizes) not in (1, 3) or not all(
        isinstance(n, numbers.Real) and n == n // 1 and n >= 1 for n in sizes
    ):
        raise UserError(
            f"{owner} expects a latent size of at least 1, or (height, width, "
            f"channels) of a map, received {latent_size!r}: set LATENT_SIZE."
        )
    return tuple(int(n) for n in sizes)
