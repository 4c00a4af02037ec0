"""Folders on a store of the S3 protocol, in a process of its own."""

import contextlib
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests import commands
from tests import states
from tests.remote import object_store
from tfp_priors import remote
from tfp_priors.errors import StoreError
from tfp_priors.errors import UserError
from tfp_priors.remote import folders
from tfp_priors.remote import mirror as mirror_module

_TRAIN = {
    "gin_file": "gin/embedded_digits_beta0.gin",
    "gin_param": (
        *commands.TINY,
        "train.batch_size = 8",
        "train.scalars_every = 2",
        "train.checkpoint_every = 40",
    ),
    "steps": 40,
}


@pytest.fixture(scope="module")
def store():
    """The environment in which commands find an empty object store."""
    with object_store.served() as port:
        yield object_store.environment(port)


@pytest.fixture(autouse=True)
def here(store, monkeypatch, tmp_path):
    """This process finds the store, and leaves nothing open."""
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _forget_connections()
    yield
    remote.close()


def test_what_is_remote():
    assert remote.is_remote("s3://bucket/runs") and remote.is_remote("memory://x")
    for path in ("runs/a", "/runs", "~/runs", "a=b://c", None):
        assert not remote.is_remote(path)


def test_changes_are_sent_and_what_is_gone_is_removed(store, tmp_path):
    folder = remote.mirrored("s3://bucket/changes")
    assert remote.mirror_of(folder).copy == folder and folder.name == "changes"
    (folder / "step_1").mkdir(parents=True)
    (folder / "step_1" / "a").write_bytes(b"1")
    (folder / ".b.tmp").write_bytes(b"2")
    commands.wait_for(
        lambda: object_store.files(store, "changes/") == {"step_1/a": b"1"}
    )
    (folder / "step_1" / "a").rename(folder / "c")
    commands.wait_for(lambda: object_store.files(store, "changes/") == {"c": b"1"})
    (folder / "c").write_bytes(b"3")
    remote.close()
    assert object_store.files(store, "changes/") == {"c": b"3"}
    assert not folder.exists()


def test_a_file_by_its_own_name(store):
    path = remote.mirrored("s3://bucket/one/file.txt")
    path.parent.mkdir(exist_ok=True)
    path.write_text("text")
    remote.close()
    assert object_store.files(store, "one/") == {"file.txt": b"text"}
    assert remote.cached("s3://bucket/one/file.txt").read_text() == "text"


def test_names_that_begin_alike_are_others(store):
    s3 = object_store.client(store)
    for key in ("alike/a", "alike2/b"):
        s3.put_object(Bucket=object_store.BUCKET, Key=key, Body=b"")
    folder = remote.cached("s3://bucket/alike")
    assert [path.name for path in folder.rglob("*")] == ["a"]


def test_no_name_leads_out_of_a_copy(store):
    object_store.client(store).put_object(
        Bucket=object_store.BUCKET, Key="out/a/../../../b", Body=b""
    )
    with pytest.raises(UserError, match=r"a/\.\./\.\./\.\./b"):
        remote.cached("s3://bucket/out")


def test_a_cached_folder_follows_the_store(store):
    s3 = object_store.client(store)

    def put(name, body):
        s3.put_object(Bucket=object_store.BUCKET, Key=f"data/set/{name}", Body=body)

    put("a", b"1")
    put("b", b"2")
    folder = remote.cached("s3://bucket/data", "set") / "set"
    before = (folder / "b").stat().st_mtime_ns
    put("a", b"3")
    s3.delete_object(Bucket=object_store.BUCKET, Key="data/set/c")
    put("c", b"4")
    assert remote.cached("s3://bucket/data", "set") / "set" == folder
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert contents == {"a": b"3", "b": b"2", "c": b"4"}
    # What has not changed is not fetched again.
    assert (folder / "b").stat().st_mtime_ns == before
    s3.delete_object(Bucket=object_store.BUCKET, Key="data/set/c")
    remote.cached("s3://bucket/data", "set")
    assert not (folder / "c").exists()


