"""Disks that are full, that are read-only, and that give back damaged checkpoints."""

import contextlib
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import commands
from tests.reliability.small_runs import flags_of
from tfp_priors.runs import run_dir
from tfp_priors.training import Checkpoints


def _failed(name, *args, limit=None, **flags):
    """The last line of bin/NAME, which cannot write.

    Args:
      name: of the command.
      *args: its arguments.
      limit: bytes that no file of it may exceed, or None.
      **flags: its flags.
    """
    with commands.started(name, *args, **flags) as (process, output):
        if limit is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        process.join(timeout=300)
        _, stderr = output()
    assert process.exitcode == 2, stderr
    assert "Traceback" not in stderr and "Exception ignored" not in stderr
    line = stderr.splitlines()[-1]
    assert line.startswith(f"{name}: "), stderr
    return line


def _contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _check_nothing_lost(before, folder):
    """All files are as they were, or longer, and none is there in part."""
    # These are written anew when a training starts.
    renewed = ("lock", "config.gin", "operative_config.gin", "finished.json")
    for path, content in before.items():
        if path.name not in renewed:
            assert path.read_bytes().startswith(content), path
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    assert not [name for name in names if ".tmp" in name or "incomplete" in name]


# Full disks ----------------------------------------------------------------------

# What is written, the largest size of a file, the flags, and the path that is named.
_WRITES = {
    "the configuration": ("train", 3000, {}, "run/config.gin"),
    "the TensorBoard log": (
        "train",
        10_000,
        {"params": ["train.checkpoint_every = 1000"]},
        "run/tensorboard",
    ),
    "a checkpoint": ("train", 100_000, {}, "run/checkpoints/step_00000015"),
    "the cache of activations": ("evaluate", 8000, {}, "cache"),
    "results": (
        "evaluate",
        3000,
        {"metrics": "reconstruction_error500_test"},
        "run/metrics.jsonl",
    ),
    "the weights of a SavedModel": ("export", 5000, {}, "out"),
    "the graph of a SavedModel": ("export", 100_000, {}, "out"),
    "a data set": ("prepare_data", 100_000, {}, "new/embedded_digits"),
    "a picture": ("sample", 1000, {"n": 2000}, "out.png"),
}


_SLOW = (
    "a checkpoint",
    "the configuration",
    "results",
    "the graph of a SavedModel",
)


@pytest.mark.parametrize(
    "what",
    [pytest.param(w, marks=pytest.mark.slow) if w in _SLOW else w for w in _WRITES],
)
def test_a_file_too_large(what, folder, faults):
    """A limit on the size of files stands for a disk that is full."""
    command, limit, options, named = _WRITES[what]
    flags = flags_of(command, folder, **options)
    before = _contents(folder)
    line = _failed(command, limit=limit, **flags)
    assert "no space left on the disk (" in line and str(folder / named) in line
    _check_nothing_lost(before, folder)
    if command == "train":
        assert Checkpoints(folder / "run" / "checkpoints").newest() == 10
    if what == "a checkpoint":
        process = commands.run(command, **flags_of("train", folder, steps=11))
        assert "step 11/11" in process.stderr and "step 10/11" not in process.stderr
    elif what == "results":
        commands.run(command, **flags)
        newest = run_dir.metrics(folder / "run")
        assert [result["name"] for result in newest] == ["old", options["metrics"]]
    faults.add(
        "full disk",
        f"a limit on the size of files that is too small for {what}",
        "one line that names the file, exit code 2; all older files are as before",
    )


