"""Gin files: their text, and mistakes in them, which are named."""

import pytest

from tests.commands import ROOT
from tfp_priors.configurables import parse
from tfp_priors.errors import UserError
from tfp_priors.run_dir import bindings

GIN = str(ROOT / "gin" / "mnist_beta0.gin")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (["train.stepz = 1"], "train has no parameter 'stepz'. Did you mean 'steps'"),
        (["RealNVPPrior.coupling = 1"], "Did you mean 'couplings'"),
        (
            ["RealNVP.couplings = 1"],
            "no configurable 'RealNVP'. Did you mean 'RealNVPP",
        ),
        (["LatentVariableModel.prior = @RealNVPrior()"], "mean 'RealNVPPrior'"),
        (["train.steps = "], "train.steps"),
        (["train.steps"], "train.steps"),
    ],
)
def test_unknown_names_name_the_nearest(params, message):
    with pytest.raises(UserError, match=message) as error:
        parse([GIN], params)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (["train.steps = 'a'"], "train.steps = 'a': expected int"),
        (["train.steps = True"], "train.steps = True: expected int"),
        (["N = 1.5", "train.steps = %N"], "train.steps = %N: expected int"),
        (["train.steps = @RealNVPPrior()"], "= @RealNVPPrior.*: expected int"),
        (["train.clip_norm = 'a'"], "train.clip_norm = 'a': expected float . None"),
        (["train.optimizers = {'a': 1}"], "expected dict.str, Callable.*Optimizer"),
        (["LatentVariableModel.prior = @KLDivergence()"], ": expected Prior"),
        (["LatentVariableModel.prior = @RealNVPPrior"], ": expected Prior"),
        (["RealNVPPrior.hidden_sizes = (8, 'a')"], ": expected Sequence.int."),
        (
            [
                "LatentVariableModel.likelihood = @BernoulliLikelihood()",
                "BernoulliLikelihood.a = 1",
            ],
            "BernoulliLikelihood has no parameter 'a'",
        ),
        (["N = %N", "train.steps = %N"], "N/gin.macro refers to itself"),
        (
            ["LatentVariableModel.encoder = @LatentVariableModel()"],
            "LatentVariableModel refers to itself",
        ),
        (["train.steps = @a/gin.singleton()"], "No value for a/gin.singleton.constr"),
        (["train.steps = '''"], "In .*train.steps.*multi-line string"),
        ([f"N = {'[' * 1000}"], "In 'N = "),
    ],
)
def test_values_of_another_type_are_named(params, message):
    with pytest.raises(UserError, match=message) as error:
        parse([GIN], params)
    assert "\n" not in str(error.value)


def test_values_of_the_right_type():
    for value in ("8", "(8, 9)", "None"):
        parse([GIN], [f"load_dataset.image_size = {value}"])
    for value in ("1", "0.5", "@LinearAnnealing()"):
        beta = f"LatentVariableModel.beta = {value}"
        annealing = ["LinearAnnealing.value = 1.0", "LinearAnnealing.steps = 1"]
        parse([GIN], [beta, *annealing])


def test_includes_are_those_beside_the_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.gin").write_text("include 'b.gin'\n")
    (tmp_path / "a" / "b.gin").write_text("train.steps = 1\n")
    with pytest.raises(UserError, match="No value for train.model"):
        parse([str(tmp_path / "a" / "a.gin")])
    with pytest.raises(UserError, match="Unable to open file: b.gin"):
        parse([str(tmp_path / "b" / "a.gin")])
    (tmp_path / "b" / "b.gin").write_text("include 'a.gin'\n")
    with pytest.raises(UserError, match="In .*a.gin: brackets or includes without end"):
        parse([str(tmp_path / "b" / "a.gin")])


def test_unknown_file_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean .*mnist_beta0.gin"):
        parse([GIN.replace("beta0", "betta0")])


def test_missing_values_are_named():
    with pytest.raises(UserError, match="No value for .*load_dataset.name"):
        parse([str(ROOT / "gin" / "image_folder_beta0.gin")])
    with pytest.raises(UserError, match="train.model, train.optimizers"):
        parse([], [])
    with pytest.raises(UserError, match="IMAGE_SHAPE"):
        parse([str(ROOT / "gin" / "base.gin")])


def test_config_text_is_complete_and_stable():
    text = parse([GIN], [f"RealNVPPrior.hidden_sizes = {(8,) * 60}"])
    assert bindings(text)["RealNVPPrior.hidden_sizes"].count("8") == 60
    assert "include" not in text


def test_references_in_lists_and_dicts_are_followed():
    params = ["LatentVariableModel.regularizers = (@CodeNorm(),)"]
    with pytest.raises(UserError, match="No value for CodeNorm.weight: set it"):
        parse([GIN], params)
