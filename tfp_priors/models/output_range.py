"""Between which values the outputs of a network are, as its operations tell."""

import functools
import math
import operator
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Range(NamedTuple):
    """Values between two others.

    Attributes:
      low: the lowest, or -inf.
      high: the highest, or inf.
      activation: the operation that holds them there, such as "sigmoid", or None.
    """

    low: float
    high: float
    activation: str | None = None


_UNKNOWN = Range(-math.inf, math.inf)

# Operations from the outputs back, after which all is unknown.
_DEPTH = 100

_ACTIVATIONS = {
    "Elu": (-1.0, math.inf),
    "Exp": (0.0, math.inf),
    "Relu": (0.0, math.inf),
    "Relu6": (0.0, 6.0),
    "Selu": (-1.76, math.inf),
    "Sigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Softplus": (0.0, math.inf),
    "Tanh": (-1.0, 1.0),
}

# Their outputs are values of the first input, or between such.
_MOVING = {
    "Cast",
    "DepthToSpace",
    "ExpandDims",
    "GatherV2",
    "Identity",
    "MirrorPad",
    "Reshape",
    "ResizeArea",
    "ResizeBilinear",
    "ResizeNearestNeighbor",
    "Slice",
    "Squeeze",
    "StridedSlice",
    "Tile",
    "Transpose",
}

# Monotone in each input, so that a range is that of its ends.
_ARITHMETIC = {
    "AddV2": operator.add,
    "Maximum": max,
    "Minimum": min,
    "Mul": operator.mul,
    "Sub": operator.sub,
}


def output_range(network: keras.layers.Layer, inputs: Any) -> Range:
    """The range that the last operations of a network hold its outputs in.

    It is read off the graph, whatever layers or functions made it, and does not depend
    on the weights.

    Args:
      network: layer with one tensor of outputs, which is built.
      inputs: what it is called with, as `tf.TensorSpec`.
    """
    function = tf.function(lambda x: network(x, training=False), autograph=False)
    return _range(function.get_concrete_function(inputs).graph.outputs[0], {})


def _range(tensor, known, depth=_DEPTH):
    """The range of a tensor; those of others are known by their references."""
    reference = tensor.ref()
    if reference not in known:
        of = functools.partial(_range, known=known, depth=depth - 1)
        known[reference] = _computed(tensor, of) if depth else _UNKNOWN
    return known[reference]


def _computed(tensor, _range):
    kind, inputs = tensor.op.type, tensor.op.inputs
    if kind in _ACTIVATIONS:
        return Range(*_ACTIVATIONS[kind], kind.lower())
    if kind in _MOVING:
        return _range(inputs[0])
    if kind == "Pad":
        return _around([_range(inputs[0]), Range(0.0, 0.0)])
    if kind == "ConcatV2":
        return _around([_range(x) for x in inputs[:-1]])
    if kind == "RealDiv":
        divisor = tf.get_static_value(inputs[1])
        if divisor is not None and divisor.size == 1 and divisor.item():
            factor = 1.0 / divisor.item()
            return _combined(operator.mul, _range(inputs[0]), Range(factor, factor))
    if kind in _ARITHMETIC:
        return _combined(_ARITHMETIC[kind], *map(_range, inputs))
    value = tf.get_static_value(tensor)
    if value is not None and value.size:
        return Range(float(value.min()), float(value.max()))
    return _UNKNOWN


def _around(ranges):
    """What values of any of the ranges are in."""
    lows, highs, activations = zip(*ranges, strict=True)
    return Range(min(lows), max(highs), next(filter(None, activations), None))


def _combined(function, one, other):
    ends = [function(x, y) for x in one[:2] for y in other[:2]]
    # 0 times infinity.
    if any(map(math.isnan, ends)):
        return _UNKNOWN
    return Range(min(ends), max(ends), one.activation or other.activation)
