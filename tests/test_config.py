"""Gin files and runs by them: each builds and steps, and is read back."""

import keras
import numpy as np
import pytest

from tests.commands import ROOT
from tests.commands import TINY
from tests.networks.test_people import standing
from tfp_priors import config
from tfp_priors import configuration
from tfp_priors import experiments
from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.learning.code_learner import CONTEXT
from tfp_priors.models import POSTERIOR
from tfp_priors.models import LatentVariableModel

GIN = ROOT / "gin"
# What experiments on a data set share is a file of its own, and no experiment.
SHARED = {"base", "protocol", *experiments.data_sets(GIN)}
FILES = sorted(
    path
    for files in ("*.gin", "likelihood/*.gin")
    for path in GIN.glob(files)
    if path.stem not in SHARED
)
# PG-GAN takes images of 2^n pixels, the U-Net and a regressor persons, and classifiers
# are told their classes.
MODELS = sorted(
    path.stem
    for path in (GIN / "models").glob("*.gin")
    if not path.stem.startswith(("classifier", "keypoints", "pggan", "vunet"))
)
IMAGES = ["cifar10", "embedded_digits", "fashion_mnist", "image_folder", "mnist"]
COMPOSED = [GIN / f"{data}_{model}.gin" for data in IMAGES for model in MODELS]
SMALL = [
    *TINY,
    "load_dataset.name = 'none'",
    "train.batch_size = 4",
]


def images(text, n=8):
    shape = eval_tuple(text, "IMAGE_SHAPE")
    return np.random.RandomState(0).randint(0, 256, (n, *shape)).astype(np.uint8)


def small(path):
    """`SMALL`, with a code that the networks of the file take."""
    if path.stem.endswith(("_classifier", "_keypoints")):
        return SMALL
    is_map = {"vunet": (4, 4, 5), "_map_": (8, 8, 2)}
    sizes = [size for part, size in is_map.items() if part in path.stem]
    return [*SMALL, f"LATENT_SIZE = {sizes[0] if sizes else 4}"]


def _experiment(path):
    # The others differ from these in the data set or a prior's networks alone.
    slow = path in COMPOSED and not path.stem.startswith(("mnist", "cifar10_beta0"))
    slow = slow or path.stem.startswith(("celeba", "deepfashion", "cifar10_map_beta0"))
    slow = slow or path.stem in (
        *("mnist_2d_beta0", "mnist_iaf_vae", "mnist_maf_beta1"),
        *("procedural_faces_fp_vae", "procedural_faces_pggan", "procedural_faces_vae"),
        "procedural_people_vunet_vae",
    )
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(
    "path", sorted({*FILES, *COMPOSED}), ids=lambda path: path.stem
)
def test_every_experiment_is_complete(path):
    config.parse([str(path)], ["load_dataset.name = 'none'"])


@pytest.mark.parametrize(
    "path", [_experiment(path) for path in sorted({*FILES, *COMPOSED})]
)
def test_every_experiment_builds_and_steps(path):
    text = config.parse([str(path)], small(path))
    trainer = config.trainer()
    if trainer.post_hoc is not None:
        step(trainer, text, at_rest=True)
    step(trainer, text)


def step(trainer, text, at_rest=False):
    """One step without a graph, whose tracing would take the most time."""
    model = trainer.compiled_model(at_rest)
    batch = (images(text, 4) / 255).astype(np.float32)
    attributes = getattr(model, "attributes", None) or 1
    labels = {
        "label": np.arange(4),
        "attributes": np.ones([4, attributes], bool),
        "keypoints": standing()[[0, 1, 2, 0]],
    }
    conditioner = getattr(model, "conditioner", None)
    given = None if conditioner is None else labels[conditioner.feature]
    if not at_rest:
        logs = model.train_step({"image": batch, **labels})
    else:
        rows = {POSTERIOR: model.posterior_parameters(batch)}
        if conditioner is not None:
            rows[CONTEXT] = conditioner(given)
        logs = model.train_step(rows)
    assert all(np.isfinite(value) for value in logs.values()), logs
    for weight in model.weights:
        assert np.isfinite(weight).all(), weight.path
    assert [int(o.iterations) for o in model.optimizers.values()] == [1] * len(
        model.optimizers
    )
    if isinstance(model, LatentVariableModel) and not at_rest:
        condition = None if given is None else given[:2]
        assert np.isfinite(model.sample(2, condition=condition)).all()


