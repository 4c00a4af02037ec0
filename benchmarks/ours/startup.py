"""bin/train from the command to its help, and to the first training step."""

import subprocess
import sys
import tempfile
import time

from benchmarks.common import shared_file
from benchmarks.sides import ROOT

_TRAIN = str(ROOT / "bin" / "train")
_PARAMS = ("train.scalars_every = 1", "train.images_every = 1000000")


def versions():
    return {}


def build(variant, case):
    del variant
    return {"help": _help, "first_step": _first_step}[case]


def _help():
    subprocess.run([sys.executable, _TRAIN, "--help"], check=True, capture_output=True)
    return 0.0


def _first_step():
    """The time to the first line of the progress, which follows a step."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, _TRAIN, "--gin_file=gin/embedded_digits_beta0.gin"),
            *(f"--run_dir={folder}/run", f"--data_dir={_data_dir()}", "--steps=1000"),
            *(f"--gin_param={param}" for param in _PARAMS),
        ]
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith("step "):
                ms = 1e3 * (time.perf_counter() - begin)
                break
        else:
            raise RuntimeError("bin/train ended before the first step")
        process.kill()
        process.communicate()
    return {"ms": ms}


def _data_dir():
    """A folder with the prepared digits: preparing them is not part of a start."""
    return shared_file("digits", _prepare)


def _prepare(folder):
    command = [
        *(sys.executable, str(ROOT / "bin" / "prepare_data")),
        *("--dataset=embedded_digits", f"--data_dir={folder}"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
