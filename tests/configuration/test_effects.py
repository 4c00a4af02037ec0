"""Bindings without effect are refused."""

import pytest

from tests.commands import ROOT
from tfp_priors.configuration import parse
from tfp_priors.errors import UserError

UNUSED = "has no effect: the configuration does not use"
UNREAD = "has no effect: nothing that the configuration uses reads it"
IN_ITS_SCOPE = "has no effect: it is overridden by autoencoder/Adam.beta_1, prior/Adam"


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("vae", ["BETTA = 0.1"], f"BETTA {UNREAD}. Did you mean 'BETA'?"),
        ("vae", ["LATENT_DIM = 8"], f"{UNREAD}. Did you mean 'LATENT_SIZE'?"),
        ("beta0", ["BETA = 1.0"], f"{UNREAD}. Did you mean 'LatentVariableModel.beta'"),
        ("vae", ["beta_1 = 0.5"], "'autoencoder/Adam.beta_1', 'prior/Adam.beta_1' or"),
        ("vae", ["A = 1.0", "B = %A"], f"A {UNREAD}."),
        ("classifier", ["LATENT_SIZE = 2"], f"LATENT_SIZE {UNREAD}."),
        ("vae", ["BETA = 2.0", "LinearAnnealing.value = 1.0"], f"BETA {UNREAD}."),
        ("vae", ["Adam.beta_1 = 0.9"], f"Adam.beta_1 {IN_ITS_SCOPE}.beta_1 and"),
        ("vae", ["RealNVPPrior.couplings = 2"], f"{UNUSED} RealNVPPrior."),
        ("maf_beta0", ["SplinePrior.bins = 3"], f"SplinePrior.bins {UNUSED} Spline"),
        ("vae", ["MMDDivergence.kernel = @GaussianKernel()"], f"{UNUSED} MMDDiv"),
        (
            "vae",
            ["autoencodr/Adam.beta_2 = 0.5"],
            f"{UNUSED} autoencodr/Adam. Did you mean 'autoencoder/Adam.beta_2'?",
        ),
        ("vae", ["prior/MLP.activation = 'relu'"], f"{UNUSED} prior/MLP."),
        ("ae_gmm", ["train.post_hoc = None", "PostHoc.steps = 5"], f"{UNUSED} PostHoc"),
        ("vae", ["load_dataset.data_dir = 'x'"], "it is overridden by --data_dir"),
        ("vae", ["load_dataset.split = 'x'"], "it is overridden by the command"),
    ],
)
def test_a_param_without_effect_is_refused(model, params, message):
    path = str(ROOT / "gin" / f"mnist_{model}.gin")
    with pytest.raises(UserError) as error:
        parse([path], params)
    assert message in str(error.value)
    assert str(error.value).startswith(f"In {params[0]!r}: ") or model == "ae_gmm"
    # So it is where nothing but the data set is of interest.
    with pytest.raises(UserError, match="has no effect"):
        parse([path], params, used=["load_dataset"])


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("vae", ["Adam.beta_2 = 0.9"]),
        ("vae", ["RATE = 1e-3", "autoencoder/Adam.learning_rate = %RATE"]),
        ("vae", ["A = 2.0", "BETA = %A"]),
        ("vae", ["BETA = 3.0", "BETA = 2.0"]),
        ("ae_gmm", ["PostHoc.steps = 5", "StandardNormalPrior.standardize = False"]),
        (
            "gmmn_ae",
            [
                "MMDDivergence.kernel = @x/GaussianKernel()",
                "x/GaussianKernel.bandwidths = (1.0,)",
            ],
        ),
        ("rae_gp", ["CodeNorm.weight = 0.1", "DecoderGradient.weight = 0.2"]),
        ("vae", ["LIKELIHOOD = @NormalLikelihood()", "NormalLikelihood.gamma = 0.1"]),
    ],
)
def test_a_param_with_an_effect_is_not(model, params):
    parse([str(ROOT / "gin" / f"mnist_{model}.gin")], params)


THREE_EMAS = "\n".join(
    f"{name}/Adam.ema_momentum = 0.5"
    for name in ("autoencoder", "prior", "discriminator")
)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("BETTA = 0.1", f"BETTA {UNREAD}. Did you mean 'BETA'?"),
        ("Adam.beta_1 = 0.9", IN_ITS_SCOPE),
        ("prio/Adam.beta_2 = 0.9", f"{UNUSED} prio/Adam. Did you mean 'prior/Adam.be"),
        ("load_dataset.data_dir = 'x'", "it is overridden by --data_dir"),
        # For other configurations that include the file.
        ("RealNVPPrior.couplings = 2", None),
        ("GaussianKernel.bandwidths = (2.0,)", None),
        ("classifier/Adam.beta_1 = 0.5\ntrain.optimizers = {}", UNUSED),
        ("X = 1.0\nPostHoc.steps = %X", None),
        ("BETA = 0.5", None),
        ("Adam.beta_1 = 0.9\nautoencoder/Adam.beta_1 = 0.4", IN_ITS_SCOPE),
        ("Adam.ema_momentum = 0.9\n" + THREE_EMAS, None),
    ],
)
def test_lines_of_a_file_without_effect(line, message, tmp_path):
    path = tmp_path / "user's file.gin"
    path.write_text(f"include '{ROOT / 'gin' / 'mnist_vae.gin'}'\n{line}\n")
    if message is None:
        parse([str(path)])
        return
    with pytest.raises(UserError) as error:
        parse([str(path)])
    assert message in str(error.value)
    assert str(error.value).startswith(f"In {path}: ")
