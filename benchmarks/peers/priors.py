"""The same priors in zuko, nflows, normflows and PyTorch.

Every conditioner is the plain network of ours: hidden layers with ReLU. Couplings
alternate between halves of the code; where ours permutes the code between pairs of
couplings, zuko and nflows change the halves, as normflows' splines do; its affine
couplings do neither, which favours them a little.
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
from benchmarks.prior_settings import COMPONENTS
from benchmarks.prior_settings import TIMED
from benchmarks.sides import threads


def _masks(size, count):
    """Masks of alternate halves; each pair of couplings has halves of its own.

    Of 2 dimensions there are no others, and an exchange would undo the alternation.
    """
    for i in range(count):
        if i == 0 or (i % 2 == 0 and size > 2):
            first = torch.randperm(size) < size // 2
        yield first if i % 2 == 0 else ~first


def _zuko_coupling(sizes, count, **univariate):
    coupling = zuko.flows.coupling.GeneralCouplingTransform
    size, hidden = sizes.latent_size, sizes.hidden_sizes
    return [
        coupling(size, mask=mask, hidden_features=hidden, **univariate)
        for mask in _masks(size, count)
    ]


def _zuko_autoregressive(sizes):
    maf = zuko.flows.MAF(
        sizes.latent_size, transforms=sizes.flows, hidden_features=sizes.hidden_sizes
    )
    return list(maf.transform.transforms)


def _zuko(name, sizes):
    if name == "realnvp":
        transforms = _zuko_coupling(sizes, sizes.couplings)
    elif name == "spline":
        transforms = _zuko_coupling(
            sizes,
            sizes.spline_couplings,
            univariate=partial(
                zuko.transforms.MonotonicRQSTransform, bound=sizes.bound
            ),
            shapes=[(sizes.bins,), (sizes.bins,), (sizes.bins - 1,)],
        )
    elif name == "maf":
        transforms = _zuko_autoregressive(sizes)
    else:
        transforms = [zuko.lazy.LazyInverse(t) for t in _zuko_autoregressive(sizes)]
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal,
        torch.zeros(sizes.latent_size),
        torch.ones(sizes.latent_size),
        buffer=True,
    )
    flow = zuko.flows.Flow(transforms, base)
    return {
        "log_prob": lambda z: flow().log_prob(z),
        "sample": lambda z: flow().sample((BATCH_SIZE,)),
    }, flow


class _Conditioner(nflows.nn.nets.MLP):
    """A plain network that takes the context that nflows hands over, None."""

    def __init__(self, inputs, outputs, hidden_sizes):
        super().__init__((inputs,), (outputs,), hidden_sizes)

    def forward(self, inputs, context=None):
        return super().forward(inputs)


def _nflows(name, sizes):
    library = nflows.transforms
    size = sizes.latent_size
    conditioner = partial(_Conditioner, hidden_sizes=sizes.hidden_sizes)
    if name == "realnvp":
        transforms = [
            library.AffineCouplingTransform(mask, conditioner)
            for mask in _masks(size, sizes.couplings)
        ]
    elif name == "spline":
        splines = _splines(sizes)
        transforms = [
            library.PiecewiseRationalQuadraticCouplingTransform(
                mask, conditioner, **splines
            )
            for mask in _masks(size, sizes.spline_couplings)
        ]
    else:
        transforms = []
        for i in range(sizes.flows):
            # The initial layer and one block are two hidden layers.
            flow = library.MaskedAffineAutoregressiveTransform(
                size,
                sizes.hidden_sizes[0],
                num_blocks=1,
                use_residual_blocks=False,
            )
            if i:
                transforms.append(library.ReversePermutation(size))
            is_maf = name == "maf"
            transforms.append(flow if is_maf else library.InverseTransform(flow))
    base = nflows.distributions.StandardNormal([size])
    flow = nflows.flows.Flow(library.CompositeTransform(transforms), base)
    return {
        "log_prob": flow.log_prob,
        "sample": lambda z: flow.sample(BATCH_SIZE),
    }, flow


def _normflows(name, sizes):
    library = normflows.flows
    size = sizes.latent_size
    conditioner = partial(_Conditioner, hidden_sizes=sizes.hidden_sizes)
    if name == "realnvp":
        flows = []
        for i in range(sizes.couplings):
            # The first half is the larger one of an odd size.
            given = size // 2 if i % 2 else size - size // 2
            network = normflows.nets.MLP(
                [given, *sizes.hidden_sizes, 2 * (size - given)]
            )
            mode = "channel_inv" if i % 2 else "channel"
            flows.append(library.AffineCouplingBlock(network, split_mode=mode))
    elif name == "spline":
        splines = _splines(sizes)
        flows = [
            PiecewiseRationalQuadraticCoupling(mask, conditioner, **splines)
            for mask in _masks(size, sizes.spline_couplings)
        ]
    else:
        flows = []
        for i in range(sizes.flows):
            flow = library.MaskedAffineAutoregressive(
                size,
                sizes.hidden_sizes[0],
                num_blocks=1,
                use_residual_blocks=False,
            )
            if i:
                order = library.Permute(size)
                order.perm = torch.arange(size).flip(0)
                order.inv_perm = order.perm
                flows.append(order)
            # Its forward direction draws, which is an inverse autoregressive flow.
            flows.append(library.Reverse(flow) if name == "maf" else flow)
    base = normflows.distributions.DiagGaussian(size, trainable=False)
    flow = normflows.NormalizingFlow(base, flows)
    # A draw comes with its density; without it (`forward`) it is a little faster.
    return {
        "log_prob": flow.log_prob,
        "sample": lambda z: flow(torch.randn(BATCH_SIZE, size)),
    }, flow


def _torch(name, sizes):
    size = sizes.latent_size
    library = torch.distributions
    if name == "normal":
        parameters = torch.zeros(size), torch.ones(size)
        distribution = library.Independent(library.Normal(*parameters), 1)
    else:
        means = torch.randn(COMPONENTS, size)
        noise = 0.02 * torch.randn(COMPONENTS, size, size)
        distribution = library.MixtureSameFamily(
            library.Categorical(logits=torch.zeros(COMPONENTS)),
            library.MultivariateNormal(
                means, scale_tril=torch.eye(size) + noise.tril()
            ),
        )
    return {
        "log_prob": distribution.log_prob,
        "sample": lambda z: distribution.sample((BATCH_SIZE,)),
    }, None


def _splines(sizes):
    return {"num_bins": sizes.bins, "tails": "linear", "tail_bound": sizes.bound}


LIBRARIES = {
    "zuko": _zuko,
    "nflows": _nflows,
    "normflows": _normflows,
    "torch": _torch,
}


def versions():
    return {library: metadata.version(library) for library in LIBRARIES}


@cache
def _made(library, name):
    torch.manual_seed(0)
    methods, module = LIBRARIES[library](name, TIMED)
    if module is not None:
        module.eval()
    return methods


def build(variant, case):
    library = variant.removesuffix("_compile")
    name, method = case.split(".")
    torch.set_num_threads(threads())
    run = _made(library, name)[method]
    z = torch.randn(BATCH_SIZE, TIMED.latent_size)
    if variant != library:
        run = torch.compile(run)
    # Dynamo's guards fail on normflows' base in inference mode.
    mode = torch.inference_mode if variant == library else torch.no_grad

    def call():
        with mode():
            return run(z).sum().item()

    return call
