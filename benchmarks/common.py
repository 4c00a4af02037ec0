"""What sides have in common: files of a run, and the times of a process's start."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def shared_file(name: str, make: Callable[[Path], None]) -> Path:
    """A file or folder of this run.

    Args:
      name: its name.
      make: writes it to the path that it is given.
    """
    scratch = Path(os.environ.get("TFP_PRIORS_SCRATCH") or tempfile.mkdtemp())
    path = scratch / name
    if not path.exists():
        unfinished = scratch / f"unfinished_{name}"
        make(unfinished)
        unfinished.rename(path)
    return path


def start(program: str, path: Path, case: str) -> dict:
    """Runs a program that loads a sampler and prints what the parts took.

    Args:
      program: Python; prints seconds by case, as JSON.
      path: its argument.
      case: "load", "first_call", or "start" for the whole process.

    Returns:
      {"ms": ...}, the time of that part.
    """
    begin = time.perf_counter()
    command = [sys.executable, "-c", program, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = {"start": time.perf_counter() - begin}
    seconds |= json.loads(result.stdout.splitlines()[-1])
    return {"ms": 1e3 * seconds[case]}
