"""Fits a prior to arrays of codes: what is behind `Prior.fit`."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_priors.core.order import held_out_rows
from tfp_priors.core.rows import as_array
from tfp_priors.core.rows import checked_context
from tfp_priors.core.rows import checked_rows
from tfp_priors.core.rows import some_rows
from tfp_priors.core.rows import warn_of_few
from tfp_priors.errors import UserError
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_seed
from tfp_priors.errors import check_within
from tfp_priors.errors import raised_in_graph
from tfp_priors.learning.callbacks import BestOnHeldOut
from tfp_priors.learning.code_learner import ROWS_AT_ONCE
from tfp_priors.learning.code_model import CodeModel
from tfp_priors.learning.compile_checks import check_known
from tfp_priors.learning.shared_rate import copied
from tfp_priors.priors.standardization import moments_of_context

_ITERATIONS = 200

# As in `gin/base.gin`: a guard.
_CLIP_NORM = 500.0

# Means, and scales or their inverses, that are far from those of a new prior.
_FAR = 4.0

# Draws that are compared with codes.
_DRAWS = 10_000


class FitData(NamedTuple):
    """What is learned from; see `Prior.fit`."""

    codes: Any
    context: Any
    validation_split: float
    validation_data: Any
    seed: int


class FitSettings(NamedTuple):
    """How it is learned; see `Prior.fit`."""

    epochs: int | None
    batch_size: int
    optimizer: keras.optimizers.Optimizer | None
    divergence: keras.layers.Layer | None
    patience: int | None
    callbacks: Sequence[keras.callbacks.Callback]
    verbose: int | str


def fit(prior, data: FitData, settings: FitSettings) -> keras.callbacks.History:
    """See `Prior.fit`."""
    settings = _checked_settings(settings, data)
    learned, held_out, prior.code_shape = _split(prior, data)
    if not prior.built:
        prior.build((None, prior.latent_size))
    _warn_of_scale(prior, *learned)
    model = CodeModel(prior, settings.divergence, seed=data.seed)
    batch_size = min(settings.batch_size, len(learned[0]))
    by_steps = prior.learns_by_steps
    if not by_steps:
        _refuse_settings_of_steps(prior, settings)
        _refuse_unknown_variables(model, learned[1])
    epochs = settings.epochs
    if epochs is None:
        epochs = prior.usual_epochs if by_steps else _ITERATIONS
    model.fit_directly(learned[0], epochs, data.seed, learned[1])
    if not by_steps:
        return _finite(prior, _history_of(model, learned, held_out))
    each = math.ceil(len(learned[0]) / batch_size)
    patience = settings.patience or max(1, int(prior.usual_patience * epochs))
    variables, best = prior.trainable_variables, []

    def keep(step, value):
        del step, value
        best[:] = [variable.numpy() for variable in variables]

    callbacks = list(settings.callbacks)
    if held_out is not None and model.is_measurable:
        measure = model.measure(*held_out)
        callbacks.insert(0, BestOnHeldOut(measure, keep, each, patience * each))
    model.compile(settings.optimizer or _adam(prior, epochs * each), _CLIP_NORM)
    history = model.fit(
        model.code_batches(*learned, batch_size, data.seed),
        epochs=epochs,
        steps_per_epoch=each,
        shuffle=False,
        verbose=settings.verbose,
        callbacks=callbacks,
    )
    for variable, value in zip(variables, best, strict=False):
        variable.assign(value)
    return _finite(prior, history)


def evaluate(prior, codes, context, learned, seed: int) -> dict[str, float]:
    """See `Prior.evaluate`."""
    # It takes scikit-learn, which takes a while.
    from tfp_priors.latent_space import latent_match

    codes, context, _ = _checked(prior, codes, context)
    results = {}
    if prior.has_density:
        results["nll"] = _mean_nll(prior, codes, context)
    if learned is not None and prior.has_density:
        learned_nll = _mean_nll(prior, *_pair(prior, learned))
        results["overfitting"] = results["nll"] - learned_nll
    chosen = np.arange(len(codes))
    if len(codes) > _DRAWS:
        chosen = np.random.RandomState(seed).permutation(len(codes))[:_DRAWS]
        chosen.sort()
    some = codes[chosen].reshape(len(chosen), -1)
    given = None if context is None else tf.constant(context[chosen])
    draws = prior.sample(len(chosen), tf.constant([seed, 0]), context=given)
    draws = draws.numpy().reshape(len(chosen), -1)
    distance = latent_match.sliced_wasserstein(some, draws, seed=seed)
    if context is not None:
        # A prior that ignores its context matches the codes, not the pairs.
        some, draws = (np.hstack([each, context[chosen]]) for each in (some, draws))
    accuracy = latent_match.two_sample_accuracy(some, draws, seed=seed)
    return results | {
        "two_sample_accuracy": accuracy,
        "sliced_wasserstein": distance,
    }


def _mean_nll(prior, codes, context):
    compiled = tf.function(prior.log_prob, autograph=False, reduce_retracing=True)
    total = 0.0
    for start in range(0, len(codes), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        given = None if context is None else tf.constant(context[part])
        log_prob = compiled(tf.constant(codes[part]), given)
        total -= float(tf.reduce_sum(tf.cast(log_prob, tf.float64)))
    return total / len(codes)


def _adam(prior, steps):
    rate = keras.optimizers.schedules.CosineDecay(prior.usual_rate, steps)
    return keras.optimizers.Adam(rate, beta_1=prior.usual_beta_1)


def _checked_settings(settings, data):
    """The settings, with callbacks as a list.

    Raises:
      UserError: if one is of another kind than it must be.
    """
    seed, share, divergence = data.seed, data.validation_split, settings.divergence
    check_seed(seed)
    check_within("Prior.fit", "[0, 1)", validation_split=share)
    if divergence is not None and not isinstance(divergence, keras.layers.Layer):
        raise UserError(
            f"Expected a divergence of tfp_priors.divergences, received {divergence!r}."
        )
    optional = {"epochs": settings.epochs, "patience": settings.patience}
    given = {name: value for name, value in optional.items() if value is not None}
    check_counts("Prior.fit", batch_size=settings.batch_size, **given)
    callbacks = settings.callbacks or ()
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = (callbacks,)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise UserError(f"Expected callbacks of Keras, received {callback!r}.")
    optimizer = None if settings.optimizer is None else copied(settings.optimizer)
    return settings._replace(callbacks=callbacks, optimizer=optimizer)


def _refuse_settings_of_steps(prior, settings):
    """Raises: UserError: if what only steps obey is given where there are none."""
    names = ("optimizer", "divergence", "patience", "callbacks")
    given = [name for name in names if getattr(settings, name)]
    if given:
        raise UserError(
            f"The {type(prior).__name__} is fitted without gradient steps: leave "
            f"{', '.join(given)} out."
        )


def _refuse_unknown_variables(model, context):
    """Raises: UserError: if what learns nothing has variables that Keras knows not."""
    with tf.GradientTape() as tape:
        model.prior.sample(1, context=None if context is None else context[:1])
    check_known(model, tape.watched_variables())


def _finite(prior, history):
    """The history, unless it tells that the fit has failed."""
    if not np.isfinite(history.history["loss"][-1]):
        raise UserError(
            f"The loss of the {type(prior).__name__} is not finite: scale the codes to "
            "about unit variance, or give it standardize=True, or a lower rate."
        )
    return history


def _warn_of_scale(prior, codes, context):
    """Warns of codes that are few, and of what is far from what a new prior is for."""
    warn_of_few(len(codes), prior.latent_size, stacklevel=4)
    if prior.standardize or not prior.learns_by_steps:
        return
    some = codes[:_DRAWS]
    moments = {"codes": (some.mean(0), some.std(0))}
    if context is not None:
        moments["contexts"] = moments_of_context(context[:_DRAWS])
    for name, (means, scales) in moments.items():
        mean = np.abs(means).max()
        if mean > _FAR or scales.min() < 1 / _FAR or scales.max() > _FAR:
            warnings.warn(
                f"The {name} have means up to {mean:.3g} and standard deviations from "
                f"{scales.min():.3g} to {scales.max():.3g}, a new "
                f"{type(prior).__name__} is for 0 and 1: give it standardize=True.",
                stacklevel=4,
            )


def _history_of(model, learned, held_out):
    history = keras.callbacks.History()
    history.set_model(model)
    history.history = {"loss": [model.measure(*learned)()]}
    if held_out is not None:
        history.history["val_loss"] = [model.measure(*held_out)()]
    history.epoch = [0]
    return history


def _split(prior, data):
    """What is learned from and what is held out, as pairs, and a code's shape."""
    codes, context, shape = _checked(prior, data.codes, data.context)
    if data.validation_data is not None:
        return (codes, context), _pair(prior, data.validation_data), shape
    share = data.validation_split
    if not share:
        return (codes, context), None, shape
    pairs = [
        (some_rows(codes, part), None if context is None else context[part])
        for part in held_out_rows(len(codes), share, data.seed)
    ]
    return *pairs, shape


