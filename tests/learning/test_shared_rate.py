import keras
import numpy as np
import pytest
from keras.optimizers.schedules import CosineDecay

from tfp_priors.errors import UserError
from tfp_priors.priors import RealNVPPrior
from tfp_priors.training import create_strategy

IMAGES = np.random.RandomState(0).rand(4, 8, 8, 1).astype("float32")


def compiled(model, autoencoder=1e-3, prior=4e-3, **kwargs):
    model.compile(
        {
            "autoencoder": keras.optimizers.Adam(autoencoder),
            "prior": keras.optimizers.Adam(prior),
        },
        jit_compile=False,
        **kwargs,
    )
    return model


def rates(model):
    return [o.learning_rate.numpy() for o in model.optimizers.values()]


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_all_rates_change_by_one_factor(make_model, precision):
    model = compiled(make_model(), precision=precision)
    for rate, assigned in ((5e-4, False), (0.0, True), (2e-3, False), (1e-4, True)):
        if assigned:
            model.optimizer.learning_rate.assign(rate)
        else:
            model.optimizer.learning_rate = rate
        np.testing.assert_allclose(rates(model), [rate, 4 * rate], rtol=1e-6)
        assert float(model.optimizer.learning_rate) == pytest.approx(rate)


def test_rates_of_replicas(make_model, tmp_path):
    with create_strategy("mirrored").scope():
        model = compiled(make_model())
        with pytest.raises(UserError, match="rate >= 0 for the prior, received -1"):
            compiled(make_model(), prior=-1.0)
        accumulating = keras.optimizers.SGD(gradient_accumulation_steps=2)
        with pytest.raises(UserError, match="compile with accumulation"):
            make_model().compile(accumulating)
        with pytest.raises(UserError, match="leave steps_per_execution out"):
            make_model().compile("sgd", steps_per_execution=2)
    model.save_weights(tmp_path / "model.weights.h5")
    model.optimizer.learning_rate = 5e-4
    np.testing.assert_allclose(rates(model), [5e-4, 2e-3], rtol=1e-6)
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(rates(model), [1e-3, 4e-3], rtol=1e-6)


def test_callbacks_reach_all_groups(make_model):
    model = compiled(make_model())
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    lower = keras.callbacks.ReduceLROnPlateau("loss", 0.1, patience=0, min_delta=1e9)
    model.fit(IMAGES, epochs=2, verbose=0, callbacks=[halve])
    np.testing.assert_allclose(rates(model), [2.5e-4, 1e-3], rtol=1e-5)
    model.fit(IMAGES, epochs=2, verbose=0, callbacks=[lower])
    np.testing.assert_allclose(rates(model), [2.5e-5, 1e-4], rtol=1e-5)


def test_what_cannot_reach_all_groups_is_refused(make_model):
    model = compiled(make_model(), prior=CosineDecay(1e-3, 10))
    with pytest.raises(UserError, match="group 'prior' follows a schedule"):
        model.optimizer.learning_rate = 1e-4
    with pytest.raises(UserError, match="is set by a number"):
        compiled(make_model()).optimizer.learning_rate = CosineDecay(1e-3, 10)
    with pytest.raises(UserError, match="first group, received 0"):
        compiled(make_model(), autoencoder=0.0).optimizer.learning_rate = 1e-4
    average = keras.callbacks.SwapEMAWeights()
    with pytest.raises(ValueError, match="use_ema"):
        compiled(make_model()).evaluate(IMAGES, verbose=0, callbacks=[average])
    with pytest.raises(UserError, match="leave use_ema out"):
        make_model().compile(keras.optimizers.Adam(use_ema=True))
    inner = keras.optimizers.SGD(use_ema=True)
    with pytest.raises(UserError, match="leave use_ema out"):
        make_model().compile(keras.optimizers.LossScaleOptimizer(inner))


class HalfLater(keras.optimizers.schedules.LearningRateSchedule):
    """Of a user, without a config."""

    def __call__(self, step):
        return keras.ops.where(step < 2, 0.1, 0.05)


