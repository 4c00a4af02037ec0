"""A long training with everything on, watched from outside."""

import re
import time

import pytest

from tests import commands
from tfp_priors.runs import run_dir
from tfp_priors.training import Checkpoints

_STEPS = 20_000


@pytest.mark.slow
def test_a_long_run_grows_in_nothing_but_what_is_stated(tmp_path, faults):
    run = tmp_path / "run"
    flags = {
        "gin_file": "gin/embedded_digits_beta0.gin",
        "gin_param": [
            *commands.TINY,
            "train.images_every = 1000",
            "train.checkpoint_every = 1000",
        ],
        "run_dir": run,
        "data_dir": tmp_path / "data",
        "on_nonfinite": "rollback",
    }
    memory, times = {}, {}
    with commands.started("train", steps=_STEPS, **flags) as (process, output):
        while process.exitcode is None:
            process.join(timeout=0.05)
            steps = re.findall(r"^step (\d+)/", output()[1], re.MULTILINE)
            if steps and int(steps[-1]) not in times:
                times[int(steps[-1])] = time.monotonic()
                memory[int(steps[-1])] = _resident(process.pid)
        assert process.exitcode == 0, output()[1]

    # The first pictures come at step 1,000; then all has been allocated once.
    early = max(size for step, size in memory.items() if 1000 < step <= 2000)
    late = max(size for step, size in memory.items() if step > _STEPS - 1000)
    growth = late / early - 1
    assert growth < 0.02, (early, late)
    assert Checkpoints(run / "checkpoints").steps() == [_STEPS - 1000, _STEPS]
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        f"step_{step:08d}" for step in (_STEPS - 1000, _STEPS)
    }
    pictures = list((run / "samples").iterdir())
    assert len(pictures) == _STEPS // 1000 * len({p.name[:-13] for p in pictures})
    assert run_dir.finished_step(run) == _STEPS
    events = sum(path.stat().st_size for path in (run / "tensorboard").iterdir())
    drawn = sum(path.stat().st_size for path in pictures)
    # Pictures are in the events too; scalars come every 100 steps, 3 KB at most.
    assert events - drawn < 3000 * _STEPS / 100 + 2**15
    faults.add(
        f"a run of {_STEPS:,} steps",
        "all callbacks on, checkpoints and pictures every 1,000 steps",
        f"memory grew by {growth:.1%} after the first 2,000 steps; 2 checkpoints kept; "
        f"{events / 2**20:.1f} MiB of events; the last 1,000 steps took "
        f"{_time(times, _STEPS) / _time(times, 2000):.2f} times as long as the second",
    )


def _resident(process_id):
    with open(f"/proc/{process_id}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def _time(times, stop):
    """Seconds per step in the 1,000 steps before `stop`."""
    seen = sorted(step for step in times if stop - 1000 <= step <= stop)
    return (times[seen[-1]] - times[seen[0]]) / (seen[-1] - seen[0])
