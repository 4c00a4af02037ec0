"""Successive halving: what is read off trainings, who is stopped, what is said."""

import pytest

from tests.figures.files import read_rows
from tests.sweeps import stand_in
from tfp_priors import sweeps
from tfp_priors.errors import UserError


def by_hand(comers, factor):
    """Who goes on from a rung, in the order of coming: Li et al. 2020, by sorting."""
    seen = []
    for value in comers:
        seen.append(value)
        best = sorted(seen)[: max(1, len(seen) // factor)]
        yield value in best


@pytest.mark.parametrize("factor", [2, 3])
def test_the_best_of_those_that_came_as_far_go_on(plan, factor):
    values = [5.0, 7.0, 3.0, 4.0, 6.0, 1.0, 3.5, 2.0]
    runs = plan("LOSS=" + ",".join(map(str, values)))
    halving = sweeps.Halving("val_loss", 2, factor)
    stays = []
    for run, value in zip(runs, values, strict=True):
        run.folder.mkdir(exist_ok=True)
        stand_in.write_scalar(run.folder / "tensorboard", 1, value)
        # Before the first rung nobody is stopped.
        assert not halving.is_hopeless(run)
        stand_in.write_scalar(run.folder / "tensorboard", 2, value)
        stays.append(not halving.is_hopeless(run))
    assert stays == list(by_hand(values, factor))
    # Of those the second rung takes its own.
    left = [pair for pair, stay in zip(zip(runs, values), stays, strict=True) if stay]
    again = []
    for run, value in left:
        for step in range(3, 2 * factor):
            stand_in.write_scalar(run.folder / "tensorboard", step, 100.0)
            assert not halving.is_hopeless(run)
        stand_in.write_scalar(run.folder / "tensorboard", 2 * factor, value)
        again.append(not halving.is_hopeless(run))
    assert again == list(by_hand([value for _, value in left], factor))


def test_a_run_that_has_passed_a_rung_is_stopped_by_it(plan):
    """All that it has written since the last look counts, not the last value alone."""
    halving, stays = sweeps.Halving("val_loss", 2), []
    for run, value in zip(plan("LOSS=1.0,5.0"), (1.0, 5.0), strict=True):
        run.folder.mkdir(exist_ok=True)
        for step in (1, 2, 3):
            stand_in.write_scalar(run.folder / "tensorboard", step, value)
        stays.append(not halving.is_hopeless(run))
    assert stays == [True, False]


def test_runs_that_are_behind_are_stopped_and_not_compared(plan, sweep, capsys):
    flags = ["--gin_param=SECONDS = 0.06"]
    runs = plan("LOSS=1.0,5.0,4.0,0.5", flags=flags)
    out = runs[0].folder.parent
    halving = sweeps.Halving("val_loss", 3)
    assert sweep(runs, halving=halving).run() == {}
    assert [run.is_done for run in runs] == [True, False, False, True]
    # They saved their state, after the third step or a little later.
    for run in runs[1:3]:
        assert 3 <= int((run.folder / "state").read_text()) < stand_in.STEPS
    said = capsys.readouterr().err
    assert f"{runs[1].name}: stopped early at step " in said and "FAILED" not in said
    # The table of what is compared lacks them, the file tells of them without a value.
    assert {row["run"] for row in sweeps.table(out)} == {runs[0].name, runs[3].name}
    rows = read_rows(sweeps.write_results(out))
    rows = [row for row in rows if row["metric"] == "stopped_early"]
    assert [row["run"] for row in rows] == sorted(run.name for run in runs[1:3])
    for row in rows:
        assert row["value"] == "" and row["by"] == "val_loss"
        expected = float(row["LOSS"]) / int(row["step"])
        assert float(row["held_out"]) == pytest.approx(expected, rel=1e-6)
    # With --halving they stay as they are; without, they go on from where they were.
    is_left = sweeps.stopped_early
    assert sweep(sweeps.Listed(runs, lambda run: not run.is_done)).run() == {}
    assert all(run.is_done for run in runs)
    assert not any(is_left(run.folder) for run in runs)
    assert stand_in.calls(runs[1].folder) == ["train", "train", "evaluate"]


def test_a_sweep_that_goes_on_compares_with_what_there_was(plan, sweep):
    runs = plan("LOSS=1.0,5.0", flags=["--gin_param=SECONDS = 0.06"])
    sweep(runs[:1]).run()
    halving = sweeps.Halving("val_loss", 3)
    assert sweep(runs, halving=halving).run() == {}
    assert sweeps.stopped_early(runs[1].folder)["step"] >= 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"halving": "fcd10k_test", "halving_from": 5}, "one of prior_nll, val_loss"),
        ({"halving": "val_loss"}, "expected both --halving=MEASURE and --halving_from"),
        ({"halving_from": 5}, "expected both --halving=MEASURE and --halving_from"),
        ({"halving": "val_loss", "halving_from": 0}, "expected --halving_from >= 1"),
        (
            {"halving": "val_loss", "halving_from": 5, "halving_factor": 1},
            "--halving_factor >= 2, received 5 and 1",
        ),
        ({"halving_factor": 2}, "--halving_factor is of --halving: expected --halving"),
        (
            {"halving": "val_loss", "halving_from": 9, "steps": 9},
            "expected --halving_from below --steps=9, received 9",
        ),
        (
            {
                "halving": "val_loss",
                "halving_from": 5,
                "gin_param": "train.validation_share = 0.0",
            },
            "train.validation_share is 0",
        ),
    ],
)
def test_refused(refused, flags, message):
    assert message in refused(grid="BETA=0.1,1.0", **flags)


def test_without_optuna_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UserError, match=r"needs optuna: pip install 'tfp-priors\[sea"):
        sweeps.Halving("val_loss", 3)
