"""Fits a prior to the codes of a trained autoencoder."""

from collections.abc import Callable

import tensorflow as tf

from tfp_priors.data import ImageDataset
from tfp_priors.data import shuffled_indices
from tfp_priors.divergences import Divergence
from tfp_priors.divergences import KLDivergence
from tfp_priors.errors import UserError
from tfp_priors.models import POSTERIOR
from tfp_priors.models import LatentVariableModel
from tfp_priors.priors import Prior
from tfp_priors.training.workers import spread

_ENCODED_PER_REPLICA = 500


class PostHoc:
    """Learning of the prior after that of the autoencoder.

    The set is encoded once; the prior's standardisation, if any, takes the moments of
    all codes. A prior that has a way of its own to be fitted, such as EM for the
    Gaussian mixture, uses it; others take gradient steps on the divergence.

    Args:
      prior: makes the prior.
      steps: gradient steps, or iterations of the prior's own way at most.
      batch_size: codes per gradient step, over all replicas.
      divergence: makes the divergence of the gradient steps.
    """

    def __init__(
        self,
        prior: Callable[[], Prior],
        steps: int,
        batch_size: int = 256,
        divergence: Callable[[], Divergence] = KLDivergence,
    ):
        if steps < 1:
            raise UserError(f"PostHoc.steps must be at least 1, received {steps}.")
        self.prior = prior
        self.steps = steps
        self.batch_size = batch_size
        self.divergence = divergence

    def model(self, autoencoder: LatentVariableModel) -> LatentVariableModel:
        """The model that will be trained: the same autoencoder with another prior."""
        return autoencoder.with_prior(self.prior(), self.divergence())

    def encode(self, model: LatentVariableModel, dataset: ImageDataset) -> tf.Tensor:
        """The posterior's parameters for all images, `[size, parameters]`."""
        strategy = model.distribute_strategy
        function = spread(model.posterior_parameters, strategy)
        batch_size = _ENCODED_PER_REPLICA * strategy.num_replicas_in_sync
        return tf.constant(dataset.map(function, batch_size))

    def fit(self, model: LatentVariableModel, parameters, seed: int) -> bool:
        """Sets the standardisation, and fits the prior if it needs no gradient steps.

        Returns:
          Whether the prior is fitted.

        Raises:
          UserError: if the prior's own way takes more codes.
        """
        posterior = model.posterior.distribution(parameters)
        codes = posterior.sample(seed=tf.constant([seed, 0])).numpy()
        model.prior.set_statistics(codes)
        try:
            return model.prior.fit(codes, self.steps, seed)
        except ValueError as error:
            # scikit-learn needs 2 codes, and as many as there are components.
            raise UserError(
                f"{type(model.prior).__name__} cannot be fitted to {len(codes)} codes "
                f"({str(error).splitlines()[0]}): take more images, or a simpler prior."
            ) from error

    def training_batches(
        self,
        parameters,
        seed: int,
        start_step: int,
        worker: int = 0,
        workers: int = 1,
    ):
        """Endless shuffled batches of parameters, a function of seed and step.

        Args:
          parameters: of the posterior, `[size, parameters]`.
          seed: of the order.
          start_step: batches to leave out.
          worker: see `shuffled_indices`.
          workers: see `shuffled_indices`.
        """
        size = parameters.shape[0]
        indices = shuffled_indices(
            size, self.batch_size, seed, start_step, worker, workers
        )
        return indices.map(lambda index: {POSTERIOR: tf.gather(parameters, index)})