@pytest.fixture
def fake_data(monkeypatch):
    """The data sets may not be reachable; their shapes are the configurations'."""

    def fake(split, data_dir=None):
        del split, data_dir
        text = config.gin.config_str()
        return ImageDataset(images(text), {}, eval_tuple(text, "IMAGE_SHAPE"))

    monkeypatch.setattr(config, "_load_dataset", fake)


PREDICTOR = [*SMALL, "train.steps = 1", "train.images_every = 1000"]
RUN = [*PREDICTOR, "LATENT_SIZE = 4"]
# Of faces, without the phase at rest.
SMALL_IMAGES = ["IMAGE_SHAPE = (16, 16, 3)", "train.post_hoc = None"]


@pytest.mark.parametrize(
    "precision", ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", ["embedded_digits_beta0", "cifar10_prior_aae"])
def test_run_and_load(name, precision, tmp_path, fake_data):
    params = [*RUN, f"train.precision = '{precision}'"]
    result = config.train(tmp_path / "run", [str(ROOT / "gin" / f"{name}.gin")], params)
    # beta0 has a phase at rest, of at least one step.
    assert result.step == 1 + name.endswith("beta0")
    restored = config.load_run(tmp_path / "run").model
    for a, b in zip(restored.weights, result.model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_with_a_perceptual_loss_is_read_without_the_file_of_its_weights(
    tmp_path, fake_data, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "vgg19.weights.h5"
    keras.applications.VGG19(include_top=False, weights=None).save_weights(path)
    params = [
        *RUN,
        *SMALL_IMAGES,
        "VGG19Features.layers = ('relu1_1', 'relu1_2')",
        f"VGG19Features.weights = '~/{path.name}'",
    ]
    gin_file = str(ROOT / "gin" / "celeba_beta0.gin")
    trained = config.train(tmp_path / "run", [gin_file], params).model
    path.unlink()
    restored = config.load_run(tmp_path / "run").model
    for a, b in zip(restored.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(restored.likelihood.features.weights) == 4
    with pytest.raises(UserError, match="cannot be read from .*--vgg19_weights"):
        config.train(tmp_path / "other", [gin_file], params)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_perceptual_loss_in_the_activations_of_a_classifier(tmp_path, monkeypatch):
    def fake(split, data_dir=None):
        del split, data_dir
        features = {"attributes": np.eye(8, dtype=bool)}
        text = config.gin.config_str()
        return ImageDataset(images(text), features, eval_tuple(text, "IMAGE_SHAPE"))

    monkeypatch.setattr(config, "_load_dataset", fake)
    directory = ROOT / "gin"
    classifier = tmp_path / "classifier"
    body = config.train(
        classifier,
        [str(directory / "procedural_faces_classifier.gin")],
        [*PREDICTOR, SMALL_IMAGES[0]],
    ).model.network
    run = [*RUN, *SMALL_IMAGES]
    files = [str(directory / "procedural_faces_beta0.gin")]
    with pytest.raises(UserError, match="no ConvActivations that could take over"):
        config.train(tmp_path / "no", files, run, perceptual_classifier=classifier)
    files += [str(directory / "perceptual" / "classifier.gin")]
    with pytest.raises(UserError, match="pass --perceptual_classifier=RUN"):
        config.train(tmp_path / "no", files, run)
    with pytest.raises(UserError, match="The body of the run .* has other weights"):
        wider = [*run, "ConvFeatures.widths = (3,)"]
        config.train(tmp_path / "no", files, wider, perceptual_classifier=classifier)
    assert not (tmp_path / "no").exists()

    for precision in ("float32", "mixed_bfloat16"):
        run_dir = tmp_path / precision
        params = [*run, f"train.precision = '{precision}'"]
        trained = config.train(
            run_dir, files, params, perceptual_classifier=classifier
        ).model
        # The run goes on, and is read, without the classifier's.
        more = [*params, "train.steps = 2"]
        assert config.train(run_dir, files, more).start_step == 1
        for model in (trained, config.load_run(run_dir).model):
            network = model.likelihood.features.network
            for a, b in zip(network.weights, body.weights, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_model_without_an_autoencoder_takes_none(tmp_path, fake_data):
    mnist, faces = (
        [str(ROOT / "gin" / f"{name}.gin")]
        for name in ("mnist_ae", "procedural_faces_pggan")
    )
    config.train(tmp_path / "run", mnist, RUN)
    with pytest.raises(UserError, match="ProgressiveGAN has no autoencoder that"):
        config.train(tmp_path / "gan", faces, RUN, autoencoder=tmp_path / "run")


def test_what_sets_the_optimizer_of_nothing_is_named(tmp_path, fake_data, capsys):
    groups = ("autoencoder", "prior", "discriminator")
    params = [*(f"# Slower.\n{group}/Adam.beta_2 = 0.9" for group in groups)]
    config.train(tmp_path / "run", [str(GIN / "mnist_vae.gin")], [*RUN, *params])
    told = capsys.readouterr().err
    for group in groups:
        line = f"\n{group}/Adam.beta_2 has no effect: no {group} learns by it"
        assert (line in f"\n{told}") == (group != "autoencoder")
    # What several groups share has an effect if one of them learns.
    config.parse(
        [str(GIN / "mnist_vae.gin")],
        ["train.optimizers = {'autoencoder': @a/Adam, 'prior': @a/Adam}"]
        + ["a/Adam.learning_rate = 1e-4"],
    )
    assert configuration.of_idle_optimizers(["autoencoder"]) == []
    assert len(configuration.of_idle_optimizers([])) == 2


def test_a_begun_run_takes_no_other_autoencoder(tmp_path, fake_data, monkeypatch):
    gin_file, ae = str(GIN / "mnist_ae.gin"), tmp_path / "ae"
    monkeypatch.setattr("sys.argv", ["bin/train"])
    config.train(ae, [gin_file], RUN)
    monkeypatch.setattr("sys.argv", ["bin/train", f"--autoencoder={ae}"])
    run, nowhere = tmp_path / "run", tmp_path / "nowhere"
    config.train(run, [gin_file], RUN, autoencoder=ae)
    # The same command again goes on.
    assert config.train(run, [gin_file], RUN, autoencoder=ae).start_step == 1
    record = run / "environment.jsonl"
    for spelling in (f"--autoencoder={ae}", f'--autoencoder", "{ae}'):
        text = record.read_text()
        record.write_text(text.replace(f"--autoencoder={ae}", spelling))
        with pytest.raises(
            UserError, match=r"was begun with --autoencoder=.*ae: leave"
        ):
            config.train(run, [gin_file], RUN, autoencoder=nowhere)
    with pytest.raises(UserError, match="was begun with no --autoencoder"):
        config.train(ae, [gin_file], RUN, autoencoder=run)


@pytest.mark.slow
def test_post_hoc_in_one_command_or_from_another_run(tmp_path, fake_data, capsys):
    gin_file = str(ROOT / "gin" / "mnist_ae_gmm.gin")
    params = [*RUN, "GaussianMixturePrior.components = 2"]
    result = config.train(tmp_path / "whole", [gin_file], params)
    assert (result.start_step, result.step, result.finished) == (0, 201, True)
    told = "a new GaussianMixturePrior takes the place of the StandardNormalPrior"
    assert told in capsys.readouterr().err
    autoencoder = tmp_path / "whole"
    reused = config.train(
        tmp_path / "reused", [gin_file], params, autoencoder=autoencoder
    ).model
    restored = config.load_run(tmp_path / "reused").model
    for model in (reused, restored):
        for a, b in zip(result.model.weights, model.weights, strict=True):
            np.testing.assert_array_equal(a, b)
    # Neither does a run with an autoencoder of its own take another one,
    with pytest.raises(UserError, match="has trained an autoencoder of its own"):
        config.train(autoencoder, [gin_file], params, autoencoder=autoencoder)
    # nor a finished one train its autoencoder again.
    assert config.train(tmp_path / "reused", [gin_file], params).start_step == 201
    with pytest.raises(UserError, match="The encoder of the run .* has other weights"):
        wider = [*params, "InfoGANEncoder.width = 3"]
        config.train(tmp_path / "new", [gin_file], wider, autoencoder=autoencoder)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_flow_that_came_post_hoc_may_learn_longer(tmp_path, fake_data):
    gin_file = str(ROOT / "gin" / "mnist_ae_flow.gin")
    for start, steps in ((0, 2), (3, 3)):
        params = [*RUN, f"PRIOR_STEPS = {steps}", "PostHoc.patience = 1.0"]
        result = config.train(tmp_path / "run", [gin_file], params)
        assert (result.start_step, result.step) == (start, 1 + steps)


def test_post_hoc_that_cannot_start_leaves_nothing(tmp_path, fake_data):
    gin_file = str(ROOT / "gin" / "mnist_ae_gmm.gin")
    with pytest.raises(UserError, match="latent size of at least"):
        config.train(tmp_path / "run", [gin_file], [*RUN, "LATENT_SIZE = 0"])
    assert not (tmp_path / "run").exists()


def eval_tuple(text, name):
    line = next(line for line in text.splitlines() if line.startswith(f"{name} = "))
    return tuple(int(n) for n in line.split("(")[1].rstrip(")").split(","))


def test_there_are_leaves():
    assert {"cifar10_beta0", "mnist_beta0", "mnist_vae"} <= {p.stem for p in FILES}


BETA0 = str(GIN / "mnist_beta0.gin")


def test_a_value_that_keras_refuses_is_named(tmp_path):
    with pytest.raises(
        UserError, match="A value of InfoGANEncoder is wrong: .*filters"
    ):
        config.train(tmp_path / "run", [BETA0], [*TINY, "InfoGANEncoder.width = 0"])
    assert not (tmp_path / "run").exists()


def test_run_of_another_config_names_the_differing_bindings(tmp_path):
    text = config.parse([BETA0])
    (tmp_path / "config.gin").write_text(text)
    params = ["LATENT_SIZE = 2", "train.steps = 7", "train.seed = 3"]
    with pytest.raises(UserError) as error:
        config.train(tmp_path, [BETA0], params)
    assert "LATENT_SIZE (8 there, 2 here)" in str(error.value)
    assert "train.seed (unset there, 3 here)" in str(error.value)
    assert "train.steps" not in str(error.value)


def test_bindings_without_effect_do_not_make_another_config(tmp_path, fake_data):
    vae = str(GIN / "mnist_vae.gin")
    config.train(tmp_path, [vae], RUN)
    kept = tmp_path / "config.gin"
    # Of a release that took any, and whose files held less.
    text = kept.read_text().replace("RealNVPPrior.couplings = 2\n", "")
    kept.write_text(f"{text}\nBETTA = 0.1\nSplinePrior.bins = 3\nx/Adam.beta_1 = 0.5\n")
    assert config.train(tmp_path, [vae], RUN).start_step == 1
    kept.write_text(f"{text}\nprior/Adam.beta_2 = 0.5\nBETA = 7.0\n")
    with pytest.raises(UserError, match="prior/Adam.beta_2 .0.5 there, unset here"):
        config.train(tmp_path, [vae], RUN)
    with pytest.raises(UserError, match="BETA .7.0 there, 1.0 here"):
        config.train(tmp_path, [vae], RUN)


def test_a_run_goes_on_with_its_pictures_alone(tmp_path, fake_data, monkeypatch):
    vae = [str(GIN / "mnist_vae.gin")]
    config.train(tmp_path, vae, [*RUN, "train.validation_share = 0.25"])
    load = config._load_dataset

    def others(split, data_dir=None):
        of_run = load(split)
        pixels = 255 - np.rint(255 * of_run.take(of_run.size)["image"])
        return ImageDataset(pixels.astype(np.uint8), {}, of_run.image_shape)

    monkeypatch.setattr(config, "_load_dataset", others)
    with pytest.raises(UserError, match="other pictures than those that"):
        config.train(
            tmp_path, vae, [*RUN, "train.validation_share = 0.25", "train.steps = 2"]
        )


@pytest.mark.slow
def test_the_images_that_a_run_held_out(tmp_path, data_dir):
    """They are a permutation's first ones, in the data set's order."""
    digits = [str(GIN / "embedded_digits.gin"), str(GIN / "models" / "ae.gin")]
    params = [*TINY, "train.batch_size = 4", "train.steps = 1", "train.seed = 3"]

    def load(share):
        run, held = tmp_path / f"{share}", f"train.validation_share = {share}"
        config.train(run, digits, [*params, held], data_dir)
        return config.load_run(run, data_dir).load_dataset

    of_run = load(0.25)
    whole, held_out, learned = map(of_run, ("train", "held_out", "learned"))
    order = np.random.RandomState(3).permutation(whole.size)
    images = whole.take(whole.size)["image"]
    held, rest = np.split(order, [round(whole.size / 4)])
    for part, rows in ((held_out, held), (learned, rest)):
        np.testing.assert_array_equal(
            part.take(part.size)["image"], images[np.sort(rows)]
        )
    with pytest.raises(UserError, match="held no training images out, since its"):
        load(0.0)("held_out")


def test_load_run_of_nothing(tmp_path):
    with pytest.raises(UserError, match="is not a run"):
        config.load_run(tmp_path)
    (tmp_path / "config.gin").write_text(config.parse([BETA0], TINY))
    with pytest.raises(UserError, match="has no checkpoint"):
        config.load_run(tmp_path)


def test_adam_is_kerass():
    config.parse([BETA0], [*TINY, "prior/Adam.learning_rate = 3e-4"])
    optimizers = config.trainer().compiled_model().optimizers
    for name, rate in (("autoencoder", 1e-3), ("prior", 3e-4)):
        assert isinstance(optimizers[name], keras.optimizers.Adam)
        np.testing.assert_allclose(optimizers[name].learning_rate, rate, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "param", "message"),
    [
        (
            "beta0",
            "LatentVariableModel.prior = @GeneratorPrior()",
            "KLDivergence needs log p(z), which a GeneratorPrior does not have",
        ),
        (
            "beta0",
            "LatentVariableModel.beta = 0.5",
            "KLDivergence needs log q(z|x), which a DeterministicPosterior does not",
        ),
        (
            "aae",
            "LatentVariableModel.prior = @GaussianMixturePrior()",
            "and those of a GaussianMixturePrior have no gradient: use KLDivergence.",
        ),
    ],
)
def test_parts_that_do_not_fit_get_one_line(name, param, message):
    config.parse([str(ROOT / "gin" / f"mnist_{name}.gin")], [*TINY, param])
    with pytest.raises(UserError) as error:
        config.trainer().make_model()
    # Gin adds lines of its own, which the commands leave out.
    line, *_ = str(error.value).splitlines()
    assert message in line and line.endswith(".")


def test_held_out_images_are_of_a_run_alone():
    _, load = config.dataset_of(str(GIN / "embedded_digits.gin"))
    with pytest.raises(UserError, match="^Only a run holds images out, so that held_o"):
        load("held_out")
