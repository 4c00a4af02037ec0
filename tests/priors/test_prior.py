"""What users give to any prior: arrays, lists, labels, and mistakes."""

import keras
import numpy as np
import pytest
import scipy.sparse
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from tests.conftest import randomize
from tfp_priors.errors import UserError
from tfp_priors.priors import FlowMatchingPrior
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import GeneratorPrior
from tfp_priors.priors import MaskedAutoregressivePrior
from tfp_priors.priors import MixtureStandardization
from tfp_priors.priors import Prior
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior
from tfp_priors.priors import VampPrior

CODES = np.random.RandomState(0).randn(40, 4).astype(np.float32)
LABELS = np.arange(40) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


def flow(**kwargs):
    prior = RealNVPPrior(4, couplings=2, hidden_sizes=(8,), standardize=True, **kwargs)
    prior.build()
    prior.set_statistics(CODES)
    return prior


@pytest.fixture(scope="module")
def plain():
    return flow()


@pytest.fixture(scope="module")
def conditional():
    prior = flow(context_size=3)
    randomize(prior)
    return prior


@pytest.mark.parametrize("name", ["log_prob", "to_base", "from_base"])
@pytest.mark.parametrize(
    "form",
    [
        lambda z: z.tolist(),
        lambda z: z.astype(np.float64),
        lambda z: tf.constant(z, tf.float64),
        lambda z: tf.constant(z),
    ],
)
def test_all_forms_of_codes_are_one(plain, name, form):
    method = getattr(plain, name)
    np.testing.assert_allclose(method(form(CODES)), method(CODES), rtol=1e-6)
    whole = np.ones((2, 4))
    np.testing.assert_array_equal(method(whole.astype(int)), method(whole))


@pytest.mark.parametrize("name", ["log_prob", "to_base", "from_base"])
def test_integers_are_classes(conditional, name):
    method = getattr(conditional, name)
    expected = method(CODES, ONE_HOT)
    for labels in (LABELS, LABELS.tolist(), tf.constant(LABELS)):
        np.testing.assert_array_equal(method(CODES, labels), expected)
    others = method(CODES, (LABELS + 1) % 3)
    assert np.abs(others - expected).max() > 1e-3


PRIORS = {
    "flow": flow,
    "mixture": lambda: GaussianMixturePrior(4, components=2),
    "maf": lambda: MaskedAutoregressivePrior(4, flows=1, hidden_sizes=(8,)),
    "normal": lambda: StandardNormalPrior(4),
}


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (CODES[0], r"codes \[n, 4\], received \[4\]"),
        (CODES[:, :3], r"codes \[n, 4\], received \[40, 3\]"),
        (CODES.reshape(10, 4, 4), r"codes \[n, 4\], received \[10, 4, 4\]"),
        (CODES.astype(str), "codes of numbers, received <U"),
        (CODES.astype(object), "received object: give their astype..float32"),
        (CODES.astype(complex), "codes of numbers, received complex"),
        (None, "codes as an array, received a NoneType: load"),
        ([[1.0], [1.0, 2.0]], "rows of different lengths"),
        ((CODES, CODES), "received a tuple of 2 arrays: give their context"),
        (scipy.sparse.csr_matrix(CODES), r"a sparse one: give its toarray\(\)"),
        (np.ma.masked_less(CODES, 0), "received masked numbers"),
    ],
)
def test_codes_that_are_none(prior, codes, message):
    with pytest.raises(UserError, match=message):
        PRIORS[prior]().log_prob(codes)


@pytest.mark.parametrize("name", ["to_base", "from_base"])
def test_codes_without_rows(plain, name):
    with pytest.raises(UserError, match=r"codes \[n, 4\], received \[4\]"):
        getattr(plain, name)(CODES[0])


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (ONE_HOT[:4], "for each of the 40 codes"),
        (tf.constant(ONE_HOT[:1]), "for each of the 40 codes, received 1"),
        (LABELS + 1, "labels from 0 to 2"),
        (None, "context of width 3, received none"),
    ],
)
def test_contexts_that_do_not_fit(conditional, context, message):
    with pytest.raises(UserError, match=message):
        conditional.log_prob(CODES, context)


@pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)
def test_a_new_prior_is_built_when_it_is_used(make):
    assert make().sample(3).shape == (3, 4)
    assert make().log_prob(CODES).shape == (40,)


