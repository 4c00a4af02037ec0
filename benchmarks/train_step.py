"""Times our training step against the same model in PyTorch, alternating.

    python benchmarks/train_step.py --torch_python=PATH [--batch_size=64]

PATH is the Python of an environment with torch and NumPy; see benchmarks/README.md.
Both sides train an FP-VAE at beta = 0 at MNIST shapes on random images, warmed up;
rounds alternate, so that a machine whose speed drifts treats both alike.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def _ours(args):
    """Answers each line on standard input with a round, as the peer does."""
    import resource
    import time

    import numpy as np
    import tensorflow as tf

    from tfp_priors import config
    from tfp_priors.data import ImageDataset

    gin_file = _HERE.parent / "gin" / "mnist_beta0.gin"
    config.parse([str(gin_file)])
    model = config.trainer().compiled_model()
    images = np.random.RandomState(0).randint(0, 256, (3200, 28, 28, 1), np.uint8)
    data = ImageDataset(images, {}, (28, 28, 1)).training_batches(args.batch_size, 0)
    model.make_train_function()
    iterator = iter(data)
    for _ in range(args.warmup):
        model.train_function(iterator)
    print(json.dumps({"ready": f"tensorflow {tf.__version__}"}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(args.steps):
            logs = model.train_function(iterator)
        loss = float(logs["reconstruction"])
        seconds = (time.perf_counter() - start) / args.steps
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        result = {"seconds": seconds, "peak_mib": peak, "loss": loss}
        print(json.dumps(result), flush=True)


def _start(command):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    print(json.loads(process.stdout.readline())["ready"])
    return process


def _round(process):
    process.stdin.write("go\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch_python", help="Python with torch and NumPy")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="steps per round")
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sys.path.insert(0, str(_HERE.parent))
    if args.ours:
        _ours(args)
        return
    if not args.torch_python:
        parser.error("expected --torch_python=PATH, see benchmarks/README.md")
    flags = [
        f"--{name}={getattr(args, name)}" for name in ("batch_size", "steps", "warmup")
    ]
    # One after the other: while one warms up, the other is idle.
    peer = _start([args.torch_python, str(_HERE / "torch_train_step.py"), *flags])
    ours = _start([sys.executable, __file__, "--ours", *flags])
    ratios, last = [], {}
    for _ in range(args.rounds):
        last = {"torch": _round(peer), "ours": _round(ours)}
        ratios.append(last["torch"]["seconds"] / last["ours"]["seconds"])
        print(
            f"torch {last['torch']['seconds'] * 1e3:.0f} ms  "
            f"ours {last['ours']['seconds'] * 1e3:.0f} ms  ratio {ratios[-1]:.2f}"
        )
    for process in (peer, ours):
        process.stdin.close()
        process.wait()
    ratios.sort()
    peaks = ", ".join(f"{side} {last[side]['peak_mib']:.0f} MiB" for side in last)
    print(
        f"torch / ours: median {ratios[len(ratios) // 2]:.2f}, "
        f"{ratios[0]:.2f} to {ratios[-1]:.2f}; peak memory: {peaks}"
    )


if __name__ == "__main__":
    main()
