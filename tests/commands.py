"""Runs the project's commands as a user would."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": ""}

#: Makes a run of seconds out of any configuration.
TINY = (
    "ConvFeatures.widths = (2,)",
    "ConvFeatures.size = 4",
    "InfoGANEncoder.width = 2",
    "InfoGANDecoder.width = 2",
    "RealNVPPrior.couplings = 2",
    "RealNVPPrior.hidden_sizes = (8,)",
    "VampPrior.pseudo_inputs = 3",
    "train.jit_compile = False",
)


def arguments(name, *args, **flags):
    """The command line of bin/NAME; flags that are lists are repeated."""
    command = [sys.executable, str(ROOT / "bin" / name), *args]
    for flag, value in flags.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        command += [f"--{flag}={one}" for one in values]
    return command


def run(name, *args, cwd=ROOT, code=0, **flags):
    """Runs bin/NAME and returns the finished process, with its output as text."""
    process = subprocess.run(
        arguments(name, *args, **flags),
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == code, process.stderr
    return process


def refused(name, *args, **flags):
    """The one line with which bin/NAME refuses its input."""
    process = run(name, *args, code=2, **flags)
    lines = process.stderr.splitlines()
    assert len(lines) == 1, process.stderr
    assert lines[0].startswith(f"{name}: ")
    return lines[0]
