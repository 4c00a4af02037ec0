"""What learns a prior from codes that do not move (equation 6)."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.order import shuffled_indices
from tfp_priors.core.order import some_numbers
from tfp_priors.core.replicas import fold_in
from tfp_priors.divergences import CriticTerms
from tfp_priors.divergences import DivergenceTerms
from tfp_priors.errors import UserError
from tfp_priors.errors import check_part
from tfp_priors.errors import check_per_row
from tfp_priors.learning.compile_checks import check_known
from tfp_priors.learning.compile_checks import check_own_losses
from tfp_priors.learning.grouped_model import Objective
from tfp_priors.learning.grouped_model import filled
from tfp_priors.learning.prior_model import PriorModel

#: Key of the data that holds the parameters of q(z|x): codes, if it is a point.
POSTERIOR = "posterior"

#: Key of the data beside it that holds the prior's context.
CONTEXT = "context"

#: Key of the data beside it that holds the prior's standard codes and, last, their
#: log-determinants, if q(z|x) has one code only and they are costly.
STANDARD = "standard"

# What is folded into a step's seed for uses other than the posterior's noise.
_DRAWS, _DROPOUT, _CRITIC = 1, 2, 200

#: Rows of which a value is computed at a time. With 256 normals below a flow, in 64
#: dimensions, 2,000 at a time took 0.6 GB more.
ROWS_AT_ONCE = 500

# Held-out rows that are measured.
_MEASURED = 20_000

# Batches that are made ahead.
_PREFETCHED = 2

# Bytes of codes that statistics are taken of; of more codes, a part drawn at random.
_FITTED_BYTES = 2**27

# Bytes of rows that are kept in memory as they are; of more, standard codes are
# computed step by step.
_KEPT_BYTES = 2**29


def build_part(part: keras.layers.Layer, shape) -> None:
    """Builds a part of a model, unless it is.

    Raises:
      UserError: if a layer within it has no weights then, which would never learn.
    """
    if not part.built:
        part.build(shape)
    for layer in part._flatten_layers(include_self=False):
        if not layer.built:
            raise UserError(
                f"Expected {type(part).__name__}.build to build its {layer.name}, or "
                "to call super().build(input_shape)."
            )


class CodeLearner(PriorModel):
    """Learns the prior from batches of "posterior", by its divergence from them.

    A subclass has attributes `prior`, `divergence`, `posterior`, of which codes are
    drawn, and `seed`. Groups of variables are "prior" and, for an adversarial
    divergence, "discriminator".
    """

    inputs = (POSTERIOR,)

    def variable_groups(self):
        return {
            "prior": self.prior.trainable_variables,
            "discriminator": self.divergence.trainable_variables,
        }

    def divergence_names(self, beta=0.0) -> list[str]:
        """Names of the divergence's metrics."""
        terms = self.divergence.metric_names(self.posterior, self.prior, beta)
        return [*terms, *self.divergence.critic_metric_names()]

    def context_of(self, batch):
        if CONTEXT in batch:
            return tf.cast(batch[CONTEXT], tf.float32)
        return super().context_of(batch)

    @property
    def is_measurable(self) -> bool:
        """Whether the loss tells how well the prior does: not where a critic leads."""
        return not self.divergence.critic_steps

    # The step --------------------------------------------------------------------

    def prior_objective(
        self, parameters, seed, context=None, first_row=None
    ) -> Objective:
        """The prior's objective (equation 6) on a batch of fixed codes.

        Args:
          parameters: of q(z|x), `[batch, ...]`.
          seed: int tensor `[2]`, of all noise.
          context: of the prior, `[batch, context_size]`, or None.
          first_row: place of the first row among those that share the seed, or None if
            they are one batch: each has noise of its own.
        """
        posterior = self.posterior.distribution(tf.stop_gradient(parameters))
        z, _, divergence = self.compared(posterior, 0.0, seed, context, first_row)
        return Objective(tf.reduce_mean(divergence.loss), means(divergence.metrics), z)

    def compared(self, posterior, beta, seed, context, first_row):
        """Codes of q(z|x), the seed of what else is drawn for them, and the
        divergence's terms; see `prior_objective`."""
        name = f"{type(self.posterior).__name__}.distribution"
        check_per_row(f"the batch shape of {name}", posterior.batch_shape)
        z = replicas.sample(posterior, seed, first_row)
        if first_row is not None:
            seed = fold_in(seed, first_row)
        own = fold_in(seed, _DRAWS)
        with tf.GradientTape() as tape:
            terms = self.divergence.terms(posterior, z, self.prior, beta, own, context)
        name = f"{type(self.divergence).__name__}.terms"
        check_part(f"result of {name}", terms, DivergenceTerms)
        loss = tf.convert_to_tensor(terms.loss)
        check_per_row(f"the loss of {name}", loss.shape, or_scalar=True)
        check_known(self, tape.watched_variables())
        return z, seed, terms

    def groups_on(self, batch):
        return [name for name in ("prior",) if name in self.optimizers]

    def objective_on(self, batch, step, seed):
        with self.learning(batch, seed):
            return self.prior_objective(batch[POSTERIOR], seed, self.context_of(batch))

    def learning(self, batch, seed):
        """A context within which the prior's densities are those of a step."""
        return self.prior.learning(fold_in(seed, _DROPOUT), _known(batch))

    def finish_step(self, batch, codes, seed):
        scalars = {}
        # A frozen discriminator has no optimizer.
        learns = "discriminator" in self.optimizers
        for i in range(self.divergence.critic_steps if learns else 0):
            critic_seed = fold_in(seed, _CRITIC + i)
            scalars |= self._critic_step(codes, critic_seed, self.context_of(batch))
        return scalars

    def _critic_step(self, z, seed, context):
        group = "discriminator"
        with tf.GradientTape() as tape:
            terms = self.divergence.critic_terms(z, self.prior, seed, context)
            name = f"{type(self.divergence).__name__}.critic_terms"
            check_part(f"result of {name}", terms, CriticTerms)
            check_own_losses([self.divergence])
            loss = self.scaled_loss(terms.loss, [group])
        variables = self.divergence.trainable_variables
        gradients = filled(tape.gradient(loss, variables), variables)
        return terms.metrics | self.apply_gradients(group, gradients)

    def prior_scalars(self, z, context=None) -> dict[str, Any]:
        """What TensorBoard shows of the prior on held-out codes, by name."""
        scalars = {}
        if self.prior.has_density:
            nll = -self.prior.log_prob(z, context)
            scalars["held_out/prior_nll"] = tf.reduce_mean(nll)
        for name, value in self.prior.diagnostics(z, context).items():
            scalars[f"prior/{name}"] = value
        return scalars

    # Codes at rest ---------------------------------------------------------------

    def fit_directly(self, rows, steps: int, seed: int, context=None) -> None:
        """Sets the standardisations, and fits a prior that needs no gradient steps.

        Args:
          rows: parameters of q(z|x), `[size, ...]`: an array, a tensor, or what is
            indexed as an array; of many a part is used.
          steps: iterations at most.
          seed: of the codes and of the fit.
          context: of the prior, a row for each, or None.

        Raises:
          UserError: if the prior is frozen, or its own way takes more codes.
        """
        if not self.prior.trainable:
            name = type(self.prior).__name__
            raise UserError(f"The {name} would learn nothing: its trainable is False.")
        posterior = self.posterior.distribution(_part_of(rows, seed))
        codes = posterior.sample(seed=tf.constant([seed, 0])).numpy()
        self.prior.set_statistics(codes, seed, context)
        if not self.prior.learns_by_steps:
            self.prior.fit_directly(codes, steps, seed)

    def code_batches(
        self,
        rows,
        context=None,
        batch_size: int = 512,
        seed: int = 0,
        start_step: int = 0,
        worker: int = 0,
        workers: int = 1,
        at_last: tuple[int, int] | None = None,
    ) -> tf.data.Dataset:
        """Endless shuffled batches of rows, a function of seed and step.

        Args:
          rows: as in `fit_directly`, which comes first.
          context: of the prior, a row for each, or None.
          batch_size: rows per step, over all workers.
          seed: of the order.
          start_step: batches to leave out.
          worker: see `shuffled_indices`.
          workers: see `shuffled_indices`.
          at_last: a number of rows and a step, from which on the batches are of the
            first rows alone; None: never.
        """
        columns = self._columns(rows, context)

        def order(size, start):
            return shuffled_indices(size, batch_size, seed, start, worker, workers)

        indices = order(len(rows), start_step)
        if at_last is not None:
            size, step = at_last
            indices = indices.take(max(0, step - start_step))
            indices = indices.concatenate(order(size, max(0, start_step - step)))
        batches = indices.map(
            lambda index: {k: _gathered(v, index) for k, v in columns.items()},
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return batches.prefetch(_PREFETCHED)

    def _columns(self, rows, context):
        """What a batch has, for all rows."""
        columns = {POSTERIOR: _kept(rows)}
        if context is not None:
            columns[CONTEXT] = _kept(context)
        is_costly = getattr(self.prior.standardize, "is_costly", False)
        if is_costly and not self.posterior.has_density and _is_kept(rows):
            columns[STANDARD] = self._standard(rows)
        return columns

    def _standard(self, rows):
        """Standard codes of posteriors at a point, with their log-determinants."""

        def standard(part):
            z = self.posterior.code(part)
            codes, log_det = self.prior.standardization(z)
            log_det = tf.broadcast_to(log_det, tf.shape(z)[:1])
            return tf.concat([codes, log_det[:, None]], axis=-1)

        compiled = tf.function(standard, autograph=False, reduce_retracing=True)
        parts = [rows[i : i + ROWS_AT_ONCE] for i in range(0, len(rows), ROWS_AT_ONCE)]
        return tf.concat([compiled(tf.constant(part)) for part in parts], axis=0)

    def measure(self, rows, context=None) -> Callable[[], float]:
        """A function of no arguments: the divergence from held-out codes, now.

        The standardisation must not change any more.

        Args:
          rows: as in `fit_directly`; of many, 20,000 drawn at random are measured.
          context: of the prior, a row for each, or None.
        """
        if len(rows) > _MEASURED:
            chosen = some_numbers(len(rows), _MEASURED, self.seed)
            rows = tf.gather(rows, chosen) if tf.is_tensor(rows) else rows[chosen]
            context = None if context is None else context[chosen]
        columns = self._columns(rows, context)
        batches = [
            {name: column[i : i + ROWS_AT_ONCE] for name, column in columns.items()}
            for i in range(0, len(rows), ROWS_AT_ONCE)
        ]

        def objective(batch, number):
            # Without the dropout of a step, and at noise that is always the same.
            with self.prior.learning(None, _known(batch)):
                seed = fold_in(self.step_seed(self.seed, 0), number)
                context = self.context_of(batch)
                return self.prior_objective(batch[POSTERIOR], seed, context).loss

        compiled = tf.function(objective, autograph=False, reduce_retracing=True)

        def mean():
            values = [
                float(compiled(batch, tf.constant(number)))
                for number, batch in enumerate(batches)
            ]
            sizes = [len(batch[POSTERIOR]) for batch in batches]
            return float(np.average(values, weights=sizes))

        return mean


def means(metrics: dict[str, Any]) -> dict[str, Any]:
    """The mean of each metric's values."""
    return {name: tf.reduce_mean(value) for name, value in metrics.items()}


def _known(batch):
    """Standard codes of a batch and their log-determinants, if they are in it."""
    known = batch.get(STANDARD)
    return None if known is None else (known[:, :-1], known[:, -1])


def _part_of(rows, seed):
    """The rows as a tensor, or some of them if they take too much memory."""
    most = max(1, _FITTED_BYTES // (4 * int(np.prod(rows.shape[1:]))))
    if len(rows) > most and not tf.is_tensor(rows):
        rows = rows[some_numbers(len(rows), most, seed)]
    return tf.convert_to_tensor(rows[:])


def _is_kept(rows):
    """Whether rows are, or may be, in memory."""
    return 4 * int(np.prod(rows.shape)) <= _KEPT_BYTES


def _kept(rows):
    """The rows as a tensor if they may be in memory, else as they are."""
    if tf.is_tensor(rows) or not _is_kept(rows):
        return rows
    with tf.device("CPU"):
        return tf.constant(rows[:])


def _gathered(rows, index):
    """The rows with these numbers, within a graph."""
    if tf.is_tensor(rows):
        return tf.gather(rows, index)
    taken = tf.numpy_function(lambda i: rows[i], [index], tf.float32)
    return tf.ensure_shape(taken, [*index.shape, *rows.shape[1:]])
