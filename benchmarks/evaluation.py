"""Times the evaluation: features against PyTorch, distances against SciPy.

    python benchmarks/evaluation.py --torch_python=PATH

PATH is the Python of an environment with PyTorch; see benchmarks/README.md. Within a
round ours and the peer take turns. "end_to_end" has no peer: 10,000 samples of the
model of gin/mnist_beta0.gin with fresh weights, their features by the classifier of
gin/mnist_classifier.gin, and the Frechet distance to 10,000 other images.
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

BATCH_SIZE = 500
IMAGES = 1000
WIDTHS = (32, 64)
FEATURES = 128
FRECHET_SHAPE = (10_000, 2048)
SAMPLES = 10_000

# What is timed, by which sides, how often.
ITEMS = {
    "extractor.features": (("ours", "torch", "channels_last"), 7),
    "distance.frechet": (("ours", "scipy"), 1),
    "evaluation.end_to_end": (("ours",), 3),
}


def features_images(numpy):
    """The images whose features are timed, uint8 `[IMAGES, 28, 28, 1]`."""
    shape = (IMAGES, 28, 28, 1)
    return numpy.random.RandomState(0).randint(0, 256, shape).astype(numpy.uint8)


def _ours(args):
    import keras
    import numpy as np
    import scipy.linalg
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(0)

    from tfp_priors import config
    from tfp_priors.evaluation.activations import Activator
    from tfp_priors.evaluation.activations import classifier_extractor
    from tfp_priors.evaluation.feature_metrics import frechet_distance
    from tfp_priors.evaluation.images import Images
    from tfp_priors.evaluation.subject import subject_of_model

    gin = _HERE.parent / "gin"

    def model(name):
        config.parse([str(gin / f"{name}.gin")])
        return config.trainer().make_model()

    activator = Activator(classifier_extractor(model("mnist_classifier"), "fresh"))
    random = np.random.RandomState(0)

    def features():
        array = features_images(np)
        images = Images(IMAGES, lambda start, stop: array[start:stop], "array")
        return lambda: float(activator.activations(images).features.sum())

    def frechet(distance):
        first, second = random.randn(2, *FRECHET_SHAPE)
        second *= 1.1
        return lambda: float(distance(first, second))

    def by_scipy(first, second):
        covariances = np.cov(first.T), np.cov(second.T)
        root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
        shift = np.sum((first.mean(0) - second.mean(0)) ** 2)
        return shift + np.trace(covariances[0] + covariances[1] - 2 * root)

    def end_to_end():
        subject = subject_of_model(model("mnist_beta0"), "fresh")
        real = random.rand(SAMPLES, FEATURES)

        def run():
            images = subject.samples(SAMPLES, 0)
            return frechet_distance(real, activator.activations(images).features)

        return run

    builders = {
        ("ours", "extractor"): features,
        ("ours", "distance"): lambda: frechet(frechet_distance),
        ("scipy", "distance"): lambda: frechet(by_scipy),
        ("ours", "evaluation"): end_to_end,
    }

    def build(library, name, method):
        del method
        return builders[library, name]()

    serve(build, {"tensorflow": tf.__version__, "scipy": scipy.__version__})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="Python with PyTorch")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true", help="show the sides' stderr")
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sys.path.insert(0, str(_HERE.parent))
    if args.ours:
        _ours(args)
        return
    if not args.torch_python:
        parser.error("expected --torch_python=PATH, see benchmarks/README.md")
    load = os.getloadavg()[0]
    if load > 0.3:
        print(f"The machine is busy (load {load:.1f}): do not trust these times.")
    threads = f"--threads={args.threads}"
    peer = [args.torch_python, str(_HERE / "torch_features.py"), threads]
    ours = Side([sys.executable, __file__, "--ours", threads], args.verbose)
    torch = Side(peer, args.verbose)
    sides = {"torch": torch, "channels_last": torch, "ours": ours, "scipy": ours}
    print(json.dumps(ours.versions | torch.versions), flush=True)
    for item, (libraries, rounds) in ITEMS.items():
        times = {library: [] for library in libraries}
        if rounds > 1:
            for library in libraries:
                sides[library].time(library, item, 0)
        for _ in range(rounds):
            for library in libraries:
                times[library].append(sides[library].time(library, item, 0))
        for library, values in times.items():
            text = f"{item:22} {library:13} {statistics.median(values):10.0f} ms"
            if library != "ours":
                pairs = zip(values, times["ours"], strict=True)
                ratios = [theirs / mine for theirs, mine in pairs]
                text += (
                    f"   {statistics.median(ratios):.2f} times ours "
                    f"({min(ratios):.2f} to {max(ratios):.2f})"
                )
            print(text, flush=True)
    torch.close()
    ours.close()


if __name__ == "__main__":
    main()
