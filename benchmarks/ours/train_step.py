"""Our training step, by the trainer and the callbacks of bin/train."""

import tempfile
import time
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from benchmarks.sides import ROOT
from tfp_priors import config
from tfp_priors.data import ImageDataset

# Batches that the images are enough for, as on the other side.
_BATCHES = 50
_WARMUP = 5
# The trainer's default: pictures, statistics and a checkpoint every so many steps.
_PERIOD = 1000

_PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


# Of the item "perceptual": bindings and files beside beta0's; weights are random.
_LOSSES = {
    "pixels": (
        ["LIKELIHOOD = @NormalLikelihood()", "NormalLikelihood.gamma = 0.01"],
        [],
    ),
    "vgg19": (["VGG19Features.weights = None"], []),
    "classifier": ([], ["perceptual/classifier.gin"]),
}


def loop(variant, case, loop):
    del variant
    shape, name, batch, precision = case.split(".")
    params, files = _LOSSES.get(name, ([], []))
    model = "beta0" if name in _LOSSES else name
    config.parse(
        [str(ROOT / "gin" / file) for file in (f"{shape}_{model}.gin", *files)],
        [
            *params,
            f"train.batch_size = {batch}",
            f"train.precision = '{_PRECISIONS[precision]}'",
        ],
    )
    trainer = config.trainer()
    trainer.model = _observed(trainer.model, loop, int(batch))

    def load_dataset(split):
        size = _BATCHES * int(batch) if split == "train" else 512
        image_shape = config.gin.query_parameter("IMAGE_SHAPE/gin.macro.value")
        random = np.random.RandomState(0)
        images = random.randint(0, 256, (size, *image_shape), np.uint8)
        return ImageDataset(images, {}, image_shape)

    with tempfile.TemporaryDirectory() as run_dir:
        trainer.train(run_dir, load_dataset)


def _observed(make_model, loop, batch_size):
    """A maker of models whose `fit` has one more callback, the last."""

    def make(**kwargs):
        model = make_model(**kwargs)
        fit = model.fit

        def fit_observed(*args, callbacks=(), **kwargs):
            facts = counts(model, batch_size)
            observer = _Observer(loop, callbacks, facts)
            return fit(*args, callbacks=[*callbacks, observer], **kwargs)

        model.fit = fit_observed
        return model

    return make


class _Observer(keras.callbacks.Callback):
    """Serves rounds after the first steps, which warm up.

    A round is too short for what happens every 1,000 steps, so two of the first steps
    are declared such a step; the second one's time, without that of a usual step, is
    added to the time of each step, divided by 1,000.
    """

    def __init__(self, loop, others, facts):
        super().__init__()
        self._loop = loop
        self._counting = [c for c in others if hasattr(c, "step")]
        self._facts = facts
        self._times = []

    def on_train_batch_end(self, batch, logs=None):
        if len(self._times) > _WARMUP:
            if not self._loop.step(float(logs["loss"])):
                self.model.stop_training = True
            return
        self._times.append(time.perf_counter())
        done = len(self._times)
        if done in (2, 3):
            for callback in self._counting:
                callback.step = _PERIOD - 1
        if done == _WARMUP + 1:
            seconds = np.diff(self._times)
            extra = max(0.0, float(seconds[2] - seconds[-1]))
            self._facts["periodic_ms"] = 1e3 * extra
            self._loop.begin(
                {"tensorflow": tf.__version__, "keras": keras.__version__},
                extra_ms=1e3 * extra / _PERIOD,
                **self._facts,
            )


def counts(model, batch_size: int) -> dict:
    """What a step costs at least: the layers' operations, and the parameters.

    A multiply-add is two operations, and a layer's backward pass takes two products of
    the size of its forward pass. A network that is not trained sees two batches, real
    and decoded images, and is left backwards by one product for the second alone. What
    is not a convolution or a dense layer is free.

    Returns:
      "gflop" of a step and the number of "parameters" that are trained.
    """
    products = []

    def passes(layer):
        return 3 if layer.trainable else 1.5

    call = keras.layers.Layer.__call__

    def recording(layer, inputs, *args, **kwargs):
        outputs = call(layer, inputs, *args, **kwargs)
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
            products.append(passes(layer) * _products(layer.kernel, outputs))
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            products.append(passes(layer) * _products(layer.kernel, inputs))
        return outputs

    rows = 2

    @tf.function
    def step():
        images = tf.zeros([rows, *model.image_shape], tf.uint8)
        return model.train_step({"image": images})

    with mock.patch.object(keras.layers.Layer, "__call__", recording):
        step.get_concrete_function()  # traced, not run
    groups = model.variable_groups().values()
    parameters = sum(int(np.prod(v.shape)) for group in groups for v in group)
    gflop = 2 * sum(products) * batch_size / rows / 1e9
    return {"gflop": gflop, "parameters": parameters}


def _products(kernel, positions):
    """Multiply-adds of a kernel that is used at each position, the channels aside."""
    return int(np.prod(kernel.shape)) * int(np.prod(positions.shape[:-1]))
