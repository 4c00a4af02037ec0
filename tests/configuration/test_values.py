"""Values: of the right types, and none missing."""

import pytest

import gin
from tests.commands import ROOT
from tfp_priors.configuration import parse
from tfp_priors.errors import UserError

GIN = str(ROOT / "gin" / "mnist_beta0.gin")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (["train.steps = 'a'"], "train.steps = 'a': expected int"),
        (["train.steps = True"], "train.steps = True: expected int"),
        (["N = 1.5", "train.steps = %N"], "train.steps = %N = 1.5: expected int"),
        (["train.steps = @RealNVPPrior()"], "= @RealNVPPrior.*: expected int"),
        (
            ["train.clip_norm = 'a'"],
            "train.clip_norm = 'a': expected float . dict.str, float. . None",
        ),
        (["train.clip_norm = 1e999"], "a finite train.clip_norm, received inf: choose"),
        (["train.optimizers = {'a': 1}"], "expected dict.str, Callable.*Optimizer"),
        (["LatentVariableModel.prior = @KLDivergence()"], ": expected Prior"),
        (["LatentVariableModel.prior = @RealNVPPrior"], ": expected Prior"),
        (["RealNVPPrior.hidden_sizes = (8, 'a')"], ": expected Sequence.int."),
    ],
)
def test_a_value_of_another_type_is_named(params, message):
    with pytest.raises(UserError, match=message) as error:
        parse([GIN], params)
    assert "\n" not in str(error.value)


def test_values_of_the_right_type():
    for value in ("8", "(8, 9)", "None"):
        parse([GIN], [f"load_dataset.image_size = {value}"])
    annealing = ["LinearAnnealing.value = 1.0", "LinearAnnealing.steps = 1"]
    for value, params in (("1", []), ("0.5", []), ("@LinearAnnealing()", annealing)):
        parse([GIN], [f"LatentVariableModel.beta = {value}", *params])


@pytest.mark.parametrize(
    ("params", "name", "value"),
    [
        (["train.steps = 1e5"], "train.steps", 100_000),
        (["train.clip_norm = 2", "train.steps = 5.0"], "train.steps", 5),
        (["N = 1e3", "train.steps = %N"], "train.steps", 1000),
        (["M = 2e3", "N = %M", "train.steps = %N"], "train.steps", 2000),
        (["RealNVPPrior.hidden_sizes = (8.0, 4)"], "RealNVPPrior.hidden_sizes", (8, 4)),
        (["load_dataset.image_size = 32.0"], "load_dataset.image_size", 32),
        (["load_dataset.image_size = [32.0, 4]"], "load_dataset.image_size", [32, 4]),
    ],
)
def test_whole_floats_are_ints_where_ints_are_wanted(params, name, value):
    parse([GIN], params)
    owner, parameter = name.split(".")
    assert repr(gin.get_bindings(owner)[parameter]) == repr(value)


def test_whole_floats_stay_floats_elsewhere():
    parse([GIN], ["train.clip_norm = 2.0", "N = 3.0", "LatentVariableModel.beta = %N"])
    for name, value in (("train.clip_norm", "2.0"), ("N/gin.macro.value", "3.0")):
        assert repr(gin.query_parameter(name)) == value


def test_missing_values_are_named():
    with pytest.raises(UserError, match="No value for .*load_dataset.name"):
        parse([str(ROOT / "gin" / "image_folder_beta0.gin")])
    with pytest.raises(UserError, match="train.model, train.optimizers"):
        parse([], [])
    with pytest.raises(UserError, match="IMAGE_SHAPE"):
        parse([str(ROOT / "gin" / "base.gin")])
