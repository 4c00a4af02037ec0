"""What Keras saves of a model and its parts builds the same again."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import gin
from tfp_priors import divergences
from tfp_priors import likelihoods
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import posteriors
from tfp_priors import priors
from tfp_priors import regularizers
from tfp_priors import training
from tfp_priors.configuration import CONFIGURABLES
from tfp_priors.core.configured import Configured
from tfp_priors.errors import UserError

SHAPE = (8, 8, 1)
SMALL = {"hidden_sizes": (8,)}
KEPT = [
    kind
    for kind in CONFIGURABLES.values()
    if inspect.isclass(kind) and issubclass(kind, Configured)
]


def fitted():
    """A standardisation whose mixture has been found."""
    layer = priors.MixtureStandardization(3)
    layer.build((None, 2))
    layer.fit(np.random.RandomState(1).rand(200, 2).astype("float32"), seed=0)
    return layer


PRIORS = {
    "normal": lambda: priors.StandardNormalPrior(2, standardize=True),
    "real_nvp": lambda: priors.RealNVPPrior(2, couplings=2, **SMALL),
    "spline": lambda: priors.SplinePrior(2, couplings=2, **SMALL),
    "maf": lambda: priors.MaskedAutoregressivePrior(2, flows=1, **SMALL),
    "iaf": lambda: priors.InverseAutoregressivePrior(2, flows=1, **SMALL),
    "on_a_mixture": lambda: priors.RealNVPPrior(
        2, couplings=2, dropout=0.1, standardize=fitted(), **SMALL
    ),
    "flow_matching": lambda: priors.FlowMatchingPrior(2, units=8),
    "mixture": lambda: priors.GaussianMixturePrior(2, components=3),
    "vamp": lambda: priors.VampPrior(2, SHAPE, pseudo_inputs=5),
    "second_stage": lambda: priors.SecondStageVAEPrior(2, **SMALL),
}


def images(n=8):
    return np.random.RandomState(0).rand(n, *SHAPE).astype("float32")


def model(prior, **parts):
    made = models.LatentVariableModel(
        encoder=networks.InfoGANEncoder(SHAPE, 4),
        decoder=networks.InfoGANDecoder(SHAPE, 4),
        prior=prior,
        **{
            "posterior": posteriors.NormalPosterior(2),
            "likelihood": likelihoods.BernoulliLikelihood(),
            "divergence": divergences.KLDivergence(),
        }
        | parts,
    )
    made.compile(keras.optimizers.Adam(1e-2), clip_norm=2.0)
    return made


def assert_same(first, second):
    np.testing.assert_array_equal(first.sample(5, seed=1), second.sample(5, seed=1))
    np.testing.assert_array_equal(first.encode(images()), second.encode(images()))


@pytest.mark.parametrize("name", PRIORS)
def test_a_part_says_what_it_is_made_of(name):
    """Its representation makes the same again, and a model's shows all parts."""
    prior = PRIORS[name]()
    rooms = {**vars(priors), **vars(networks), **vars(posteriors)}
    again = eval(repr(prior), rooms)  # noqa: S307
    assert repr(again) == repr(prior) and type(again) is type(prior)
    for key, value in prior.get_config().items():
        if key not in ("name", "standardize"):
            assert again.get_config()[key] == value
    whole = repr(model(prior))
    assert whole.startswith("LatentVariableModel(\n    encoder=InfoGANEncoder(")
    assert repr(prior).splitlines()[0] in whole and "beta=" not in whole


def test_representations_leave_defaults_out_and_break_long_lines():
    assert repr(priors.RealNVPPrior(8, couplings=8)) == "RealNVPPrior(latent_size=8)"
    several = divergences.MMDDivergence(
        kernel=divergences.GaussianKernel([0.5, 1.0, 2.0, 4.0] * 5)
    )

    class Unready(priors.Prior):
        def __init__(self, scale=np.ones(2), **kwargs):
            self.shown = repr(self)
            super().__init__(2, **kwargs)
            self.scale = scale

    assert "Unready(" in Unready().shown and repr(Unready()) == "Unready()"
    assert "\n    " in repr(several) and repr(several).endswith(",\n)")


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_comes_back(name, tmp_path):
    first = model(PRIORS[name]())
    for variable in first.prior.trainable_variables:
        variable.assign_add(0.1 * keras.random.normal(variable.shape))
    first.save(tmp_path / "a.keras")
    assert_same(first, keras.saving.load_model(tmp_path / "a.keras"))


@pytest.mark.slow
def test_training_goes_on(tmp_path):
    first = model(PRIORS["real_nvp"]())
    first.fit(images(), verbose=0)
    first.save(tmp_path / "a.keras")
    second = keras.saving.load_model(tmp_path / "a.keras")
    assert second.clip_norm == 2.0
    # With the optimizers' moments the next step is the same one.
    for one in (first, second):
        one.fit(images(), verbose=0, shuffle=False)
    assert_same(first, second)