def test_what_a_killed_process_was_fetching_goes(tmp_path):
    place = tmp_path / "store" / "a"
    place.parent.mkdir()
    place.write_text("whole")
    code = (
        "import os\n"
        "from fsspec.implementations.local import LocalFileSystem\n"
        "from tfp_priors import remote\n"
        "def half(self, source, target):\n"
        "    open(target, 'w').write('half')\n"
        "    os._exit(9)\n"
        "LocalFileSystem.get_file = half\n"
        f"remote.cached('file://{place.parent}')\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    (left,) = (tmp_path / "cache").rglob(".*.tmp")
    copy = remote.cached(f"file://{place.parent}")
    assert (copy / "a").read_text() == "whole" and not left.exists()
    assert [path.name for path in copy.iterdir()] == ["a"]


def test_half_a_checkpoint_or_data_set_is_none(store):
    s3 = object_store.client(store)
    for key in ("step_1/state", "step_2/state", "step_1/checkpoint.json"):
        s3.put_object(
            Bucket=object_store.BUCKET, Key=f"half/checkpoints/{key}", Body=b""
        )
    s3.put_object(Bucket=object_store.BUCKET, Key="half/set/1.0.0/a", Body=b"")
    folder = remote.mirrored("s3://bucket/half")
    names = {path.name for path in folder.rglob("*")}
    assert names == {"checkpoints", "step_1", "state", "checkpoint.json"}


def test_copies_of_processes_that_died_go(store, tmp_path):
    code = (
        "from tfp_priors import remote; import os\n"
        "print(remote.mirrored('s3://bucket/died')); os._exit(1)"
    )
    left = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False
    )
    folder = Path(left.stdout.strip()).parent
    assert folder.is_dir()
    ours = remote.mirrored("s3://bucket/lives").parent
    remote.mirrored("s3://bucket/another")
    assert ours.is_dir() and not folder.exists()


def test_what_cleans_temporary_folders_removes_nothing_from_a_store(store, monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: None)
    mirror = remote.Mirror("s3://bucket/cleaned")
    (mirror.copy / "step_1").mkdir(parents=True)
    for name in ("config.gin", "step_1/state", "step_1/checkpoint.json"):
        (mirror.copy / name).touch()
    mirror.send()
    (mirror.copy / "config.gin").unlink()
    shutil.rmtree(mirror.copy / "step_1")
    mirror.send()
    assert object_store.files(store, "cleaned/") == {"config.gin": b""}
    shutil.rmtree(mirror.copy)
    with pytest.raises(StoreError, match="the copy of .* was removed"):
        mirror.close()
    assert object_store.files(store, "cleaned/") == {"config.gin": b""}


@pytest.mark.parametrize("contents", [b"", b"[1]", b'{"id": '])
def test_a_lock_that_is_none_holds_nothing_up(contents, store):
    object_store.client(store).put_object(
        Bucket=object_store.BUCKET, Key="broken/lock", Body=contents
    )
    with contextlib.closing(remote.Mirror("s3://bucket/broken")) as mirror:
        with mirror.locked():
            pass
    assert not object_store.files(store, "broken/")


def test_lines_of_others_are_kept(store):
    one, two = (remote.Mirror("s3://bucket/lines") for _ in range(2))
    for mirror, line in ((one, "1\n"), (two, "2\n"), (one, "3\n")):
        mirror.copy.mkdir(exist_ok=True)
        with open(mirror.copy / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(line)
        mirror.send()
    one.close()
    two.close()
    assert object_store.files(store, "lines/") == {"metrics.jsonl": b"1\n2\n3\n"}


def test_a_part_is_looked_at_again(store, tmp_path):
    s3 = object_store.client(store)

    def put(key, body):
        s3.put_object(Bucket=object_store.BUCKET, Key=f"parts/{key}", Body=body)

    put("a/finished.json", b"1")
    put("a/checkpoints/step_1/state", b"2")
    copy = remote.mirrored("s3://bucket/parts", without=("checkpoints",))
    (copy / "a" / "sweep.json").write_text("ours")
    put("a/finished.json", b"3")
    put("a2/finished.json", b"4")
    assert remote.refreshed("s3://bucket/parts/a", copy / "a") == copy / "a"
    names = {str(p.relative_to(copy)): p.read_bytes() for p in copy.rglob("*.json")}
    assert names == {"a/finished.json": b"3", "a/sweep.json": b"ours"}
    # In a process that mirrors nothing.
    elsewhere = remote.refreshed("s3://bucket/parts/a", tmp_path, ("checkpoints",))
    assert (elsewhere / "finished.json").read_bytes() == b"3"
    assert not (elsewhere / "checkpoints").exists()
    remote.close()
    found = object_store.files(store, "parts/a/")
    assert found.keys() == {"finished.json", "sweep.json", "checkpoints/step_1/state"}


def test_a_file_is_sent_at_the_end(store):
    with remote.sent("s3://bucket/logs/a.log") as path:
        path.write_text("line")
    assert object_store.files(store, "logs/") == {"a.log": b"line"}


def test_a_file_that_is_sent_leaves_nothing_here(store, monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "here"))
    for name in ("a", "b"):
        with remote.sent(f"s3://bucket/gone/{name}.log") as path:
            path.write_text("line")
            assert remote.named(path) == f"s3://bucket/gone/{name}.log"
            (folder,) = (tmp_path / "here").iterdir()
            assert str(folder) in _open_files()
        assert not folder.exists() and not any(
            file.startswith(str(folder)) for file in _open_files()
        )
        assert remote.named(path) == str(path)


