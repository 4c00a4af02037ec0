"""The same priors in zuko, nflows, normflows and PyTorch.

Every conditioner is the plain network of ours: two hidden layers of
256 units with ReLU. Couplings alternate between halves of the code; where ours
permutes the code between pairs of couplings, zuko and nflows change the halves, and
normflows does neither, which favours it a little.
"""

from functools import cache
from functools import partial
from importlib import metadata

import nflows.distributions
import nflows.flows
import nflows.nn.nets
import nflows.transforms
import normflows
import torch
import zuko
from normflows.flows.neural_spline.coupling import PiecewiseRationalQuadraticCoupling

from benchmarks.prior_settings import BATCH_SIZE
from benchmarks.prior_settings import BINS
from benchmarks.prior_settings import BOUND
from benchmarks.prior_settings import COMPONENTS
from benchmarks.prior_settings import COUPLINGS
from benchmarks.prior_settings import FLOWS
from benchmarks.prior_settings import HIDDEN_SIZES
from benchmarks.prior_settings import LATENT_SIZE
from benchmarks.prior_settings import SPLINE_COUPLINGS
from benchmarks.sides import threads


def _masks(count):
    """Masks of alternate halves; each pair of couplings has halves of its own."""
    for i in range(count):
        if i % 2 == 0:
            first = torch.randperm(LATENT_SIZE) < LATENT_SIZE // 2
        yield first if i % 2 == 0 else ~first


def _zuko_coupling(count, **univariate):
    coupling = zuko.flows.coupling.GeneralCouplingTransform
    return [
        coupling(LATENT_SIZE, mask=mask, hidden_features=HIDDEN_SIZES, **univariate)
        for mask in _masks(count)
    ]


def _zuko_autoregressive():
    maf = zuko.flows.MAF(LATENT_SIZE, transforms=FLOWS, hidden_features=HIDDEN_SIZES)
    return list(maf.transform.transforms)


def _zuko(name):
    if name == "realnvp":
        transforms = _zuko_coupling(COUPLINGS)
    elif name == "spline":
        transforms = _zuko_coupling(
            SPLINE_COUPLINGS,
            univariate=partial(zuko.transforms.MonotonicRQSTransform, bound=BOUND),
            shapes=[(BINS,), (BINS,), (BINS - 1,)],
        )
    elif name == "maf":
        transforms = _zuko_autoregressive()
    else:
        transforms = [zuko.lazy.LazyInverse(t) for t in _zuko_autoregressive()]
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal,
        torch.zeros(LATENT_SIZE),
        torch.ones(LATENT_SIZE),
        buffer=True,
    )
    flow = zuko.flows.Flow(transforms, base)
    return {
        "log_prob": lambda z: flow().log_prob(z),
        "sample": lambda z: flow().sample((BATCH_SIZE,)),
    }, flow


class _Conditioner(nflows.nn.nets.MLP):
    """A plain network that takes the context that nflows hands over, None."""

    def __init__(self, inputs, outputs):
        super().__init__((inputs,), (outputs,), HIDDEN_SIZES)

    def forward(self, inputs, context=None):
        return super().forward(inputs)


def _nflows(name):
    library = nflows.transforms
    if name == "realnvp":
        transforms = [
            library.AffineCouplingTransform(mask, _Conditioner)
            for mask in _masks(COUPLINGS)
        ]
    elif name == "spline":
        splines = {"num_bins": BINS, "tails": "linear", "tail_bound": BOUND}
        transforms = [
            library.PiecewiseRationalQuadraticCouplingTransform(
                mask, _Conditioner, **splines
            )
            for mask in _masks(SPLINE_COUPLINGS)
        ]
    else:
        transforms = []
        for i in range(FLOWS):
            # The initial layer and one block are two hidden layers.
            flow = library.MaskedAffineAutoregressiveTransform(
                LATENT_SIZE, HIDDEN_SIZES[0], num_blocks=1, use_residual_blocks=False
            )
            if i:
                transforms.append(library.ReversePermutation(LATENT_SIZE))
            is_maf = name == "maf"
            transforms.append(flow if is_maf else library.InverseTransform(flow))
    base = nflows.distributions.StandardNormal([LATENT_SIZE])
    flow = nflows.flows.Flow(library.CompositeTransform(transforms), base)
    return {
        "log_prob": flow.log_prob,
        "sample": lambda z: flow.sample(BATCH_SIZE),
    }, flow


