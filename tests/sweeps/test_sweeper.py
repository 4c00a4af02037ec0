"""The sweeper: runs that die are tried again, results come in as runs end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests import commands
from tests.sweeps import stand_in
from tfp_priors import sweeps
from tfp_priors.runs.run_dir import RunLock


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_run_that_dies_is_tried_again(plan, sweep, retries, capsys):
    runs = plan("DEATHS=0,2", "BETA=0.1")
    failures = sweep(runs, retries=retries).run()
    well, dies = runs
    assert stand_in.calls(well.folder) == ["train", "evaluate"]
    trained = stand_in.calls(dies.folder).count("train")
    assert trained == 1 + retries
    if retries == 2:
        assert not failures and dies.is_done
    else:
        assert failures == {
            dies.name: f"bin/train ended with code -{signal.SIGKILL}: about to die"
        }
    said = capsys.readouterr().err
    assert said.count("trying again") == retries
    assert f"[2/2] {dies.name}: {'done' if retries == 2 else 'FAILED'}" in said
    # One log for all attempts.
    log = dies.folder.parent / "logs" / f"{dies.name}.log"
    assert log.read_text().count("$ bin/train") == trained
    # The same command tries what failed, and that alone.
    again = sweep(runs, retries=2)
    assert again.run() == {}
    assert stand_in.calls(well.folder) == ["train", "evaluate"]


def test_results_come_in_as_runs_end(plan, sweep):
    runs = plan("BETA=0.1,0.01,1.0")
    out = runs[0].folder.parent
    seen = []

    def ended():
        path = sweeps.write_results(out)
        seen.append(len(path.read_text().splitlines()) - 1)

    sweep(runs, ended=ended).run()
    assert seen == [1, 2, 3]
    values = {row["BETA"]: row["value"] for row in sweeps.table(out)}
    assert values == {"0.1": 1.0, "0.01": 0.0, "1.0": 4.0}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_a_signal_trainings_save_and_the_same_sweep_goes_on(plan, sweep, number):
    runs = plan("BETA=0.1,0.01,1.0", flags=["--gin_param=SECONDS = 0.1"])
    sweeper = sweep(runs, jobs=2)

    def interrupt():
        commands.wait_for(lambda: all((r.folder / "cpus").exists() for r in runs[:2]))
        time.sleep(0.3)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    assert sweeper.run() == {} and sweeper.stopped
    steps = [int((run.folder / "state").read_text()) for run in runs[:2]]
    assert all(0 < step < stand_in.STEPS for step in steps)
    assert not stand_in.calls(runs[2].folder)
    again = sweep(runs, jobs=2)
    assert again.run() == {} and not again.stopped
    assert all(run.is_done for run in runs)
    assert stand_in.calls(runs[0].folder) == ["train", "train", "evaluate"]


def test_runs_at_a_time_share_the_processors(plan, sweep):
    cpus = os.sched_getaffinity(0)
    if len(cpus) < 2:
        pytest.skip("There is one processor.")
    runs = plan("BETA=0.1,0.01", flags=["--gin_param=SECONDS = 0.05"])
    sweep(runs, jobs=2).run()
    shares = [json.loads((run.folder / "cpus").read_text()) for run in runs]
    assert not set(shares[0]) & set(shares[1])
    assert {*shares[0], *shares[1]} == cpus


def test_a_retry_waits_for_a_training_that_still_saves(plan, sweep):
    """Its machine was lost to the launcher, but not its process."""
    (run,) = plan("BETA=0.1")
    with subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import sys, time\nfrom tfp_priors.runs.run_dir import RunLock\n"
            "with RunLock(sys.argv[1]): print('held', flush=True); time.sleep(1.5)",
            str(run.folder),
        ],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"held\n"
        began = time.monotonic()
        assert sweep([run]).run() == {}
        assert time.monotonic() - began > 1
    with RunLock(run.folder):
        assert run.is_done


def test_an_error_of_the_sweep_itself_stops_its_runs(plan, sweep):
    runs = plan("BETA=0.1,0.01", flags=["--gin_param=SECONDS = 0.2"])

    def ended():
        raise OSError("no room")

    short = runs[0]._replace(train=[f for f in runs[0].train if "SECONDS" not in f])
    with pytest.raises(OSError, match="no room"):
        sweep([short, runs[1]], jobs=2, ended=ended).run()
    assert 0 < int((runs[1].folder / "state").read_text()) < stand_in.STEPS
