"""Carries out the runs of a sweep by a launcher."""

import abc
import collections
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tfp_priors.runs.signals import stop_handled
from tfp_priors.sweeps.grid import Run
from tfp_priors.sweeps.halving import Halving
from tfp_priors.sweeps.halving import forget_stop
from tfp_priors.sweeps.launchers import Job
from tfp_priors.sweeps.launchers import Launcher

# What went wrong with a run whose commands ended well.
_LACKS = "its commands ended, but it lacks results"


class Source(abc.ABC):
    """Where a sweeper's runs come from.

    Attributes:
      total: how many there will have been at the end, as far as is known.
      runs: those that there are already, also of former sweeps.
    """

    total: int
    runs: list[Run]

    @abc.abstractmethod
    def next(self) -> Run | None:
        """The next run; None if there is none, now or ever, until another ends."""

    @abc.abstractmethod
    def ended(self, run: Run) -> None:
        """Hears that a run is done, stopped early or failed for good."""


class Listed(Source):
    """Those of some runs that are left, in order."""

    def __init__(
        self,
        runs: Sequence[Run],
        is_left: Callable[[Run], bool] = lambda run: not run.is_done,
    ):
        self.runs = list(runs)
        left = [run for run in runs if is_left(run)]
        self.total = len(left)
        self._left = iter(left)

    def next(self):
        return next(self._left, None)

    def ended(self, run):
        """Nothing: the runs do not depend on each other."""


class _Work(NamedTuple):
    """A run at work, its job, and when it was begun in seconds."""

    run: Run
    job: Job
    began: float


class Sweeper:
    """Carries out runs; one that fails does not stop the others.

    SIGINT and SIGTERM are passed on, so that trainings save their state, and no further
    run is begun.

    Args:
      source: of the runs.
      launcher: where they are carried out; closed at the end.
      retries: how often a run that failed, or whose machine died, is tried again.
      halving: what stops runs early, or None.
      ended: called whenever runs have ended.
    """

    def __init__(
        self,
        source: Source,
        launcher: Launcher,
        retries: int = 0,
        halving: Halving | None = None,
        ended: Callable[[], None] = lambda: None,
    ):
        self._source = source
        self._launcher = launcher
        self._retries = retries
        self._halving = halving
        self._tell_ended = ended
        self._at_work: list[_Work] = []
        self._again: collections.deque[Run] = collections.deque()
        self._tries: collections.Counter[str] = collections.Counter()
        self._hopeless: set[str] = set()
        self._failures: dict[str, str] = {}
        self._start = time.monotonic()
        self._ended = 0
        self._is_told = False
        #: Whether a signal ended it.
        self.stopped = False

    def run(self) -> dict[str, str]:
        """Runs until all have ended or a signal comes.

        Returns:
          Reasons by the names of the runs that failed.
        """
        with contextlib.closing(self._launcher), stop_handled(self._ask_to_stop):
            try:
                for run in self._source.runs if self._halving else ():
                    # Those to come are compared with it.
                    self._halving.is_hopeless(run)
                self._begin()
                while self._at_work:
                    time.sleep(self._launcher.seconds)
                    self._look()
                    self._begin()
            except BaseException:
                self._stop_all()
                raise
        return self._failures

    def _ask_to_stop(self):
        self.stopped = True

    def _stop_all(self):
        for work in self._at_work:
            work.job.stop()

    def _begin(self):
        """Begins as many runs as may be at work."""
        while not self.stopped and len(self._at_work) < self._launcher.slots():
            run = self._again.popleft() if self._again else self._source.next()
            if run is None:
                return
            forget_stop(run)
            job = self._launcher.start(run)
            self._at_work.append(_Work(run, job, time.monotonic()))

    def _look(self):
        """Sees to the jobs that are over, and to those that should be."""
        if self.stopped and not self._is_told:
            self._is_told = True
            self._stop_all()
        over = [work for work in self._at_work if work.job.is_over()]
        self._at_work = [work for work in self._at_work if work not in over]
        for work in over:
            work = work._replace(run=work.run.here())
            problem = work.job.problem()
            if not self.stopped:
                self._settle(work, problem)
        if over:
            self._tell_ended()
        if self._halving is not None and not self.stopped:
            for work in self._at_work:
                is_hopeless = self._halving.is_hopeless(work.run)
                if is_hopeless and work.run.name not in self._hopeless:
                    self._hopeless.add(work.run.name)
                    work.job.stop()

    def _settle(self, work, problem):
        """Takes note of a run that has ended, or lets it be tried again."""
        run, seconds = work.run, time.monotonic() - work.began
        if run.is_done:
            # Whatever became of its job.
            self._tell(run, "done", seconds)
        elif run.name in self._hopeless:
            if run.is_trained:  # It was about to end.
                self._hopeless.remove(run.name)
                self._again.append(run)
                return
            self._tell(run, self._halving.record_stop(run), seconds)
        elif self._tries[run.name] < self._retries:
            self._tries[run.name] += 1
            count = f"{self._tries[run.name]} of {self._retries}"
            _say(f"{run.name}: {problem or _LACKS}; trying again, {count}")
            self._again.append(run)
            return
        else:
            self._failures[run.name] = problem or _LACKS
            self._tell(run, f"FAILED, {problem or _LACKS}", seconds)
        self._source.ended(run)

    def _tell(self, run, what, seconds):
        self._ended += 1
        left = self._source.total - self._ended
        rate = (time.monotonic() - self._start) / self._ended
        _say(
            f"[{self._ended}/{self._source.total}] {run.name}: {what} after "
            f"{_clock(seconds)}; {_clock(rate * left)} left"
        )


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _clock(seconds):
    minutes = int(seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02d}:{int(seconds) % 60:02d}"
