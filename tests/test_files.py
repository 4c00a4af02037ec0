import errno

import pytest

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
