"""zuko's and normflows' flows, by the recipes of their own documentation.

Codes are standardised, as both advise. The weights that are best on a tenth of the
codes, looked at after each epoch, are kept.

zuko: MAF and NSF with `transforms=3, hidden_features=(64, 64, 64)`, Adam at 1e-3, as in
its README. normflows: 32 affine couplings with networks of (64, 64), Adam at 5e-4 with
weight decay 1e-5 and batches of 512 for 4,000 steps, as in its RealNVP example.
"""

import copy
import math

import normflows
import torch
import zuko

from benchmarks.likelihoods import report
from benchmarks.likelihoods import split
from benchmarks.sides import threads

_BATCH = 512
_STEPS = 4_000


def fit(name, codes, seed):
    torch.set_num_threads(threads())
    torch.manual_seed(seed)
    mean, scale = codes.mean(0), codes.std(0) + 1e-6
    log_scale = float(sum(math.log(s) for s in scale))
    learned, held_out = (
        torch.from_numpy((part - mean) / scale) for part in split(codes, seed)
    )
    log_prob, module, rate, decay = _made(name, codes.shape[1])
    optimizer = torch.optim.Adam(module.parameters(), rate, weight_decay=decay)
    learn(log_prob, module, learned, held_out, optimizer, _STEPS, _BATCH)

    def of_codes(z):
        with torch.no_grad():
            standard = torch.from_numpy((z - mean) / scale)
            return log_prob(standard).numpy() - log_scale

    return of_codes


def learn(log_prob, module, learned, held_out, optimizer, steps, batch, after=None):
    """Maximum likelihood; the module keeps its weights of the best epoch.

    Args:
      log_prob: function of points.
      module: whose weights the optimizer moves.
      learned: points `[n, d]`.
      held_out: points to choose the epoch by.
      optimizer: of PyTorch.
      steps: rounded up to whole epochs.
      batch: points per step.
      after: is called after each step, if there is one.
    """
    best, weights = math.inf, None
    for _ in range(math.ceil(steps / math.ceil(len(learned) / batch))):
        for rows in torch.randperm(len(learned)).split(batch):
            optimizer.zero_grad()
            (-log_prob(learned[rows]).mean()).backward()
            optimizer.step()
            if after:
                after()
        with torch.no_grad():
            value = float(-log_prob(held_out).mean())
        if value < best:
            best, weights = value, copy.deepcopy(module.state_dict())
    if weights is None:
        raise ValueError("no epoch has a finite likelihood")
    module.load_state_dict(weights)


def _made(name, size):
    """log p(z), the module, its learning rate and weight decay."""
    if name == "normflows.realnvp":
        flows = []
        for _ in range(32):
            half = size // 2
            network = normflows.nets.MLP(
                [size - half, 64, 64, 2 * half], init_zeros=True
            )
            flows.append(normflows.flows.AffineCouplingBlock(network))
            flows.append(normflows.flows.Permute(size, mode="swap"))
        base = normflows.distributions.DiagGaussian(size, trainable=False)
        model = normflows.NormalizingFlow(base, flows)
        return model.log_prob, model, 5e-4, 1e-5
    kind = {"zuko.maf": zuko.flows.MAF, "zuko.nsf": zuko.flows.NSF}[name]
    flow = kind(size, transforms=3, hidden_features=(64, 64, 64))
    return lambda z: flow().log_prob(z), flow, 1e-3, 0.0


if __name__ == "__main__":
    report(fit)
