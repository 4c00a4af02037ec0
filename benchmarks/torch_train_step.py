"""The peer of train_step.py: the same FP-VAE at beta = 0 in PyTorch.

Runs in an environment of its own that holds PyTorch and NumPy. Prints one line of
JSON per round, each after a line has arrived on standard input.
"""

import argparse
import json
import resource
import sys
import time

import torch
from torch import nn

IMAGE_SHAPE = (1, 28, 28)
LATENT_SIZE = 8


class Coupling(nn.Module):
    """One affine coupling with a bounded log-scale."""

    def __init__(self, size, flip, hidden=256, bound=2.0):
        super().__init__()
        self.half, self.flip, self.bound = size // 2, flip, bound
        self.net = nn.Sequential(
            nn.Linear(self.half, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2 * (size - self.half)),
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, z):
        kept, moved = z[:, : self.half], z[:, self.half :]
        if self.flip:
            kept, moved = moved, kept
        shift, s = self.net(kept).chunk(2, dim=1)
        log_scale = self.bound * torch.tanh(s / self.bound)
        moved = (moved - shift) * torch.exp(-log_scale)
        parts = (moved, kept) if self.flip else (kept, moved)
        return torch.cat(parts, dim=1), -log_scale.sum(1)


class Flow(nn.Module):
    """Eight couplings on running-standardised codes; returns log p(z)."""

    def __init__(self, size, couplings=8):
        super().__init__()
        self.norm = nn.BatchNorm1d(size, affine=False, momentum=0.01)
        self.couplings = nn.ModuleList(
            Coupling(size, bool(i % 2)) for i in range(couplings)
        )
        self.register_buffer("permutation", torch.randperm(size))

    def forward(self, z):
        mean, variance = self.norm.running_mean, self.norm.running_var
        log_det = -0.5 * torch.log(variance).sum()
        x = (z - mean) / torch.sqrt(variance)
        for i, coupling in enumerate(self.couplings):
            x, change = coupling(x)
            log_det = log_det + change
            if i % 2:
                x = x[:, self.permutation]
        with torch.no_grad():
            self.norm(z)
        normal = torch.distributions.Normal(0.0, 1.0)
        return normal.log_prob(x).sum(1) + log_det


def networks():
    norm = {"eps": 1e-5, "momentum": 0.1}
    encoder = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128, **norm),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(128 * 49, 1024, bias=False),
        nn.BatchNorm1d(1024, **norm),
        nn.LeakyReLU(0.2),
        nn.Linear(1024, LATENT_SIZE),
    )
    decoder = nn.Sequential(
        nn.Linear(LATENT_SIZE, 1024, bias=False),
        nn.BatchNorm1d(1024, **norm),
        nn.ReLU(),
        nn.Linear(1024, 128 * 49, bias=False),
        nn.BatchNorm1d(128 * 49, **norm),
        nn.ReLU(),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64, **norm),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1),
    )
    return encoder, decoder


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=10)
    args = parser.parse_args()
    torch.manual_seed(0)
    encoder, decoder = networks()
    flow = Flow(LATENT_SIZE)
    autoencoder = [*encoder.parameters(), *decoder.parameters()]
    adam = {"lr": 5e-4, "betas": (0.5, 0.999), "eps": 1e-7}
    optimizer = torch.optim.Adam(autoencoder, **adam)
    prior_optimizer = torch.optim.Adam(flow.parameters(), **adam)
    images = torch.rand(50, args.batch_size, *IMAGE_SHAPE)
    bce = nn.functional.binary_cross_entropy_with_logits

    def step(i):
        x = images[i % len(images)]
        z = encoder(x)
        reconstruction = bce(decoder(z), x, reduction="sum") / len(x)
        prior_nll = -flow(z.detach()).mean()
        optimizer.zero_grad(set_to_none=True)
        prior_optimizer.zero_grad(set_to_none=True)
        (reconstruction + prior_nll).backward()
        nn.utils.clip_grad_norm_(autoencoder, 5.0)
        nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimizer.step()
        prior_optimizer.step()
        return reconstruction

    for i in range(args.warmup):
        step(i)
    print(json.dumps({"ready": f"torch {torch.__version__}"}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for i in range(args.steps):
            loss = step(i)
        seconds = (time.perf_counter() - start) / args.steps
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        result = {"seconds": seconds, "peak_mib": peak, "loss": float(loss.detach())}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
