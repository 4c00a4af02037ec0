"""A Keras model whose groups of variables learn from losses of their own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.replicas import fold_in
from tfp_priors.errors import UserError
from tfp_priors.learning.checked_model import CheckedModel
from tfp_priors.learning.checked_model import rows_of
from tfp_priors.learning.compile_checks import check_arguments
from tfp_priors.learning.compile_checks import check_layers
from tfp_priors.learning.compile_checks import check_optimizer
from tfp_priors.learning.compile_checks import check_own_losses
from tfp_priors.learning.compile_checks import check_variables
from tfp_priors.learning.compile_checks import checked_clip_norm
from tfp_priors.learning.running_means import RunningMeans
from tfp_priors.learning.shared_rate import copied
from tfp_priors.learning.shared_rate import serialized
from tfp_priors.learning.shared_rate import share_rate


class Objective(NamedTuple):
    """What a model learns from a batch.

    Attributes:
      loss: scalar.
      metrics: named scalars, averaged over the batch.
      codes: `[batch, ...]` for `finish_step`, or None.
    """

    loss: Any
    metrics: dict[str, Any]
    codes: Any = None


class Summary(NamedTuple):
    """What training shows of a model now and then.

    Attributes:
      scalars: by name.
      pictures: batches of images by name, shown ten in a row.
    """

    scalars: dict[str, Any]
    pictures: dict[str, Any]


class GroupedModel(CheckedModel):
    """Gives each group of variables an optimizer, and clips each group's gradient.

    A subclass defines `variable_groups`, `networks`, `image_shape` and
    `objective_on`, has an attribute `seed`, and names its metrics with `track`. What
    training shows of it, it says in `summary_of`, `schedules` and `diagnosis`.
    """

    #: What to try when a term is not finite.
    remedies = ("a lower learning rate",)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.clip_norm = None
        self.accumulation = 1
        self._optimizers = {}
        self._means = None

    def variable_groups(self) -> dict[str, list]:
        """The trainable variables by group; a group may be empty."""
        raise NotImplementedError

    def networks(self) -> list[keras.layers.Layer]:
        """The layers that may compute in less than float32."""
        raise NotImplementedError

    def check_data(self, image_shape, features: dict[str, Any]) -> None:
        """Checks the data that the model is to learn from.

        Args:
          image_shape: `(height, width, channels)` of its images.
          features: arrays with a row per image, by name, such as "label".

        Raises:
          UserError: if the model cannot learn from it.
        """
        del features
        if tuple(image_shape) != tuple(self.image_shape):
            raise UserError(
                f"The data has images of shape {tuple(image_shape)}, the networks "
                f"expect {self.image_shape}: set IMAGE_SHAPE = {tuple(image_shape)}."
            )

    def bound_of(self, dataset) -> Callable[[], float]:
        """A function of no arguments: what `EarlyStopping` goes by, to be low.

        Args:
          dataset: held-out images.

        Raises:
          UserError: if the model has no such measure.
        """
        raise UserError(
            f"A {type(self).__name__} has no likelihood that training could be ended "
            "by: leave train.early_stopping unset."
        )

    def at_rest(self, prior=None, divergence=None):
        """The model of a last phase, in which the prior alone learns; see `PostHoc`.

        Raises:
          UserError: if the model has no prior that could.
        """
        raise UserError(
            f"A {type(self).__name__} has no prior that learns from codes at rest: "
            "leave train.post_hoc unset."
        )

    def summary_of(self, batch) -> Summary:
        """What TensorBoard shows of the model on a batch of held-out data."""
        del batch
        return Summary({}, {})

    def schedules(self, step) -> dict[str, Any]:
        """Scalars that change with the step by themselves, by name."""
        del step
        return {}

    def diagnosis(self, batch) -> str:
        """A few words on the model's outputs, for the message on a bad number.

        Args:
          batch: held-out data, images in [0, 1].
        """
        outputs = self(batch["image"]).numpy()
        return describe("outputs", outputs)

    def compile(
        self,
        optimizer="adam",
        clip_norm: float | Mapping[str, float] | None = None,
        jit_compile: bool | str = "auto",
        precision: str = "float32",
        accumulation: int = 1,
        **kwargs,
    ):
        """Prepares training.

        Regularizers of weights, as a layer's `kernel_regularizer`, act beside the loss,
        which is reported without them.

        Args:
          optimizer: a Keras optimizer, or a dict of them by group. Each group gets a
            copy.
          clip_norm: largest global norm of each group's gradient, or a dict of them
            by group; None, and groups that it leaves out: no limit.
          jit_compile: compile the step with XLA; "auto" does so on a single GPU or
            TPU. On a CPU TensorFlow's own convolutions are the faster ones. With XLA
            images after the first batch are not checked for their range.
          precision: "float32", "mixed_bfloat16" or "mixed_float16": what `networks`
            compute in, whatever `dtype` their layers were made with. Variables, losses
            and all other parts stay float32. Under float16 each optimizer scales the
            loss.
          accumulation: parts that each replica's share of a batch is split into, one
            after the other; their gradients are averaged. On one replica 8 parts of
            2,048 MNIST images took 550 MiB instead of 1,180. Statistics over a
            batch, such as batch normalisation's, are then those of a part.
          **kwargs: `run_eagerly` and `steps_per_execution`, see `keras.Model.compile`.

        Raises:
          UserError: if a group has no optimizer, or an optimizer no group, an argument
            is none of those named, or a layer does not do here what it is for; see
            `compile_checks.check_layers`.
        """
        check_arguments(self, jit_compile, precision, accumulation, **kwargs)
        self.clip_norm = checked_clip_norm(clip_norm, self.variable_groups())
        self.accumulation = accumulation
        if optimizer is None:
            raise UserError("Expected an optimizer, or one for each group.")
        if jit_compile == "auto":
            kinds = {device.device_type for device in tf.config.list_logical_devices()}
            jit_compile = self.replicas == 1 and bool(kinds & {"GPU", "TPU"})
        self._optimizers = self._built_optimizers(optimizer, precision)
        self._compiled_ids = _ids(self.variable_groups())
        for network in self.networks():
            check_layers(network, self.replicas)
            for layer in _computing(network):
                layer.dtype_policy = precision
        first = next(iter(self._optimizers.values()), None)
        super().compile(
            optimizer=first,
            loss=None,
            jit_compile=jit_compile,
            auto_scale_loss=False,
            **kwargs,
        )
        if first is not None:
            share_rate(self._optimizers)
        self._compiled_with = {
            "clip_norm": self.clip_norm,
            "jit_compile": bool(jit_compile),
            "precision": precision,
            "accumulation": accumulation,
        }

    def get_compile_config(self):
        if not self.compiled:
            return {}
        optimizers = {
            name: serialized(optimizer) for name, optimizer in self._optimizers.items()
        }
        return {"optimizer": optimizers, **self._compiled_with}

    def compile_from_config(self, config):
        optimizers = {
            name: keras.saving.deserialize_keras_object(optimizer)
            for name, optimizer in config["optimizer"].items()
        }
        self.compile(**config | {"optimizer": optimizers})

    def _built_optimizers(self, optimizer, precision):
        """The optimizer of each group that has variables; see `compile`."""
        groups = self.variable_groups()
        if not isinstance(optimizer, dict):
            optimizer = dict.fromkeys(groups, optimizer)
        learning = [name for name, group in groups.items() if group]
        unknown = sorted(set(optimizer) - set(groups))
        missing = sorted(set(learning) - set(optimizer))
        if unknown or missing:
            raise UserError(
                f"Expected an optimizer for each of {', '.join(learning)}, received "
                f"them for {', '.join(optimizer) or 'nothing'}."
            )
        check_variables([v for group in groups.values() for v in group])
        optimizers = {name: copied(optimizer[name]) for name in learning}
        for name, group_optimizer in optimizers.items():
            check_optimizer(name, group_optimizer, self.replicas)
            # `apply_gradients` sums over the replicas, before it clips.
            group_optimizer._all_reduce_sum_gradients = list
        if precision == "mixed_float16":
            optimizers = {
                name: inner
                if isinstance(inner, keras.optimizers.LossScaleOptimizer)
                else keras.optimizers.LossScaleOptimizer(inner)
                for name, inner in optimizers.items()
            }
        # Each optimizer owns one group only. Built here: `fit` would build the one
        # that Keras knows over all variables.
        for name, group_optimizer in optimizers.items():
            group_optimizer.build(groups[name])
        return optimizers

    @property
    def optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """The optimizers of the groups that have variables."""
        return self._optimizers

    def make_train_function(self, force=False):
        if not self._optimizers:
            raise UserError("There is nothing to learn: all variables are frozen.")
        now = _ids(self.variable_groups())
        changed = [name for name in now if now[name] != self._compiled_ids[name]]
        if changed:
            raise UserError(
                f"Expected the variables of the {' and the '.join(changed)} that "
                "learned when the model was compiled, received others, as after "
                "trainable = False: compile again."
            )
        precision = self._compiled_with["precision"]
        for layer in (one for part in self.networks() for one in _computing(part)):
            if layer.dtype_policy.name != precision:
                raise UserError(
                    f"The layer {layer.name} computes in {layer.dtype_policy.name}, as "
                    "another model that has it was compiled, and not in "
                    f"{precision}: compile again."
                )
        return super().make_train_function(force)

    # The step --------------------------------------------------------------------

    def objective_on(self, batch, step, seed) -> Objective:
        """What the groups of `groups_on` learn from a batch.

        Args:
          batch: tensors by name, as in the training data; images in [0, 1].
          step: int scalar.
          seed: int tensor `[2]`, of all noise.
        """
        raise NotImplementedError

    def groups_on(self, batch) -> list[str]:
        """Groups that learn from `objective_on`; those that have variables."""
        del batch
        return list(self._optimizers)

    def finish_step(self, batch, codes, seed) -> dict[str, Any]:
        """What else a step does, given the codes of its batch; returns scalars."""
        del batch, codes, seed
        return {}

    def train_step(self, data):
        batch = self.shared_batch(data)
        groups = self.groups_on(batch)
        if not groups:
            raise UserError(
                "Nothing learns from such batches: the prior has no variables."
            )
        step = batches_seen(self._optimizers[groups[0]])
        seed = self.step_seed(self.seed, step)
        if self.accumulation == 1:
            objective, gradients = self._gradients(batch, groups, step, seed)
        else:
            objective, gradients = self._accumulated(batch, groups, step, seed)
        scalars = {"loss": objective.loss, **objective.metrics}
        for name in groups:
            scalars |= self.apply_gradients(name, gradients[name], groups)
        scalars |= self.finish_step(batch, objective.codes, seed)
        return self.report(scalars, rows_of(batch))

    def _gradients(self, batch, groups, step, seed):
        """The objective on a batch, and its gradient by group."""
        variables = self.variable_groups()
        networks = [n for n in self.networks() if n.trainable_variables]
        with tf.GradientTape() as tape:
            for network in networks:
                network._clear_losses()  # Those of other graphs.
            objective = self.objective_on(batch, step, seed)
            check_own_losses(networks)
            loss = self.scaled_loss(objective.loss, groups)
        gradients = tape.gradient(loss, {name: variables[name] for name in groups})
        return objective, {
            name: filled(gradients[name], variables[name]) for name in groups
        }

    def _accumulated(self, batch, groups, step, seed):
        """As `_gradients`, part by part; the codes are those of all parts."""
        parts = self.accumulation
        size = rows_of(batch)
        if not isinstance(size, int):
            raise UserError(
                f"accumulation = {parts} needs batches of a known size: use "
                "batch(size, drop_remainder=True)."
            )
        if size % parts:
            raise UserError(
                f"A batch of {size} per replica does not divide into "
                f"train.accumulation = {parts} equal parts."
            )

        def part(i):
            rows = {
                name: tf.reshape(x, [parts, size // parts, *x.shape[1:]])[i]
                for name, x in batch.items()
                if isinstance(x, tf.Tensor)  # No model reads others.
            }
            objective, gradients = self._gradients(rows, groups, step, fold_in(seed, i))
            mean = tf.nest.map_structure(
                lambda x: x / parts, (objective.loss, objective.metrics, gradients)
            )
            return mean, objective.codes

        def body(i, total, codes):
            mean, more = part(i)
            codes = [array.write(i, more) for array in codes]
            return i + 1, tf.nest.map_structure(tf.add, total, mean), codes

        if self.replicas > 1:
            return self._unrolled(part)
        total, first = part(0)
        codes = []
        if first is not None:
            codes = [tf.TensorArray(first.dtype, parts).write(0, first)]
        _, total, codes = tf.while_loop(
            lambda i, *_: i < parts, body, (1, total, codes), parallel_iterations=1
        )
        loss, metrics, gradients = total
        codes = codes[0].concat() if codes else None
        return Objective(loss, metrics, codes), gradients

    def _unrolled(self, part):
        """As the loop of `_accumulated`: replicas cannot meet within one."""
        total, codes = part(0)
        codes = [codes]
        for i in range(1, self.accumulation):
            # One after the other, for the memory's sake.
            with tf.control_dependencies(tf.nest.flatten(total)):
                mean, more = part(i)
            total = tf.nest.map_structure(tf.add, total, mean)
            codes.append(more)
        loss, metrics, gradients = total
        codes = None if codes[0] is None else tf.concat(codes, axis=0)
        return Objective(loss, metrics, codes), gradients

    def scaled_loss(self, loss, groups):
        """What to differentiate for the groups: the replica's share of the loss.

        With the regularizers of weights, such as a layer's `kernel_regularizer`.
        """
        variables = self.variable_groups()
        for variable in (v for name in groups for v in variables[name]):
            if getattr(variable, "regularizer", None) is not None:
                loss += variable.regularizer(variable)
        share = loss / self.replicas  # `apply_gradients` adds the replicas' up.
        scale = self._loss_scale(groups)
        return share if scale is None else share * scale

    def _loss_scale(self, groups):
        # One backward pass has one scale: the most careful of those of its groups.
        scales = [
            self._optimizers[name].dynamic_scale.value
            for name in groups
            if isinstance(self._optimizers[name], keras.optimizers.LossScaleOptimizer)
        ]
        return tf.reduce_min(tf.stack(scales)) if scales else None

    def apply_gradients(self, group: str, gradients: list, groups=None) -> dict:
        """One update of a group.

        Args:
          group: its name.
          gradients: of the replica's `scaled_loss`, one per variable.
          groups: those of `scaled_loss`; None: this one.

        Returns:
          If there is a largest norm, that of the whole gradient, named
          GROUP_gradient_norm, and whether it was clipped, GROUP_clipped_share.
        """
        optimizer, scalars = self._optimizers[group], {}
        if self.replicas > 1:
            replica = tf.distribute.get_replica_context()
            gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        scale = self._loss_scale(groups or [group])
        # Keras would clip each replica's share by itself, before the sum.
        factor = None if scale is None else optimizer.dynamic_scale / scale
        limit = self.clip_norm
        if isinstance(limit, Mapping):
            limit = limit.get(group)
        if limit is not None:
            norm = tf.linalg.global_norm(gradients)
            if scale is not None:
                norm /= scale
            clip = limit / tf.maximum(norm, limit)
            factor = clip if factor is None else factor * clip
            if scale is not None:
                # Too large a scale: the optimizer leaves this step out.
                norm = tf.where(tf.math.is_finite(norm), norm, 0.0)
            scalars[_norm_name(group)] = norm
            scalars[_clipped_name(group)] = tf.cast(norm > limit, tf.float32)
        if factor is not None:
            gradients = [factor * gradient for gradient in gradients]
        variables = self.variable_groups()[group]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return scalars

    # Metrics -------------------------------------------------------------------

    def track(self, names) -> None:
        """Makes a running mean for each name, and for the groups' gradients."""
        of_gradients = (
            name(group)
            for name in (_norm_name, _clipped_name)
            for group in self.variable_groups()
        )
        self._means = RunningMeans((*names, *of_gradients))

    @property
    def metrics(self):
        return [self._means]

    @property
    def metrics_names(self):
        """Names of what `evaluate` returns, in its order; more after a training."""
        return list(self._means.names)

    def _flatten_metrics_in_order(self, logs):
        """The loss first, as with Keras, which would sort them by their names."""
        names = [name for name in self.metrics_names if name in logs]
        values = [logs[name] for name in [*names, *sorted(set(logs) - set(names))]]
        return values[0] if len(values) == 1 else values

    def report(self, scalars: dict[str, Any], rows=1) -> dict[str, Any]:
        """Updates running means with this step's values, and returns the means.

        Args:
          scalars: means over the rows of the batch, by name.
          rows: their number, which is the weight of the values.
        """
        self._means.update_state(scalars, rows)
        means = self._means.result()
        if self._has_workers():
            # Keras averages over the replicas of several workers along axis 0.
            means = {name: tf.reshape(value, [1]) for name, value in means.items()}
        return {name: means[name] for name in scalars}

    def _get_metrics_result_or_logs(self, logs):
        """The means over all rows: Keras' logs are the mean of the replicas' means."""
        if self._has_workers():
            return logs
        means = self._means.result()
        return {name: means.get(name, value) for name, value in logs.items()}

    def _has_workers(self):
        strategy = self.distribute_strategy
        return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: the constructor has built everything.

        Keras would take a batch of data for it, which fails with several workers.
        """

    def step_seed(self, seed: int, step):
        """A stateless seed for one step, int32 `[2]`, the same on all replicas."""
        # TFP takes int32 seeds only. The second number keeps the noise of earlier runs.
        return fold_in(fold_in(tf.constant([seed, 0], tf.int32), step), 0)


def batches_seen(optimizer: keras.optimizers.Optimizer):
    """Steps on batches: `iterations` stands still where it accumulates gradients."""
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def filled(gradients: Sequence, variables: Sequence) -> list:
    """Gradients, zeros for the variables that a loss does not reach."""
    return [
        tf.zeros(variable.shape) if gradient is None else gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def _computing(network):
    """The layers of a network that compute in what `compile` says."""
    if getattr(network, "keeps_precision", False):
        return []
    return network._flatten_layers()


def _ids(groups):
    """What tells the variables of each group from others."""
    return {name: tuple(map(id, group)) for name, group in groups.items()}


def describe(name: str, values: np.ndarray) -> str:
    """A few words on the distribution of numbers."""
    return (
        f"{name}: mean {values.mean():.3g}, standard deviation {values.std():.3g}, "
        f"largest {np.abs(values).max():.3g}"
    )


def _norm_name(group):
    return f"{group}_gradient_norm"


def _clipped_name(group):
    return f"{group}_clipped_share"
