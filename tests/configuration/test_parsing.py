"""Gin files: their text, and mistakes in them, which are named."""

import pytest

import gin
from tests.commands import ROOT
from tfp_priors.configuration import parse
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import bindings

GIN = str(ROOT / "gin" / "mnist_beta0.gin")
FILES = sorted((ROOT / "gin").glob("*.gin"))


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
        # Values of another type are named.
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


def test_what_is_not_near_is_not_named():
    for param in ("train.epochs = 5", "Optimist.x = 1", "EPOCHS = 5"):
        with pytest.raises(UserError) as error:
            parse([GIN], [param])
        assert "Did you mean" not in str(error.value)


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


# What has no effect ------------------------------------------------------------------

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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_has_no_mistake_and_neither_has_what_a_run_keeps(path, tmp_path):
    kept = tmp_path / "config.gin"
    kept.write_text(parse([str(path)], ["load_dataset.name = 'none'"], used=[]))
    assert parse([str(kept)], used=[]) == kept.read_text()


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "ü.gin").write_text(f"include '{GIN}'\ntrain.steps = 7\n")
    (tmp_path / "leaf.gin").write_text("include '~/my run/ü.gin'\n")
    text = parse(["~/leaf.gin"])
    assert bindings(text)["train.steps"] == "7"


def test_what_a_command_gives_may_rest_and_is_overridden():
    """The mixture has no use for CODES, which other priors of codes have."""
    mixture = str(ROOT / "gin" / "priors" / "mixture.gin")
    params = ["LATENT_SIZE = 4", "load_dataset.codes = 'codes.npy'"]
    given = ["CODES = 5", "train.seed = 7"]
    assert "train.seed = 7" in parse([mixture], params, given)
    assert "train.seed = 9" in parse([mixture], [*params, "train.seed = 9"], given)
    with pytest.raises(UserError, match="CODES has no effect"):
        parse([mixture], [*params, "CODES = 5"])
