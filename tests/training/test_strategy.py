import json

import pytest
import tensorflow as tf

from tests import commands
from tfp_priors.errors import UserError
from tfp_priors.training import create_strategy
from tfp_priors.training.strategy import task_of_environment
from tfp_priors.training.workers import Workers


def test_names(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert create_strategy("one_device").num_replicas_in_sync == 1
    # The tests have two logical CPU devices and no GPU.
    mirrored = create_strategy("mirrored")
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert mirrored.num_replicas_in_sync == 2
    assert create_strategy("mirrored") is mirrored
    assert create_strategy("auto").num_replicas_in_sync == 1
    names = "expected one of auto, one_device, mirrored, multi_worker, tpu"
    with pytest.raises(UserError, match=names):
        create_strategy("tpu_pod")


def test_there_is_no_tpu(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(UserError, match="no TPU 'local' .*set TPU_NAME"):
        create_strategy("tpu")


def tf_config(addresses=("a:1", "b:2"), index=1, job="worker", **more):
    cluster = {job: list(addresses)} | more
    return json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})


def test_task_of_environment(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config())
    assert task_of_environment() == (1, ("a:1", "b:2"))


@pytest.mark.parametrize("strategy", ["auto", "multi_worker"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"cluster": {}}', "KeyError: 'worker'"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
        (tf_config(index=2), "there is no worker 2 among 2"),
        (tf_config(addresses=["a", "b:2"]), "are not addresses host:port"),
        (tf_config(addresses=[1, 2]), "are not addresses host:port"),
        (tf_config(addresses=["a:1", "a:1"]), "two workers have one address"),
        (tf_config(ps=["c:3"]), "other than worker"),
    ],
)
def test_bad_tf_config(monkeypatch, strategy, text, problem):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=f"{problem}.*expected, for example, TF_CONFIG"):
        create_strategy(strategy)


def test_multi_worker_without_tf_config_is_one_line(tmp_path):
    line = commands.refused(
        "train",
        gin_file="gin/embedded_digits_vae.gin",
        run_dir=tmp_path / "run",
        strategy="multi_worker",
    )
    assert "TF_CONFIG" in line and "it is not set" in line
    assert not (tmp_path / "run").exists()


def test_a_cluster_of_one_is_one_device(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(addresses=["a:1"], index=0))
    for name in ("auto", "multi_worker"):
        assert create_strategy(name).num_replicas_in_sync == 1


def test_evaluation_takes_no_notice_of_a_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config())
    assert create_strategy("auto", in_cluster=False).num_replicas_in_sync == 1
    with pytest.raises(UserError, match="auto, one_device, mirrored, tpu"):
        create_strategy("multi_worker", in_cluster=False)


def test_a_single_worker_asks_nobody():
    workers = Workers(create_strategy("mirrored"))
    assert (workers.index, workers.count, workers.replicas) == (0, 1, 2)
    assert workers.is_chief
    assert workers.chiefs(7) == workers.total(7) == 7
    assert workers.any(True) and not workers.any(False)
    with workers.chief_first():
        workers.wait()
