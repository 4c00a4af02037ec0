"""Which examples are held out, and the order of the others, as functions of a seed."""

import numpy as np
import tensorflow as tf

from tfp_priors.errors import UserError

# Of the cipher behind the permutation. The op's default of 4 leaves half of 100
# examples in their places; from 8 on, permutations pass for random ones.
_ROUNDS = 16


def shuffled_indices(
    size: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    worker: int = 0,
    workers: int = 1,
) -> tf.data.Dataset:
    """Endless batches of indices into `size` examples, a function of seed and step.

    Index i of the stream is index `i % size` of the permutation number `i // size`, so
    every example comes once before any comes again.

    Args:
      size: number of examples.
      batch_size: indices per batch, over all workers.
      seed: of the permutations.
      start_step: batches to leave out; costs nothing.
      worker: number of the process, from 0: it gets the rows from
        `worker * batch_size / workers` of each batch.
      workers: number of processes that share the batches.

    Returns:
      int64 tensors `[batch_size / workers]`.

    Raises:
      UserError: if there is no such batch or share of it.
    """
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, received {batch_size}.")
    if not 0 <= worker < workers:
        raise UserError(
            f"worker must be at least 0 and less than workers = {workers}, received "
            f"{worker}."
        )
    if batch_size % workers:
        raise UserError(
            f"batch_size = {batch_size} does not divide by the {workers} workers."
        )
    share = batch_size // workers
    size = tf.constant(size, tf.int64)

    def indices(step):
        first = step * batch_size + worker * share
        position = first + tf.range(share, dtype=tf.int64)
        epoch = position // size
        # The op itself: its wrapper, tf.random.experimental.index_shuffle, takes
        # one seed for all indices, and a batch may span two permutations.
        return tf.raw_ops.RandomIndexShuffle(
            index=position % size,
            seed=_keys(seed, epoch),
            max_index=size - 1,
            rounds=_ROUNDS,
        )

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return steps.map(indices)


def _keys(seed, epoch):
    """The op's keys, int64 `[n, 3]`, of a seed and the numbers of epochs, `[n]`.

    Of each of its three words the op uses one byte (TensorFlow 2.21), and keys that are
    near give permutations that resemble each other. So the bytes are those of a hash:
    SplitMix64 (Steele et al. 2014).
    """

    def mixed(x):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _word(shift)))
            x *= _word(factor)
        return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _word(31)))

    step = _word(0x9E3779B97F4A7C15)
    x = mixed(mixed(_word(seed) + step) + step * tf.cast(epoch, tf.uint64))
    parts = [tf.bitwise.right_shift(x, _word(shift)) for shift in (0, 8, 16)]
    return tf.cast(tf.stack(parts, axis=1), tf.int64)


def _word(x):
    return tf.constant(x % 2**64, tf.uint64)


def some_numbers(size: int, most: int, seed: int) -> np.ndarray:
    """At most so many of the numbers below `size`, drawn at random, ascending."""
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.RandomState(seed).choice(size, most, replace=False))


def held_out_rows(size: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the examples that are learned from, and of those held out.

    Args:
      size: number of examples.
      share: part of them that is held out, rounded; at least one is in each.
      seed: of the choice.

    Returns:
      Two ascending arrays of integers.

    Raises:
      UserError: if there are fewer than 2.
    """
    if size < 2:
        raise UserError(
            f"Expected at least 2 codes or images, to hold one out, received {size}: "
            "give more, or hold none out."
        )
    order = np.random.RandomState(seed).permutation(size)
    held = min(size - 1, max(1, round(share * size)))
    return np.sort(order[held:]), np.sort(order[:held])
