"""Where a replica's rows lie in the global batch: N replicas act as one.

Under a `tf.distribute` strategy each replica computes on an equal share of every batch.
Row i of replica r is row r * n + i of the global batch, n being the rows per replica.
Noise is drawn for the global batch, of which each replica keeps its own rows, so that a
row's noise does not depend on the number of replicas; drawing it is little work next to
that of the networks. On one replica, and outside of `Strategy.run`, these functions
add no operation.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.errors import UserError

tfd = tfp.distributions


def count() -> int:
    """Replicas that share the present batch; 1 outside of `Strategy.run`."""
    if tf.distribute.in_cross_replica_context():
        return 1
    return tf.distribute.get_strategy().num_replicas_in_sync


def rows(draw: Callable, n):
    """This replica's rows of what is drawn for the global batch.

    Args:
      draw: maps a number of rows to a tensor with that many rows.
      n: rows per replica, an int or a scalar tensor.

    Returns:
      A tensor `[n, ...]`; `draw(n)` on one replica.
    """
    replicas = count()
    if replicas == 1:
        return draw(n)
    drawn = draw(n * replicas)
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    begin = [replica * n] + [0] * (drawn.shape.rank - 1)
    return tf.slice(drawn, begin, [n, *drawn.shape[1:]])


def noise(n, width: int, seed):
    """This replica's rows `[n, width]` of draws of N(0, I); see `rows`."""
    return rows(lambda n: tf.random.stateless_normal([n, width], seed), n)


def uniform(n, shape: Sequence[int], seed):
    """This replica's rows `[n, *shape]` of numbers that are uniform in [0, 1)."""
    return rows(lambda n: tf.random.stateless_uniform([n, *shape], seed), n)


def signs(n, shape: Sequence[int], seed):
    """This replica's rows `[n, *shape]` of numbers that are -1 or 1, as likely."""

    def draw(n):
        return tf.random.stateless_uniform([n, *shape], seed, 0, 2, tf.int32)

    return tf.cast(2 * rows(draw, n) - 1, tf.float32)


def fold_in(seed, number):
    """A seed that depends on another one and a number."""
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32))


def size(x):
    """The number of rows of a tensor: an int if it is known, else a scalar tensor."""
    return tf.shape(x)[0] if x.shape[0] is None else x.shape[0]


def repeated(x):
    """This replica's rows `[n, width]`, once for each replica: `[count * n, width]`.

    For draws within `rows` that depend on a value of their row, such as a context.
    """
    replicas = count()
    return x if replicas == 1 else tf.tile(x, [replicas, 1])


def first_row(seen, n):
    """The place of this replica's first row among all rows since some start.

    Args:
      seen: rows that this replica has had since then.
      n: those that it has now; replicas may have different numbers.

    Returns:
      An int64 scalar.
    """
    if count() == 1:
        return tf.cast(seen, tf.int64)
    replica = tf.distribute.get_replica_context()
    index = replica.replica_id_in_sync_group
    # One sum, in float32 as all others: it is exact up to 16 million rows.
    own = tf.one_hot(index, count()) * tf.cast(n, tf.float32)
    numbers = tf.concat([[tf.cast(seen, tf.float32)], own], axis=0)
    numbers = replica.all_reduce(tf.distribute.ReduceOp.SUM, numbers)
    return tf.cast(tf.reduce_sum(numbers[: 1 + index]), tf.int64)


def normal_rows(first, n, width: int, seed):
    """Rows of an endless table of standard normal numbers that the seed fixes.

    Args:
      first: the first row's place, an int64 scalar.
      n: number of rows.
      width: numbers per row.
      seed: int tensor `[2]`.

    Returns:
      `[n, width]`; the same rows however they are cut into parts.
    """
    # A counter of Philox gives four numbers (Salmon et al. 2011).
    per_row = -(-width // 4)
    state = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    offset = tf.stack([tf.cast(first * per_row, tf.uint64), 0])
    numbers = tf.raw_ops.StatelessRandomNormalV2(
        shape=[n, 4 * per_row], key=state.key, counter=state.counter + offset, alg=1
    )
    return numbers[:, :width]


def sample(distribution: tfd.Distribution, seed, first=None):
    """One draw for each row of a batch of distributions.

    Args:
      distribution: with batch shape `[n]`: a diagonal normal, a point, or the image of
        either under a bijector.
      seed: int tensor `[2]`.
      first: place of the first row in the table of `normal_rows`; None: the rows are
        this replica's share of one batch.

    Returns:
      `[n, event_size]`; `distribution.sample(seed=seed)` on one replica.

    Raises:
      UserError: on several replicas, if the distribution is of another kind.
    """
    if count() == 1 and first is None:
        return distribution.sample(seed=seed)
    if isinstance(distribution, tfd.VectorDeterministic):
        return distribution.sample(seed=seed)
    if isinstance(distribution, tfd.MultivariateNormalDiag):
        mean, scale = distribution.mean(), distribution.stddev()

        def noise(n):
            zeros = tf.zeros([n, mean.shape[-1]])
            return tfd.MultivariateNormalDiag(zeros, tf.ones_like(zeros)).sample(
                seed=seed
            )

        if first is not None:
            numbers = normal_rows(first, size(mean), mean.shape[-1], seed)
            return mean + scale * numbers
        return mean + scale * rows(noise, size(mean))
    # Not by its type: TFP makes those of some bijectors of a class of its own.
    if hasattr(distribution, "bijector"):
        # The bijector remembers the pair, so that the draw's density costs little.
        inner = sample(distribution.distribution, seed, first)
        return distribution.bijector.forward(inner)
    raise UserError(
        f"Draws of a {type(distribution).__name__} depend on the number of replicas: "
        "expected a diagonal normal, a point or a transformed one. Train on one "
        "device, or draw in tfp_priors.core.replicas.rows."
    )


def mean(x):
    """The mean over all replicas of a tensor that each has, without gradient."""
    x = tf.stop_gradient(x)
    if count() == 1:
        return x
    return tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.MEAN, x
    )


def gather(x):
    """The rows of all replicas, `[count * n, ...]`, with their gradient.

    The gradient that reaches a row is the sum over the replicas: exact if every replica
    computes the same loss of the result and takes its share, loss / count.
    """
    replicas = count()
    if replicas == 1:
        return x
    gathered = tf.distribute.get_replica_context().all_gather(x, axis=0)
    rows_in_all = None if x.shape[0] is None else replicas * x.shape[0]
    return tf.ensure_shape(gathered, [rows_in_all, *x.shape[1:]])


def spread(function: Callable, strategy: tf.distribute.Strategy | None) -> Callable:
    """A function of the rows of a batch, computed by all replicas.

    Args:
      function: maps `[batch, ...]` to floats `[batch, ...]`, in one tensor or several,
        each row by itself.
      strategy: in whose scope its variables were made; None: one replica. All workers
        must call the result in the same order, with the same batches.

    Returns:
      A function with the same values; `function` itself on one replica.
    """
    replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    if replicas == 1:
        return function

    def spread_function(x):
        whole = tf.shape(x)[0]
        share = (whole + replicas - 1) // replicas
        # The last replicas may have too few rows: they repeat the last one.
        numbers = tf.minimum(tf.range(share * replicas), whole - 1)

        def part(numbers):
            return function(tf.gather(x, rows(lambda _: numbers, share)))

        return tf.nest.map_structure(
            lambda parts: strategy.gather(parts, axis=0)[:whole],
            strategy.run(part, args=(numbers,)),
        )

    return spread_function
