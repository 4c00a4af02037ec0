"""pythae's samplers of an autoencoder's codes, with their own default settings.

Their model is here the identity on codes.
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
    def forward(self, x):
        return ModelOutput(embedding=x)


class _Decoder(BaseDecoder):
    def forward(self, z):
        return ModelOutput(reconstruction=z)


def fit(name, codes, seed):
    torch.set_num_threads(threads())
    torch.manual_seed(seed)
    size = codes.shape[1]
    model = AE(AEConfig(input_dim=(size,), latent_dim=size), _Encoder(), _Decoder())
    learned, held_out = map(torch.from_numpy, split(codes, seed))
    if name == "pythae.mixture10":
        sampler = GaussianMixtureSampler(
            model, GaussianMixtureSamplerConfig(n_components=10)
        )
        sampler.fit(torch.from_numpy(codes))
        return sampler.gmm.score_samples
    sampler = MAFSampler(model, MAFSamplerConfig())
    with tempfile.TemporaryDirectory() as folder:
        sampler.fit(learned, held_out, BaseTrainerConfig(output_dir=folder))
    flow = sampler.flow_model.eval()

    def of_codes(z):
        with torch.no_grad():
            out = flow(torch.from_numpy(z).to(sampler.device))
            base = torch.distributions.Normal(0.0, 1.0)
            return (base.log_prob(out.out).sum(1) + out.log_abs_det_jac).cpu().numpy()

    return of_codes


if __name__ == "__main__":
    report(fit)
