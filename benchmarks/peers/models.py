"""The models of the training steps in PyTorch: networks, priors, losses."""

import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.functional import softplus

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
LATENT_SIZES = {"mnist": 8, "cifar10": 64}
_GAMMA = 0.01
_NORM = {"eps": 1e-5, "momentum": 0.1}


def _initialized(network):
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.02)
    return network


def encoder(shape, outputs):
    """The InfoGAN encoder and the posterior's head."""
    channels, height, width = SHAPES[shape]
    network = nn.Sequential(
        nn.Conv2d(channels, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128, **_NORM),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(128 * (height // 4) * (width // 4), 1024, bias=False),
        nn.BatchNorm1d(1024, **_NORM),
        nn.LeakyReLU(0.2),
        nn.Linear(1024, outputs),
    )
    return _initialized(network)


def decoder(shape):
    """The InfoGAN decoder; its outputs go through a sigmoid."""
    channels, height, width = SHAPES[shape]
    grid = (128, height // 4, width // 4)
    network = nn.Sequential(
        nn.Linear(LATENT_SIZES[shape], 1024, bias=False),
        nn.BatchNorm1d(1024, **_NORM),
        nn.ReLU(),
        nn.Linear(1024, math.prod(grid), bias=False),
        nn.BatchNorm1d(math.prod(grid), **_NORM),
        nn.ReLU(),
        nn.Unflatten(1, grid),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64, **_NORM),
        nn.ReLU(),
        nn.ConvTranspose2d(64, channels, 4, 2, 1),
    )
    return _initialized(network)


def mlp(inputs, hidden_sizes, outputs, activation):
    """Dense layers with a linear output."""
    layers = []
    for size in hidden_sizes:
        layers += [nn.Linear(inputs, size), activation()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Standardization(nn.Module):
    """A running mean and variance of the codes."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))

    def forward(self, z):
        return (z - self.mean) / torch.sqrt(self.variance + 1e-6)

    @torch.no_grad()
    def update(self, z):
        variance, mean = torch.var_mean(z.float(), 0, correction=0)
        self.mean.lerp_(mean, 0.01)
        self.variance.lerp_(variance, 0.01)


class _Coupling(nn.Module):
    """One affine coupling with a bounded log-scale."""

    def __init__(self, size, flip, bound=2.0):
        super().__init__()
        self.half, self.flip, self.bound = size // 2, flip, bound
        self.net = mlp(self.half, (256, 256), 2 * (size - self.half), nn.ReLU)
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def _parts(self, z):
        first, second = z[:, : self.half], z[:, self.half :]
        return (second, first) if self.flip else (first, second)

    def _joined(self, kept, moved):
        return torch.cat((moved, kept) if self.flip else (kept, moved), dim=1)

    def _affine(self, kept):
        shift, s = self.net(kept).chunk(2, dim=1)
        return shift, self.bound * torch.tanh(s / self.bound)

    def forward(self, z):
        """To the base, with the log-determinant."""
        kept, moved = self._parts(z)
        shift, log_scale = self._affine(kept)
        moved = (moved - shift) * torch.exp(-log_scale)
        return self._joined(kept, moved), -log_scale.sum(1)

    def inverse(self, z0):
        kept, moved = self._parts(z0)
        shift, log_scale = self._affine(kept)
        return self._joined(kept, moved * torch.exp(log_scale) + shift)


class Flow(nn.Module):
    """Eight couplings on standardised codes; the flow prior."""

    def __init__(self, size, couplings=8):
        super().__init__()
        self.standardization = Standardization(size)
        self.couplings = nn.ModuleList(
            _Coupling(size, bool(i % 2)) for i in range(couplings)
        )
        self.register_buffer("permutation", torch.randperm(size))
        self.register_buffer("back", torch.argsort(self.permutation))

    def forward(self, z):
        """-log p(z)."""
        x = self.standardization(z)
        log_det = -0.5 * torch.log(self.standardization.variance + 1e-6).sum()
        for i, coupling in enumerate(self.couplings):
            x, change = coupling(x)
            log_det = log_det + change
            if i % 2 and i < len(self.couplings) - 1:
                x = x[:, self.permutation]
        normal = 0.5 * (x.square() + math.log(2 * math.pi)).sum(1)
        return normal - log_det

    def from_base(self, z0):
        """The codes of draws of the base."""
        x = z0
        for i in reversed(range(len(self.couplings))):
            if i % 2 and i < len(self.couplings) - 1:
                x = x[:, self.back]
            x = self.couplings[i].inverse(x)
        scale = torch.sqrt(self.standardization.variance + 1e-6)
        return x * scale + self.standardization.mean


class Model(nn.Module):
    """An autoencoder with a prior; `forward` is the loss of both."""

    def __init__(self, shape, name):
        super().__init__()
        self.size, self.name = LATENT_SIZES[shape], name
        self.stochastic = name in ("fp_vae", "vae")
        self.bernoulli = shape == "mnist"
        self.encoder = encoder(shape, self.size * (2 if self.stochastic else 1))
        self.decoder = decoder(shape)
        self.prior = self._prior()
        self.discriminator = None
        if name in ("aae", "prior_aae"):
            leaky = lambda: nn.LeakyReLU(0.2)  # noqa: E731
            self.discriminator = mlp(self.size, (512, 512), 1, leaky)

    def _prior(self):
        if self.name in ("beta0", "fp_vae"):
            return Flow(self.size)
        if self.name == "prior_aae":
            prior = mlp(self.size, (256, 256, 256), self.size, nn.ReLU)
            prior.standardization = Standardization(self.size)
            return prior
        return nn.Module()

    def groups(self):
        """The modules that have an optimizer each."""
        autoencoder = nn.ModuleList([self.encoder, self.decoder])
        parts = [autoencoder, self.prior, self.discriminator]
        return [p for p in parts if p is not None and list(p.parameters())]

    @property
    def standardization(self):
        """That of the codes, or None."""
        return getattr(self.prior, "standardization", None)

    def _reconstruction(self, x, z):
        outputs = self.decoder(z).float()
        if self.bernoulli:
            errors = binary_cross_entropy_with_logits(outputs, x, reduction="none")
        else:
            error = (x - torch.sigmoid(outputs)).square()
            errors = 0.5 * (error / _GAMMA + math.log(2 * math.pi * _GAMMA))
        return errors.sum((1, 2, 3)).mean()

    def forward(self, x, beta):
        """The loss of autoencoder and prior, and the codes."""
        parameters = self.encoder(x).float()
        if not self.stochastic:
            z = parameters
            return self._reconstruction(x, z) + self._divergence(z, beta), z.detach()
        mean, raw = parameters.chunk(2, dim=1)
        scale = 1e-3 + softplus(raw + 0.5413248)
        noise = torch.randn_like(mean)
        z = mean + scale * noise
        if self.name == "vae":
            kl = 0.5 * (mean.square() + scale.square() - 1) - torch.log(scale)
            divergence = beta * kl.sum(1).mean()
        else:
            log_q = -0.5 * (noise.square() + math.log(2 * math.pi)) - torch.log(scale)
            # The prior's gradient has its full weight, the code's has beta.
            pulled = z.detach() + beta * (z - z.detach())
            divergence = (beta * log_q.sum(1) + self.prior(pulled)).mean()
        return self._reconstruction(x, z) + divergence, z.detach()

    def _divergence(self, z, beta):
        if self.name == "beta0":
            return self.prior(z.detach()).mean()
        if self.name == "aae":
            return beta * softplus(-self.discriminator(z)).mean()
        return softplus(self.discriminator(self._draws(len(z)))).mean()

    def _draws(self, n):
        z0 = torch.randn(n, self.size)
        return self.prior(z0) if self.name == "prior_aae" else z0

    def critic(self, z):
        """The discriminator's loss on fixed codes."""
        with torch.no_grad():
            draws = self._draws(len(z))
        if self.standardization is None:
            t_draws, t_codes = self.discriminator(torch.cat([draws, z])).chunk(2)
            return (softplus(-t_draws) + softplus(t_codes)).mean()
        codes = self.standardization(z).requires_grad_()
        t_draws, t_codes = self.discriminator(torch.cat([draws, codes])).chunk(2)
        loss = (softplus(-t_draws) + softplus(t_codes)).mean()
        t = self.discriminator(codes).sum()
        (gradient,) = torch.autograd.grad(t, codes, create_graph=True)
        return loss + 0.5 * gradient.square().sum(1).mean()


class Sampler(nn.Module):
    """Draws n images of the model with a flow prior."""

    def __init__(self, model, n):
        super().__init__()
        self.prior, self.decoder = model.prior, model.decoder
        self.n, self.size = n, model.size

    def forward(self):
        z = self.prior.from_base(torch.randn(self.n, self.size))
        return torch.sigmoid(self.decoder(z))
