"""Our exported sampler in processes without TensorFlow: ONNX ("ours") and TFLite."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from benchmarks.common import shared_file
from benchmarks.common import start
from benchmarks.sides import ROOT
from benchmarks.sides import threads

_START = """
import json, sys, time
import numpy as np
{imports}
z0 = np.random.RandomState(0).randn(64, 8).astype("float32")
start = time.perf_counter()
{load}
loaded = time.perf_counter()
{call}
called = time.perf_counter()
print(json.dumps({{"load": loaded - start, "first_call": called - loaded}}))
"""
_PARTS = {
    "ours": {
        "imports": "import onnxruntime",
        "load": "session = onnxruntime.InferenceSession(sys.argv[1])",
        "call": 'session.run(None, {"z0": z0})',
    },
    "tflite": {
        "imports": "from ai_edge_litert.interpreter import Interpreter",
        "load": 'run = Interpreter(sys.argv[1]).get_signature_runner("sample")',
        "call": "run(z0=z0)",
    },
}


def versions():
    return {"onnxruntime": onnxruntime.__version__}


def build(variant, case):
    format = "onnx" if variant == "ours" else variant
    path = shared_file(f"sampler.{format}", lambda path: _export(path, format))
    if variant == "ours":
        path /= "sample.onnx"
    if not case.isdigit():
        program = _START.format(**_PARTS[variant])
        return lambda: start(program, path, case)
    n, seeds = int(case), itertools.count()
    sample = _loaded(variant, str(path))

    def call():
        z0 = np.random.default_rng(next(seeds)).standard_normal((n, 8), np.float32)
        return float(sample(z0).sum())

    return call


def _loaded(variant, path):
    if variant == "ours":
        session = onnxruntime.InferenceSession(path)
        return lambda z0: session.run(None, {"z0": z0})[0]
    run = Interpreter(path, num_threads=threads()).get_signature_runner("sample")
    return lambda z0: run(z0=z0)["images"]


def _export(path: Path, format: str):
    command = [sys.executable, "-m", "benchmarks.ours.sampler", str(path), format]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
