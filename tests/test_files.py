import errno
import os
import platform
import subprocess
import threading
import time

import pytest

from tfp_priors.errors import UserError
from tfp_priors.files import disk_errors_named
from tfp_priors.files import exclusive
from tfp_priors.files import folder_written
from tfp_priors.files import is_disk_full
from tfp_priors.files import write_text
from tfp_priors.files import written_atomically


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError):
        with written_atomically(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_is_filled_at_the_end_and_stays_the_one_it_is(tmp_path, is_there):
    path = tmp_path / "new" / "a"
    if is_there:
        path.mkdir(parents=True)
        (path / "lost+found").mkdir()
        number = path.stat().st_ino
    with pytest.raises(RuntimeError):
        with folder_written(path) as folder:
            (folder / "1.txt").write_text("half")
            raise RuntimeError
    left = [path, path / "lost+found"] if is_there else []
    assert sorted((tmp_path / "new").rglob("*")) == left
    with folder_written(path) as folder:
        (folder / "1.txt").write_text("whole")
        assert not (path / "1.txt").exists()
    assert (path / "1.txt").read_text() == "whole"
    assert len(list((tmp_path / "new").rglob("*"))) == 2 + is_there
    assert not is_there or path.stat().st_ino == number


def test_a_device_is_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"{path} is no regular file"):
        write_text(path, "new")
    assert path.is_fifo() and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_goes_and_what_lives_stays(tmp_path):
    path = tmp_path / "a[1].txt"
    process = subprocess.Popen(["true"])
    process.wait()
    start = f".{path.name}.{platform.node()}"
    (tmp_path / f"{start}.{process.pid}.0a1b2c3d.tmp").mkdir()
    # Of a process of before that had the number of this one.
    (tmp_path / f"{start}.{os.getpid()}.0a1b2c3d.tmp").touch()
    others = {
        f"{start}.{os.getppid()}.0a1b2c3d.tmp",
        f".{path.name}.elsewhere.{process.pid}.0a1b2c3d.tmp",
        f".b.txt.{platform.node()}.{process.pid}.0a1b2c3d.tmp",
    }
    for name in others:
        (tmp_path / name).touch()
    write_text(path, "new")
    assert {p.name for p in tmp_path.iterdir()} == {path.name, *others}


def test_one_file_may_be_written_twice_at_once(tmp_path):
    path = tmp_path / "a.txt"
    with written_atomically(path) as first, written_atomically(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_disk_full():
    assert is_disk_full(OSError(errno.ENOSPC, "No space left on device"))
    assert is_disk_full(OSError("[Errno 28] No space left on device"))
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.EROFS, "Read-only file system"), errno.EROFS),
        (RuntimeError("writing: /a/b; File too large [Op:SaveV2]"), errno.EFBIG),
        (OSError("Not enough disk space. Needed: 1 GiB"), errno.ENOSPC),
        (OSError(errno.EIO, "Input/output error"), None),
        (RuntimeError("No space left on device"), None),
    ],
)
def test_errors_of_a_disk_name_what_was_written(error, number):
    with pytest.raises(Exception) as raised:
        with disk_errors_named("a"):
            raise error
    if number is None:
        assert raised.value is error
    else:
        assert (raised.value.errno, raised.value.filename) == (number, "a")


def test_an_error_of_a_disk_keeps_its_own_path():
    error = OSError("[Errno 28] No space left on device: '/b'\n  In call to ...")
    with pytest.raises(OSError, match="No space left") as raised:
        with disk_errors_named("a"):
            raise error
    assert raised.value.filename == "/b"


def test_one_at_a_time_is_in_an_exclusive_block(tmp_path):
    inside, most = [], []

    def enter():
        with exclusive(tmp_path / "new" / "lock"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
