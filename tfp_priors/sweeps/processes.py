"""Runs of a grid as processes, some at a time."""

import ctypes
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tfp_priors.runs.signals import stop_handled
from tfp_priors.sweeps.grid import Run

_LIBC = ctypes.CDLL(None)

_PR_SET_PDEATHSIG = 1

# The folder that holds the package.
_ROOT = Path(__file__).resolve().parent.parent.parent


class Sweeper:
    """Carries out runs, some at a time; one that fails does not stop the others.

    SIGINT and SIGTERM are passed on, so that trainings save their state, and no further
    run is begun. If this process is killed, the kernel tells them.

    Args:
      runs: of `plan`.
      logs: folder for the commands' output.
      jobs: runs at a time. They get equal shares of the processors, and of the devices
        in CUDA_VISIBLE_DEVICES if that is set.
    """

    def __init__(self, runs: Sequence[Run], logs: Path, jobs: int = 1):
        self._runs = list(runs)
        self._logs = logs
        self._jobs = min(jobs, max(1, len(self._runs)))
        self._stopping = threading.Event()
        self._processes: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._ended = 0
        self._failures: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Runs until all have ended or a signal comes.

        Returns:
          Reasons by the names of the runs that failed.
        """
        left: queue.SimpleQueue = queue.SimpleQueue()
        for run in self._runs:
            left.put(run)
        threads = [
            threading.Thread(target=self._work, args=(left, slot))
            for slot in range(self._jobs)
        ]
        with stop_handled(self._stop):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return self._failures

    @property
    def stopped(self) -> bool:
        """Whether a signal ended it."""
        return self._stopping.is_set()

    def _work(self, left, slot):
        while not self.stopped:
            try:
                run = left.get_nowait()
            except queue.Empty:
                return
            start = time.monotonic()
            problem = self._run(run, slot)
            if not self.stopped:
                self._tell(run, problem, time.monotonic() - start)

    def _run(self, run, slot):
        """Runs the commands of a run; returns what went wrong, or None."""
        log = self._logs / f"{run.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        for command in run.commands():
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"$ {shlex.join(command)}\n")
                file.flush()
                code = self._call(command, slot, file)
            if self.stopped:
                return None
            if code:
                return f"{command[0]} ended with code {code}: {_last_line(log)}"
            if command[0] == "bin/train" and not run.is_trained:
                return "the training was told to stop; it goes on next time"
        return None

    def _call(self, command, slot, file):
        def set_up():
            os.sched_setaffinity(0, cpus)
            # The kernel sends SIGTERM when the sweep is gone.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        cpus = _share(sorted(os.sched_getaffinity(0)), slot, self._jobs)
        environment = dict(os.environ)
        devices = environment.get("CUDA_VISIBLE_DEVICES")
        if devices:
            share = _share(devices.split(","), slot, self._jobs)
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(share)
        # The commands of this package, wherever it is.
        paths = [str(_ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        name = command[0].removeprefix("bin/")
        program = [sys.executable, "-m", "tfp_priors.commands", name, *command[1:]]
        with self._lock:
            if self.stopped:
                return 0
            process = subprocess.Popen(
                program,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                # Ctrl-C in a terminal would reach it twice.
                start_new_session=True,
                preexec_fn=set_up,
            )
            self._processes.add(process)
        code = process.wait()
        with self._lock:
            self._processes.remove(process)
        return code

    def _tell(self, run, problem, seconds):
        with self._lock:
            self._ended += 1
            left = len(self._runs) - self._ended
            rate = (time.monotonic() - self._start) / self._ended
            what = "done" if problem is None else f"FAILED, {problem}"
            if problem is not None:
                self._failures[run.name] = problem
            print(
                f"[{self._ended}/{len(self._runs)}] {run.name}: {what} after "
                f"{_clock(seconds)}; {_clock(rate * left)} left",
                file=sys.stderr,
                flush=True,
            )

    def _stop(self):
        self._stopping.set()
        for process in tuple(self._processes):
            process.send_signal(signal.SIGTERM)


def _share(items, slot, slots):
    """The items of a slot; those of several slots if there are too few."""
    return items[slot::slots] or [items[slot % len(items)]]


def _clock(seconds):
    minutes = int(seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02d}:{int(seconds) % 60:02d}"


def _last_line(path):
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
