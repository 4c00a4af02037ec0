"""Times log_prob and sample of our priors against PyTorch libraries, alternating.

    python benchmarks/priors.py --torch_python=PATH [--items=realnvp,maf] [--out=FILE]

PATH is the Python of an environment with the peers; see benchmarks/README.md. Both
sides evaluate the same flows with fresh weights, without gradients, on a batch of
4,096 codes of 64 dimensions. Within a round each item runs in ours and in each peer
in turn, so that a machine whose speed drifts treats all alike. The machine must be
otherwise idle: PyTorch's threads wait for each other, and one that must share its core
slows it many times over.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from sides import Side
from sides import serve

_HERE = Path(__file__).parent

LATENT_SIZE = 64
BATCH_SIZE = 4096
HIDDEN_SIZES = (256, 256)
COUPLINGS = 8
FLOWS = 4
SPLINE_COUPLINGS = 4
BINS = 8
BOUND = 5.0
COMPONENTS = 10

_FLOW_LIBRARIES = ("zuko", "nflows", "normflows")
# What is timed, and which peers know it.
ITEMS = {
    "realnvp.log_prob": _FLOW_LIBRARIES,
    "realnvp.sample": _FLOW_LIBRARIES,
    "maf.log_prob": _FLOW_LIBRARIES,
    "maf.sample": _FLOW_LIBRARIES,
    "iaf.log_prob": _FLOW_LIBRARIES,
    "iaf.sample": _FLOW_LIBRARIES,
    "spline.log_prob": _FLOW_LIBRARIES,
    "spline.sample": _FLOW_LIBRARIES,
    "mixture.log_prob": ("torch",),
    "mixture.sample": ("torch",),
    "normal.log_prob": ("torch",),
    "normal.sample": ("torch",),
    "vamp.log_prob": (),
    "vamp.sample": (),
    "generator.sample": (),
    "second_stage.sample": (),
}
# As many passes as dimensions.
SLOW = ("maf.sample", "iaf.log_prob")
# Where XLA makes ours faster; elsewhere its random numbers and solves are slow.
_WITH_XLA = ("realnvp.log_prob", "maf.log_prob", "spline.log_prob", *SLOW)


def _uses_xla(args, item):
    return item in _WITH_XLA if args.xla is None else args.xla


def _vamp():
    """A VampPrior of 500 pseudo-inputs at MNIST's shape."""
    from tfp_priors import networks
    from tfp_priors import posteriors
    from tfp_priors import priors

    encoder = networks.InfoGANEncoder((28, 28, 1))
    posterior = posteriors.NormalPosterior(LATENT_SIZE)
    encoder.build()
    posterior.build((None, 1024))
    prior = priors.VampPrior(LATENT_SIZE, (28, 28, 1))
    prior.connect(encoder, posterior)
    return prior


def _ours(args):
    import keras
    import tensorflow as tf

    from tfp_priors import priors

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(0)
    flows = {"flows": FLOWS, "hidden_sizes": HIDDEN_SIZES}
    splines = {"couplings": SPLINE_COUPLINGS, "bins": BINS, "bound": BOUND}
    made = {
        "realnvp": priors.RealNVPPrior(LATENT_SIZE, COUPLINGS, HIDDEN_SIZES),
        "maf": priors.MaskedAutoregressivePrior(LATENT_SIZE, **flows),
        "iaf": priors.InverseAutoregressivePrior(LATENT_SIZE, **flows),
        "spline": priors.SplinePrior(LATENT_SIZE, **splines, hidden_sizes=HIDDEN_SIZES),
        "mixture": priors.GaussianMixturePrior(LATENT_SIZE, COMPONENTS),
        "normal": priors.StandardNormalPrior(LATENT_SIZE),
        "vamp": _vamp(),
        "generator": priors.GeneratorPrior(LATENT_SIZE),
        "second_stage": priors.SecondStageVAEPrior(LATENT_SIZE),
    }
    z = tf.random.normal([BATCH_SIZE, LATENT_SIZE])
    seed = tf.constant([0, 1])

    def build(library, name, method):
        del library
        prior = made[name]
        if not prior.built:
            prior.build()
            # Zero-initialised parts would be trivial.
            for variable in prior.trainable_variables:
                variable.assign_add(0.02 * tf.random.normal(variable.shape))

        @tf.function(jit_compile=_uses_xla(args, f"{name}.{method}"))
        def run(z, seed):
            density = method == "log_prob"
            result = prior.log_prob(z) if density else prior.sample(BATCH_SIZE, seed)
            return tf.reduce_sum(result)

        return lambda: float(run(z, seed).numpy())

    serve(build, {"tensorflow": tf.__version__})