@contextlib.contextmanager
def _mounted(folder, *options):
    """Mounts something at a folder, if this user may."""
    command = ["mount", *options, str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    try:
        yield
    finally:
        # A process that was killed may hold it for a moment.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def _small_disk(folder, made, left):
    """At an empty folder, a disk with copies of the runs and few bytes left."""
    with _mounted(folder, "-t", "tmpfs", "-o", "size=8m", "none"):
        for name in ("run", "classifier"):
            shutil.copytree(made / name, folder / name)
        (folder / "data").symlink_to(made / "data")
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize
        with open(folder / "filler", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - left // 4096 * 4096)
        yield


def _try_on_a_full_disk(made, disk, left, command):
    """Runs a command with so many bytes left; the line it ends with, or None."""
    disk.mkdir(exist_ok=True)
    with _small_disk(disk, made, left):
        before = _contents(disk)
        flags = flags_of(command, disk)
        with commands.started(command, **flags) as (process, output):
            process.join(timeout=300)
            _, stderr = output()
        assert "Traceback" not in stderr and "Exception ignored" not in stderr
        line = None
        if process.exitcode != 0:
            assert process.exitcode == 2, stderr
            line = stderr.splitlines()[-1]
            assert line.startswith(f"{command}: no space left on the disk (") and (
                str(disk) in line
            ), stderr
        if command == "train":
            # What is removed is older than the two newest that are safe.
            before = {p: c for p, c in before.items() if "checkpoints" not in p.parts}
            checkpoints = Checkpoints(disk / "run" / "checkpoints")
            assert len(checkpoints.steps()) == 2
            assert checkpoints.newest() == checkpoints.steps()[-1] >= 10
        _check_nothing_lost(before, disk)
        if line:
            (disk / "filler").unlink()
            commands.run(command, **flags)
    return line


# Bytes left, from nothing to nearly enough.
_LEFT = {
    "train": (0, 8192, 16_384, 24_576, 40_960, 10**6, 1_300_000),
    "evaluate": (0, 4096, 16_384, 28_672, 36_864),
    "export": (0, 8192, 65_536, 131_072, 400_000),
    "prepare_data": (0, 4096, 10**6, 1_500_000, 1_667_072),
    "sample": (0,),
    "figures": (0, 16_384, 36_864),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", _LEFT)
def test_disks_that_fill_up_at_different_times(command, made, tmp_path, faults):
    lines = [
        _try_on_a_full_disk(made, tmp_path / "disk", left, command)
        for left in _LEFT[command]
    ]
    failures = [line for line in lines if line]
    # Those that write several files do not all stop at the same.
    assert len(set(failures)) > (command in ("train", "evaluate", "figures"))
    faults.add(
        "full disk",
        f"bin/{command} on small disks that fill up at different moments",
        "one line that names the file, exit code 2; the same command ends well once "
        "there is room",
        times=len(failures),
    )


# Read-only folders ---------------------------------------------------------------


@contextlib.contextmanager
def _read_only(folder):
    """Within it nobody writes to a folder: root may not because of the mount."""
    if os.geteuid():
        for path in (*folder.rglob("*"), folder):
            path.chmod(path.stat().st_mode & ~0o222)
        try:
            yield
        finally:
            folder.chmod(0o755)
            for path in folder.rglob("*"):
                path.chmod(path.stat().st_mode | 0o200)
        return
    with _mounted(folder, "--bind", str(folder)):
        subprocess.run(
            ["mount", "-o", "remount,bind,ro", str(folder)], check=True, timeout=60
        )
        yield


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        ("train", {}),
        ("train", {"run_dir": "new"}),
        ("evaluate", {"cache_dir": "../cache"}),
        pytest.param("export", {}, marks=pytest.mark.slow),
        ("prepare_data", {}),
        ("sample", {}),
        pytest.param("figures", {}, marks=pytest.mark.slow),
    ],
)
def test_a_read_only_folder(command, changed, folder, faults):
    flags = flags_of(command, folder)
    flags |= {flag: folder / path for flag, path in changed.items()}
    before = _contents(folder)
    with _read_only(folder):
        line = _failed(command, **flags)
    assert "read-only disk (" in line or "permission denied (" in line
    assert str(folder) in line and "choose a folder that you may write to" in line
    assert _contents(folder) == before
    faults.add(
        "read-only folder",
        f"bin/{command} writes to it",
        "one line that names the file, exit code 2",
    )


@pytest.mark.slow
def test_a_read_only_run_can_be_read(folder, tmp_path, faults):
    commands_that_read = ("evaluate", "export", "sample", "figures")
    with _read_only(folder):
        for command in commands_that_read:
            out = tmp_path / (f"{command}.png" if command == "sample" else command)
            flags = flags_of(command, folder) | {"out": out}
            if command == "evaluate":
                flags["cache_dir"] = tmp_path / "cache"
            commands.run(command, **flags)
            assert out.exists()
    faults.add(
        "read-only folder",
        "bin/evaluate, export, sample and figures read a run there and write elsewhere",
        "they work",
        times=len(commands_that_read),
    )


# Damaged checkpoints ---------------------------------------------------------------


def _truncate(weights):
    weights.write_bytes(weights.read_bytes()[:-1000])


def _flip(weights):
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)


def _remove_record(weights):
    (weights.parent / "checkpoint.json").unlink()


_WEIGHTS = Path("run", "checkpoints", "step_00000010", "state.weights.h5")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_flip, "with one bit changed"),
        pytest.param(_truncate, "truncated", marks=pytest.mark.slow),
        pytest.param(_remove_record, "without its record", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_checkpoint(damage, told, folder, faults):
    damage(folder / _WEIGHTS)
    process = commands.run("train", **flags_of("train", folder, steps=11))
    assert f"{(folder / _WEIGHTS).parent} is damaged" in process.stderr
    assert "step 6/11" in process.stderr and "step 5/11" not in process.stderr
    checkpoints = Checkpoints(folder / "run" / "checkpoints")
    assert checkpoints.steps() == [10, 11] and checkpoints.newest() == 11
    faults.add(
        "damaged checkpoint",
        f"the last one {told}, then bin/train",
        "it is named as damaged; training goes on from the one before",
        lost="the steps between the two checkpoints, which are done again",
    )


@pytest.mark.parametrize(
    "command",
    [
        "sample",
        pytest.param("evaluate", marks=pytest.mark.slow),
        pytest.param("export", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_checkpoint_is_not_used(command, folder, faults):
    _flip(folder / _WEIGHTS)
    flags = flags_of(command, folder)
    if command == "evaluate":
        flags["metrics"] = "reconstruction_error500_test"
    process = commands.run(command, **flags)
    assert f"{(folder / _WEIGHTS).parent} is damaged" in process.stderr
    if command == "evaluate":
        assert '"step": 5,' in process.stdout
    elif command == "sample":
        used = (folder / "out.png").read_bytes()
        # As if the damaged one had never been there.
        shutil.rmtree((folder / _WEIGHTS).parent)
        commands.run(command, **flags)
        assert (folder / "out.png").read_bytes() == used
    faults.add(
        "damaged checkpoint",
        f"the last one with one bit changed, then bin/{command}",
        "it is named as damaged; the one before is used",
    )


def test_a_checkpoint_of_another_model(folder, faults):
    checkpoints = folder / "run" / "checkpoints"
    shutil.rmtree(checkpoints)
    shutil.copytree(folder / "classifier" / "checkpoints", checkpoints)
    for command in ("train", "export"):
        line = commands.refused(command, **flags_of(command, folder))
        assert f"The checkpoint {checkpoints / 'step_00000010'} belongs to" in line
    faults.add(
        "checkpoint of another model",
        "put into a run's folder, then bin/train and bin/export",
        "one line that names it, exit code 2",
        times=2,
    )
