"""The base class of coupling flows: one half of the code moves, given the other."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core.by_rows import by_rows
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_widths
from tfp_priors.errors import check_within
from tfp_priors.networks import MLP
from tfp_priors.networks.conditional import beside
from tfp_priors.networks.map_conditioner import MapConditioner
from tfp_priors.networks.map_conditioner import stays_in
from tfp_priors.priors.affine import bounded
from tfp_priors.priors.flow import FlowPrior
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors

# Of the input bound among the weights.
_BOUND = "input_bound"


class _Coupling(tfb.RealNVP):
    """RealNVP that looks at a code once for both ends of one map.

    TFP divides the code and asks the conditioner once for the inverse and once more for
    the log-determinant. XLA makes one of the two; a plain graph would run the networks
    twice, and the gradient of the elementwise map.

    Args:
      num_masked: how many dimensions stay: the first ones, or the last if negative.
      bijector_fn: the bijector of what moves, given what stays.
    """

    def __init__(self, num_masked: int, bijector_fn: Callable):
        super().__init__(
            num_masked=num_masked, bijector_fn=lambda kept, _: bijector_fn(kept)
        )
        self._num_kept, self._moving_given = num_masked, bijector_fn
        # The last codes, from and to, with their moving parts.
        self._ends, self._kept, self._moving = [], None, None

    def _forward(self, x):
        return self._image(x, "forward")

    def _inverse(self, y):
        return self._image(y, "inverse")

    def _forward_log_det_jacobian(self, x):
        part = self._moving_part(x)
        return self._moving.forward_log_det_jacobian(part, event_ndims=1)

    def _inverse_log_det_jacobian(self, y):
        part = self._moving_part(y)
        return self._moving.inverse_log_det_jacobian(part, event_ndims=1)

    def _image(self, code, direction):
        part = self._moving_part(code)
        moved = getattr(self._moving, direction)(part)
        both = [self._kept, moved] if self._num_kept > 0 else [moved, self._kept]
        image = tf.concat(both, axis=-1)
        self._ends = [(code, part), (image, moved)]
        return image

    def _moving_part(self, code):
        """What moves of a code; asks the conditioner unless this is an end already."""
        for end, part in self._ends:
            if code is end:
                return part
        first, last = code[..., : self._num_kept], code[..., self._num_kept :]
        kept, part = (first, last) if self._num_kept > 0 else (last, first)
        self._ends, self._kept = [(code, part)], kept
        self._moving = self._moving_given(kept)
        return part


class CouplingPrior(FlowPrior):
    """z = f^-1(z0), f a chain of couplings on alternate halves of the code.

    The couplings come in pairs: the first moves one half given the other, the
    second the other way round, and a fixed permutation separates the pairs; 2
    dimensions need none, which could only exchange them and undo the alternation. All
    conditioners start with a zero output, at which a coupling must be the identity.
    If the latent size is odd, the second half is the larger one. A code that is a map
    is halved by pixels and by channels in turn, and its conditioners are convolutional
    (`networks.map_conditioner`). A subclass defines `_outputs_per_dimension` and
    `_elementwise`.

    Args:
      latent_size: dimensions of the code, at least 2, or the shape of a map.
      couplings: number of coupling layers.
      hidden_sizes: hidden units of each conditioner; of maps, channels.
      permutation_seed: fixes the permutations between the pairs, or the halves of
        channels.
      standardize: see `Prior`.
      context_size: see `FlowPrior`; the context also is an input of each conditioner.
      dropout: share of the hidden units of each conditioner that a training step
        leaves out.
      input_bound: c > 0 in c tanh(z / c), which conditioners see in place of z,
        standardised if `standardize` says so. Else they go on along straight lines, and
        throw what lies far out farther and farther. None: they see z. It is kept with
        the weights; those that were kept without have none.
    """

    takes_maps = True

    def __init__(
        self,
        latent_size: LatentSize,
        couplings: int = 8,
        hidden_sizes: Sequence[int] = (256, 256),
        permutation_seed: int = 0,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        dropout: float = 0.0,
        input_bound: float | None = 3.0,
        **kwargs,
    ):
        name = type(self).__name__
        super().__init__(latent_size, standardize, context_size, **kwargs)
        if self.latent_size < 2:
            raise UserError(
                f"{name} expects a latent size of at least 2, received "
                f"{latent_size!r}: take a GaussianMixturePrior, as "
                "gin/priors/mixture.gin, or set LATENT_SIZE."
            )
        check_counts(name, couplings=couplings)
        self.couplings = couplings
        self.hidden_sizes = check_widths(name, hidden_sizes)
        check_within(name, "[0, 1)", dropout=dropout)
        self.dropout = dropout
        if input_bound is not None:
            check_within(name, "(0, inf)", input_bound=input_bound)
        self.input_bound = input_bound
        self.permutation_seed = permutation_seed
        random = np.random.RandomState(permutation_seed)
        self._permutations = [
            tuple(int(i) for i in random.permutation(self.latent_size))
            for _ in range((couplings - 1) // 2)
            if self.map_shape is None and self.latent_size > 2
        ]
        self._stays = self._orders = None
        if self.map_shape is not None:
            self._stays = stays_in(self.map_shape, couplings, random)
            self._orders = [np.argsort(~s.ravel(), kind="stable") for s in self._stays]
        self._conditioners = [self._conditioner(i) for i in range(couplings)]

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store[_BOUND] = np.float64(self.input_bound or 0.0)

    def load_own_variables(self, store):
        # Keras' store is no mapping.
        kept = {name: store[name] for name in list(store.keys())}
        # Conditioners whose weights were kept without a bound have learned with none.
        bound = float(np.asarray(kept.pop(_BOUND, 0.0)))
        self.input_bound = bound or None
        super().load_own_variables(kept)

    def _conditioner(self, index):
        outputs, sizes = self._outputs_per_dimension(), self.hidden_sizes
        if self._stays is None:
            return MLP(sizes, self._moved(index) * outputs, zero_output=True)
        return MapConditioner(self._stays[index], sizes, outputs)

    def _outputs_per_dimension(self) -> int:
        """Outputs of a conditioner for each dimension that it moves."""
        raise NotImplementedError

    def _elementwise(self, outputs) -> tfb.Bijector:
        """The bijector of the moved half.

        Args:
          outputs: `_outputs_per_dimension` for each, all first ones first.
        """
        raise NotImplementedError

    def _num_masked(self, index: int) -> int:
        if self._stays is not None:
            return int(self._stays[index].sum())
        # TFP keeps the first n dimensions for n > 0 and the last -n for n < 0.
        first = self.latent_size // 2
        return first if index % 2 == 0 else first - self.latent_size

    def _moved(self, index: int) -> int:
        return self.latent_size - abs(self._num_masked(index))

    def build(self, input_shape=None):
        for i, conditioner in enumerate(self._conditioners):
            conditioner.build((None, abs(self._num_masked(i)) + self.context_size))
        super().build(input_shape)

    def bijector(self, context=None):
        bijectors = []
        for i in range(self.couplings):
            if self._orders is not None:
                # What stays comes first, for the time of the coupling.
                back = tfb.Permute(np.argsort(self._orders[i]))
                there = tfb.Permute(self._orders[i])
                bijectors += [back, self._coupling(i, context), there]
                continue
            bijectors.append(self._coupling(i, context))
            if i % 2 == 1 and i // 2 < len(self._permutations):
                bijectors.append(tfb.Permute(self._permutations[i // 2]))
        return tfb.Chain(bijectors)

    def _coupling(self, index, context):
        def outputs_given(kept, context):
            inputs = beside(kept, context)
            return self._conditioners[index](inputs, dropout=self._dropout(index))

        def bijector_fn(kept):
            if self.input_bound is not None:
                kept = bounded(kept, self.input_bound)
            return self._elementwise(by_rows(outputs_given, kept, context))

        return _Coupling(self._num_masked(index), bijector_fn)
