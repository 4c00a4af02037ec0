"""What a configuration is made of."""

import pytest

import gin
from tests.commands import ROOT
from tfp_priors.configuration import parse
from tfp_priors.errors import UserError

GIN = str(ROOT / "gin" / "mnist_beta0.gin")


def test_references_in_lists_and_dicts_are_followed():
    params = ["LatentVariableModel.regularizers = (@CodeNorm(),)"]
    with pytest.raises(UserError, match="No value for CodeNorm.weight: set it"):
        parse([GIN], params)


def test_a_part_is_made_in_the_scope_of_what_holds_it():
    params = [
        "autoencoder/Adam.learning_rate = @CosineDecay()",
        "autoencoder/CosineDecay.initial_learning_rate = 0.25",
        "prior/Adam.learning_rate = 1e-3",
        "discriminator/Adam.learning_rate = 1e-3",
        "CosineDecay.decay_steps = 100.0",
    ]
    parse([GIN], params)
    optimizer = gin.get_configurable("autoencoder/Adam")()
    assert float(optimizer.learning_rate) == 0.25
    params += ["at_rest/CosineDecay.initial_learning_rate = 1.0"]
    with pytest.raises(UserError, match="effect: it is overridden by a"):
        parse([GIN], [*params, "CosineDecay.initial_learning_rate = 1.0"])
