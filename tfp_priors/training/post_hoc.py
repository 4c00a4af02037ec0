"""The last phase of a run: its prior learns from codes that do not move any more."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.data import Views
from tfp_priors.data import shuffled_indices
from tfp_priors.divergences import Divergence
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.models import POSTERIOR
from tfp_priors.models import STANDARD
from tfp_priors.models import LatentVariableModel
from tfp_priors.priors import Prior
from tfp_priors.training.workers import spread

_ENCODED_PER_REPLICA = 500
_EVALUATED_AT_ONCE = 2_000


class PostHoc:
    """The prior learns after the autoencoder, from codes that do not move any more.

    Batch normalisation takes its statistics anew, the set is encoded once, and the
    prior's standardisation, if any, takes the moments of all codes. A prior that has a
    way of its own to be fitted, such as EM for the Gaussian mixture, uses it; others
    take gradient steps on the divergence. Of these the weights are kept that have the
    lowest divergence from the codes of images that were held out.

    Args:
      steps: gradient steps, or iterations of the prior's own way at most.
      prior: makes the prior; None: the model's own goes on.
      divergence: makes the divergence of the gradient steps; None: the model's.
      optimizer: makes the optimizer of the prior; None: as before.
      batch_size: codes per gradient step, over all replicas.
      views: see `data.Views`: the prior learns from their codes too.
      evaluations: how often the held-out codes are looked at.
      patience: the phase ends once this share of its steps has brought nothing better.
    """

    def __init__(
        self,
        steps: int,
        prior: Callable[[], Prior] | None = None,
        divergence: Callable[[], Divergence] | None = None,
        optimizer: Callable[[], keras.optimizers.Optimizer] | None = None,
        batch_size: int = 512,
        views: Views | None = None,
        evaluations: int = 20,
        patience: float = 0.5,
    ):
        check_counts(
            "PostHoc", steps=steps, batch_size=batch_size, evaluations=evaluations
        )
        if not 0 < patience <= 1:
            raise UserError(
                f"Expected a PostHoc.patience in (0, 1], received {patience}."
            )
        self.steps = steps
        self.prior = prior
        self.divergence = divergence
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.views = views
        self.every = max(1, steps // evaluations)
        self.patience = max(1, round(patience * steps))

    def model(self, autoencoder: LatentVariableModel) -> LatentVariableModel:
        """The model that learns: the same autoencoder, held fixed, and the prior."""
        return autoencoder.at_rest(
            self.prior and self.prior(), self.divergence and self.divergence()
        )

    def encode(
        self,
        model: LatentVariableModel,
        dataset: ImageDataset,
        views: Views | None = None,
    ) -> tf.Tensor:
        """The posterior's parameters for all images, and for all views of them.

        Returns:
          A float tensor `[(1 + copies) * size, parameters]`.
        """
        strategy = model.distribute_strategy
        batch_size = _ENCODED_PER_REPLICA * strategy.num_replicas_in_sync
        parameters = spread(model.posterior_parameters, strategy)
        parts = [dataset.map(parameters, batch_size)]
        for copy in range(views.copies if views else 0):
            view = functools.partial(views, copy=copy)
            parts.append(dataset.map(lambda x, v=view: parameters(v(x)), batch_size))
        return tf.constant(np.concatenate(parts))

    def fit(self, model: LatentVariableModel, parameters, seed: int) -> None:
        """Sets the standardisation, and fits the prior if it needs no gradient steps.

        Raises:
          UserError: if the prior's own way takes more codes.
        """
        posterior = model.posterior.distribution(parameters)
        codes = posterior.sample(seed=tf.constant([seed, 0])).numpy()
        try:
            model.prior.set_statistics(codes, seed)
            model.prior.fit(codes, self.steps, seed)
        except ValueError as error:
            # EM needs 2 codes, and as many as there are components.
            raise UserError(
                f"{type(model.prior).__name__} cannot be fitted to {len(codes)} codes "
                f"({str(error).splitlines()[0]}): take more images, or a simpler prior."
            ) from error

    def training_batches(
        self,
        model: LatentVariableModel,
        parameters,
        seed: int,
        start_step: int,
        worker: int = 0,
        workers: int = 1,
    ) -> tf.data.Dataset:
        """Endless shuffled batches of parameters, a function of seed and step.

        Args:
          model: as `PostHoc.model` makes it, with the prior's statistics.
          parameters: of the posterior, `[size, parameters]`.
          seed: of the order.
          start_step: batches to leave out.
          worker: see `shuffled_indices`.
          workers: see `shuffled_indices`.
        """
        columns = {POSTERIOR: parameters}
        if not model.posterior.has_density:
            columns[STANDARD] = _standard(model, parameters)
        indices = shuffled_indices(
            parameters.shape[0], self.batch_size, seed, start_step, worker, workers
        )
        return indices.map(
            lambda index: {k: tf.gather(v, index) for k, v in columns.items()}
        )

    def measure(self, model: LatentVariableModel, parameters) -> Callable[[], float]:
        """A function of no arguments: the divergence from held-out codes, now.

        Args:
          model: as `PostHoc.model` makes it.
          parameters: of the posteriors of held-out images, `[size, parameters]`.
        """
        objective = tf.function(
            lambda rows: model.prior_objective(rows, model.step_seed(model.seed, 0)),
            autograph=False,
            reduce_retracing=True,
        )
        parts = _parts(parameters)

        def mean():
            values = [float(objective(part).loss) for part in parts]
            return float(np.average(values, weights=[part.shape[0] for part in parts]))

        return mean


def _parts(parameters):
    starts = range(0, parameters.shape[0], _EVALUATED_AT_ONCE)
    return [parameters[i : i + _EVALUATED_AT_ONCE] for i in starts]


def _standard(model, parameters):
    """Standard codes of posteriors at a point, and their log-determinants beside."""

    def standard(part):
        z = model.posterior.code(part)
        codes, log_det = model.prior.standardization(z)
        log_det = tf.broadcast_to(log_det, tf.shape(z)[:1])
        return tf.concat([codes, log_det[:, None]], axis=-1)

    compiled = tf.function(standard, autograph=False, reduce_retracing=True)
    return tf.concat([compiled(part) for part in _parts(parameters)], axis=0)
