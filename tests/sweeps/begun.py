"""Sweeps as a user begins them, in processes of their own."""

import subprocess

from tests import commands
from tests.figures.files import read_rows


def start(found=None, **flags):
    """Begins bin/sweep, which finds a cluster by the variables in `found`.

    Of its own session, so that only what a test sends arrives.
    """
    return subprocess.Popen(
        commands.arguments("sweep", **flags),
        cwd=commands.ROOT,
        env=commands.ENVIRONMENT | {"TF_DETERMINISTIC_OPS": "1"} | (found or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process, code=0):
    """Waits for a process; returns what it has said."""
    _, said = process.communicate(timeout=3000)
    assert process.returncode == code, said
    return said


def rows(out):
    """The table of a sweep, without what tells when it was made, and of what."""
    return [
        {name: text for name, text in row.items() if name not in ("time", "commit")}
        for row in read_rows(out / "results.csv")
    ]
