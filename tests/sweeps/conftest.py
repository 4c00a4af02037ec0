"""Sweeps of stand-ins."""

import pytest

from tests import commands
from tests.sweeps import stand_in
from tfp_priors import sweeps


@pytest.fixture
def refused(tmp_path):
    """The line with which bin/sweep refuses flags, and leaves nothing."""

    def refused(*args, gin_file="gin/embedded_digits_vae.gin", **flags):
        out = tmp_path / "out"
        line = commands.refused("sweep", *args, out=out, gin_file=gin_file, **flags)
        assert not out.exists()
        return line

    return refused


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Makes the runs of a grid, whose commands are stand-ins."""
    stand_in.install(tmp_path, monkeypatch)

    def plan(*axes, flags=()):
        runs = sweeps.plan(
            tmp_path / "out",
            [sweeps.parse_axis(axis) for axis in axes],
            ["--gin_file=gin/mnist_vae.gin", *flags],
            [],
            [stand_in.METRIC],
        )
        sweeps.describe(runs)
        return runs

    return plan


@pytest.fixture
def sweep(tmp_path):
    """Makes a sweeper of runs, or of a source of them, on this machine."""

    def sweep(source, jobs=1, **kwargs):
        if isinstance(source, list):
            source = sweeps.Listed(source)
        launcher = sweeps.find_launcher("local")(
            sweeps.Options(tmp_path / "out" / "logs", jobs)
        )
        return sweeps.Sweeper(source, launcher, **kwargs)

    return sweep
