"""Processes of a tenth of a second in the place of bin/train and bin/evaluate.

What is tested is who is begun, killed and tried again, and what is read off the
folders; these processes are real, and leave the files that the commands leave.
"""

import json
import math
import os
import re
import signal
import sys
import time
from pathlib import Path

STEPS = 9
METRIC = "prior_nll_held_out"

_MAIN = f"""
import runpy
runpy.run_path({__file__!r}, run_name="__main__")
"""


def install(folder, monkeypatch):
    """Makes carriers of this process call the stand-ins."""
    from tfp_priors.sweeps import carrier

    package = folder / "stand_in" / "tfp_priors" / "commands"
    package.mkdir(parents=True)
    for file in (package / "__init__.py", package.parent / "__init__.py"):
        file.touch()
    (package / "__main__.py").write_text(_MAIN)
    monkeypatch.setattr(carrier, "ROOT", folder / "stand_in")


def loss(beta):
    """What a run is measured by: the lowest, 0, is at beta = 0.01."""
    return (math.log10(float(beta)) + 2) ** 2


def calls(folder):
    """The commands that were begun for a run."""
    path = Path(folder) / "calls"
    return path.read_text().split() if path.exists() else []


def main():
    name, *flags = sys.argv[1:]
    given = dict(flag[2:].split("=", 1) for flag in flags)
    bindings = dict(
        flag.removeprefix("--gin_param=").split(" = ")
        for flag in flags
        if flag.startswith("--gin_param")
    )
    folder = Path(given["run_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "calls", "a") as file:
        file.write(f"{name}\n")
    if name == "train":
        train(folder, flags, bindings, calls(folder).count("train"))
        return
    beta = re.search(r"BETA=([\w.+-]+)", folder.name)
    value = loss(beta[1] if beta else 1)
    with open(folder / "metrics.jsonl", "a") as file:
        for metric in given["metrics"].split(","):
            result = {"name": metric, "metric": metric, "value": value, "step": STEPS}
            file.write(json.dumps(result | {"seed": 0}) + "\n")


def train(folder, flags, bindings, attempt):
    """Obeys bindings: how often it dies, how long a step takes, where it waits."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    with open(folder / "environment.jsonl", "a") as file:
        file.write(json.dumps({"command": ["bin/train", *flags]}) + "\n")
    cpus = sorted(os.sched_getaffinity(0))
    (folder / "cpus").write_text(json.dumps(cpus))
    if attempt <= int(bindings.get("DEATHS", 0)):
        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    state = folder / "state"
    first = int(state.read_text()) if state.exists() else 0
    for step in range(first + 1, STEPS + 1):
        if "LOSS" in bindings:
            write_scalar(folder / "tensorboard", step, float(bindings["LOSS"]) / step)
        time.sleep(float(bindings.get("SECONDS", 0)))
        state.write_text(str(step))
        if stopped:
            print("told to stop", flush=True)
            return
    (folder / "finished.json").write_text(json.dumps({"step": STEPS}))


def write_scalar(folder, step, value):
    from tensorboard.compat.proto import event_pb2
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    folder.mkdir(exist_ok=True)
    scalar = summary_pb2.Summary.Value(
        tag="train/val_loss", tensor=make_tensor_proto(float(value))
    )
    event = event_pb2.Event(step=step, summary=summary_pb2.Summary(value=[scalar]))
    with open(folder / f"events.out.tfevents.{os.getpid()}", "ab") as file:
        RecordWriter(file).write(event.SerializeToString())


if __name__ == "__main__":
    main()
