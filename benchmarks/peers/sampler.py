"""The same sampler in PyTorch: eager, compiled, traced and exported."""

from pathlib import Path

import torch

from benchmarks.common import shared_file
from benchmarks.common import start
from benchmarks.peers import models
from benchmarks.sides import threads

_START = """
import json, sys, time
import torch
torch.set_num_threads({threads})
start = time.perf_counter()
model = {load}
loaded = time.perf_counter()
with torch.inference_mode():
    model().numpy()
called = time.perf_counter()
print(json.dumps({{"load": loaded - start, "first_call": called - loaded}}))
"""
_LOAD = {
    "trace": "torch.jit.load(sys.argv[1])",
    "export": "torch.export.load(sys.argv[1]).module()",
}


def versions():
    return {"torch": torch.__version__}


def build(variant, case):
    torch.set_num_threads(threads())
    torch.manual_seed(0)
    n = int(case) if case.isdigit() else 64
    sampler = models.Sampler(models.Model("mnist", "beta0"), n).eval()
    if not case.isdigit():
        path = shared_file(f"{variant}.pt2", lambda path: _save(variant, sampler, path))
        program = _START.format(threads=threads(), load=_LOAD[variant])
        return lambda: start(program, path, case)
    # Dynamo refuses what was made in inference mode.
    mode = torch.no_grad if variant == "compile" else torch.inference_mode
    run = {
        "eager": lambda: sampler,
        "compile": lambda: torch.compile(sampler),
        "trace": lambda: _traced(sampler),
        "export": lambda: torch.export.export(sampler, ()).module(),
    }[variant]()

    def call():
        with mode():
            return run().sum().item()

    return call


@torch.no_grad()
def _traced(sampler):
    return torch.jit.trace(sampler, (), check_trace=False)


@torch.no_grad()
def _save(variant, sampler, path: Path):
    if variant == "trace":
        torch.jit.save(_traced(sampler), str(path))
    else:
        with open(path, "wb") as file:
            torch.export.save(torch.export.export(sampler, ()), file)
