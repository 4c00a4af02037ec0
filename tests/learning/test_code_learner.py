"""Batches of codes at rest."""

import numpy as np
import pytest

from tfp_priors.errors import UserError
from tfp_priors.learning import code_learner
from tfp_priors.learning.code_learner import POSTERIOR
from tfp_priors.learning.code_learner import STANDARD
from tfp_priors.learning.code_model import CodeModel
from tfp_priors.priors import GaussianMixturePrior
from tfp_priors.priors import MixtureStandardization
from tfp_priors.priors import RealNVPPrior

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
