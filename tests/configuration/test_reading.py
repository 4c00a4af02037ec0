"""Gin files as they are read; what cannot be is named in a line."""

import pytest

from tests.commands import ROOT
from tfp_priors.configuration import parse
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import bindings

GIN = str(ROOT / "gin" / "mnist_beta0.gin")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        # Unknown names name the nearest.
        (["train.stepz = 1"], "train has no parameter 'stepz'. Did you mean 'steps'"),
        (["RealNVPPrior.coupling = 1"], "Did you mean 'couplings'"),
        (
            ["RealNVP.couplings = 1"],
            "no configurable 'RealNVP'. Did you mean 'RealNVPP",
        ),
        (["LatentVariableModel.prior = @RealNVPrior()"], "mean 'RealNVPPrior'"),
        (["train.steps = "], "train.steps"),
        (["train.steps"], "train.steps"),
        (["train.steps = many"], "'train.steps = many': many is no value: expected a"),
        (["TRAIN.steps = 1"], "Did you mean 'train'"),
        (
            ["train.learning_rate = 1.0"],
            "Did you mean 'autoencoder/Adam.learning_rate', 'prior/Adam.learning_rate' "
            "or 'discriminator/Adam.learning_rate'",
        ),
        (["train.bandwidths = (1.0,)"], "Did you mean 'GaussianKernel.bandwidths'"),
        (["RealNVPPrior.latent_size = %LATENT_SIZ"], "LATENT_SIZ: .*'LATENT_SIZE'"),
        (
            [
                "LatentVariableModel.likelihood = @BernoulliLikelihood()",
                "BernoulliLikelihood.a = 1",
            ],
            "BernoulliLikelihood has no parameter 'a'",
        ),
        (["N = %N", "train.steps = %N"], "N refers to itself: .*N -> N"),
        (
            ["LatentVariableModel.encoder = @LatentVariableModel()"],
            "LatentVariableModel refers to itself",
        ),
        (["train.steps = @a/gin.singleton()"], "No value for a/gin.singleton.constr"),
        (["train.steps = '''"], "In .*train.steps.*multi-line string"),
        ([f"N = {'[' * 1000}"], "In 'N = "),
    ],
)
def test_mistakes_are_told_in_a_line(params, message):
    with pytest.raises(UserError, match=message) as error:
        parse([GIN], params)
    assert "\n" not in str(error.value)


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


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "ü.gin").write_text(f"include '{GIN}'\ntrain.steps = 7\n")
    (tmp_path / "leaf.gin").write_text("include '~/my run/ü.gin'\n")
    text = parse(["~/leaf.gin"])
    assert bindings(text)["train.steps"] == "7"
