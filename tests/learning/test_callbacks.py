"""When a training ends that brings nothing better."""

import types

import pytest

from tfp_priors.learning.callbacks import BestOnHeldOut


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 3),
        ({"patient_from": 10}, 13),
        ({"best": (5, 0.5), "first_step": 20, "start_step": 20}, 23),
        ({"best": (5, 0.5), "start_step": 6, "patient_from": 2}, 8),
    ],
)
def test_patience_is_counted_from_the_last_of_its_starts(settings, expected):
    """The best step, the first one and `patient_from`; nothing is ever better."""
    callback = BestOnHeldOut(lambda: 1.0, lambda *_: None, 1, 3, **settings)
    callback.set_model(types.SimpleNamespace())
    callback.on_train_begin()
    while not callback.is_over:
        callback.on_train_batch_end(0, {})
    assert callback.step == expected and callback.model.stop_training
