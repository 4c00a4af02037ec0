"""The last phase of a run: its prior learns from codes that do not move any more."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.data import CodeDataset
from tfp_priors.data import ImageDataset
from tfp_priors.data import Views
from tfp_priors.data.views import PERIOD
from tfp_priors.divergences import Divergence
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_within
from tfp_priors.learning.callbacks import BestOnHeldOut
from tfp_priors.models import CodeLearner
from tfp_priors.priors import Prior
from tfp_priors.training.checkpoints import checkpoints_of
from tfp_priors.training.course import TrainingResult

_ENCODED_PER_REPLICA = PERIOD

# Share of the steps in which views are learned from. Their codes have another
# distribution than those of images, which is what is learned last.
_WITH_VIEWS = 0.8


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
      views: see `data.Views`: in four fifths of its gradient steps the prior learns
        from their codes too.
      evaluations: how often the held-out codes are looked at.
      patience: the phase ends once this share of its steps has brought nothing better;
        with views, of those of its last fifth.
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
        check_within("PostHoc", "(0, 1]", patience=patience)
        self.steps = steps
        self.prior = prior
        self.divergence = divergence
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.views = views
        self.every = max(1, steps // evaluations)
        #: The step of the phase from which on images alone are learned from.
        self.images_from = 0 if views is None else round(_WITH_VIEWS * steps)
        self.patience = max(1, round(patience * (steps - self.images_from)))

    def model(self, autoencoder: CodeLearner) -> CodeLearner:
        """The model that learns: the same autoencoder, held fixed, and the prior."""
        return autoencoder.at_rest(
            self.prior and self.prior(), self.divergence and self.divergence()
        )

    def encode(
        self,
        model: CodeLearner,
        dataset: ImageDataset | CodeDataset,
        views: Views | None = None,
    ) -> tuple[Any, Any]:
        """The posterior's parameters for all images, and for all views of them.

        Returns:
          Rows `[(1 + copies) * size, parameters]`, and the prior's context of each or
          None; of a set of codes, these.
        """
        if isinstance(dataset, CodeDataset):
            if views is not None:
                raise UserError("codes have no other views: leave PostHoc.views unset.")
            return dataset.rows, dataset.context
        strategy = model.distribute_strategy
        batch_size = _ENCODED_PER_REPLICA * strategy.num_replicas_in_sync
        parameters = replicas.spread(model.posterior_parameters, strategy)
        parts = [dataset.map(parameters, batch_size)]
        for copy in range(views.copies if views else 0):
            view = functools.partial(views, copy=copy)
            parts.append(dataset.map(lambda x, v=view: parameters(v(x)), batch_size))
        context = None
        if model.conditioner is not None:
            condition = dataset.features[model.conditioner.feature]
            context = np.tile(model.context(condition), (len(parts), 1))
        return tf.constant(np.concatenate(parts)), context

    def batches(
        self, model: CodeLearner, rows, context, seed: int, start: int, **share
    ) -> tf.data.Dataset:
        """Batches of what `encode` returned: of all, and at last without views.

        Args:
          model: of `model`.
          rows: posterior's parameters of images and views.
          context: of the prior, a row for each, or None.
          seed: of the order.
          start: steps of the phase that are done.
          **share: see `CodeLearner.code_batches`.
        """
        at_last = None
        if self.views is not None:
            at_last = len(rows) // (1 + self.views.copies), self.images_from
        return model.code_batches(
            rows, context, self.batch_size, seed, start, at_last=at_last, **share
        )


def learn_at_rest(run, post_hoc, model, optimizers, training, held_out, joint):
    """The last phase of a training; see `PostHoc`.

    Args:
      run: its `Course`.
      post_hoc: says how.
      model: of `PostHoc.model`, compiled.
      optimizers: makes the optimizer of each group.
      training: data that the prior learns from.
      held_out: data by which it is chosen; None: the last step's is.
      joint: the `TrainingResult` of the phase before.

    Returns:
      A `TrainingResult`.
    """
    border, checkpoints = joint.step, checkpoints_of(run.dir)[1]
    end = border + post_hoc.steps
    restored = run.restored(model, checkpoints, optimizers)
    is_new, start = restored is None, max(border, restored or 0)
    first = start if joint.start_step == border else joint.start_step
    result = TrainingResult(model, first, start, finished=True)
    if start < end:
        by_steps = model.prior.learns_by_steps
        views = post_hoc.views if by_steps else None
        rows, context = post_hoc.encode(model, training, views)
        if is_new or not by_steps:
            # A prior that goes on has learned from contexts as they are.
            goes_on = border and post_hoc.prior is None
            given = None if goes_on else context
            model.fit_directly(rows, post_hoc.steps, run.seed, given)
        if by_steps:
            codes = (rows, context)
            step, finished = _learn(
                run, post_hoc, model, codes, held_out, checkpoints, start, border
            )
        else:
            step, finished = end, True
            run.writer(checkpoints).save_once(model, end)
            if run.workers.is_chief:
                run.summaries(start).write_once(model, end)
        result = result._replace(step=step, finished=finished)
    if result.finished:
        checkpoints.restore_best(model)
    return result


def _learn(run, post_hoc, model, codes, held_out, checkpoints, start, border):
    """Steps of the prior; returns the last one, and whether they were all."""
    writer = run.writer(checkpoints, start)
    best = None
    if held_out is not None and model.is_measurable:
        best = BestOnHeldOut(
            model.measure(*post_hoc.encode(model, held_out)),
            writer.save_at,
            post_hoc.every,
            post_hoc.patience,
            checkpoints.best(),
            border,
            start,
            border + post_hoc.images_from,
        )
        if best.is_over:
            return start, True
    done = start - border
    batches = post_hoc.batches(model, *codes, run.seed, done, **run.workers.share)
    end = border + post_hoc.steps
    result = run.fit(model, batches, writer, start, end, best)
    return result.step, result.finished
