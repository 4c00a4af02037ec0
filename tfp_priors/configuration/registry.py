"""What gin files may name."""

import inspect

import keras

import gin
from tfp_priors import data
from tfp_priors import divergences
from tfp_priors import likelihoods
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors import regularizers
from tfp_priors import training
from tfp_priors.core.configured import Configured


def parameters_of(configurable) -> dict[str, inspect.Parameter]:
    """The named parameters, so that gin refuses others despite **kwargs."""
    signature = inspect.signature(configurable)
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def _register(configurable, name=None):
    return gin.external_configurable(
        configurable,
        name=name,
        module="tfp_priors",
        allowlist=list(parameters_of(configurable)),
    )


# What these show can be named in gin files.
_ROOMS = (
    priors,
    posteriors,
    likelihoods,
    divergences,
    regularizers,
    networks,
    models,
    training,
)

# Which others extend.
_BASES = (
    models.CodeLearner,
    networks.Conditioner,
    divergences.Divergence,
    likelihoods.Likelihood,
    models.GenerativeModel,
    models.GroupedModel,
    models.Predictor,
    models.PriorModel,
    posteriors.Posterior,
    priors.FlowPrior,
    priors.Prior,
    regularizers.Regularizer,
)

CONFIGURABLES = {
    part.__name__: part
    for room in _ROOMS
    for part in vars(room).values()
    if inspect.isclass(part) and issubclass(part, Configured) and part not in _BASES
} | {
    part.__name__: part
    for part in (
        data.Views,
        training.Adam,
        training.EarlyStopping,
        training.PostHoc,
        training.share,
        keras.optimizers.schedules.CosineDecay,
        keras.optimizers.schedules.PolynomialDecay,
    )
}

for _part in CONFIGURABLES.values():
    _register(_part)
load_dataset = _register(data.load_dataset)
Trainer = _register(training.Trainer, "train")
CONFIGURABLES |= {"load_dataset": data.load_dataset, "train": training.Trainer}

# What is no gin file's to say, and who says it.
GIVEN = {"load_dataset": {"data_dir": "--data_dir", "split": "the command"}}
# Macros that stand for what parts need under these names.
SHARED = {"latent_size": "LATENT_SIZE", "image_shape": "IMAGE_SHAPE"}
