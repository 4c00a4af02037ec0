"""The same training step in PyTorch, in a bare loop over tensors in memory."""

import contextlib

import torch
from torch import nn

from benchmarks.peers import models
from benchmarks.sides import threads

_BATCHES = 50
_BETAS = {"aae": 10.0, "fp_vae": 0.5, "vae": 0.5}


def versions():
    return {"torch": torch.__version__}


def build(variant, case):
    shape, name, batch, precision = case.split(".")
    torch.set_num_threads(threads())
    torch.manual_seed(0)
    layout = torch.contiguous_format
    if variant.endswith("channels_last"):
        layout = torch.channels_last
    model = models.Model(shape, name).to(memory_format=layout)
    images = torch.rand(_BATCHES, int(batch), *models.SHAPES[shape])
    images = [x.contiguous(memory_format=layout) for x in images]
    return _step(model, images, variant.startswith("compile"), precision)


def _step(model, images, compiled, precision):
    groups = [list(module.parameters()) for module in model.groups()]
    adam = {"lr": 5e-4, "betas": (0.5, 0.999), "eps": 1e-7, "fused": True}
    optimizers = [torch.optim.Adam(group, **adam) for group in groups]
    objective = torch.compile(model) if compiled else model
    critic = model.critic
    if compiled and model.name != "prior_aae":
        # A penalty on gradients cannot be compiled: it is derived twice.
        critic = torch.compile(critic)
    beta = _BETAS.get(model.name, 0.0)
    batches = _cycled(images)

    def learn(loss, chosen):
        for i in chosen:
            optimizers[i].zero_grad(set_to_none=True)
        loss.backward()
        for i in chosen:
            nn.utils.clip_grad_norm_(groups[i], 5.0)
            optimizers[i].step()

    def autocast():
        if precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast("cpu", dtype=torch.bfloat16)

    followers = range(len(groups) - (model.discriminator is not None))

    def step():
        with autocast():
            loss, z = objective(next(batches), beta)
        learn(loss, followers)
        if model.discriminator is not None:
            with autocast():
                critic_loss = critic(z)
            learn(critic_loss, [len(groups) - 1])
        if model.standardization is not None:
            model.standardization.update(z)
        return float(loss.detach())

    return step


def _cycled(images):
    while True:
        yield from images
