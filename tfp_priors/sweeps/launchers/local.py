"""Runs as processes of this machine, some at a time."""

import concurrent.futures
import os

from tfp_priors.sweeps.carrier import Carrier
from tfp_priors.sweeps.launchers import launcher


class Launcher(launcher.Launcher):
    """Carries out runs here.

    They get equal shares of the processors, and of the devices in CUDA_VISIBLE_DEVICES
    if that is set.
    """

    def __init__(self, options):
        super().__init__(options)
        self._count = options.jobs or 1
        self._jobs = {}
        self._threads = concurrent.futures.ThreadPoolExecutor(self._count)

    def slots(self):
        return self._count

    def start(self, run):
        taken = {slot for slot, job in self._jobs.items() if not job.is_over()}
        slot = min({*range(self._count)} - taken)
        devices = os.environ.get("CUDA_VISIBLE_DEVICES")
        environment = {}
        if devices:
            share = _share(devices.split(","), slot, self._count)
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(share)
        cpus = _share(sorted(os.sched_getaffinity(0)), slot, self._count)
        carrier = Carrier(cpus=cpus, environment=environment)
        future = self._threads.submit(carrier.carry_out, run, self.log(run))
        self._jobs[slot] = _Job(carrier, future)
        return self._jobs[slot]

    def close(self):
        self._threads.shutdown()


class _Job(launcher.Job):
    def __init__(self, carrier, future):
        self._carrier = carrier
        self._future = future

    def is_over(self):
        return self._future.done()

    def problem(self):
        error = self._future.exception()
        return str(error) if error else self._future.result()

    def stop(self):
        self._carrier.stop()


def _share(items, slot, slots):
    """The items of a slot; those of several slots if there are too few."""
    return items[slot::slots] or [items[slot % len(items)]]