class Scaled(Prior):
    """Of a user, whose `build` does not call that of the base."""

    independent = 1

    def build(self, input_shape=None):
        self.log_scale = self.add_weight(shape=(self.latent_size,), initializer="zeros")

    def standard_distribution(self, context=None, temperature=1.0):
        scale = temperature * tf.exp(self.log_scale)
        return tfp.distributions.Independent(
            tfp.distributions.Normal(tf.zeros_like(scale), scale), self.independent
        )


def test_a_build_of_the_user_need_not_call_the_bases():
    prior = Scaled(4, standardize=True)
    codes = 3.0 + 2.0 * CODES
    prior.fit(codes, validation_split=0.0, epochs=1)
    # One step hardly moves it: it has the moments of the codes.
    normal = scipy.stats.norm(codes.mean(0), codes.std(0))
    assert prior.evaluate(codes)["nll"] == pytest.approx(
        -normal.logpdf(codes).sum(1).mean(), rel=1e-3
    )


def test_a_density_of_each_number_is_told(make_model):
    class Numbers(Scaled):
        independent = 0

    with pytest.raises(UserError, match="of Numbers.standard_dist.*tfd.Independent"):
        Numbers(4).fit(CODES)
    model = make_model(prior=Numbers(4))
    model.compile("sgd", jit_compile=False)
    with pytest.raises(UserError, match="log_prob to be .batch., rec"):
        model.fit(np.ones((4, 8, 8, 1), np.float32), verbose=0, shuffle=False)


@pytest.mark.parametrize(
    "make", [lambda: RealNVPPrior(2), lambda: FlowMatchingPrior((2, 2, 1))]
)
def test_settings_of_keras_that_priors_cannot_work_with(make):
    try:
        keras.config.set_dtype_policy("mixed_float16")
        with pytest.raises(
            UserError, match="dtype policy float32, Keras is set to mix"
        ):
            make()
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_first")
        with pytest.raises(UserError, match="image_data_format channels_last, Keras"):
            make()
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")


def test_a_new_mixture_has_a_distribution():
    prior = GaussianMixturePrior(2, components=2)
    z = np.zeros([3, 2], np.float32)
    np.testing.assert_allclose(prior.distribution().log_prob(z), prior.log_prob(z))


@pytest.mark.parametrize(
    "prior",
    [
        MaskedAutoregressivePrior(4, hidden_sizes=(8,), context_size=2),
        RealNVPPrior(
            4, hidden_sizes=(8,), context_size=2, standardize=MixtureStandardization()
        ),
    ],
)
def test_draws_op_by_op_are_those_of_a_graph(prior):
    codes = np.random.RandomState(0).standard_t(5, size=[500, 4]).astype(np.float32)
    prior.build((None, 4))
    prior.set_statistics(codes)
    context = np.random.RandomState(1).randn(6, 2).astype(np.float32)
    for scale in (0.0, 0.3):  # They follow what is learned.
        for i, variable in enumerate(prior.trainable_variables):
            noise = np.random.RandomState(i).randn(*variable.shape)
            variable.assign(scale * noise)
        inside = tf.function(lambda: prior.sample(6, seed=3, context=context))()
        outside = prior.sample(6, seed=3, context=context)
        np.testing.assert_allclose(outside, inside, rtol=1e-5, atol=1e-5)


def test_a_flow_op_by_op_is_that_of_a_graph():
    prior = FlowMatchingPrior(3, units=8, steps=2, context_size=2)
    prior.build((None, 3))
    z, context = (np.random.RandomState(i).randn(5, n) for i, n in ((0, 3), (1, 2)))

    def guided():
        with prior.guided(2.0):
            return prior.sample(5, seed=3, context=context)

    uses = (
        lambda: prior.sample(5, seed=3, context=context),
        guided,
        lambda: prior.to_base(z, context),
        lambda: prior.log_prob(z, context),
    )
    for scale in (0.0, 0.3):  # They follow what is learned.
        for variable in prior.trainable_variables:
            variable.assign(scale * np.random.RandomState(2).randn(*variable.shape))
        for use in uses:
            np.testing.assert_allclose(use(), tf.function(use)(), rtol=1e-4, atol=1e-5)
    prior.steps = 3
    np.testing.assert_allclose(guided(), tf.function(guided)(), rtol=1e-4, atol=1e-5)


