"""What TensorFlow reaches on this machine at most: products, convolution, copy."""

import time

import tensorflow as tf

_SIZES = (1024, 2048, 4096)
_COPIED = 2**27
# Images, side, channels and kernel size of the convolution.
_CONVOLUTION = (64, 32, 128, 3)


def versions():
    return {"tensorflow": tf.__version__}


def build(variant, case):
    """The function of the best rate, and its work in units of 1e9."""
    del variant
    operation, _, kind = case.partition(".")
    candidates = {
        "matmul": lambda: [_matmul(size, kind) for size in _SIZES],
        "convolution": lambda: [_convolution(kind)],
        "copy": lambda: [_copy()],
    }[operation]()
    compiled = [
        (_called(function, arguments, xla), {"work": work})
        for function, arguments, work in candidates
        for xla in (False, True)
    ]
    return max(compiled, key=lambda made: made[1]["work"] / _seconds(made[0]))


def _called(function, arguments, xla):
    # One number is read, of a result that is there as a whole.
    compiled = tf.function(function, jit_compile=xla)
    return lambda: float(tf.reshape(compiled(*arguments), [-1])[0])


def _seconds(call):
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _matmul(size, kind):
    a, b = (tf.cast(tf.random.normal([size, size]), kind) for _ in range(2))
    return tf.matmul, (a, b), 2 * size**3 / 1e9


def _convolution(kind):
    images, side, channels, kernel = _CONVOLUTION
    x = tf.cast(tf.random.normal([images, side, side, channels]), kind)
    w = tf.cast(tf.random.normal([kernel, kernel, channels, channels]), kind)
    work = 2 * images * side**2 * kernel**2 * channels**2 / 1e9
    return lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), (x, w), work


def _copy():
    """Reads and writes: a negation, since a plain copy may be left out."""
    x = tf.random.normal([_COPIED // 4])
    return tf.negative, (x,), 2 * _COPIED / 1e9
