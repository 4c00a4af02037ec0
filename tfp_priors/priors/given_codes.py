"""Codes, contexts and draws as a user gives and asks for them."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.code_shape import OfCodes
from tfp_priors.core.labels import checked_labels
from tfp_priors.core.rows import as_array
from tfp_priors.core.rows import checked_context
from tfp_priors.errors import UserError
from tfp_priors.errors import check_seed
from tfp_priors.errors import check_within


class GivenCodes(OfCodes):
    """Makes of what a prior is given the vectors and contexts that it works on.

    Attributes:
      code_shape: shape of a code as it is given back, `(latent_size,)` or that of a
        map; `fit` sets it to what it was given.
      context_size: width of the context vector; 0 for none.
    """

    code_shape: tuple[int, ...]
    context_size: int

    def _build_if_new(self):
        if not self.built:
            self.build((None, self.latent_size))

    def _given(self, z, width, context):
        """What a user gives, as float vectors `[n, width]`, and their context."""
        self._build_if_new()
        z = self.rows(z, width)
        return z, self._context_of(context, z.shape[0])

    def _given_draws(self, n, width, seed, temperature, context):
        """The stateless seed and the standard context of n draws."""
        _check_draws(n, width, temperature)
        self._build_if_new()
        if not tf.is_tensor(seed) and np.ndim(seed) == 0:
            check_seed(seed)
            seed = tf.constant([int(seed), 0])
        return seed, self._context_of(context, n)

    def rows(self, z, width: int | None = None, code_shape: Sequence[int] = ()):
        """Codes that a user gives, as float vectors.

        Args:
          z: numbers `[n, width]`, or of codes that are maps.
          width: None: `latent_size`.
          code_shape: of such maps, beside the prior's own.

        Raises:
          UserError: if they have another shape.
        """
        width = self.latent_size if width is None else width
        z = self._flat(_as_floats(z), tuple(code_shape))
        shape = tuple(z.shape)
        if len(shape) != 2 or shape[-1] not in (None, width):
            maps = (code_shape, self.code_shape, self.own_shape)
            of_maps = next((s for s in maps if len(s) > 1), ())
            told = f" or [{', '.join(['n', *map(str, of_maps)])}]" if of_maps else ""
            raise UserError(
                f"Expected codes [n, {width}]{told}, received {list(shape)}."
            )
        return z

    def _flat(self, z, code_shape=()):
        """Codes of a step as vectors, maps included."""
        shape = tuple(z.shape)
        if len(shape) > 2 and shape[1:] in (
            self.code_shape,
            self.own_shape,
            code_shape,
        ):
            return tf.reshape(z, [-1, self.latent_size])
        return z

    def check_code_shape(self, shape: Sequence[int]) -> None:
        """Raises: UserError: if this is no shape of a code of the prior."""
        shape, name = tuple(shape), type(self).__name__
        told = f"[{', '.join(['n', *map(str, shape)])}]"
        if math.prod(shape) != self.latent_size:
            size = math.prod(shape) if self.map_shape is None else shape
            raise UserError(
                f"Expected codes of shape [n, {self.latent_size}] for this {name}, "
                f"received {told}: set its latent_size = {size}."
            )
        if len(shape) > 1 and self.map_shape not in (None, shape):
            raise UserError(
                f"Expected the maps {self.map_shape} of this {name}, or rows of them, "
                f"received {told}: put the channels last, or set its latent_size."
            )

    def _context_of(self, context, n):
        """The standard context of n codes.

        Raises:
          UserError: if there is none for each of them.
        """
        if context is None or not self.context_size:
            return self.standard_context(context)
        known = n if isinstance(n, (int, np.integer)) else None
        if tf.is_tensor(context) and context.dtype.is_floating:
            context = _as_floats(context)
        elif tf.is_tensor(context) and not hasattr(context, "_numpy"):
            context = self._context_in_graph(context)
        else:
            rows = len(context) if known is None else known
            context = tf.constant(checked_context(context, self.context_size, rows))
        if self.context_size == 1 and context.shape.rank == 1:
            context = context[:, None]
        if known is not None and context.shape[0] not in (None, known):
            raise UserError(
                f"Expected a context for each of the {known} codes, received "
                f"{context.shape[0]}."
            )
        return self.standard_context(context)

    def _context_in_graph(self, context):
        """The context of integers whose values are not known yet."""
        if context.shape.rank == 1 and self.context_size > 1:
            labels = checked_labels(context, self.context_size)
            return tf.one_hot(labels, self.context_size)
        return tf.cast(context, tf.float32)

    def check_context(self, context) -> None:
        """Raises: UserError: if its width is not `context_size`."""
        shape = () if context is None else tuple(np.shape(context))
        width = shape[-1] if len(shape) > 1 else len(shape)
        if width != self.context_size:
            what = "give one for each code" if not width else "set its context_size, or"
            raise UserError(
                f"{type(self).__name__} expects a context of width "
                f"{self.context_size}, received {width or 'none'}: {what}"
                f"{' leave the context out' if width else ''}."
            )


def _as_floats(values):
    """A float32 tensor of what a user gives."""
    if isinstance(values, keras.KerasTensor):
        return values
    if tf.is_tensor(values):
        return tf.cast(values, tf.float32)
    return tf.constant(as_array(values), tf.float32)


def _check_draws(n, width, temperature):
    """Raises: UserError: if draws of a prior are asked for that there are not."""
    known = not tf.is_tensor(n)
    is_whole = isinstance(n, (int, np.integer)) and not isinstance(n, bool)
    if known and not (is_whole and n >= 0):
        raise UserError(f"Expected a whole number of draws >= 0, received {n!r}.")
    if known and n * width >= 2**31:
        raise UserError(
            f"Expected fewer than 2^31 numbers, received {n} draws of {width}: draw "
            "them in parts, with a seed each."
        )
    if not tf.is_tensor(temperature):
        check_within("Prior.sample", "[0, inf)", temperature=temperature)