def test_a_new_prior_is_saved_whole(tmp_path):
    prior = RealNVPPrior(4, couplings=2, hidden_sizes=(8,))
    prior.save(tmp_path / "new.keras")
    loaded = keras.saving.load_model(tmp_path / "new.keras")
    np.testing.assert_array_equal(loaded.sample(3), prior.sample(3))
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(UserError, match="a folder"):
        prior.save(tmp_path / "folder.keras")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"standardize": MixtureStandardization}, "such as MixtureStandardization"),
        ({"standardize": "yes"}, "True, False or a layer"),
        ({"context_size": -1}, "whole context_size >= 0, received -1"),
        ({"context_size": "3"}, "received '3'"),
        ({"hidden_sizes": 16}, r"such as \(64, 64\), received 16"),
        ({"hidden_sizes": ("a",)}, "hidden_sizes as the units"),
    ],
)
def test_settings_that_are_none(settings, message):
    for kind in (RealNVPPrior, GeneratorPrior):
        with pytest.raises(UserError, match=message):
            kind(4, **settings)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda n: RealNVPPrior(4, couplings=n), "RealNVPPrior.couplings"),
        (lambda n: GeneratorPrior(4, base_size=n), "GeneratorPrior.base_size"),
        (lambda n: GaussianMixturePrior(4, n), "GaussianMixturePrior.components"),
        (MixtureStandardization, "MixtureStandardization.components"),
        (lambda n: VampPrior(4, (8, 8, 1), n), "VampPrior.pseudo_inputs"),
        (lambda n: MaskedAutoregressivePrior(4, n), "MaskedAutoregressivePrior.flows"),
    ],
)
def test_counts_that_are_none(make, name):
    with pytest.raises(UserError, match=f"{name} must be at least 1, received 0"):
        make(0)
    with pytest.raises(UserError, match=f"{name} must be a whole number, rec.* 2.5"):
        make(2.5)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, 2**40])
def test_seeds_of_draws(plain, seed):
    with pytest.raises(UserError, match="seed in"):
        plain.sample(2, seed=seed)


def test_more_draws_than_a_tensor_holds(plain):
    with pytest.raises(UserError, match="draw them in parts"):
        plain.sample(10**9)


def test_a_context_that_is_not_wanted(plain):
    with pytest.raises(UserError, match="context of width 0"):
        plain.sample(3, context=[1] * 3)


def test_codes_far_from_zero():
    """Where float32 tells whole numbers apart."""
    prior = StandardNormalPrior(2, standardize=True)
    random = np.random.RandomState(0)
    codes = (1e7 + np.round(10 * random.randn(5000, 2))).astype(np.float32)
    prior.fit(codes)
    draws = prior.sample(5000).numpy().astype(np.float64)
    np.testing.assert_allclose(draws.mean(0), codes.mean(0, np.float64), atol=1.0)
    np.testing.assert_allclose(draws.std(0), codes.std(0, np.float64), rtol=0.05)


def test_contexts_of_every_form(conditional):
    expected = conditional.log_prob(CODES, ONE_HOT)
    doubles = tf.constant(ONE_HOT, tf.float64)
    np.testing.assert_array_equal(conditional.log_prob(CODES, doubles), expected)
    for labels in (LABELS, LABELS.astype(np.int8)):
        in_graph = tf.function(conditional.log_prob)(CODES, tf.constant(labels))
        np.testing.assert_allclose(in_graph, expected, rtol=1e-5)
    draws = tf.function(lambda y: conditional.sample(40, 3, context=y))(LABELS)
    of_one_hot = conditional.sample(40, 3, context=ONE_HOT)
    np.testing.assert_allclose(draws, of_one_hot, rtol=1e-4, atol=1e-5)


def test_a_context_of_one_number_may_be_a_row():
    prior = flow(context_size=1)
    randomize(prior)
    numbers = np.linspace(-1, 1, 40).astype(np.float32)
    expected = prior.log_prob(CODES, numbers[:, None])
    for form in (numbers, tf.constant(numbers), numbers.tolist()):
        np.testing.assert_array_equal(prior.log_prob(CODES, form), expected)