def test_other_parts_come_back(tmp_path):
    critic = divergences.AdversarialDivergence(
        networks.MLP((8,), 1), divergences.HingeLoss()
    )
    first = model(
        priors.GeneratorPrior(2, hidden_sizes=(8,)),
        posterior=posteriors.InverseAutoregressivePosterior(2, **SMALL),
        likelihood=likelihoods.NormalLikelihood(0.1, learned=True),
        divergence=critic,
        beta=training.CyclicalAnnealing(value=2.0, period=10),
        regularizers=[regularizers.CodeNorm(0.5)],
    )
    first.save(tmp_path / "a.keras")
    second = keras.saving.load_model(tmp_path / "a.keras")
    assert_same(first, second)
    assert float(second.beta_at(5)) == float(first.beta_at(5)) > 0
    assert second.regularizers[0].weight == 0.5
    kernel = divergences.InverseMultiquadricKernel((0.5, 3.0))
    mmd = divergences.MMDDivergence(kernel)
    assert type(mmd).from_config(mmd.get_config()).kernel.scales == (0.5, 3.0)


def test_a_perceptual_likelihood_comes_back(tmp_path):
    """Its weights are numbers, though Keras calls the variables of a layer so too."""
    body = networks.ConvFeatures(SHAPE, widths=(4,), size=8)
    for features, weights in (
        (networks.ConvActivations(body), (0.5, 2.0)),
        (networks.VGG19Features(("relu1_1",), weights=None), None),
    ):
        likelihood = likelihoods.PerceptualLikelihood(features, weights)
        first = model(PRIORS["normal"](), likelihood=likelihood)
        first.save(tmp_path / "a.keras")
        second = keras.saving.load_model(tmp_path / "a.keras")
        assert second.likelihood.layer_weights == weights
        logits = 8 * images() - 4
        expected, received = (
            one.likelihood.log_prob(images(), logits) for one in (first, second)
        )
        np.testing.assert_array_equal(received, expected)
        clone = keras.models.clone_model(first)
        assert clone.likelihood.layer_weights == weights
    assert repr(features) == "VGG19Features(layers=('relu1_1',), weights=None)"


def test_frozen_parts_stay_frozen(tmp_path):
    first = model(PRIORS["normal"]())
    second = first.at_rest(PRIORS["real_nvp"](), divergences.KLDivergence())
    second.save(tmp_path / "a.keras")
    third = keras.saving.load_model(tmp_path / "a.keras")
    assert not third.variable_groups()["autoencoder"]
    assert_same(second, third)


def test_a_file_that_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(UserError, match="ends in .keras"):
        model(PRIORS["normal"]()).save(tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_bindings_of_gin_stay_out_of_what_is_loaded(tmp_path):
    gin.clear_config()
    gin.bind_parameter("InfoGANEncoder.width", 3)
    try:
        encoder = networks.InfoGANEncoder((8, 8, 1), width=4)
        config = keras.saving.serialize_keras_object(encoder)
        del config["config"]["width"]
        loaded = keras.saving.deserialize_keras_object(config)
    finally:
        gin.clear_config()
    default = inspect.signature(networks.InfoGANEncoder).parameters["width"].default
    assert loaded.width == default


def test_clones_have_new_weights():
    first = model(PRIORS["real_nvp"]())
    clone = keras.models.clone_model(first)
    shapes = [[tuple(v.shape) for v in one.weights] for one in (first, clone)]
    assert shapes[0] == shapes[1]
    codes = [one.encode(images()).numpy() for one in (first, clone)]
    assert np.abs(codes[0] - codes[1]).max() > 0


def test_networks_of_the_user_come_back(tmp_path):
    x, z = keras.Input(SHAPE), keras.Input((2,))
    features = keras.layers.Dense(6)(keras.layers.Flatten()(x))
    outputs = keras.layers.Reshape(SHAPE)(keras.layers.Dense(64)(z))
    first = models.LatentVariableModel(
        encoder=keras.Model(x, features),
        posterior=posteriors.NormalPosterior(2),
        decoder=keras.Model(z, outputs),
        likelihood=likelihoods.BernoulliLikelihood(),
        prior=PRIORS["real_nvp"](),
        divergence=divergences.KLDivergence(),
    )
    first.save(tmp_path / "a.keras")
    assert_same(first, keras.saving.load_model(tmp_path / "a.keras"))


def test_the_best_model_is_kept(tmp_path):
    path = str(tmp_path / "best.keras")
    keeper = keras.callbacks.ModelCheckpoint(path, "val_loss", save_best_only=True)
    first = model(PRIORS["real_nvp"]())
    first.fit(images(), validation_data=(images(),), verbose=0, callbacks=[keeper])
    assert_same(first, keras.saving.load_model(path))


def test_a_classifier_comes_back(tmp_path):
    network = networks.ConvFeatures(SHAPE, widths=(4,), size=8)
    first = models.Classifier(network, classes=3, dropout=0.1, shift=1)
    first.compile("adam")
    first.save(tmp_path / "a.keras")
    second = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(first(images()), second(images()))
    assert (second.classes, second.dropout, second.shift) == (3, 0.1, 1)


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: kind.__name__)
def test_bases_add_no_argument_that_would_be_lost(kind):
    """A configuration has the arguments of the class alone."""
    own = set(inspect.signature(kind).parameters)
    more = set()
    for base in kind.__mro__[1:]:
        if base.__module__.startswith("tfp_priors.") and "__init__" in vars(base):
            more |= set(inspect.signature(base).parameters) - own - {"kwargs"}
    given = {"project"}  # By `Posterior` itself.
    if issubclass(kind, models.GroupedModel):
        given |= {"outputs"}  # By the constructor.
    assert more <= given


