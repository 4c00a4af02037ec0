"""What the metrics may ask of a model: functions, whatever it is made of."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import Images
from tfp_priors.evaluation.images import from_folder
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.files import saved_model_sha256

# What messages say of a part that is missing.
_PARTS = {
    "samples": "samples",
    "reconstruct": "reconstructions",
    "encode": "encoder",
    "transfer": "condition, such as a pose",
    "show_condition": "condition, such as a pose",
    "decode": "decoder",
    "to_base": "prior whose z0 can be inferred from z, as that of a flow",
    "from_base": "prior whose z0 can be inferred from z, as that of a flow",
    "sample_posterior": "encoder whose posterior q(z|x) can be drawn from",
    "sample_codes": "prior whose codes can be drawn",
    "log_prob": "prior with a density p(z)",
    "log_terms": "p(x|z), q(z|x) and p(z) that all have a density",
    "activations": "labels that it predicts: it is no classifier",
    "correct": "labels that it predicts: it is no classifier",
}

# Parts whose users pass no condition.
_UNCONDITIONAL = ("to_base", "from_base", "log_terms")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model, or just its images, to be evaluated.

    The functions of a conditional one take an array of conditions, a row per image or
    code, as their last argument. Images are floats in [0, 1], seeds are ints, functions
    return arrays or tensors. What the subject cannot do is None.

    Attributes:
      name: what messages call it.
      identity: a text that changes with the weights.
      image_shape: `(height, width, channels)`.
      condition: the feature of the data that it is conditional on, or None.
      context: of a conditional subject, conditions to vectors `[n, size]`.
      samples: maps n and a seed to `Images`.
      reconstruct: images to their decoded codes.
      transfer: of a subject whose decoder is conditional, images, their conditions and
        others to the images under these.
      show_condition: of the same, conditions to pictures of them, if they have some.
      encode: images to codes, the means of q(z|x), a row of numbers each.
      decode: codes to images.
      to_base: z to z0, if each z has one.
      from_base: z0 to z; None without to_base.
      sample_posterior: images and a seed to a draw of q(z|x) each.
      sample_codes: n and a seed to {"z": codes} of the prior, with "z0" if it has a
        base space; `decode` of them are the images of `samples`.
      log_prob: codes to log p(z) in nats.
      log_terms: images, a stateless seed and a number of draws to log p(x|z), log p(z)
        and log q(z|x).
      pixel_levels: see `bits_per_dimension`.
      activations: of a classifier, images to features and logits.
      correct: of a classifier, logits and targets to booleans.
      target: of a classifier, the feature of the data that it learned.
      step: training steps, or None.
      of_codes: whether it is a prior alone, whose data are codes.
    """

    name: str
    identity: str
    image_shape: tuple[int, int, int]
    condition: str | None = None
    context: Callable | None = None
    samples: Callable[..., Images] | None = None
    reconstruct: Callable | None = None
    transfer: Callable | None = None
    show_condition: Callable | None = None
    encode: Callable | None = None
    decode: Callable | None = None
    to_base: Callable | None = None
    from_base: Callable | None = None
    sample_posterior: Callable | None = None
    sample_codes: Callable | None = None
    log_prob: Callable | None = None
    log_terms: Callable | None = None
    pixel_levels: int = 1
    activations: Callable | None = None
    correct: Callable | None = None
    target: str | None = None
    step: int | None = None
    of_codes: bool = False

    def ask(self, part: str) -> Any:
        """One of the functions.

        Raises:
          UserError: if the subject does not have it.
        """
        function = getattr(self, part)
        is_conditional = self.condition is not None and not self.of_codes
        if function is None and is_conditional and part in _UNCONDITIONAL:
            raise UserError(
                f"{self.name} is conditional on {self.condition}, which this metric or "
                "figure does not know."
            )
        if function is None:
            raise UserError(
                f"{self.name} has no {_PARTS[part]}, which this metric or figure needs."
            )
        return function


