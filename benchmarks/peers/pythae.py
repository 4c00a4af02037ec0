"""pythae's own trainer: its VAE with the InfoGAN networks."""

import itertools
import tempfile
from importlib import metadata

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE
from pythae.models import VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder
from pythae.models.nn import BaseEncoder
from pythae.trainers import BaseTrainer
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

from benchmarks.peers import models
from benchmarks.sides import threads

_WARMUP = 5
# MNIST's, so that an epoch ends as rarely as there.
_IMAGES = 60_000


class _Encoder(BaseEncoder):
    def __init__(self, shape):
        super().__init__()
        self.size = models.LATENT_SIZES[shape]
        self.body = models.encoder(shape, 2 * self.size)

    def forward(self, x):
        mean, log_covariance = self.body(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_covariance)


class _Decoder(BaseDecoder):
    def __init__(self, shape):
        super().__init__()
        self.body = models.decoder(shape)

    def forward(self, z):
        return ModelOutput(reconstruction=torch.sigmoid(self.body(z)))


class _Done(Exception):
    """Ends a training that has no other way to stop."""


class _Observer(TrainingCallback):
    def __init__(self, loop):
        self._loop = loop
        self._steps = itertools.count(1)

    def on_train_step_end(self, training_config, **kwargs):
        step = next(self._steps)
        if step == _WARMUP:
            self._loop.begin({"pythae": metadata.version("pythae")})
        elif step > _WARMUP and not self._loop.step(0.0):
            raise _Done


def loop(variant, case, loop):
    del variant
    shape, _, batch, _ = case.split(".")
    torch.set_num_threads(threads())
    image_shape = models.SHAPES[shape]
    size = models.LATENT_SIZES[shape]
    settings = VAEConfig(
        input_dim=image_shape, latent_dim=size, reconstruction_loss="bce"
    )
    model = VAE(settings, encoder=_Encoder(shape), decoder=_Decoder(shape))
    data = BaseDataset(torch.rand(_IMAGES, *image_shape), torch.zeros(_IMAGES))
    with tempfile.TemporaryDirectory() as folder:
        training = BaseTrainerConfig(
            output_dir=folder,
            learning_rate=5e-4,
            per_device_train_batch_size=int(batch),
            num_epochs=1000,
            optimizer_params={"betas": (0.5, 0.999), "eps": 1e-7},
        )
        callbacks = [_Observer(loop)]
        try:
            BaseTrainer(model, data, None, training, callbacks).train()
        except _Done:
            pass