def test_uint8_is_scaled_in_the_loaded_model(tmp_path):
    first = model(PRIORS["normal"]())
    first.save(tmp_path / "a.keras")
    second = keras.saving.load_model(tmp_path / "a.keras")
    pixels = np.rint(255 * images()).astype("uint8")
    expected = first.encode(tf.cast(pixels, tf.float32) / 255.0)
    np.testing.assert_allclose(second.encode(pixels), expected, rtol=1e-6)


class Named(priors.GaussianMixturePrior):
    def __init__(self, latent_size, note="", **kwargs):
        super().__init__(latent_size, **kwargs)
        self.note = note


class Passing(priors.GaussianMixturePrior):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Fixing(priors.GaussianMixturePrior):
    """Gives its parent an argument itself."""

    def __init__(self, latent_size, **kwargs):
        super().__init__(latent_size, components=7, **kwargs)


@pytest.mark.parametrize(
    "made",
    [
        lambda: Named(
            2, note="mine", components=7, covariance="diag", standardize=True
        ),
        lambda: Passing(2, 7, "diag", standardize=True),
        lambda: Fixing(2, covariance="diag", standardize=True),
    ],
)
def test_what_a_subclass_passes_on_is_kept(made, tmp_path):
    prior = made()
    prior.fit(np.random.RandomState(0).randn(50, 2) * 5 + 3, epochs=2)
    prior.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert repr(loaded) == repr(prior) and "'diag'" in repr(prior)
    assert getattr(loaded, "note", "mine") == "mine"
    np.testing.assert_array_equal(loaded.sample(5), prior.sample(5))


def test_two_classes_of_one_name(monkeypatch):
    """In two modules of a package."""
    kinds = []
    for module in ("project.narrow", "project.wide"):
        body = {"__module__": module}
        kinds.append(type("Mine", (priors.StandardNormalPrior,), body))
    for kind in kinds:
        config = keras.saving.serialize_keras_object(kind(2))
        assert type(keras.saving.deserialize_keras_object(config)) is kind


def test_layers_within_a_part_stay_frozen(tmp_path):
    first = model(PRIORS["normal"]())
    layer = next(x for x in first.encoder._flatten_layers(False) if x.weights)
    layer.trainable = False
    first.compile(keras.optimizers.Adam(1e-2))
    first.fit(images(), verbose=0)
    first.save(tmp_path / "a.keras")
    second = keras.saving.load_model(tmp_path / "a.keras")
    learning = [len(one.trainable_variables) for one in (first, second)]
    assert (
        learning[0] == learning[1] < len(model(PRIORS["normal"]()).trainable_variables)
    )
    assert second.get_config() == first.get_config()


def test_what_is_no_argument_is_refused():
    with pytest.raises(TypeError):
        divergences.HingeLoss(margin=2.0)


def test_an_argument_that_is_kept_nowhere_is_told(tmp_path):
    class Renamed(priors.StandardNormalPrior):
        def __init__(self, latent_size, scale=1.0):
            super().__init__(latent_size)
            self.factor = scale

    with pytest.raises(UserError, match="takes scale and .* set self.scale = scale"):
        Renamed(2).save(tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())
    assert repr(Renamed(2)).startswith("Renamed(")


class Behind(priors.GaussianMixturePrior):
    def __init__(self, latent_size, *args, **kwargs):
        super().__init__(latent_size, *args, **kwargs)


def test_arguments_by_place_are_those_of_the_parent():
    prior = Behind(2, 7, "diag")
    assert repr(prior) == "Behind(latent_size=2, components=7, covariance='diag')"


def test_what_is_not_frozen_stays_so():
    first = model(PRIORS["normal"]())
    first.trainable = False
    first.encoder.trainable = True
    second = type(first).from_config(first.get_config())
    learning = [[len(v) for v in m.variable_groups().values()] for m in (first, second)]
    assert learning[0] == learning[1] and sum(learning[0]) > 0
