"""Our exported sampler, in processes that import TensorFlow and nothing of ours."""

import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from benchmarks.common import shared_file
from benchmarks.common import start
from benchmarks.sides import ROOT

_START = """
import json, sys, time
import tensorflow as tf
start = time.perf_counter()
model = tf.saved_model.load(sys.argv[1])
loaded = time.perf_counter()
model.sample(64, 0, 1.0).numpy()
called = time.perf_counter()
print(json.dumps({"load": loaded - start, "first_call": called - loaded}))
"""


def versions():
    return {"tensorflow": tf.__version__}


def build(variant, case):
    del variant
    folder = shared_file("sampler", _export)
    if not case.isdigit():
        return lambda: start(_START, folder, case)
    model = tf.saved_model.load(str(folder))
    n, seeds = tf.constant(int(case)), iter(range(10**9))

    def call():
        images = model.sample(n, tf.constant(next(seeds)), tf.constant(1.0))
        return float(images.numpy().sum())

    return call


def _export(folder: Path):
    command = [sys.executable, "-m", "benchmarks.ours.sampler", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main():
    from tfp_priors import config
    from tfp_priors.export import export

    config.parse([str(ROOT / "gin" / "mnist_beta0.gin")])
    export(config.trainer().make_model(), *sys.argv[1:])


if __name__ == "__main__":
    main()
