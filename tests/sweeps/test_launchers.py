"""Launchers: real clusters of this machine, whose nodes are really killed."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from tests import commands
from tests.sweeps import clusters
from tests.sweeps.begun import finish
from tests.sweeps.begun import rows
from tests.sweeps.begun import start
from tfp_priors import sweeps
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import RunLock
from tfp_priors.sweeps import launchers
from tfp_priors.sweeps.carrier import threads

# Small, and bit for bit the same on any machine.
PARAMS = [*commands.TINY, "train.batch_size = 8", "train.checkpoint_every = 5"]
SEEDS = "seed=" + ",".join(map(str, range(10)))
METRICS = "two_sample_accuracy_quadratic_test,reconstruction_error500_test"


def test_a_launcher_is_a_file():
    assert launchers.names() == ["local", "ray", "slurm"]
    for name in launchers.names():
        assert launchers.find_launcher(name).name() == name


def test_threads_of_a_job():
    code = (
        "import scipy.linalg, sklearn.cluster, threadpoolctl\n"
        "counts = [pool['num_threads'] for pool in threadpoolctl.threadpool_info()]\n"
        "assert len(counts) > 1 and set(counts) == {1}, counts"
    )
    # On one processor it would be so in any case.
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | threads(0.5), check=True
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"launcher": "condor"}, "expected --launcher to be one of local, ray, slurm"),
        ({"cpus": 0.5}, "--cpus means nothing to --launcher=local, which obeys --jobs"),
        ({"gpus": 1}, "--gpus means nothing to --launcher=local"),
        ({"sbatch": "partition=a"}, "--sbatch means nothing to --launcher=local"),
        (
            {"launcher": "ray", "sbatch": "time=5"},
            "obeys --jobs, --cpus, --gpus: leave",
        ),
        ({"launcher": "ray", "cpus": 0}, "expected --cpus > 0, received 0"),
        ({"launcher": "ray", "gpus": "nan"}, "a finite --gpus >= 0, received nan"),
        ({"retries": -1}, "retries"),
        ({"jobs": 0}, "jobs"),
    ],
)
def test_refused(refused, flags, message):
    assert message in refused(grid="BETA=0.1,1.0", **flags)


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_without_its_package_a_line_says_what_to_install(
    tmp_path, monkeypatch, name, package
):
    monkeypatch.setitem(sys.modules, package, None)
    install = rf"needs {package}: pip install 'tfp-priors\[{name}\]'"
    with pytest.raises(UserError, match=install):
        launchers.find_launcher(name)(sweeps.Options(tmp_path))


def test_without_slurm_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="found no sbatch on the PATH"):
        launchers.find_launcher("slurm")(sweeps.Options(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpus": 0.5}, "whole processors and GPUs, received --cpus=0.5"),
        ({"sbatch": ("=5",)}, "expected --sbatch=NAME=VALUE"),
        ({"sbatch": ("partition gpu",)}, "expected --sbatch=NAME=VALUE"),
    ],
)
def test_what_slurm_cannot_do_is_refused(tmp_path, monkeypatch, options, message):
    for name in ("sbatch", "srun"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=message):
        launchers.find_launcher("slurm")(sweeps.Options(tmp_path, **options))


# Real clusters, slow ---------------------------------------------------------------


def sweep_flags(folder, out, launcher, grid, **flags):
    return {
        "out": folder / out,
        "gin_file": "gin/embedded_digits_vae.gin",
        "gin_param": PARAMS,
        "steps": 10,
        "grid": grid,
        "metrics": METRICS,
        "data_dir": folder / "data",
        "cache_dir": folder / "cache",
        "launcher": launcher,
        **flags,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir):
    folder = tmp_path_factory.mktemp("clusters")
    (folder / "data").symlink_to(data_dir)
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    """The table of --launcher=local."""
    finish(start(**sweep_flags(folder, "whole", "local", SEEDS, jobs=2)))
    return rows(folder / "whole")


@contextlib.contextmanager
def cluster(name, folder):
    if name == "ray":
        with clusters.ray() as (found, _):
            yield found
    elif not clusters.HAS_SLURM:
        pytest.skip("There is no Slurm on this machine, or no right to start one.")
    else:
        folder.mkdir()
        with clusters.slurm(folder) as found:
            yield found


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ray", "slurm"])
def test_a_cluster_ended_twice_half_way_makes_the_table_of_this_machine(
    folder, whole, launcher
):
    out = folder / launcher
    # As many processors as a run of the other table has.
    flags = sweep_flags(folder, launcher, launcher, "seed=0,1,2,3", cpus=1)
    with cluster(launcher, folder / f"{launcher}_cluster") as found:
        for number in (signal.SIGTERM, signal.SIGKILL):
            begun = len(list(out.glob("*/finished.json")))
            process = start(found, **flags)
            commands.wait_for(
                lambda n=begun: len(list(out.glob("*/finished.json"))) > n
            )
            process.send_signal(number)
            said = finish(process, 0 if number == signal.SIGTERM else -number)
            if number == signal.SIGTERM:
                assert "Stopped; the same command goes on." in said
                # Whatever it started has ended.
                for run in out.glob("seed=*"):
                    with RunLock(run):
                        pass
        finish(start(found, **flags))
        assert rows(out) == [row for row in whole if int(row["seed"]) < 4]
        logs = [out / "logs" / f"seed={seed}.log" for seed in range(4)]
        assert all("$ bin/evaluate" in log.read_text() for log in logs)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ray", "slurm"])
def test_a_run_that_fails_on_a_cluster_says_why(folder, launcher):
    flags = sweep_flags(folder, f"{launcher}_fails", launcher, "LATENT_SIZE=0,2")
    with cluster(launcher, folder / f"{launcher}_fails_cluster") as found:
        said = finish(start(found, retries=1, **flags), 1)
    assert "LATENT_SIZE=0: bin/train ended with code 2: train: " in said
    assert "trying again, 1 of 1" in said
    assert "1 of 2 runs failed: LATENT_SIZE=0. See " in said
    assert {row["run"] for row in rows(folder / f"{launcher}_fails")} == {
        "LATENT_SIZE=2"
    }


@pytest.mark.slow
def test_more_than_any_node_of_ray_has_is_refused(folder):
    flags = sweep_flags(folder, "large", "ray", "seed=0,1", cpus=2)
    with clusters.ray() as (found, _):
        said = finish(start(found, **flags), 2)
    assert "no machine of the Ray cluster has 2 CPU and 0 GPU for a run" in said
    assert not (folder / "large").exists()


@pytest.mark.slow
def test_what_slurm_refuses_is_one_line(folder):
    flags = sweep_flags(folder, "refused", "slurm", "seed=0", sbatch="partition=none")
    with cluster("slurm", folder / "refused_cluster") as found:
        said = finish(start(found, **flags), 2)
    (line,) = [line for line in said.splitlines() if line.startswith("sweep: ")]
    assert "Slurm refused a job: " in line and "partition" in line


@pytest.mark.slow
def test_a_killed_node_of_three_loses_no_row(folder, whole):
    out = folder / "killed"
    flags = sweep_flags(folder, "killed", "ray", SEEDS, retries=1)
    with clusters.ray() as (found, nodes):
        process = start(found, **flags)
        commands.wait_for(lambda: len(list(out.glob("*/finished.json"))) >= 4)
        commands.wait_for(lambda: clusters.is_at_work(nodes[-1]))
        clusters.kill(nodes[-1])
        said = finish(process)
    assert "its worker was lost" in said and "trying again, 1 of 1" in said
    assert rows(out) == whole
    results = [
        len((out / row["run"] / "metrics.jsonl").read_text().splitlines())
        for row in whole
    ]
    assert set(results) == {len(METRICS.split(","))}
