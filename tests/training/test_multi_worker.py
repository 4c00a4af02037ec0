"""Real worker processes that train one model over the loopback interface."""

import contextlib
import json
import signal
import socket
import subprocess

import numpy as np
import pytest

from tests import commands
from tests import states

GIN_FILE = "gin/embedded_digits_beta0.gin"
SETTINGS = (
    *commands.TINY,
    "LatentVariableModel.posterior = @NormalPosterior()",
    "train.batch_size = 12",
    "PostHoc.batch_size = 12",
    "train.scalars_every = 1",
    "train.checkpoint_every = 10",
    # Adam moves a weight without a gradient by the signs of rounding errors, unless
    # these are small beside its epsilon.
    "train.clip_norm = 5.0",
)


def free_addresses(n):
    """Addresses of ports that nobody uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


@contextlib.contextmanager
def job(run_dirs, data_dir, steps, settings=SETTINGS):
    """A worker for each of run_dirs, the first of which is the chief's."""
    addresses = free_addresses(len(run_dirs))
    workers = []
    try:
        for index, run_dir in enumerate(run_dirs):
            config = {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
            workers.append(
                subprocess.Popen(
                    commands.arguments(
                        "train",
                        gin_file=GIN_FILE,
                        gin_param=settings,
                        run_dir=run_dir,
                        data_dir=data_dir,
                        steps=steps,
                        strategy="multi_worker",
                    ),
                    cwd=commands.ROOT,
                    env=commands.ENVIRONMENT | {"TF_CONFIG": json.dumps(config)},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def finished(workers, code=0):
    """What the workers wrote, once all of them have ended."""
    errors = [worker.communicate(timeout=300)[1] for worker in workers]
    for worker, text in zip(workers, errors, strict=True):
        assert worker.returncode == code, text
    return errors


def assert_same(run_dir, expected_run_dir, step, atol):
    received, expected = (
        states.checkpoint(folder, step, with_means=True)
        for folder in (run_dir, expected_run_dir)
    )
    assert received.keys() == expected.keys()
    assert len(expected) > 60
    for name, value in expected.items():
        np.testing.assert_allclose(
            received[name], value, rtol=1e-5, atol=atol, err_msg=name
        )


def read_until(worker, line):
    told = []
    for text in worker.stderr:
        told.append(text)
        if text.startswith(line):
            return
    pytest.fail(f"{line} did not come, but {''.join(told)}")


def one_process(run_dir, data_dir, steps):
    commands.run(
        "train",
        gin_file=GIN_FILE,
        gin_param=SETTINGS,
        run_dir=run_dir,
        data_dir=data_dir,
        steps=steps,
        strategy="one_device",
    )


@pytest.mark.slow
def test_two_workers_equal_one_process_and_the_chief_alone_writes(tmp_path, data_dir):
    with job([tmp_path / "run", tmp_path / "nowhere"], data_dir, 20) as workers:
        chief, other = finished(workers)
    assert "step 20/20" in chief
    assert "step" not in other
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "run" / "samples" / "samples_00000020.png").is_file()
    one_process(tmp_path / "one", data_dir, 20)
    # 20 steps of Adam, which divides by the size of each gradient, at up to 1e-3:
    # weights have moved by about 1e-2, and rounding by 2e-6. Other noise or other
    # rows on one of the workers moves them by 1e-3.
    assert_same(tmp_path / "run", tmp_path / "one", 20, atol=1e-5)


@pytest.mark.slow
def test_three_workers_one_killed_resume_to_the_same_weights(tmp_path, data_dir):
    one_process(tmp_path / "one", data_dir, 40)
    folders = [tmp_path / "run"] * 3
    with job(folders, data_dir, 40) as workers:
        read_until(workers[0], "step 23/")
        workers[2].send_signal(signal.SIGKILL)
        for worker in workers[:2]:
            # A crash closes its connections; a silent machine is noticed after 10 s.
            _, errors = worker.communicate(timeout=120)
            assert worker.returncode == 1, errors
            assert "lost touch with the others" in errors.splitlines()[-1]
    assert not (tmp_path / "run" / "checkpoints" / "step_00000030").exists()
    with job(folders, data_dir, 40) as workers:
        chief, *_ = finished(workers)
    assert "step 21/40" in chief
    assert "step 20/40" not in chief
    assert_same(tmp_path / "run", tmp_path / "one", 40, atol=1e-5)


@pytest.mark.slow
def test_sigterm_to_one_stops_all_after_one_step(tmp_path, data_dir):
    folders = [tmp_path / "run"] * 2
    with job(folders, data_dir, 2000) as workers:
        read_until(workers[0], "step 3/")
        workers[1].send_signal(signal.SIGTERM)
        finished(workers)
    (step,) = [
        int(path.name.removeprefix("step_"))
        for path in (tmp_path / "run" / "checkpoints").iterdir()
    ][-1:]
    assert step % 10 == 0 and step < 2000
    with job(folders, data_dir, step + 2) as workers:
        chief, _ = finished(workers)
    assert f"step {step + 1}/" in chief


@pytest.mark.slow
def test_a_prior_is_fitted_afterwards_by_two_workers(tmp_path, data_dir):
    settings = (
        *SETTINGS,
        "train.post_hoc = @PostHoc()",
        "PostHoc.prior = @RealNVPPrior",
        "PostHoc.steps = 6",
        "PostHoc.patience = 1.0",
    )
    with job([tmp_path / "run"] * 2, data_dir, 4, settings) as workers:
        chief, _ = finished(workers)
    assert "step 10/10" in chief
    checkpoints = tmp_path / "run" / "checkpoints"
    assert (checkpoints / "step_00000004").is_dir()
    assert (checkpoints / "at_rest" / "step_00000010").is_dir()


@pytest.mark.slow
def test_a_second_run_in_one_run_dir_is_refused_by_the_chief_alone(tmp_path, data_dir):
    """The other worker does not wait for ever."""
    from tfp_priors.runs.run_dir import RunLock

    with RunLock(tmp_path / "run"):
        with job([tmp_path / "run"] * 2, data_dir, 4) as workers:
            errors = [worker.communicate(timeout=120)[1] for worker in workers]
            codes = [worker.returncode for worker in workers]
    assert codes == [2, 1], errors
    assert "in use by process" in errors[0].splitlines()[-1]
    assert "lost touch" in errors[1].splitlines()[-1]


@pytest.mark.slow
def test_all_workers_go_back_together(tmp_path, data_dir):
    settings = (
        *SETTINGS,
        "train.on_nonfinite = 'rollback'",
        "autoencoder/Adam.learning_rate = 1e20",
    )
    with job([tmp_path / "run"] * 2, data_dir, 20, settings) as workers:
        chief, other = finished(workers, code=1)
    # The chief alone says so, and both end for the same reason.
    assert [text.count("(rollback ") for text in (chief, other)] == [3, 0]
    reasons = [text.splitlines()[-1].split(";")[0] for text in (chief, other)]
    assert reasons[0] == reasons[1]
    assert reasons[0].startswith("train: after 3 rollbacks, ")