def test_what_others_keep_beside_copies_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    others = [tmp_path / name for name in ("tfp_priors-0.1.0", "tfp_priors_copy-of")]
    for folder in others:
        folder.mkdir()
        (folder / "setup.py").write_text("theirs")
    # A folder of this program whose process, and so its lock, is gone.
    left = folders.new_folder()
    os.close(folders._folders.pop(left))
    new = folders.new_folder()
    folders.remove_copy(new / "copy")
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_fetch_that_fails_sends_nothing_back(tmp_path, monkeypatch):
    place = tmp_path / "store"
    place.mkdir()
    for name in "abc":
        (place / name).write_text("old")
    mirror = mirror_module.Mirror(f"file://{place}")
    get, calls = type(mirror._store).get, []

    def fail(store, inside, path):
        calls.append(inside)
        if len(calls) == 3:
            raise StoreError("away")
        get(store, inside, path)

    for name in "abc":
        (place / name).write_text("newer")
    monkeypatch.setattr(type(mirror._store), "get", fail)
    with pytest.raises(StoreError, match="away"):
        mirror.fetch()
    for name in "abc":
        (place / name).write_text("newest of all")
    mirror.close()
    assert {path.read_text() for path in place.iterdir()} == {"newest of all"}
    folders.remove_copy(mirror.root)


