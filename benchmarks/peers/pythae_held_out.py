"""pythae's samplers of an autoencoder's codes, with their own default settings.

Their model is here the identity on codes, but for a shift: the samplers take data from
0 on.
"""

import tempfile

import torch
from pythae.models import AE
from pythae.models import AEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder
from pythae.models.nn import BaseEncoder
from pythae.samplers import GaussianMixtureSampler
from pythae.samplers import GaussianMixtureSamplerConfig
from pythae.samplers import MAFSampler
from pythae.samplers import MAFSamplerConfig
from pythae.trainers import BaseTrainerConfig

from benchmarks.likelihoods import report
from benchmarks.likelihoods import split
from benchmarks.sides import threads


class _Encoder(BaseEncoder):
    def __init__(self, lowest):
        super().__init__()
        self.lowest = lowest

    def forward(self, x):
        return ModelOutput(embedding=x + self.lowest)


class _Decoder(BaseDecoder):
    def forward(self, z):
        return ModelOutput(reconstruction=z)


def fit(name, codes, seed):
    torch.set_num_threads(threads())
    torch.manual_seed(seed)
    size = codes.shape[1]
    lowest = float(codes.min())
    config = AEConfig(input_dim=(size,), latent_dim=size)
    model = AE(config, _Encoder(lowest), _Decoder())
    learned, held_out = (torch.from_numpy(x - lowest) for x in split(codes, seed))
    if name == "pythae.mixture10":
        sampler = GaussianMixtureSampler(
            model, GaussianMixtureSamplerConfig(n_components=10)
        )
        sampler.fit(torch.from_numpy(codes - lowest))
        return sampler.gmm.score_samples
    sampler = MAFSampler(model, MAFSamplerConfig())
    with tempfile.TemporaryDirectory() as folder:
        sampler.fit(learned, held_out, BaseTrainerConfig(output_dir=folder))
    flow = sampler.maf_model.eval()

    def of_codes(z):
        with torch.no_grad():
            out = flow(torch.from_numpy(z).to(sampler.device))
            base = torch.distributions.Normal(0.0, 1.0)
            return (base.log_prob(out.out).sum(1) + out.log_abs_det_jac).cpu().numpy()

    return of_codes


if __name__ == "__main__":
    report(fit)
