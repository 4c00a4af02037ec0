"""A Keras model that looks at its data before it computes."""

import inspect
import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core import replicas
from tfp_priors.core.asserted import asserted
from tfp_priors.core.configured import Configured
from tfp_priors.core.settings import check_settings
from tfp_priors.errors import UserError
from tfp_priors.errors import raised_in_graph
from tfp_priors.files import written_atomically
from tfp_priors.learning.batches import batch_of
from tfp_priors.learning.batches import check_images
from tfp_priors.learning.batches import check_shares
from tfp_priors.learning.batches import checked
from tfp_priors.learning.batches import first_batch
from tfp_priors.learning.batches import uneven


class CheckedModel(Configured, keras.Model):
    """Takes data in every form that Keras takes, and images as bytes or in [0, 1].

    `fit` and `evaluate` take a `tf.data.Dataset`, a generator or arrays: of dicts by
    name with the key "image", of images, or of pairs (images, labels); `predict` takes
    them too. Images are uint8, or floats in [0, 1].
    """

    #: Keys of the data, of which a batch has at least one.
    inputs = ("image",)
    #: The feature that the second item of a pair (images, labels) is.
    target = "label"

    def __init__(self, **kwargs):
        check_settings()
        super().__init__(**kwargs)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        raise NotImplementedError

    @property
    def replicas(self) -> int:
        """Replicas that share each batch."""
        return self.distribute_strategy.num_replicas_in_sync

    @raised_in_graph()
    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        kwargs |= _by_name(keras.Model.fit, (x, y, batch_size, *args), after=3)
        _refuse_weights(kwargs)
        y = _as_column(y)
        x = self._looked_at(x, y)
        held_out = kwargs.get("validation_data")
        if held_out is not None and not isinstance(held_out, tuple):
            # It is looked at here alone: within `fit` it has begun already.
            kwargs["validation_data"] = self._looked_at(held_out)
        elif held_out is not None and len(held_out) == 2:
            kwargs["validation_data"] = held_out[0], _as_column(held_out[1])
        if self.replicas > 1:
            split = kwargs.get("validation_split", 0.0)
            check_shares(x, self.replicas, batch_size, split)
        return super().fit(x, y, batch_size, **kwargs)

    @raised_in_graph()
    def evaluate(self, x=None, y=None, *args, **kwargs):
        kwargs |= _by_name(keras.Model.evaluate, (x, y, *args), after=2)
        _refuse_weights(kwargs)
        y = _as_column(y)
        # That is how `fit` calls it.
        if not kwargs.get("_use_cached_eval_dataset"):
            x = self._looked_at(x, y)
        return super().evaluate(x, y, **kwargs)

    @raised_in_graph()
    def predict(self, x, *args, **kwargs):
        return super().predict(self._looked_at(x), *args, **kwargs)

    # Keras would give every replica the whole of a single batch.

    @raised_in_graph()
    def train_on_batch(
        self, x, y=None, sample_weight=None, class_weight=None, return_dict=False
    ):
        _refuse_weights({"sample_weight": sample_weight, "class_weight": class_weight})
        y = _as_column(y)
        if self.replicas > 1:
            shared = {"batch_size": _rows(x), "shuffle": False, "verbose": 0}
            history = self.fit(x, y, **shared).history
            logs = {name: value for name, (value,) in history.items()}
            return logs if return_dict else self._flatten_metrics_in_order(logs)
        x = self._looked_at(x, y)
        return super().train_on_batch(x, y, return_dict=return_dict)

    @raised_in_graph()
    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        _refuse_weights({"sample_weight": sample_weight})
        y = _as_column(y)
        if self.replicas > 1:
            shared = {"batch_size": _rows(x), "verbose": 0}
            return self.evaluate(x, y, return_dict=return_dict, **shared)
        x = self._looked_at(x, y)
        return super().test_on_batch(x, y, return_dict=return_dict)

    @raised_in_graph()
    def predict_on_batch(self, x):
        if self.replicas > 1:
            return self.predict(x, batch_size=_rows(x), verbose=0)
        return super().predict_on_batch(self._looked_at(x))

    def get_config(self):
        layers = enumerate(self._flatten_layers())
        frozen = [i for i, layer in layers if not layer.trainable]
        return super().get_config() | {"frozen": frozen}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        frozen = config.pop("frozen", None)
        model = super().from_config(config)
        if frozen is not None:
            # A layer comes before those within it, which it freezes too.
            for i, layer in enumerate(model._flatten_layers()):
                layer.trainable = i not in frozen
        return model

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        if str(filepath).endswith((".h5", ".hdf5")):
            raise UserError(
                f"{filepath} could not be read again: expected a name that ends in "
                ".keras, or save_weights with one that ends in .weights.h5."
            )
        # Others, as a folder or one on a store, Keras writes as it does.
        is_file = str(filepath).endswith(".keras") and "://" not in str(filepath)
        is_new = overwrite or not Path(filepath).exists()
        if not (is_new and is_file and zipped in (None, True)):
            super().save(filepath, overwrite, zipped, **kwargs)
            return
        with written_atomically(filepath) as temporary:
            super().save(temporary, zipped=zipped, **kwargs)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        if not skip_mismatch and Path(filepath).is_file():
            self._check_weights(Path(filepath))
        super().load_weights(filepath, skip_mismatch, **kwargs)

    def _check_weights(self, path):
        """Raises: UserError: if a file has more than the model, which Keras leaves."""
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder) / "own.weights.h5"
            self.save_weights(own)
            more = sorted(_names_of_weights(path) - _names_of_weights(own))
        if more:
            raise UserError(
                f"{path} has weights of another model, such as {more[0]}: build this "
                "one as that was, or pass skip_mismatch=True."
            )

    def _looked_at(self, x, y=None):
        """The data, after a look at its first batch."""
        first, x = first_batch(x)
        if first is not None:
            batch = batch_of((first, y), self.target)
            self._check_batch(batch)
            if len(_first(batch)) == 0:
                raise UserError("Expected images, received none: the data is empty.")
        return x

    def _check_batch(self, batch):
        if not set(batch) & set(self.inputs):
            raise UserError(
                f"Expected data with the key {' or '.join(map(repr, self.inputs))}, "
                f"received the keys {', '.join(map(repr, batch))}: name the images "
                "'image'."
            )
        if "image" in batch:
            check_images(batch["image"], self.image_shape)
        for name, values in batch.items():
            # Keras makes tensors of all features.
            if isinstance(values, np.ndarray) and values.dtype.kind in "OSU":
                raise UserError(
                    f"Expected numbers as {name}, received {values.dtype}: number them "
                    "from 0, as numpy.unique does with return_inverse=True, or leave "
                    "them out."
                )

    def batch_of(self, data) -> dict[str, Any]:
        """What `fit` takes as tensors by name, with images as float32 in [0, 1].

        Raises:
          UserError: if it is something else, as far as can be told without its values.
        """
        batch = batch_of(data, self.target)
        self._check_batch(batch)
        if "image" in batch:
            batch["image"] = checked(batch["image"])
        return batch

    def shared_batch(self, data) -> dict[str, Any]:
        """As `batch_of`, of a batch to learn from.

        Raises:
          UserError: if the replicas have different numbers of rows.
        """
        batch = self.batch_of(data)
        rows = rows_of(batch)
        is_known = isinstance(rows, int) and not tf.executing_eagerly()
        if self.replicas == 1 or replicas.count() == 1 or is_known:
            return batch
        same = replicas.mean(tf.cast(rows, tf.float32)) == tf.cast(rows, tf.float32)
        return asserted(batch, same, uneven(self.replicas))

    def feature(self, batch: dict[str, Any], name: str):
        """A feature of a batch.

        Raises:
          UserError: if it is not there.
        """
        if name not in batch:
            raise UserError(
                f"The model needs the feature {name!r} beside the images, received "
                f"{', '.join(map(repr, batch))}: pass dicts with this key."
            )
        return batch[name]

    def padded_batch(self, data) -> tuple[dict[str, Any], Any]:
        """The batch of `data`, and its number of rows on this replica.

        A replica that gets none has one of zeros: not all layers work on no rows.
        """
        batch = self.batch_of(data)
        rows = rows_of(batch)
        if not isinstance(rows, int) or rows == 0:
            missing = tf.maximum(1 - rows, 0)

            def padded(x):
                if isinstance(x, tf.RaggedTensor):  # No model reads one.
                    return x
                if x.shape.rank is None:  # Of labels, after some of another rank.
                    others = tf.zeros([tf.rank(x) - 1, 2], tf.int32)
                    return tf.pad(x, tf.concat([[[0, missing]], others], axis=0))
                return tf.pad(x, [[0, missing]] + [[0, 0]] * (x.shape.rank - 1))

            batch = tf.nest.map_structure(padded, batch)
        return batch, rows

    def predict_step(self, data):
        batch, rows = self.padded_batch(data)
        return self(self.feature(batch, "image"))[:rows]

    def test_step(self, data):
        raise UserError(
            f"A {type(self).__name__} has no loss on held-out data: leave evaluate and "
            "validation_data out, and measure its samples."
        )