def _open_files():
    """What this process has open; a folder that is gone has a remark at its end."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # That of this folder itself.
            found.add(os.readlink(descriptor))
    return found


def test_a_text_is_named_while_another_thread_gets_a_copy(monkeypatch):
    class Copy:
        def __str__(self):
            copies[Path("/b")] = "s3://bucket/b"
            return "/a"

    copies = {Copy(): "s3://bucket/a"}
    monkeypatch.setattr(folders, "NAMES", copies)
    assert remote.named("/a/log") == "s3://bucket/a/log"


def test_a_lock_is_one_processs(store):
    one, two = (remote.Mirror("s3://bucket/locked") for _ in range(2))
    with one.locked():
        (one.copy).mkdir(exist_ok=True)
        (one.copy / "a").write_text("1")
        # It lives: it renews its lock. This process is on the same machine.
        with pytest.raises(UserError, match=f"in use by process {os.getpid()} on "):
            two.locked().__enter__()
    with two.locked():
        assert (two.copy / "a").read_text() == "1"
    one.close()
    two.close()
    assert object_store.files(store, "locked/") == {"a": b"1"}


def test_a_lock_that_is_let_go_is_not_lost(store, monkeypatch):
    killed = []
    monkeypatch.setattr(os, "kill", lambda *args: killed.append(args))
    monkeypatch.setenv("TFP_PRIORS_SYNC_SECONDS", "0.001")
    with contextlib.closing(remote.Mirror("s3://bucket/let_go")) as mirror:
        for _ in range(20):
            with mirror.locked():
                pass
    assert not killed


def test_the_lock_of_a_dead_process_is_taken(store):
    s3 = object_store.client(store)
    dead = b'{"id": "x", "process": 1, "host": "another", "number": 3}'
    s3.put_object(Bucket=object_store.BUCKET, Key="dead/lock", Body=dead)
    mirror = remote.Mirror("s3://bucket/dead")
    begin = time.monotonic()
    with mirror.locked():
        assert time.monotonic() - begin >= 6 * 0.2
    mirror.close()


def test_a_process_that_was_not_heard_of_sends_nothing_more(store, monkeypatch):
    killed = []
    monkeypatch.setattr(os, "kill", lambda *args: killed.append(args))
    mirror = remote.Mirror("s3://bucket/lost")
    with pytest.raises(StoreError, match=r"taken over by another process"):
        with mirror.locked():
            other = b'{"id": "x", "process": 7, "host": "another", "number": 1}'
            object_store.client(store).put_object(
                Bucket=object_store.BUCKET, Key="lost/lock", Body=other
            )
            mirror.copy.mkdir(exist_ok=True)
            (mirror.copy / "a").write_text("1")
            commands.wait_for(lambda: killed)
    with pytest.raises(StoreError) as error:
        mirror.close()
    assert object_store.files(store, "lost/") == {"lock": other}
    assert (_kept(error) / "a").read_text() == "1"


def test_what_could_not_be_sent_is_sent_later(store, monkeypatch):
    port = int(store["AWS_ENDPOINT_URL"].rpartition(":")[2])
    wire = object_store.Wire(port, limit=2 * 2**20)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")
    _forget_connections()
    mirror = remote.Mirror("s3://bucket/cut")
    folder = mirror.copy / "checkpoints" / "step_1"
    folder.mkdir(parents=True)
    weights = np.random.default_rng(0).bytes(4 * 2**20)
    (folder / "state.weights.h5").write_bytes(weights)
    (folder / "checkpoint.json").write_text("{}")
    commands.wait_for(lambda: wire.is_broken)  # In the middle of the weights.
    time.sleep(1)
    assert not object_store.files(store, "cut/")
    threading.Timer(1, wire.mend).start()
    mirror.close()
    found = object_store.files(store, "cut/checkpoints/step_1/")
    assert found == {"state.weights.h5": weights, "checkpoint.json": b"{}"}


def test_a_store_that_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(mirror_module, "_PATIENCE", 0.5)
    with object_store.served() as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        _forget_connections()
        folder = remote.mirrored("s3://bucket/gone")
        folder.mkdir(exist_ok=True)
    (folder / "a").write_text("1")
    with pytest.raises(
        StoreError, match="cannot write to s3://bucket/gone .*"
    ) as error:
        remote.close()
    kept = _kept(error)
    # No later command takes it for one that was left behind.
    remote.mirrored(f"file://{tmp_path}/another")
    assert (kept / "a").read_text() == "1"


def _kept(error):
    return Path(re.search(r"is kept in (.*)\.$", str(error.value))[1])


def _forget_connections():
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://", "s3:// names no place"),
        ("foo://bucket/x", "Protocol not known: foo"),
        ("gs://bucket/x", r'pip install "tfp-priors\[gcs\]"'),
        ("memory://x", "keeps nothing that is written"),
        ("https://example.invalid/x", "keeps nothing that is written"),
        ("s3://another/x", "bucket does not exist. Expected one that is there"),
    ],
)
def test_places_that_are_none(url, message):
    with pytest.raises(UserError, match=message):
        remote.mirrored(url)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", ""])
def test_seconds_that_are_none(monkeypatch, seconds):
    monkeypatch.setenv("TFP_PRIORS_SYNC_SECONDS", seconds)
    with pytest.raises(UserError, match=f"SYNC_SECONDS > 0, received '{seconds}'"):
        remote.mirrored("s3://bucket/beat")


def test_what_is_nearly_a_place():
    for path, expected in (("s3:/bucket/x", "s3://bucket/x"), ("S3://b/x", "s3://b/x")):
        with pytest.raises(UserError, match=f"expected {expected}, or"):
            remote.check_place(path)
    for path in ("runs/s3:/x", "s3://bucket/x", "c/d", "BETA=1:/2"):
        remote.check_place(path)


def test_any_store_of_fsspec(tmp_path):
    folder = remote.mirrored(f"file://{tmp_path}/there")
    folder.mkdir(exist_ok=True)
    (folder / "a").write_text("1")
    remote.close()
    assert (tmp_path / "there" / "a").read_text() == "1"


@pytest.mark.slow
def test_commands_on_a_store(store, data_dir, tmp_path):
    environment = commands.ENVIRONMENT | store
    where = {"environment": environment, "data_dir": "s3://bucket/sets"}
    prepared = commands.run("prepare_data", dataset="embedded_digits", **where)
    told = "embedded_digits is prepared in s3://bucket/sets/embedded_digits/1.0.0\n"
    assert told in prepared.stdout
    run = "s3://bucket/runs/digits"
    trained = commands.run("train", run_dir=run, **where, **(_TRAIN | {"steps": 4}))
    assert f"logs are in {run}\n" in trained.stdout
    commands.run("evaluate", run_dir=run, metrics="active_units_test", **where)
    del where["data_dir"]
    commands.run("sample", run_dir=run, out=f"{run}/draws/", n=3, **where)
    commands.run("export", run_dir=run, out="s3://bucket/sampler", **where)
    commands.run(
        "sample", saved_model="s3://bucket/sampler", out=tmp_path / "x.png", **where
    )
    assert (tmp_path / "x.png").is_file()
    found = object_store.files(store, "runs/digits/")
    for name in ("draws/2.png", "config.gin", "finished.json", "environment.jsonl"):
        assert name in found
    assert b'"of": "s3://bucket/runs/digits"' in found["metrics.jsonl"]
    assert not any(".tmp" in name or name == "lock" for name in found)
    # As it would have been on this disk.
    local = tmp_path / "run"
    commands.run("train", run_dir=local, data_dir=data_dir, **(_TRAIN | {"steps": 4}))
    again = remote.mirrored(run)
    states.assert_equal(states.checkpoint(again, 4), states.checkpoint(local, 4))


def test_two_trainings_of_one_run(store, data_dir):
    where = {"environment": commands.ENVIRONMENT | store, "data_dir": data_dir}
    flags = _TRAIN | {"steps": 100_000, "run_dir": "s3://bucket/two"}
    with commands.started("train", **where, **flags) as (process, output):
        commands.wait_for(lambda: "lock" in object_store.files(store, "two/"))
        told = commands.run("train", code=2, **where, **flags).stderr
        assert f"s3://bucket/two is in use by process {process.pid} on" in told
        assert process.exitcode is None, output()[1]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "ray"])
def test_a_sweep_on_a_store(launcher, store, data_dir, tmp_path):
    environment = commands.ENVIRONMENT | store
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    out = f"s3://bucket/sweep_{launcher}"
    flags = {
        "gin_file": _TRAIN["gin_file"],
        "gin_param": _TRAIN["gin_param"],
        "steps": 4,
        "grid": "seed=0,1",
        "metrics": "prior_nll_test",
        "data_dir": data_dir,
        "launcher": launcher,
        "environment": environment,
    }
    told = commands.run("sweep", out=out, **flags)
    assert f"Results in {out}/results.csv" in told.stdout
    found = object_store.files(store, f"sweep_{launcher}/")
    assert b"$ bin/train" in found["logs/seed=0.log"]
    checkpoints = [name for name in found if "checkpoints/" in name]
    assert {name.partition("/")[0] for name in checkpoints} == {"seed=0", "seed=1"}
    # Nothing is left to do, and no checkpoint is needed to see it.
    again = commands.run("sweep", out=out, **flags)
    assert "2 runs in" in again.stderr and "2 of them done" in again.stderr
    if launcher == "local":
        commands.run("sweep", out=tmp_path / "here", **flags)
        rows = [
            _rows(found["results.csv"]),
            _rows((tmp_path / "here" / "results.csv").read_bytes()),
        ]
        assert rows[0] == rows[1] and len(rows[0]) == 2


def _rows(table):
    rows = csv.DictReader(table.decode().splitlines())
    return {(row["run"], row["metric"], row["value"]) for row in rows}


@pytest.mark.slow
def test_a_training_that_is_killed_thrice_ends_with_the_same_bits(
    store,
    data_dir,
    tmp_path,
):
    where = {
        "environment": commands.ENVIRONMENT | store | {"TF_DETERMINISTIC_OPS": "1"},
        "data_dir": data_dir,
    }
    flags = _TRAIN | {"steps": 1600}
    commands.run("train", run_dir=tmp_path / "local", **where, **flags)
    run = {"run_dir": "s3://bucket/killed"}
    steps = [0]
    for _ in range(3):
        with commands.started("train", **where, **run, **flags) as (process, output):
            # At a moment when a new checkpoint is there, or half of one.
            commands.wait_for(lambda: _newest(store, "killed/checkpoints/") > steps[-1])
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL, output()[1]
        steps.append(_newest(store, "killed/checkpoints/"))
    assert steps[-1] < 1600
    commands.run("train", **where, **run, **flags)
    received = remote.mirrored("s3://bucket/killed")
    states.assert_equal(
        states.checkpoint(received, 1600), states.checkpoint(tmp_path / "local", 1600)
    )


def _newest(environment, folder):
    found = re.findall(r"step_(\d+)", " ".join(object_store.files(environment, folder)))
    return max(map(int, found), default=0)
