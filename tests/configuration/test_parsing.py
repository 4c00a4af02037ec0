"""Gin files: the text that a run keeps, and what a command gives."""

import pytest

import gin
from tests.commands import ROOT
from tfp_priors.configuration import parse
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import bindings

GIN = str(ROOT / "gin" / "mnist_beta0.gin")
FILES = sorted((ROOT / "gin").glob("*.gin"))


def test_config_text_is_complete_and_stable():
    text = parse([GIN], [f"RealNVPPrior.hidden_sizes = {(8,) * 60}"])
    assert bindings(text)["RealNVPPrior.hidden_sizes"].count("8") == 60
    assert "include" not in text


@pytest.mark.parametrize(
    "name, part, lengths",
    [
        ("mnist_beta0", "prior/CosineDecay", {"decay_steps": 400}),
        ("mnist_classifier", "classifier/CosineDecay", {"decay_steps": 400}),
        ("mnist_vae", "LinearAnnealing", {"steps": 200}),
        ("mnist_vae_cyclical", "CyclicalAnnealing", {"period": 100}),
        ("mnist_ae_flow", "PostHoc", {"steps": 160}),
        ("mnist_ae_flow", "at_rest/CosineDecay", {"decay_steps": 160}),
        ("deepfashion_vunet_vae", "LinearAnnealing", {"start": 200, "steps": 100}),
        ("deepfashion_vunet_beta0", "prior/PolynomialDecay", {"decay_steps": 400}),
    ],
)
def test_schedules_follow_the_length_of_the_run(name, part, lengths):
    parse([str(ROOT / "gin" / f"{name}.gin")], ["train.steps = 400"])
    made = gin.get_configurable(part)()
    assert {key: getattr(made, key) for key in lengths} == lengths


def test_a_macro_of_steps_may_be_the_users():
    rate = ["prior/Adam.learning_rate = @CosineDecay()"]
    rate += ["CosineDecay.initial_learning_rate = 1.0"]
    rate += ["CosineDecay.decay_steps = %STEPS"]
    own = ["STEPS = 70", "train.steps = %STEPS"]
    for params, steps in (([*rate, *own], 70), ([*rate, *own, "train.steps = 9"], 9)):
        parse([GIN], params)
        assert gin.get_configurable("CosineDecay")().decay_steps == steps
    with pytest.raises(UserError, match="STEPS has no effect: it stands for train.st"):
        parse([GIN], [*rate, "train.steps = 9", "STEPS = 70"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_has_no_mistake_and_neither_has_what_a_run_keeps(path, tmp_path):
    kept = tmp_path / "config.gin"
    kept.write_text(parse([str(path)], ["load_dataset.name = 'none'"], used=[]))
    assert parse([str(kept)], used=[]) == kept.read_text()


def test_what_a_command_gives_may_rest_and_is_overridden():
    """The mixture has no use for CODES, which other priors of codes have."""
    mixture = str(ROOT / "gin" / "priors" / "mixture.gin")
    params = ["LATENT_SIZE = 4", "load_dataset.codes = 'codes.npy'"]
    given = ["CODES = 5", "train.seed = 7"]
    assert "train.seed = 7" in parse([mixture], params, given)
    assert "train.seed = 9" in parse([mixture], [*params, "train.seed = 9"], given)
    with pytest.raises(UserError, match="CODES has no effect"):
        parse([mixture], [*params, "CODES = 5"])