def _names_of_weights(path):
    """The places of arrays in a file of weights, but for an optimizer's."""
    names = set()

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            names.add(name)

    with h5py.File(path) as file:
        file.visititems(visit)
    return names


def rows_of(batch: dict[str, Any]):
    """Rows of a batch on this replica: an int if known, else a scalar tensor."""
    return replicas.size(_first(batch))


def _first(batch):
    """Images, or else the first feature; others may be dicts, or ragged."""
    return batch["image"] if "image" in batch else next(iter(batch.values()))


def _rows(x):
    """Rows of a batch of arrays."""
    return len(tf.nest.flatten(x)[0])


def _as_column(labels):
    """Labels in a list, or in a column of a table, as an array."""
    is_column = hasattr(labels, "__array__") and not tf.is_tensor(labels)
    return np.asarray(labels) if is_column or isinstance(labels, list) else labels


def _by_name(method, args, after):
    """A method's arguments that were given by their places, but for the first ones."""
    given = inspect.signature(method).bind_partial(None, *args).arguments
    return dict([*given.items()][after + 1 :])


def _refuse_weights(kwargs):
    """Raises: UserError: if what Keras is given weighs images."""
    for name in ("sample_weight", "class_weight"):
        if kwargs.get(name) is not None:
            raise UserError(f"The objective has no weights: leave {name} out.")
