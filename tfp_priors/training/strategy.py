"""Where a model is trained: one device, several of a machine, several machines."""

import functools
import json
import os
import sys
from typing import NamedTuple

import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.errors import first_line

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


class Task(NamedTuple):
    """This process among those of a cluster.

    Attributes:
      index: of this worker.
      addresses: of all workers, as host:port.
    """

    index: int
    addresses: tuple[str, ...]


def create_strategy(
    name: str = "auto", in_cluster: bool = True
) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of that name.

    Args:
      name: "one_device": the first GPU, or the CPU; "mirrored": all GPUs, or all
        logical CPU devices if there is no GPU; "multi_worker": all GPUs (or the CPU)
        of each process that the environment variable TF_CONFIG lists; "tpu": all
        cores of the TPU that TPU_NAME names, or of this machine's; "auto":
        multi_worker if TF_CONFIG lists several workers, mirrored if there are several
        GPUs, one device otherwise.
      in_cluster: whether the work is for several processes; if not, "auto" takes no
        notice of TF_CONFIG.

    "multi_worker" waits until all workers have called it, and must come before any
    other operation of TensorFlow. Called again, all return the same object.

    Raises:
      UserError: if the name is unknown, TF_CONFIG is not as expected, its port is in
        use, or there is no TPU.
    """
    choices = [n for n in STRATEGIES if in_cluster or n != "multi_worker"]
    if name not in choices:
        raise UserError(
            f"Unknown strategy {name!r}: expected one of {', '.join(choices)}."
        )
    auto_cluster = name == "auto" and in_cluster and os.environ.get("TF_CONFIG")
    if name == "multi_worker" or auto_cluster:
        task = task_of_environment()
        if len(task.addresses) > 1:
            return _multi_worker(task)
        name = "auto"  # A cluster of one machine is that machine.
    if name == "tpu":
        return _tpu()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return _mirrored(tuple(device.name for device in devices))
    return tf.distribute.get_strategy()


def task_of_environment() -> Task:
    """This process in the cluster that TF_CONFIG describes.

    Raises:
      UserError: if there is none, or it is not as expected.
    """
    text = os.environ.get("TF_CONFIG", "")
    problem = "it is not set"
    try:
        config = json.loads(text) if text else {}
        addresses, task = config["cluster"]["worker"], config["task"]
        index = int(task["index"])
        if list(config["cluster"]) != ["worker"] or task["type"] != "worker":
            problem = "it has tasks of a type other than worker"
        elif not all(_is_address(address) for address in addresses):
            problem = f"{addresses} are not addresses host:port"
        elif len(set(addresses)) < len(addresses):
            problem = "two workers have one address"
        elif not 0 <= index < len(addresses):
            problem = f"there is no worker {index} among {len(addresses)}"
        else:
            return Task(index, tuple(addresses))
    except (ValueError, TypeError, KeyError) as error:
        if text:
            problem = f"{type(error).__name__}: {error}"
    raise UserError(
        f"TF_CONFIG does not name this process' place in a cluster ({problem}): "
        f"expected, for example, TF_CONFIG='{_EXAMPLE}'. Several GPUs of one machine "
        "need none: --strategy=mirrored."
    )


def _is_address(address):
    host, _, port = str(address).rpartition(":")
    return bool(host) and port.isdigit()


@functools.cache
def _mirrored(devices):
    # A second strategy of the same devices would number its collective operations
    # as the first one did, and TensorFlow would take them for the same.
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _multi_worker(task):
    others = len(task.addresses) - 1
    print(
        f"Worker {task.index} at {task.addresses[task.index]} waits for "
        f"{others} other{'s' if others > 1 else ''}.",
        file=sys.stderr,
        flush=True,
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UserError(
            "The multi_worker strategy must be made before TensorFlow does anything "
            f"else: {first_line(error)}"
        ) from error
    except tf.errors.OpError as error:
        raise UserError(
            f"Worker {task.index} could not join its cluster at "
            f"{task.addresses[task.index]} ({first_line(error)}): check that the "
            "address is this machine's and that nothing else uses the port."
        ) from error


@functools.cache
def _tpu():
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"There is no TPU {name!r} ({first_line(error)}): start on a TPU virtual "
            "machine, or set TPU_NAME."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def visible_devices() -> list[str]:
    """Names of the devices that TensorFlow sees."""
    return [device.name for device in tf.config.list_logical_devices()]