def _normflows(name):
    library = normflows.flows
    half = LATENT_SIZE // 2
    if name == "realnvp":
        sizes = [half, *HIDDEN_SIZES, 2 * half]
        flows = [
            library.AffineCouplingBlock(
                normflows.nets.MLP(sizes),
                split_mode="channel_inv" if i % 2 else "channel",
            )
            for i in range(COUPLINGS)
        ]
    elif name == "spline":
        splines = {"num_bins": BINS, "tails": "linear", "tail_bound": BOUND}
        flows = [
            PiecewiseRationalQuadraticCoupling(mask, _Conditioner, **splines)
            for mask in _masks(SPLINE_COUPLINGS)
        ]
    else:
        flows = []
        for i in range(FLOWS):
            flow = library.MaskedAffineAutoregressive(
                LATENT_SIZE, HIDDEN_SIZES[0], num_blocks=1, use_residual_blocks=False
            )
            if i:
                order = library.Permute(LATENT_SIZE)
                order.perm = torch.arange(LATENT_SIZE).flip(0)
                order.inv_perm = order.perm
                flows.append(order)
            # Its forward direction draws, which is an inverse autoregressive flow.
            flows.append(library.Reverse(flow) if name == "maf" else flow)
    base = normflows.distributions.DiagGaussian(LATENT_SIZE, trainable=False)
    flow = normflows.NormalizingFlow(base, flows)
    # A draw comes with its density; without it (`forward`) it is a little faster.
    return {
        "log_prob": flow.log_prob,
        "sample": lambda z: flow(torch.randn(BATCH_SIZE, LATENT_SIZE)),
    }, flow


def _torch(name):
    library = torch.distributions
    if name == "normal":
        parameters = torch.zeros(LATENT_SIZE), torch.ones(LATENT_SIZE)
        distribution = library.Independent(library.Normal(*parameters), 1)
    else:
        means = torch.randn(COMPONENTS, LATENT_SIZE)
        noise = 0.02 * torch.randn(COMPONENTS, LATENT_SIZE, LATENT_SIZE)
        distribution = library.MixtureSameFamily(
            library.Categorical(logits=torch.zeros(COMPONENTS)),
            library.MultivariateNormal(
                means, scale_tril=torch.eye(LATENT_SIZE) + noise.tril()
            ),
        )
    return {
        "log_prob": distribution.log_prob,
        "sample": lambda z: distribution.sample((BATCH_SIZE,)),
    }, None


_LIBRARIES = {
    "zuko": _zuko,
    "nflows": _nflows,
    "normflows": _normflows,
    "torch": _torch,
}


def versions():
    return {library: metadata.version(library) for library in _LIBRARIES}


@cache
def _made(library, name):
    torch.manual_seed(0)
    methods, module = _LIBRARIES[library](name)
    if module is not None:
        module.eval()
    return methods


def build(variant, case):
    library = variant.removesuffix("_compile")
    name, method = case.split(".")
    torch.set_num_threads(threads())
    run = _made(library, name)[method]
    z = torch.randn(BATCH_SIZE, LATENT_SIZE)
    if variant != library:
        run = torch.compile(run)
    # Dynamo's guards fail on normflows' base in inference mode.
    mode = torch.inference_mode if variant == library else torch.no_grad

    def call():
        with mode():
            return run(z).sum().item()

    return call
