"""Every model of the family resumes exactly from a checkpoint."""

import keras
import numpy as np
import pytest

from tests.commands import ROOT
from tests.commands import TINY
from tfp_priors import config
from tfp_priors.models import POSTERIOR
from tfp_priors.training import Checkpoints

MODELS = sorted(
    path.stem
    for path in (ROOT / "gin" / "models").glob("*.gin")
    if path.stem not in ("classifier", "post_hoc_gmm")
)
IMAGES = np.random.RandomState(0).rand(4, 4, 28, 28, 1).astype(np.float32)


def compiled(name, seed):
    gin_file = ROOT / "gin" / f"mnist_{name}.gin"
    config.parse([str(gin_file)], [*TINY, "LATENT_SIZE = 4"])
    trainer = config.trainer()
    model = trainer.compiled_model()
    keras.utils.set_random_seed(seed)
    for variable in model.trainable_variables:
        noise = keras.random.normal(variable.shape, stddev=0.01)
        variable.assign_add(noise)
    return model, trainer.post_hoc is not None


def take_steps(model, post_hoc, steps):
    for step in steps:
        if post_hoc:
            data = {POSTERIOR: model.posterior_parameters(IMAGES[step])}
        else:
            data = {"image": IMAGES[step]}
        model.train_step(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_resumes_exactly(name, tmp_path):
    whole, post_hoc = compiled(name, seed=0)
    take_steps(whole, post_hoc, [0, 1])
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(whole, 2)
    take_steps(whole, post_hoc, [2, 3])
    # Other weights, which the checkpoint must replace one and all.
    resumed, _ = compiled(name, seed=1)
    assert checkpoints.restore(resumed) == 2
    take_steps(resumed, post_hoc, [2, 3])
    state, expected = (
        [*m.weights, *(v for o in m.optimizers.values() for v in o.variables)]
        for m in (resumed, whole)
    )
    for a, b in zip(state, expected, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
