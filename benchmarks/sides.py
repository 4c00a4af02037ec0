"""A process per side, which times what it is asked for, a line of JSON each way.

    python -m benchmarks.sides MODULE VARIANT CASE

The module has either `loop(variant, case, loop)`, which runs a training loop that calls
`Loop.step` after each step; or `versions()`, which names what it uses, and
`build(variant, case)`, which returns a function that does the work once, waits for it
and returns a number that depends on all of it, or {"ms": ...} if it takes the time
itself. `build` may return a pair, the function and a dict of facts for the result.
"""

import importlib
import json
import math
import os
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What a side has buffered while the others worked is used up before the time counts:
# untimed work, as a share of the timed.
_SETTLING = 0.25


class SideError(Exception):
    """A side cannot do what it is asked for; the message is its last word."""


def threads() -> int:
    """The number of cores, which every side uses."""
    return len(os.sched_getaffinity(0))


def _requests():
    for line in sys.stdin:
        yield json.loads(line)


def _result(start, calls, value, extra_ms=0.0, **facts):
    ms = 1e3 * (time.perf_counter() - start) / calls + extra_ms
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"ms": ms, "calls": calls, "value": value, "peak_mib": peak, **facts}


class Loop:
    """Times the rounds of a training loop that someone else runs."""

    def __init__(self, answer):
        self._answer = answer
        self._rounds = None

    def begin(self, versions: dict, extra_ms: float = 0.0, **facts) -> None:
        """Called after the steps to warm up.

        Args:
          versions: by library.
          extra_ms: added to the time of a step.
          **facts: sent with each answer.
        """
        self._answer({"versions": versions})
        self._rounds = self._serve(extra_ms, facts)
        next(self._rounds, None)

    def step(self, value: float) -> bool:
        """Called after each step; False if there is nothing more to time."""
        try:
            self._rounds.send(value)
        except StopIteration:
            return False
        return True

    def _serve(self, extra_ms, facts):
        for request in _requests():
            start = time.perf_counter()
            while time.perf_counter() - start < _SETTLING * request["seconds"]:
                yield
            start, steps = time.perf_counter(), 0
            while not steps or time.perf_counter() - start < request["seconds"]:
                value = yield
                steps += 1
            self._answer(_result(start, steps, value, extra_ms, **facts))


def _timed(made, seconds):
    call, facts = made if isinstance(made, tuple) else (made, {})
    start = time.perf_counter()
    while time.perf_counter() - start < _SETTLING * seconds:
        call()
    start, calls = time.perf_counter(), 0
    while not calls or time.perf_counter() - start < seconds:
        value = call()
        calls += 1
    if isinstance(value, dict):
        return {"calls": 1, "value": 0.0} | value
    return _result(start, calls, value, **facts)


def _serve_calls(build, answer):
    calls = {}
    for request in _requests():
        key = request["variant"], request["case"]
        try:
            if key not in calls:
                calls[key] = build(*key)
            answer(_timed(calls[key], request["seconds"]))
        # Whatever a library raises, the other items go on.
        except Exception as error:
            answer({"error": describe(error)})


def describe(error: Exception) -> str:
    """An exception on one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # TensorFlow heads its messages with "in user code:".
    line = lines[-1] if lines[0].endswith(":") else lines[0]
    return f"{type(error).__name__}: {line}"[:200]


def main():
    name, variant, case = sys.argv[1:]
    # Libraries print; what they print must not get between the answers.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(message):
        output.write(json.dumps(message) + "\n")
        output.flush()

    try:
        module = importlib.import_module(name)
        if hasattr(module, "loop"):
            module.loop(variant, case, Loop(answer))
        else:
            answer({"versions": module.versions()})
            _serve_calls(module.build, answer)
    except Exception as error:
        answer({"error": describe(error)})
        raise


class Side:
    """The other end: starts a process and asks it.

    Args:
      python: the Python to run it with.
      module: name of the side's module.
      variant: passed on to a module with a loop.
      case: passed on to a module with a loop.
      scratch: folder for files that the sides of a run share.
      verbose: show what it writes to standard error.

    Raises:
      SideError: if it does not start.
    """

    def __init__(self, python, module, variant, case, scratch, verbose=False):
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.sides", module, variant, case],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if verbose else subprocess.DEVNULL,
            text=True,
            env=os.environ
            | {"TF_CPP_MIN_LOG_LEVEL": "3", "TFP_PRIORS_SCRATCH": str(scratch)},
        )
        self.versions = self._read(timeout=600)["versions"]

    @property
    def alive(self) -> bool:
        """Whether the process can be asked again."""
        return self._process.poll() is None

    def time(self, variant: str, case: str, seconds: float, timeout=900) -> dict:
        """Times one item for `seconds`, at least once.

        Returns:
          "ms" per call, "calls", and what else the side tells.

        Raises:
          SideError: if it fails or its result is not finite.
        """
        request = {"variant": variant, "case": case, "seconds": seconds}
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise SideError("the process has ended") from error
        answer = self._read(timeout)
        if not math.isfinite(answer["value"]):
            raise SideError(f"its result is {answer['value']}")
        return answer

    def _read(self, timeout):
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            self._process.kill()
            raise SideError(f"no answer within {timeout} s")
        line = self._process.stdout.readline()
        if not line:
            raise SideError("the process has ended; see why with --verbose")
        answer = json.loads(line)
        if "error" in answer:
            raise SideError(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


if __name__ == "__main__":
    main()
