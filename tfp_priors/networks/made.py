"""MADE (Germain et al. 2015), the conditioner of autoregressive flows."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.configured import Configured
from tfp_priors.errors import check_widths
from tfp_priors.networks.mlp import spread_biases


class MADE(Configured, keras.layers.Layer):
    """A multilayer perceptron whose output i depends on the inputs before i alone.

    Args:
      size: number of inputs, and of outputs per parameter.
      parameters: outputs per input.
      hidden_sizes: units of each hidden layer.
      context_size: width of a vector that every output may depend on; 0 for none.

    Call arguments:
      inputs: float tensor of shape `[..., size]`.
      context: float tensor of shape `[..., context_size]`, or None.
      dropout: see `MLP`.

    Returns:
      `parameters` float tensors of shape `[..., size]`.
    """

    def __init__(
        self,
        size: int,
        parameters: int,
        hidden_sizes: Sequence[int],
        context_size: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size = size
        self.parameters = parameters
        self.hidden_sizes = check_widths(type(self).__name__, hidden_sizes)
        self.context_size = context_size

    def _degrees(self):
        """For each layer, the number of inputs that a unit may depend on."""
        # A unit of degree 0 sees the context alone; without one it is a constant.
        lowest = 0 if self.context_size else min(1, self.size - 1)
        hidden = [
            np.sort(lowest + np.arange(units) % max(self.size - lowest, 1))
            for units in self.hidden_sizes
        ]
        inputs = np.arange(1, self.size + 1)
        return [inputs, *hidden, np.tile(inputs - 1, self.parameters)]

    def build(self, input_shape=None):
        degrees = self._degrees()
        self._masks = [
            (before[:, None] <= after).astype(np.float32)
            for before, after in zip(degrees[:-1], degrees[1:], strict=True)
        ]
        self._kernels, self._biases = [], []
        for i, mask in enumerate(self._masks):
            last = i == len(self._masks) - 1
            self._kernels.append(
                self.add_weight(
                    name=f"kernel_{i}",
                    shape=mask.shape,
                    initializer="zeros" if last else "he_normal",
                )
            )
            self._biases.append(
                self.add_weight(
                    name=f"bias_{i}",
                    shape=mask.shape[1:],
                    initializer="zeros" if last else spread_biases(len(mask)),
                )
            )
        if self.context_size:
            self._context_kernel = self.add_weight(
                name="context_kernel",
                shape=(self.context_size, self._masks[0].shape[1]),
                initializer="he_normal",
            )
        self.built = True

    def call(self, inputs, context=None, dropout=None):
        h, last = inputs, len(self._masks) - 1
        for i, (kernel, bias) in enumerate(
            zip(self._kernels, self._biases, strict=True)
        ):
            # A product with half a kernel of zeros is faster than several smaller ones.
            h = tf.nn.bias_add(tf.matmul(h, kernel * self._masks[i]), bias)
            if i == 0 and context is not None:
                h += tf.matmul(context, self._context_kernel)
            if i < last:
                h = tf.nn.relu(h)
                h = h if dropout is None else dropout(h, i)
        return tf.split(h, self.parameters, axis=-1)
