"""Runs the project's commands as a user would."""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": ""}

#: What most commands are tried on.
GIN = "gin/embedded_digits_beta0.gin"

#: Makes a run of seconds out of any configuration.
TINY = (
    f"include '{ROOT / 'tests' / 'tiny.gin'}'",
    "train.jit_compile = False",
)


def arguments(name, *args, **flags):
    """The command line of bin/NAME; flags that are lists are repeated."""
    command = [sys.executable, str(ROOT / "bin" / name), *args]
    for flag, value in flags.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        command += [f"--{flag}={one}" for one in values]
    return command


# A server that has imported TensorFlow, and forks a process for each command: the
# import takes most of a short command's time. It has one thread and runs no op.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["tfp_priors.config", "tfp_priors.evaluation.evaluator", "tfp_priors.export"]
)


@contextlib.contextmanager
def started(name, *args, cwd=ROOT, environment=ENVIRONMENT, **flags):
    """Starts bin/NAME; yields its process and a function that reads its output."""
    _, *command = arguments(name, *args, **flags)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, stream) for stream in ("stdout", "stderr")]
        for output in outputs:
            output.touch()
        process = _SERVER.Process(
            target=_command, args=(command, cwd, environment, *outputs)
        )
        process.start()
        try:
            yield process, lambda: [output.read_text() for output in outputs]
        finally:
            process.kill()
            process.join()


def run(name, *args, code=0, **flags):
    """Runs bin/NAME and returns the finished process, with its output as text."""
    with started(name, *args, **flags) as (process, output):
        process.join(timeout=300)
        stdout, stderr = output()
    assert process.exitcode == code, stderr
    return subprocess.CompletedProcess(name, process.exitcode, stdout, stderr)


def _command(command, cwd, environment, *outputs):
    """The command in a process of the server's."""
    for number, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_WRONLY), number)
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = command
    # As `python FILE` does.
    modules = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [str(Path(command[0]).parent), *filter(None, modules)]
    runpy.run_path(command[0], run_name="__main__")


def wait_for(condition, what="", seconds=300):
    """Returns once a condition holds; what lacks is told if it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def refused(name, *args, **flags):
    """The one line with which bin/NAME refuses its input."""
    process = run(name, *args, code=2, **flags)
    lines = process.stderr.splitlines()
    assert len(lines) == 1, process.stderr
    assert lines[0].startswith(f"{name}: ")
    return lines[0]
