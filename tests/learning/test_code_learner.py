"""Batches of codes at rest."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfp_priors.divergences import AdversarialDivergence
from tfp_priors.errors import UserError
from tfp_priors.learning import code_learner
from tfp_priors.learning.code_learner import POSTERIOR
from tfp_priors.learning.code_learner import STANDARD
from tfp_priors.learning.code_model import CodeModel
from tfp_priors.networks import MLP
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import GeneratorPrior
from tfp_priors.priors import MixtureStandardization
from tfp_priors.priors import RealNVPPrior
from tfp_priors.priors import StandardNormalPrior

CODES = np.random.RandomState(0).randn(40, 2).astype("float32")


def learner(standardize):
    prior = RealNVPPrior(2, couplings=2, hidden_sizes=(4,), standardize=standardize)
    model = CodeModel(prior)
    model.fit_directly(CODES, steps=1, seed=0)
    return model


def taken(model, batches, start_step=0):
    dataset = model.code_batches(CODES, batch_size=16, seed=3, start_step=start_step)
    return [batch[POSTERIOR] for batch in dataset.take(batches).as_numpy_iterator()]


@pytest.mark.parametrize("kept", [2**29, 0], ids=["in memory", "read"])
def test_batches_are_a_function_of_seed_and_step(monkeypatch, kept):
    monkeypatch.setattr(code_learner, "_KEPT_BYTES", kept)
    model = learner(True)
    whole = taken(model, 20)
    np.testing.assert_array_equal(taken(model, 20), whole)
    np.testing.assert_array_equal(taken(model, 13, start_step=7), whole[7:])


@pytest.mark.parametrize("standardize", [False, True, MixtureStandardization(2)])
def test_standard_codes_are_kept_where_they_are_costly(standardize):
    batch = next(iter(learner(standardize).code_batches(CODES, batch_size=16)))
    expected = {POSTERIOR}
    if isinstance(standardize, MixtureStandardization):
        expected.add(STANDARD)
    assert set(batch) == expected


@pytest.mark.parametrize(
    "prior", [GaussianMixturePrior(2, components=2), RealNVPPrior(2, standardize=True)]
)
def test_a_frozen_prior_is_left_as_it_is(prior):
    """By the phase at rest of a run too, which starts as this does."""
    model = CodeModel(prior)
    prior.trainable = False
    weights = prior.get_weights()
    with pytest.raises(UserError, match="would learn nothing: its trainable is False"):
        model.fit_directly(CODES, steps=1, seed=0)
    for before, after in zip(weights, prior.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_measure_is_the_mean_over_all_codes():
    """The last part has a single one, which is far out."""
    size = code_learner.ROWS_AT_ONCE + 1
    codes = np.random.RandomState(0).randn(size, 2).astype("float32")
    codes[-1] = 50.0
    expected = -scipy.stats.norm.logpdf(codes).sum(1).mean()
    measured = CodeModel(StandardNormalPrior(2)).measure(codes)()
    np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_critic_steps_have_draws_of_their_own(monkeypatch):
    divergence = AdversarialDivergence(MLP((4,), 1), critic_steps=3)
    model = CodeModel(GeneratorPrior(2, hidden_sizes=(4,)), divergence)
    model.compile("sgd", jit_compile=False)
    terms, seeds = divergence.critic_terms, set()

    def noted(z, prior, seed, context):
        seeds.add(tuple(seed.numpy()))
        return terms(z, prior, seed, context)

    monkeypatch.setattr(divergence, "critic_terms", noted)
    model.train_step({POSTERIOR: tf.constant(CODES)})
    assert len(seeds) == 3
