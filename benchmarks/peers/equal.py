"""The peers' flows at the sizes and steps of `benchmarks.equal`."""

import math

import torch

from benchmarks.equal import BATCH_SIZE
from benchmarks.equal import RATE
from benchmarks.equal import STEPS
from benchmarks.equal import sizes
from benchmarks.likelihoods import report
from benchmarks.likelihoods import split
from benchmarks.peers.held_out import learn
from benchmarks.peers.priors import LIBRARIES
from benchmarks.sides import threads


def fit(name, points, seed):
    torch.set_num_threads(threads())
    torch.manual_seed(seed)
    library, kind = name.split(".")
    methods, module = LIBRARIES[library](kind, sizes(points.shape[1]))
    log_prob = methods["log_prob"]
    optimizer = torch.optim.Adam(module.parameters(), RATE)
    # PyTorch's own rises again in the steps that fill the last epoch.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: 0.5 + 0.5 * math.cos(math.pi * min(i / STEPS, 1.0))
    )
    learned, held_out = map(torch.from_numpy, split(points, seed))
    learn(
        log_prob, module, learned, held_out, optimizer, STEPS, BATCH_SIZE, schedule.step
    )

    def of_points(z):
        with torch.no_grad():
            return log_prob(torch.from_numpy(z)).numpy()

    return of_points


if __name__ == "__main__":
    report(fit)