def subject_of_model(
    model,
    identity: str,
    name: str = "the model",
    step: int | None = None,
    guidance: float = 1.0,
) -> Subject:
    """A generative model, or a prior alone, as a subject.

    Args:
      model: a `GenerativeModel` or a `CodeModel`.
      identity: a text that changes with the weights, such as a checksum.
      name: what messages call it.
      step: training steps.
      guidance: of draws; see `Prior.guided`.
    """
    if guidance != 1.0:
        identity = f"{identity}-guidance{guidance}"
    prior, conditioner = model.prior, model.conditioner
    # Metrics and figures of images infer z0 without a condition.
    is_invertible = prior.is_invertible and (
        conditioner is None or not model.has_decoder
    )

    def sample_codes(n, seed, *given):
        with prior.guided(guidance):
            return _prior_codes(model, n, seed, given)

    parts = {}
    if model.has_decoder:
        parts |= _decoders_functions(model, identity, guidance)
    if model.has_encoder:
        parts |= _encoders_functions(model)
    return Subject(
        name=name,
        identity=identity,
        image_shape=tuple(model.image_shape),
        condition=None if conditioner is None else conditioner.feature,
        context=None if conditioner is None else model.context,
        to_base=compiled(model.to_base) if is_invertible else None,
        from_base=compiled(lambda *given: _in_rows(model.from_base(*given)))
        if is_invertible
        else None,
        sample_codes=compiled(sample_codes),
        log_prob=compiled(model.log_prob) if prior.has_density else None,
        step=step,
        of_codes=not model.has_decoder,
        **parts,
    )


def compiled(function: Callable) -> Callable:
    """A function as a graph, whose numbers after the first argument are tensors.

    So it is traced once for all seeds.
    """
    # Autograph would rewrite TFP as well: seconds, for nothing.
    graph = tf.function(function, reduce_retracing=True, autograph=False)
    return lambda first, *others: graph(first, *map(tf.convert_to_tensor, others))


def _condition(given):
    return {"condition": given[0]} if given else {}


def _decoders_functions(model, identity, guidance):
    """What a subject can do with codes if its model has a decoder."""

    @compiled
    def sample(n, seed, *given):
        return model.sample(n, seed, guidance=guidance, **_condition(given))

    return {
        "samples": lambda n, seed, *given: from_sampler(
            sample, n, seed, identity, *given
        ),
        "decode": compiled(lambda z, *given: model.decode(z, **_condition(given))),
    }


def _encoders_functions(model):
    """What a subject can do with images if its model has an encoder."""

    @compiled
    def sample_posterior(images, seed, *given):
        return model.sample_posterior(images, tf.stack([seed, 0]), **_condition(given))

    has_bound = (
        model.conditioner is None
        and model.prior.has_density
        and model.posterior.has_density
        and model.likelihood.is_density
    )
    conditional, conditioner = {}, model.conditioner
    if conditioner is not None and conditioner.conditions_networks:
        conditional["transfer"] = compiled(model.transfer)
    if hasattr(conditioner, "picture"):
        size = model.image_shape[0]
        conditional["show_condition"] = lambda x: conditioner.picture(x, size)
    return conditional | {
        "reconstruct": compiled(model.reconstruct),
        "encode": compiled(lambda *given: _in_rows(model.encode(*given))),
        "sample_posterior": sample_posterior,
        "log_terms": model.log_terms if has_bound else None,
        "pixel_levels": model.likelihood.pixel_levels,
    }


def _prior_codes(model, n, seed, given):
    prior, context = model.prior, model.context(*given) if given else None
    # The seed of `model.sample`.
    seed = tf.stack([seed, 0])
    if not prior.has_base:
        return {"z": _in_rows(prior.sample(n, seed, context=context))}
    z0 = prior.sample_base(n, seed, context=context)
    return {"z0": z0, "z": _in_rows(prior.from_base(z0, context))}


