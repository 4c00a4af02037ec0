"""Runs on a Ray cluster, several on a processor or a GPU if they are to share it."""

import contextlib
import math
import os
import time

from tfp_priors.errors import UserError
from tfp_priors.errors import imported
from tfp_priors.sweeps.carrier import Carrier
from tfp_priors.sweeps.carrier import threads
from tfp_priors.sweeps.carrier import with_package
from tfp_priors.sweeps.launchers import launcher

# Seconds that an actor gets to hear that it is to stop.
_HEARS_WITHIN = 15

# Seconds that an actor gets to say that it is there for another run, and for which it
# keeps its room if there is none.
_ANSWERS_WITHIN = 2
_FREE_FOR = 5


class Launcher(launcher.Launcher):
    """Carries out runs on the cluster of RAY_ADDRESS, else of this machine.

    If neither is there, Ray makes one of this machine alone. Runs are carried out by
    actors, one after the other, each of which asks a machine for `cpus` [1] and `gpus`
    [1 if the cluster has any]; both may be parts of one.
    """

    obeys = ("cpus", "gpus")
    seconds = 0.5

    def __init__(self, options):
        super().__init__(options)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray = imported("ray", "ray", "--launcher=ray")
        here = os.environ | {"PYTHONPATH": with_package(os.environ.get("PYTHONPATH"))}
        told = {
            name: value
            for name, value in here.items()
            if name == "PYTHONPATH" or name.startswith(("TF_", "XLA_"))
        }
        try:
            self._ray.init(
                log_to_driver=False,
                logging_level="error",
                runtime_env={"env_vars": told},
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = os.environ.get("RAY_ADDRESS", "of this machine")
            raise UserError(
                f"cannot use the Ray cluster {where}: {error}. Start it with ray "
                "start, or unset RAY_ADDRESS."
            ) from error
        self._needs = self._needed()
        # Actors without a run, and since when.
        self._free = {}

    def _needed(self):
        """What a run asks for, by Ray's name."""
        machines = self._machines()
        given = self.options
        gpus = given.gpus
        if gpus is None:
            gpus = float(any(machine.get("GPU") for machine in machines))
        needs = {"CPU": 1.0 if given.cpus is None else given.cpus, "GPU": gpus}
        if not any(_room(machine, needs) for machine in machines):
            self.close()
            largest = "; ".join(
                ", ".join(f"{machine.get(name, 0):g} {name}" for name in needs)
                for machine in machines
            )
            raise UserError(
                f"no machine of the Ray cluster has {needs['CPU']:g} CPU and "
                f"{needs['GPU']:g} GPU for a run, they have: {largest}. Ask for less "
                "by --cpus and --gpus."
            )
        return needs

    def _machines(self):
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def slots(self):
        for actor, since in list(self._free.items()):
            if time.monotonic() - since > _FREE_FOR:
                del self._free[actor]
                self._ray.kill(actor)
        if self.options.jobs is not None:
            return self.options.jobs
        rooms = (_room(machine, self._needs) for machine in self._machines())
        # Without any it waits for a machine.
        return max(1, sum(rooms))

    def start(self, run):
        actor = self._reused() or self._new()
        result = actor.carry_out.remote(run, self.log(run))
        return _Job(self._ray, actor, result, self._take_back)

    def _reused(self):
        """An actor that has done with a run and lives; None if there is none."""
        while self._free:
            actor, _ = self._free.popitem()
            try:
                self._ray.get(actor.__ray_ready__.remote(), timeout=_ANSWERS_WITHIN)
                return actor
            except self._ray.exceptions.RayError:
                self._ray.kill(actor)
        return None

    def _take_back(self, actor):
        self._free[actor] = time.monotonic()

    def _new(self):
        return (
            self._ray.remote(Carrier)
            .options(
                num_cpus=self._needs["CPU"],
                num_gpus=self._needs["GPU"],
                max_restarts=0,
                # It is told to stop while it carries out.
                max_concurrency=2,
            )
            .remote(os.getcwd(), environment=threads(self._needs["CPU"]))
        )

    def close(self):
        self._ray.shutdown()


class _Job(launcher.Job):
    def __init__(self, ray, actor, result, take_back):
        self._ray = ray
        self._actor = actor
        self._result = result
        self._take_back = take_back
        self._told = None
        self._told_at = None

    def is_over(self):
        if self._ray.wait([self._result], timeout=0)[0]:
            return True
        if self._told is not None and not self._ray.wait([self._told], timeout=0)[0]:
            if time.monotonic() - self._told_at > _HEARS_WITHIN:
                # It waits for room that does not come.
                self._ray.kill(self._actor)
        return False

    def problem(self):
        errors = self._ray.exceptions
        try:
            problem = self._ray.get(self._result)
        except errors.RayTaskError as error:
            problem = f"it could not be carried out: {error.cause}"
        except errors.RayError as error:
            problem = f"its worker was lost ({type(error).__name__})"
        else:
            if self._told is None:
                self._take_back(self._actor)
                return problem
        with contextlib.suppress(errors.RayError):
            self._ray.kill(self._actor)
        return problem

    def stop(self):
        self._told, self._told_at = self._actor.stop.remote(), time.monotonic()


def _room(machine, needs):
    """How many runs a machine has room for when it is empty."""
    return min(
        # 0.3 fits into 0.9 thrice.
        math.floor(machine.get(name, 0) / share + 1e-6)
        for name, share in needs.items()
        if share
    )
