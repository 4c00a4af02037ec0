"""The processes that train one model together, and what they must agree on."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from tfp_priors.errors import WorkerLostError

# What operations fail with when another worker is gone.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Workers:
    """The workers of a strategy; one, except for the multi-worker strategy.

    All workers must call `total` and what is made of it in the same order, between
    the same steps: each call is a collective operation that waits for the others.
    With one worker nothing is communicated.

    Args:
      strategy: made by `create_strategy`.

    Attributes:
      index: of this worker.
      count: of all workers.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self.index, self.count = 0, 1
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            cluster = resolver.cluster_spec().as_dict()
            self.index = resolver.task_id
            self.count = len(cluster["worker"])
        self._sum = None

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run_dir."""
        return self.index == 0

    @property
    def share(self) -> dict[str, int]:
        """Which rows of each batch are this worker's, see `shuffled_indices`."""
        return {"worker": self.index, "workers": self.count}

    @property
    def replicas(self) -> int:
        """Replicas of this worker."""
        return self._strategy.num_replicas_in_sync // self.count

    def total(self, number: int) -> int:
        """The sum of the numbers of all workers."""
        if self.count == 1:
            return number
        if self._sum is None:
            self._sum = tf.function(self._sum_over_replicas)
        return int(self._sum(tf.constant(number, tf.int64))) // self.replicas

    def _sum_over_replicas(self, number):
        each = self._strategy.run(tf.identity, args=(number,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any worker."""
        return self.total(int(flag)) > 0

    def chiefs(self, number: int) -> int:
        """The number of the chief."""
        return self.total(number if self.is_chief else 0)

    def wait(self) -> None:
        """Returns once all workers have come here."""
        self.total(0)

    def distributed(self, batches: tf.data.Dataset):
        """Batches as `fit` takes them; each replica gets its rows of each.

        Args:
          batches: this worker's rows of the global batches.
        """
        if self.count > 1:
            # Nothing is divided here: one element goes to each replica.
            rows = next(iter(tf.nest.flatten(batches.element_spec))).shape[0]
            return self._strategy.distribute_datasets_from_function(
                lambda _: batches.rebatch(rows // self.replicas, drop_remainder=True)
            )
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.OFF
        )
        return batches.with_options(options)

    @contextlib.contextmanager
    def chief_first(self) -> Iterator[None]:
        """What is within, the others do after the chief has done it."""
        if not self.is_chief:
            self.wait()
        yield
        if self.is_chief:
            self.wait()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turns the errors of a lost worker into one line.

        Raises:
          WorkerLostError: if another worker is gone, or cannot be reached.
        """
        if self.count == 1:
            yield
            return
        try:
            yield
        except _LOST as error:
            raise WorkerLostError(
                f"Worker {self.index} of {self.count} lost touch with the others "
                f"({type(error).__name__}): the first worker that ended tells why. "
                "Start all of them again with the same commands; they go on from the "
                "last checkpoint."
            ) from error
