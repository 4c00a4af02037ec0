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
        seeds = tf.stack(
            [tf.fill([share], tf.constant(seed, tf.int64)), epoch, 0 * epoch], axis=1
        )
        # The op itself: its wrapper, tf.random.experimental.index_shuffle, takes
        # one seed for all indices, and a batch may span two permutations.
        return tf.raw_ops.RandomIndexShuffle(
            index=position % size, seed=seeds, max_index=size - 1, rounds=_ROUNDS
        )

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return steps.map(indices)


def held_out_rows(size: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the examples that are learned from, and of those held out.

    Args:
      size: number of examples, at least 2.
      share: part of them that is held out, rounded; at least one is in each.
      seed: of the choice.

    Returns:
      Two ascending arrays of integers.
    """
    order = np.random.RandomState(seed).permutation(size)
    held = min(size - 1, max(1, round(share * size)))
    return np.sort(order[held:]), np.sort(order[:held])
