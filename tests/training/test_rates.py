"""Rates of several groups that a rollback lowers, and a checkpoint brings back."""

import keras
import numpy as np
import pytest
from keras.optimizers.schedules import CosineDecay

from tfp_priors.training.rates import scale_learning_rate


def rate(optimizer):
    return float(optimizer.learning_rate)


@pytest.mark.parametrize("constant", ["autoencoder", "prior"])
def test_a_constant_rate_beside_a_schedule_is_lowered_and_comes_back(
    make_model, constant
):
    def compiled():
        model = make_model()
        rates = {name: CosineDecay(1e-3, 10) for name in ("autoencoder", "prior")}
        rates[constant] = 1e-3
        optimizers = {name: keras.optimizers.Adam(rates[name]) for name in rates}
        model.compile(optimizers, jit_compile=False)
        return model.optimizers

    optimizers, configured = compiled(), compiled()
    for name, optimizer in optimizers.items():
        scale_learning_rate(optimizer, configured[name], 0.5)
    np.testing.assert_allclose([*map(rate, optimizers.values())], 5e-4, rtol=1e-6)
    # As a checkpoint does.
    optimizers[constant]._learning_rate.assign(2e-4)
    found = {name: rate(optimizer) for name, optimizer in optimizers.items()}
    other = {"autoencoder": "prior", "prior": "autoencoder"}[constant]
    assert found == pytest.approx({constant: 2e-4, other: 5e-4}, rel=1e-6)
