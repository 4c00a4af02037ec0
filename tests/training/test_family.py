"""Every model of the family resumes exactly from a checkpoint."""

import keras
import numpy as np
import pytest

from tests.commands import ROOT
from tests.commands import TINY
from tests.networks.test_people import standing
from tfp_priors import config
from tfp_priors.learning.code_learner import CONTEXT
from tfp_priors.models import POSTERIOR
from tfp_priors.training import Checkpoints

MODELS = sorted(
    path.stem
    for path in (ROOT / "gin" / "models").glob("*.gin")
    # These are no autoencoders.
    if path.stem not in ("classifier", "keypoints", "pggan")
)
KEYPOINTS = standing()[[0, 1, 2, 0]]


def images(model, step):
    random = np.random.RandomState(step)
    # Of four images that differ by noise alone bfloat16 tells batch norm little.
    brightness = np.linspace(0.1, 1, 4)[:, None, None, None]
    return (brightness * random.rand(4, *model.image_shape)).astype(np.float32)


def compiled(name, seed, params=()):
    data, latent_size = ("mnist", 4)
    if name.startswith("vunet"):
        data, latent_size = ("procedural_people", (4, 4, 5))
        # At 0.01 gradients of 1e5 are too large for float16, whatever their scale.
        params = ["NormalLikelihood.gamma = 1.0", *params]
    gin_file = ROOT / "gin" / f"{data}_{name}.gin"
    config.parse([str(gin_file)], [*TINY, f"LATENT_SIZE = {latent_size}", *params])
    trainer = config.trainer()
    model = trainer.compiled_model(at_rest=trainer.post_hoc is not None)
    keras.utils.set_random_seed(seed)
    for variable in model.trainable_variables:
        noise = keras.random.normal(variable.shape, stddev=0.01)
        variable.assign_add(noise)
    return model, trainer.post_hoc is not None


def take_steps(model, post_hoc, steps):
    for step in steps:
        if post_hoc:
            data = {POSTERIOR: model.posterior_parameters(images(model, step))}
            if model.conditioner is not None:
                data[CONTEXT] = model.context(np.arange(4))
        else:
            data = {"image": images(model, step), "keypoints": KEYPOINTS}
        logs = model.train_step(data)
    return logs


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, params",
    [*((name, ()) for name in MODELS), ("aae", ["train.precision = 'mixed_float16'"])],
)
def test_resumes_exactly(name, params, tmp_path):
    whole, post_hoc = compiled(name, 0, params)
    take_steps(whole, post_hoc, [0, 1])
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(whole, 2)
    take_steps(whole, post_hoc, [2, 3])
    # Other weights, which the checkpoint must replace one and all.
    resumed, _ = compiled(name, 1, params)
    assert checkpoints.restore(resumed) == 2
    take_steps(resumed, post_hoc, [2, 3])
    state, expected = (
        [*m.weights, *(v for o in m.optimizers.values() for v in o.variables)]
        for m in (resumed, whole)
    )
    for a, b in zip(state, expected, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", MODELS)
def test_low_precision_follows_float32(name, precision):
    logs = {}
    for kind in ("float32", precision):
        # Steps so small that the second one starts from nearly the same weights.
        rate = "CosineDecay.initial_learning_rate = 5e-4"
        model, post_hoc = compiled(name, 0, [f"train.precision = '{kind}'", rate])
        for optimizer in model.optimizers.values():
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                # Where it comes to rest; the first value is meant to overflow.
                optimizer.dynamic_scale.assign(16.0)
        logs[kind] = take_steps(model, post_hoc, [0, 1])
    exact, low = logs["float32"], logs[precision]
    assert set(low) == set(exact)
    for term, value in exact.items():
        # bfloat16 keeps 8 bits, so that each of a network's layers adds 0.4% at most;
        # gradients, and steps of Adam along their signs, feel all of them. An accuracy
        # over 4 codes moves by eighths.
        bound = 0.25 if "accuracy" in term or "norm" in term else 0.03
        error = abs(float(low[term]) - float(value))
        assert error <= bound * max(1.0, abs(float(value))), term
