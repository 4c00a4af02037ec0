"""What bin/explore refuses, in one line."""

import socket

import pytest

from tests import commands


@pytest.mark.parametrize(
    "flags, message",
    [
        ({}, "expected --run_dir=FOLDER, one to 3 times"),
        ({"run_dir": "a", "view": "draws"}, "--view=VIEW and --out=FILE.png together"),
        ({"run_dir": "a", "out": "x.png"}, "--view=VIEW and --out=FILE.png together"),
        (
            {"run_dir": ["a", "b"], "view": "draws", "out": "x.png"},
            "--view is of one run",
        ),
        ({"run_dir": "a", "view": "draws", "out": "x.jpg"}, "expected --out=FILE.png"),
        ({"run_dir": "a", "view": "draws", "out": "x.png"}, "a is not a run"),
        ({"run_dir": "a", "view": "", "out": ""}, "FILE.png together, or neither"),
        ({"run_dir": "a", "view": "draws", "out": "tests"}, "received a folder, tests"),
        ({"run_dir": "a", "port": 99999}, "port"),
    ],
)
def test_bad_flags(flags, message):
    assert message in commands.refused("explore", **flags)


def test_a_taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = commands.refused("explore", run_dir="a", port=port)
    assert f"port {port} is not free" in told and "choose another --port" in told
