import errno
import threading
import time

import pytest

from tfp_priors.files import exclusive
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


def test_disk_full():
    assert is_disk_full(OSError(errno.ENOSPC, "No space left on device"))
    assert is_disk_full(OSError("[Errno 28] No space left on device"))
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))


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