@pytest.mark.parametrize("rate", [HalfLater(), lambda: 0.1])
def test_rates_of_the_user_need_no_config(make_model, rate, tmp_path):
    model, fixed = make_model(), make_model()
    fixed.set_weights(model.get_weights())
    for one, its_rate in ((model, rate), (fixed, 0.1)):
        one.compile(keras.optimizers.SGD(its_rate), jit_compile=False)
        one.fit(IMAGES, batch_size=len(IMAGES), epochs=2, verbose=0, shuffle=False)
    for ours, theirs in zip(model.get_weights(), fixed.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match="follows a schedule"):
        model.optimizer.learning_rate = 1e-4


def test_a_schedule_that_cannot_be_saved_leaves_no_file(make_model, tmp_path):
    model = make_model()
    model.compile(keras.optimizers.SGD(HalfLater()))
    with pytest.raises(UserError, match="HalfLater cannot be saved: give it a get_con"):
        model.save(tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "rate", [-1e-3, float("nan"), float("inf"), CosineDecay(-1e-3, 10)]
)
def test_a_negative_rate_is_refused(make_model, rate):
    with pytest.raises(UserError, match=">= 0 for the prior, received"):
        compiled(make_model(), prior=rate)


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam, "adm", 1e-3])
def test_what_is_no_optimizer_is_refused(make_model, optimizer):
    with pytest.raises(UserError, match="Expected a Keras optimizer, .* received"):
        make_model().compile(optimizer)


@pytest.mark.parametrize(
    "name", ["loss", "metrics", "loss_weights", "weighted_metrics"]
)
def test_losses_and_metrics_of_others_are_refused(make_model, name):
    with pytest.raises(UserError, match=f"takes no {name}"):
        make_model().compile("adam", **{name: ["mse"]})


def test_models_that_share_an_optimizer_do_not_share_rates(make_model):
    first = compiled(make_model())
    second = make_model()
    second.compile(first.optimizer, jit_compile=False)
    second.optimizer.learning_rate = 1e-5
    np.testing.assert_allclose(rates(first), [1e-3, 4e-3], rtol=1e-6)
    np.testing.assert_allclose(rates(second), [1e-5, 1e-5], rtol=1e-6)


def test_a_group_that_does_not_learn_stays_so(make_model):
    model = compiled(make_model(), prior=0.0)
    model.optimizer.learning_rate = 1e-4
    np.testing.assert_allclose(rates(model), [1e-4, 0.0], rtol=1e-6)


def test_groups_may_be_given_the_same_optimizer(make_model):
    model, one = make_model(), keras.optimizers.Adam(1e-3)
    model.compile({"autoencoder": one, "prior": one}, jit_compile=False)
    model.fit(IMAGES, verbose=0)
    assert [int(o.iterations) for o in model.optimizers.values()] == [1, 1]


def test_the_rate_of_one_group_is_set(make_model):
    """A number in place of another one; a schedule is not set by the way."""
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    model = make_model()
    model.prior.trainable = False
    for rate in (1e-3, 0.0):
        model.compile(keras.optimizers.Adam(rate), jit_compile=False)
        model.fit(IMAGES, epochs=2, verbose=0, callbacks=[halve])
        np.testing.assert_allclose(rates(model), [rate / 4], rtol=1e-6)
    model.compile(keras.optimizers.Adam(CosineDecay(1e-3, 10)), jit_compile=False)
    with pytest.raises(UserError, match="follows a schedule: compile with numbers"):
        model.fit(IMAGES, verbose=0, callbacks=[halve])
    model.optimizer.learning_rate = CosineDecay(1e-4, 10)
    np.testing.assert_allclose(rates(model), [1e-4], rtol=1e-6)


def test_a_scheduler_of_a_prior_alone_is_told_of_its_schedule():
    constant = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3)
    prior = RealNVPPrior(2, couplings=2, hidden_sizes=(8,))
    codes = np.random.RandomState(0).randn(40, 2)
    with pytest.raises(UserError, match="group 'prior' follows a schedule"):
        prior.fit(codes, epochs=2, verbose=0, callbacks=[constant])
