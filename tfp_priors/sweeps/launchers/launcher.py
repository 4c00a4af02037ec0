"""What a launcher is: it begins runs somewhere, and says when they are over."""

import abc
from pathlib import Path
from typing import NamedTuple

from tfp_priors import remote
from tfp_priors.errors import UserError
from tfp_priors.sweeps.grid import Run


class Options(NamedTuple):
    """What the user says of where and how runs are carried out.

    Attributes:
      logs: folder for the runs' output.
      jobs: runs at a time; None: what the launcher finds right.
      cpus: processors of a run; None likewise.
      gpus: GPUs of a run; None likewise.
      sbatch: options of Slurm's sbatch, NAME=VALUE.
    """

    logs: Path
    jobs: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    sbatch: tuple[str, ...] = ()


class Job(abc.ABC):
    """A run that a launcher has begun."""

    @abc.abstractmethod
    def is_over(self) -> bool:
        """Whether it has ended, or was lost."""

    @abc.abstractmethod
    def problem(self) -> str | None:
        """What went wrong with a job that is over, or None."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Lets its training save its state and end."""


class Launcher(abc.ABC):
    """Carries out runs somewhere, by a `Carrier`; it keeps no state.

    A new one is a module of this folder, named as --launcher is to say, with a class
    `Launcher`.

    Args:
      options: what the user says.

    Raises:
      UserError: if the options do not suit it, or its engine is not there.
    """

    #: Of `Options`, what it obeys besides jobs.
    obeys: tuple[str, ...] = ()

    #: Seconds between two looks at the jobs.
    seconds = 0.1

    def __init__(self, options: Options):
        for name in ("cpus", "gpus", "sbatch"):
            given = getattr(options, name) not in (None, ())
            if given and name not in self.obeys:
                raise UserError(
                    f"--{name} means nothing to --launcher={self.name()}, which obeys "
                    f"{', '.join(f'--{one}' for one in ('jobs', *self.obeys))}: leave "
                    "it out."
                )
        self.options = options

    @classmethod
    def name(cls) -> str:
        """As --launcher says it."""
        return cls.__module__.rpartition(".")[-1]

    def log(self, run: Run) -> str:
        """The file for the output of a run, by a path that all machines know."""
        return remote.named(self.options.logs / f"{run.name}.log")

    @abc.abstractmethod
    def slots(self) -> float:
        """Runs that may be at work at a time, as things are now."""

    @abc.abstractmethod
    def start(self, run: Run) -> Job:
        """Begins a run."""

    def close(self) -> None:
        """Ends what it has begun besides jobs."""
