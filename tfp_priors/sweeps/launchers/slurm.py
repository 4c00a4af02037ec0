"""Runs as jobs of a Slurm cluster, by submitit."""

import contextlib
import hashlib
import io
import math
import os
import shlex
import shutil
import subprocess
import time

from tfp_priors import remote
from tfp_priors.errors import UserError
from tfp_priors.errors import imported
from tfp_priors.runs.signals import stop_handled
from tfp_priors.sweeps.carrier import Carrier
from tfp_priors.sweeps.carrier import threads
from tfp_priors.sweeps.carrier import with_package
from tfp_priors.sweeps.launchers import launcher

# Seconds after which a job without a result is lost that Slurm no longer knows: a file
# system may show the result late.
_SHOWN_WITHIN = 10

# Before a job's time is over its training saves its state.
_SIGNAL = "TERM@120"

# Seconds for which squeue is waited for.
_ANSWERS_WITHIN = 60


class Launcher(launcher.Launcher):
    """Submits a job for each run; all wait in Slurm's queue unless `jobs` says less.

    A job has `cpus` and `gpus` of one machine, whole numbers, and the options of
    `sbatch`. Jobs of a sweep that was killed go on, and the next one waits for them.
    """

    obeys = ("cpus", "gpus", "sbatch")
    seconds = 2.0

    def __init__(self, options):
        super().__init__(options)
        submitit = imported("submitit", "slurm", "--launcher=slurm")
        if shutil.which("sbatch") is None:
            raise UserError(
                "--launcher=slurm found no sbatch on the PATH: call it on a machine "
                "that submits jobs to Slurm."
            )
        if remote.is_remote(remote.named(options.logs)):
            raise UserError(
                "--launcher=slurm hands jobs over in files below --out: expected one "
                "on a disk that all machines share."
            )
        for name in ("cpus", "gpus"):
            value = getattr(options, name)
            if value is not None and value != int(value):
                raise UserError(
                    f"Slurm gives a run whole processors and GPUs, received "
                    f"--{name}={value:g}: give a whole number."
                )
        given = {
            "cpus_per_task": options.cpus and int(options.cpus),
            "gpus_per_node": options.gpus and int(options.gpus),
        }
        self._job_class = submitit.SlurmJob
        self._refused = submitit.core.utils.FailedJobError
        self._folder = options.logs.absolute() / "slurm"
        self._executor = submitit.SlurmExecutor(self._folder)
        self._executor.update_parameters(
            **{name: value for name, value in given.items() if value},
            # Those of the cluster rather than submitit's.
            time=None,
            wckey=None,
            setup=[f"export PYTHONPATH={shlex.quote(with_package(None))}:$PYTHONPATH"],
            additional_parameters={"signal": _SIGNAL, **_named(options.sbatch)},
        )
        self._threads = threads(options.cpus) if options.cpus else {}
        self._queue, self._looked = {}, -math.inf

    def slots(self):
        return self.options.jobs or math.inf

    def start(self, run):
        comment = self._comment(run)
        alive = {known: number for number, known in self.queue().items()}
        if comment in alive:
            job = _Job(self, self._job_class(self._folder, alive[comment]))
            if not job.is_over():
                return job
        self._executor.update_parameters(job_name=run.name, comment=comment)
        try:
            # Else submitit writes what sbatch says there as well.
            with contextlib.redirect_stderr(io.StringIO()):
                job = self._executor.submit(
                    _carry_out, run, self.log(run), os.getcwd(), self._threads
                )
        except self._refused as error:
            raise UserError(
                f"Slurm refused a job: {_said(error)}. See --sbatch, --cpus and --gpus."
            ) from error
        self._queue[job.job_id] = comment
        return _Job(self, job)

    def _comment(self, run):
        """What tells the job of a run from those of other folders and other flags."""
        flags = [*run.train, *run.evaluate]
        digest = hashlib.sha256(repr(flags).encode()).hexdigest()[:8]
        return f"{run.folder.absolute()} {digest}"

    def queue(self) -> dict[str, str]:
        """The comments of this user's jobs that wait or are at work, by number."""
        if time.monotonic() - self._looked < self.seconds:
            return self._queue
        self._looked = time.monotonic()
        # If the controller does not answer, the jobs go on.
        with contextlib.suppress(subprocess.SubprocessError):
            asked = subprocess.run(
                ["squeue", "--me", "--noheader", "--format=%i|%k"],
                capture_output=True,
                text=True,
                timeout=_ANSWERS_WITHIN,
                check=True,
            )
            lines = (line.partition("|") for line in asked.stdout.splitlines())
            self._queue = {number: comment for number, _, comment in lines}
        return self._queue


def _said(error):
    """The last line of what an error says."""
    *_, last = "no reason given", *str(error).strip().splitlines()
    return last


class _Job(launcher.Job):
    def __init__(self, owner, job):
        self._launcher = owner
        self._job = job
        self._gone = None

    def is_over(self):
        if self._has_result():
            return True
        if self._job.job_id in self._launcher.queue():
            self._gone = None
            return False
        self._gone = self._gone or time.monotonic()
        return time.monotonic() - self._gone > _SHOWN_WITHIN

    def _has_result(self):
        return self._job.paths.result_pickle.exists()

    def problem(self):
        number, log = self._job.job_id, self._job.paths.stderr
        if not self._has_result():
            return f"its Slurm job {number} was lost, see {log}"
        try:
            return self._job.result()
        except Exception as error:
            said = _said(error)
            return f"its Slurm job {number} could not carry it out: {said}, see {log}"

    def stop(self):
        number = self._job.job_id
        # Of a job at work the signal reaches the training, which takes its time.
        for how in ("--state=PENDING", "--signal=TERM"):
            subprocess.run(["scancel", how, number], capture_output=True)


def _carry_out(run, log, cwd, environment):
    """What a job does, in its main thread."""
    carrier = Carrier(cwd, environment=environment)
    with stop_handled(carrier.stop):
        return carrier.carry_out(run, log)


def _named(options):
    """The options of sbatch by name."""
    parts = [option.removeprefix("--").partition("=") for option in options]
    for option, (name, equals, _) in zip(options, parts, strict=True):
        if not name or " " in name:
            raise UserError(
                f"expected --sbatch=NAME=VALUE such as --sbatch=partition=gpu, "
                f"received {option!r}."
            )
    return {name: value if equals else True for name, equals, value in parts}
