import numpy as np
import pytest
import tensorflow as tf

from tests.priors.contract import FlowContract
from tfp_priors.errors import UserError
from tfp_priors.priors import SplinePrior
from tfp_priors.priors import rational_quadratic


class TestSplinePrior(FlowContract):
    variables = 2 * 2 * 2  # couplings, kernel and bias, layers

    def make(self, latent_size=5, **kwargs):
        return SplinePrior(latent_size, couplings=2, hidden_sizes=(8,), **kwargs)

    def test_new_flow_equals_its_base(self):
        prior = SplinePrior(4, hidden_sizes=(8,))
        z = 3.0 * np.random.RandomState(0).randn(50, 4).astype(np.float32)
        prior.build()
        base = prior.base_distribution()
        # Softmax and softplus of 0 give 1/bins and 1 up to rounding.
        np.testing.assert_allclose(prior.log_prob(z), base.log_prob(z), rtol=1e-5)

    def test_identity_outside_the_interval(self):
        prior = SplinePrior(2, couplings=2, hidden_sizes=(8,), bound=3.0)
        prior.build()
        for variable in prior.trainable_variables:
            variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]))
        outside = np.array([[3.5, -10.0], [-4.0, 3.1]], np.float32)
        np.testing.assert_array_equal(prior.to_base(outside), outside)
        inside = np.array([[0.5, -1.0]], np.float32)
        assert np.abs(prior.to_base(inside) - inside).max() > 1e-2

    def test_monotone_for_extreme_outputs(self):
        prior = SplinePrior(2, couplings=1, hidden_sizes=(8,))
        prior.build()
        bias = prior.trainable_variables[-1]
        bias.assign(100.0 * tf.random.stateless_normal(bias.shape, [1, 2]))
        moved = np.linspace(-5, 5, 201, dtype=np.float32)
        z = np.stack([np.zeros_like(moved), moved], axis=1)
        z0 = prior.to_base(z).numpy()[:, 1]
        assert (np.diff(z0) >= 0).all()
        assert np.isfinite(prior.log_prob(z)).all()

    def test_a_bin_is_looked_for_once_in_each_coupling(self, monkeypatch):
        searched = []
        solve = rational_quadratic._Bin.share_below
        monkeypatch.setattr(
            rational_quadratic._Bin,
            "share_below",
            lambda piece, y: searched.append(y) or solve(piece, y),
        )
        prior = SplinePrior(4, couplings=3, hidden_sizes=(8,))
        prior.build()
        prior.log_prob(np.zeros([2, 4], np.float32))
        assert len(searched) == 3

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"bins": 1}, r"bins must .* \[2, inf\)"),
            ({"bound": 0.0}, "bound must .* 0.0"),
        ],
    )
    def test_bad_arguments(self, kwargs, message):
        with pytest.raises(UserError, match=rf"^SplinePrior\.{message}"):
            SplinePrior(4, **kwargs)
