"""Our flows at the sizes and steps of `benchmarks.equal`, and as users have them."""

import math

import keras
import numpy as np

from benchmarks.equal import BATCH_SIZE
from benchmarks.equal import RATE
from benchmarks.equal import STEPS
from benchmarks.equal import sizes
from benchmarks.likelihoods import report
from benchmarks.ours import held_out
from benchmarks.ours import priors


def fit(name, points, seed):
    kind = name.split(".")[1]
    if kind in ("flow", "flow_matching"):
        return held_out.fit(name, points, seed)
    keras.utils.set_random_seed(seed)
    prior = priors.flow(kind, sizes(points.shape[1]))
    epochs = math.ceil(STEPS / math.ceil(0.9 * len(points) / BATCH_SIZE))
    prior.fit(
        points,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(RATE, STEPS)
        ),
        patience=epochs,
        seed=seed,
    )
    return lambda z: np.asarray(prior.log_prob(z))


if __name__ == "__main__":
    report(fit)