def _measure(args, ours, peer, item):
    """One row of the result: times in ms of each round, by library."""
    sides = {"ours": ours} | {library: peer for library in ITEMS[item]}
    times = {library: [] for library in sides}
    for library, side in sides.items():
        for _ in range(1 if item in SLOW else args.warmup):
            side.time(library, item, 0)
    for _ in range(args.slow_rounds if item in SLOW else args.rounds):
        for library, side in sides.items():
            times[library].append(side.time(library, item, args.seconds))
    return times


def _report(item, times, xla):
    """Prints the medians and the ratios, and returns them."""
    result = {"xla": xla, "ms": times, "ratio": {}}
    ours = times["ours"]
    mode = "XLA" if xla else "graph"
    text = f"{item:16} ours ({mode}) {statistics.median(ours):.2f} ms"
    for library in times:
        if library != "ours":
            pairs = zip(times[library], ours, strict=True)
            ratios = [theirs / mine for theirs, mine in pairs]
            middle = statistics.median(ratios)
            result["ratio"][library] = [middle, min(ratios), max(ratios)]
            text += (
                f" | {library} {statistics.median(times[library]):.2f} ms, "
                f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            )
    if result["ratio"]:
        best = min(result["ratio"], key=lambda name: result["ratio"][name][0])
        result["best_peer"] = best
        text += f" | best peer {best}: {result['ratio'][best][0]:.2f}"
    print(text, flush=True)
    return result


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="Python with the peers")
    parser.add_argument("--items", help="beginnings of the items' names, by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slow_rounds", type=int, default=3)
    parser.add_argument("--skip_slow", action="store_true", help=f"skip {SLOW}")
    parser.add_argument("--seconds", type=float, default=1.0, help="per timing")
    parser.add_argument("--warmup", type=int, default=3, help="calls before")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    xla = {"action": argparse.BooleanOptionalAction}
    parser.add_argument("--xla", **xla, help="for ours; default: where it is faster")
    parser.add_argument("--compile", action="store_true", help="peers: torch.compile")
    parser.add_argument("--out", help="JSON file for all times")
    parser.add_argument("--verbose", action="store_true", help="show the sides' stderr")
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    return parser


def main():
    parser = _parser()
    args = parser.parse_args()
    sys.path.insert(0, str(_HERE.parent))
    if args.ours:
        _ours(args)
        return
    if not args.torch_python:
        parser.error("expected --torch_python=PATH, see benchmarks/README.md")
    prefixes = tuple((args.items or "").split(","))
    items = [item for item in ITEMS if item.startswith(prefixes)]
    if args.skip_slow:
        items = [item for item in items if item not in SLOW]
    load = os.getloadavg()[0]
    if load > 0.3:
        print(f"The machine is busy (load {load:.1f}): do not trust these times.")
    threads = f"--threads={args.threads}"
    xla = [] if args.xla is None else ["--xla" if args.xla else "--no-xla"]
    compiled = ["--compile"] if args.compile else []
    command = [args.torch_python, str(_HERE / "torch_priors.py"), threads, *compiled]
    peer = Side(command, args.verbose)
    ours = Side([sys.executable, __file__, "--ours", threads, *xla], args.verbose)
    settings = {"threads": args.threads, "compile": args.compile}
    settings["load_before"] = load
    settings["versions"] = ours.versions | peer.versions
    print(json.dumps(settings), flush=True)
    results = {}
    for item in items:
        times = _measure(args, ours, peer, item)
        results[item] = _report(item, times, _uses_xla(args, item))
        if args.out:  # After each item: an interrupted run keeps the others.
            Path(args.out).write_text(json.dumps(settings | {"items": results}))
    peer.close()
    ours.close()


if __name__ == "__main__":
    main()
