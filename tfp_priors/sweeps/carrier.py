"""What is left of a run, carried out as processes of this machine."""

import ctypes
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from tfp_priors import remote
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import RunLock
from tfp_priors.sweeps.grid import Run

#: The folder that holds the package.
ROOT = Path(__file__).resolve().parent.parent.parent

_LIBC = ctypes.CDLL(None)

_PR_SET_PDEATHSIG = 1

# Read by TensorFlow, by scikit-learn, and by NumPy and SciPy.
_THREADS = "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"

# Seconds that a training gets to save its state whose sweep or machine was lost.
_SAVES_WITHIN = 60


class Carrier:
    """Carries out the commands that are left of a run; launchers bring it to a machine.

    If this process is killed, the kernel tells the command to stop.

    Args:
      cwd: folder that relative paths of the flags start from; None: the current one.
      cpus: processors of the commands; None: those of this process.
      environment: variables that the commands have besides those of this process.
    """

    def __init__(
        self,
        cwd: str | None = None,
        cpus: Collection[int] | None = None,
        environment: Mapping[str, str] | None = None,
    ):
        self._cwd = cwd
        self._cpus = cpus
        self._environment = environment or {}
        self._process = None
        self._stopping = False

    def carry_out(self, run: Run, log: str | Path) -> str | None:
        """Carries out a run, until it is done, a command fails, or `stop` is called.

        Args:
          run: of `plan`.
          log: file that the commands' output is added to.

        Returns:
          What went wrong, or None.
        """
        if self._cwd is not None:
            os.chdir(self._cwd)
        run = run.here()
        self._wait_until_free(run.folder)
        with remote.sent(log) as file:
            file.parent.mkdir(parents=True, exist_ok=True)
            return self._carried_out(run, file)

    def _carried_out(self, run, log):
        for command in run.commands():
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"$ {shlex.join(command)}\n")
                file.flush()
                code = self._call(command, file)
            run = run.here()
            was_stopped = command[0] == "bin/train" and not code and not run.is_trained
            if self._stopping or was_stopped:
                return "the training was told to stop; it goes on next time"
            if code:
                return f"{command[0]} ended with code {code}: {_last_line(log)}"
        return None

    def stop(self) -> None:
        """Lets the training save its state and end; no further command is begun."""
        self._stopping = True
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def _wait_until_free(self, folder):
        end = time.monotonic() + _SAVES_WITHIN
        while folder.is_dir() and time.monotonic() < end and not self._stopping:
            try:
                with RunLock(folder):
                    return
            except UserError:
                time.sleep(0.2)

    def _call(self, command, file):
        if self._stopping:
            return 0

        def set_up():
            if self._cpus is not None:
                os.sched_setaffinity(0, self._cpus)
            # The kernel sends SIGTERM when the thread that started it is gone.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        environment = os.environ | self._environment
        environment["PYTHONPATH"] = with_package(environment.get("PYTHONPATH"))
        name = command[0].removeprefix("bin/")
        self._process = subprocess.Popen(
            # -P: a package of the current folder is not this one.
            [sys.executable, "-P", "-m", "tfp_priors.commands", name, *command[1:]],
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C in a terminal would reach it twice.
            start_new_session=True,
            preexec_fn=set_up,
        )
        if self._stopping:  # Since it was looked at.
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait()


def threads(cpus: float) -> dict[str, str]:
    """The variables by which programs take so many processors of a machine only."""
    return dict.fromkeys(_THREADS, str(math.ceil(cpus)))


def with_package(paths: str | None) -> str:
    """A PYTHONPATH by which processes find this package, wherever it is."""
    return os.pathsep.join(filter(None, [str(ROOT), paths]))


def _last_line(path):
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