def _pair(prior, given):
    """Codes, or (codes, context), as checked codes and context."""
    is_pair = isinstance(given, tuple) or (
        isinstance(given, list) and len(given) == 2 and np.ndim(given[0]) > 1
    )
    pair = given if is_pair else (given, None)
    if len(pair) != 2:
        raise UserError(
            f"Expected codes, or (codes, context), received {len(pair)} arrays."
        )
    return _checked(prior, *pair)[:2]


def _checked(prior, codes, context):
    """Codes as vectors, the context, and the shape of a code.

    Raises:
      UserError: if they are none, or do not suit the prior.
    """
    if isinstance(codes, tf.data.Dataset):
        codes, context = _collected(codes, context)
    # What is read in parts has NumPy's own types, unlike tensors of any library.
    dtype = getattr(codes, "dtype", None)
    is_lazy = isinstance(dtype, np.dtype) and dtype.kind != "V"
    if not is_lazy or hasattr(codes, "toarray"):
        codes = as_array(codes)
    codes, shape = checked_rows("codes", codes)
    if not shape and prior.latent_size == 1:
        shape = (1,)
    elif not shape:
        raise UserError(
            f"Expected codes of shape [n, {prior.latent_size}], received "
            f"[{len(codes)}]: give a row of numbers for each, as "
            "codes.reshape(len(codes), -1)."
        )
    prior.check_code_shape(shape)
    if context is not None and prior.context_size:
        context = checked_context(context, prior.context_size, len(codes))
    prior.check_context(context)
    return codes, context, shape


def _collected(dataset, context):
    if context is not None:
        raise UserError(
            "Expected the context in the tf.data.Dataset, as pairs (codes, context): "
            "leave context out."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise UserError("Expected a finite tf.data.Dataset: add take(n).")
    with raised_in_graph():
        batches = list(dataset.as_numpy_iterator())
    if not batches:
        raise UserError("Expected codes, received an empty tf.data.Dataset.")
    first = batches[0]
    if isinstance(first, dict) or (isinstance(first, tuple) and len(first) != 2):
        raise UserError(
            "Expected a tf.data.Dataset of codes, or of pairs (codes, context): map it."
        )
    if np.ndim(first[0] if isinstance(first, tuple) else first) < 2:
        raise UserError("Expected a tf.data.Dataset of batches of codes: batch it.")
    if isinstance(first, tuple):
        codes, context = (np.concatenate(x) for x in zip(*batches, strict=True))
        return codes, context
    return np.concatenate(batches), None