def _in_rows(z):
    """Codes `[n, *code_shape]` as rows of numbers."""
    return tf.reshape(z, [-1, math.prod(z.shape[1:])])


def subject_of_predictor(
    model, identity: str, name: str = "the classifier", step: int | None = None
) -> Subject:
    """A `Classifier` or another `Predictor` as a subject; see `subject_of_model`."""
    return Subject(
        name=name,
        identity=identity,
        image_shape=tuple(model.image_shape),
        activations=compiled(model.activations),
        correct=getattr(model, "correct", None),
        target=model.target,
        step=step,
    )


def load_saved_model(folder: str | Path) -> Any:
    """A SavedModel of `bin/export`.

    Raises:
      UserError: if the folder holds none.
    """
    if not tf.saved_model.contains_saved_model(str(folder)):
        raise UserError(
            f"{folder} is not a SavedModel: expected a folder of bin/export."
        )
    model = tf.saved_model.load(str(folder))
    sample = model.signatures.get("sample")
    # Another program's may have one, but none that draws by a seed.
    if sample is None or "seed" not in sample.structured_input_signature[1]:
        raise UserError(
            f"{folder} has no function sample of a seed: expected a SavedModel of "
            "bin/export."
        )
    return model


def subject_of_saved_model(folder: str | Path) -> Subject:
    """A SavedModel of `bin/export` as a subject.

    Raises:
      UserError: if the folder holds none, or that of a conditional model or of a prior
        alone.
    """
    model = load_saved_model(folder)
    _, inputs = model.signatures["sample"].structured_input_signature
    if set(inputs) != {"n", "seed", "temperature"}:
        raise UserError(
            f"{folder} is of a conditional model, whose export does not name the "
            "feature that it needs: pass its run, --run_dir=RUN."
        )
    if not hasattr(model, "decode"):
        raise UserError(
            f"{folder} is of a prior alone, which draws no images: pass its run, "
            "--run_dir=RUN."
        )
    identity = f"saved_model-{saved_model_sha256(folder)}"
    shape = model.sample(1, 0, 1.0).shape[1:]
    return Subject(
        name=str(folder),
        identity=identity,
        image_shape=tuple(shape),
        samples=lambda n, seed: from_sampler(
            lambda n, seed: model.sample(n, seed, 1.0), n, seed, identity
        ),
        reconstruct=getattr(model, "reconstruct", None),
        decode=_of_rows(model, "decode"),
        to_base=_of_rows(model, "to_base"),
        log_prob=_of_rows(model, "log_prob"),
        encode=_to_rows(model, "encode"),
        from_base=_to_rows(model, "from_base"),
    )


def _to_rows(exported, name):
    """A function of an export whose codes become rows, or None."""
    function = getattr(exported, name, None)
    return None if function is None else lambda x: _in_rows(function(x))


def _of_rows(exported, name):
    """A function of an export that takes codes in rows, or None."""
    function = getattr(exported, name, None)
    if function is None:
        return None
    *_, inputs = exported.signatures[name].structured_input_signature
    shape = [-1, *inputs["z"].shape[1:]]
    return lambda z: function(tf.reshape(tf.cast(z, tf.float32), shape))


def subject_of_folder(
    folder: str | Path, image_shape, read_picture: Callable
) -> Subject:
    """A folder of pictures as a subject; see `from_folder`."""
    images = from_folder(folder, image_shape, read_picture)

    def samples(n, seed):
        del seed
        if n > images.size:
            raise UserError(
                f"{folder} has {images.size} pictures, the metric needs {n}: add "
                f"some, or ask for a metric of at most {images.size}."
            )
        return Images(n, images.chunk, f"{images.identity}[:{n}]")

    return Subject(
        name=str(folder),
        identity=images.identity,
        image_shape=tuple(image_shape),
        samples=samples,
    )
