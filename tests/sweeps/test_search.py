"""Searches: what is asked, what is read off the folders, and what a kill leaves."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

from tests import commands
from tests.sweeps import stand_in
from tfp_priors import sweeps
from tfp_priors.errors import UserError

BETA = "BETA=log(1e-4,1)"


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Makes the search of spaces in the test's folder."""
    stand_in.install(tmp_path, monkeypatch)
    (tmp_path / "out").mkdir()
    return lambda *spaces, **kwargs: make_search(tmp_path / "out", *spaces, **kwargs)


def make_search(out, *spaces, trials=6, metric=stand_in.METRIC, flags=(), **kwargs):
    spaces = [sweeps.parse_space(space) for space in spaces or [BETA]]
    train = ["--gin_file=gin/mnist_vae.gin", *flags]
    names = [space.name for space in spaces]
    planner = sweeps.Planner(out, names, train, [], [metric], "--search")
    return sweeps.Search(out, planner, spaces, trials, metric, **kwargs)


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("BETA=log(1e-4,1)", "log", [1e-4, 1.0]),
        ("a.b = lin(-1, 2.5)", "lin", [-1.0, 2.5]),
        ("SIZE=int(2,8)", "int", [2, 8]),
        ("model=vae, beta0", "choice", ["vae", "beta0"]),
        ("x=(1, 2),(3,)", "choice", ["(1, 2)", "(3,)"]),
        ("x=@A(),@B()", "choice", ["@A()", "@B()"]),
    ],
)
def test_space(text, kind, values):
    space = sweeps.parse_space(text)
    assert (space.kind, space.values) == (kind, values)
    assert space.name == text.split("=")[0].strip()


@pytest.mark.parametrize(
    "text",
    [
        *("BETA", "BETA=", "=log(1,2)", "BETA=normal(0,1)", "BETA=log(1)"),
        *("BETA=log(1,2,3)", "BETA=lin(2,1)", "BETA=lin(1,1)", "BETA=lin(a,b)"),
        *("BETA=int(1,2.5)", "BETA=lin(0,inf)", "BETA=lin(nan,1)"),
        *("BETA=log(1,2),3", "BETA=3,log(1,2)", "BETA=1,1"),
    ],
)
def test_no_space(text):
    with pytest.raises(UserError, match=r"expected --search=NAME=SPACE .*received '"):
        sweeps.parse_space(text)


@pytest.mark.parametrize("text", ["seed=log(1,9)", "train.seed=lin(1,9)"])
def test_no_space_of_seeds(text):
    with pytest.raises(UserError, match=r"whole numbers, received '.*: take int\(A,B"):
        sweeps.parse_space(text)


def test_a_search_comes_near_the_best(search, sweep):
    found = search(trials=25)
    assert sweep(found, jobs=2).run() == {}
    run, value = found.best()
    # Its value is 0 at 0.01 and 4 at both ends; uniform draws expect 0.0064 of 25.
    assert value < 0.1 and 10**-2.4 < float(run.values["BETA"]) < 10**-1.6
    betas = {
        float(values["BETA"]) for values in sweeps.values_of(run.folder.parent).values()
    }
    assert len(betas) == 25 and all(1e-4 <= beta <= 1 for beta in betas)
    assert value == min(map(stand_in.loss, betas))
    # Nothing is left, and more trials go on.
    assert search(trials=25).next() is None
    more = search(trials=27)
    assert more.total == 2 and sweep(more).run() == {}
    assert len(sweeps.values_of(run.folder.parent)) == 27


def test_the_highest_is_the_best_if_it_is_asked_for(search, sweep):
    found = search(trials=8, maximize=True)
    sweep(found).run()
    values = [row["value"] for row in sweeps.table(found.best()[0].folder.parent)]
    assert found.best()[1] == max(values)


def test_choices_that_come_again_are_not_carried_out_again(search, sweep):
    found = search("model=vae,beta0", trials=7)
    assert sweep(found, jobs=2).run() == {}
    for name in ("model=vae", "model=beta0"):
        folder = found.best()[0].folder.parent / name
        assert stand_in.calls(folder) == ["train", "evaluate"]
    assert search("model=vae,beta0", trials=7).total == 0


def test_choices_that_fail_are_left_to_the_next_search(search, sweep, tmp_path):
    flags = ["--gin_param=DEATHS = 1"]
    failures = sweep(search("model=a,b", trials=6, flags=flags)).run()
    assert {*failures} == {"model=a", "model=b"}
    for name in failures:
        assert stand_in.calls(tmp_path / "out" / name) == ["train"]
    assert sweep(search("model=a,b", trials=6, flags=flags)).run() == {}


def test_what_failed_or_is_gone_is_tried_again(search, sweep):
    flags = ["--gin_param=DEATHS = 1"]
    first = search(trials=3, flags=flags)
    failures = sweep(first).run()
    assert len(failures) == 3 and first.best() is None
    again = search(trials=3, flags=flags)
    assert again.total == 3 and sweep(again).run() == {}
    names = {run.name for run in again.runs}
    assert names == set(failures) and all(run.is_done for run in again.runs)
    # The folder of a run is what counts, not the journal.
    gone = again.runs[1]
    shutil.rmtree(gone.folder)
    third = search(trials=3, flags=flags)
    assert third.total == 1
    sweep(third, retries=1).run()
    assert gone.is_done and {run.name for run in third.runs} == names


SCRIPT = f"""
import sys
from pathlib import Path
sys.path[:0] = [{str(commands.ROOT)!r}]
from tests.sweeps.test_search import make_search
from tfp_priors import sweeps
from tfp_priors.sweeps import carrier
out = Path(sys.argv[1])
carrier.ROOT = Path(sys.argv[2])
search = make_search(out, trials=14, flags=["--gin_param=SECONDS = 0.02"])
launcher = sweeps.find_launcher("local")(sweeps.Options(out / "logs", 1))
sweeper = sweeps.Sweeper(search, launcher)
sys.exit(len(sweeper.run()))
"""


def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path, search):
    def start(name):
        (tmp_path / name).mkdir(exist_ok=True)
        command = [sys.executable, "-c", SCRIPT, tmp_path / name, tmp_path / "stand_in"]
        return subprocess.Popen(list(map(str, command)), cwd=commands.ROOT)

    whole, killed = start("whole"), start("killed")
    for count in (3, 11):
        ended = "killed/*/finished.json"
        commands.wait_for(lambda n=count: len([*tmp_path.glob(ended)]) >= n)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        # What a kill in the middle of a line and of a lock leaves.
        journal = tmp_path / "killed" / "optuna.journal"
        with open(journal, "a", encoding="utf-8") as file:
            file.write('{"op_code":4,"wor')
        (tmp_path / "killed" / "optuna.journal.lock").touch()
        killed = start("killed")
    assert whole.wait(60) == killed.wait(60) == 0
    tables = [sweeps.table(tmp_path / name) for name in ("whole", "killed")]
    assert len(tables[0]) == 14 and tables[0] == tables[1]


def test_another_search_in_the_folder_is_refused(search):
    search()
    for kwargs, what in (
        ({"spaces": ["BETA=log(1e-3,1)"]}, "--search"),
        ({"metric": "reconstruction_error500_held_out"}, "--metric"),
        ({"maximize": True}, "--maximize"),
        ({"flags": ["--steps=3"]}, "flags"),
    ):
        spaces = kwargs.pop("spaces", [])
        with pytest.raises(UserError, match=f"holds another search: {what} was .* now"):
            search(*spaces, **kwargs)
    # More trials are the same search.
    assert search(trials=9).total == 9


def test_a_journal_that_is_none_is_refused(tmp_path, search):
    (tmp_path / "out" / "optuna.journal").write_text("no\njournal\n")
    with pytest.raises(UserError, match="cannot be read as Optuna's journal: move it"):
        search()


def test_a_run_without_a_number_is_not_asked_again(search, sweep, tmp_path):
    found = search(trials=1)
    sweep(found).run()
    run, _ = found.best()
    (record,) = map(json.loads, (run.folder / "metrics.jsonl").read_text().splitlines())
    (run.folder / "metrics.jsonl").write_text(json.dumps(record | {"value": None}))
    (tmp_path / "out" / "optuna.journal").unlink()
    again = search(trials=1)
    # The same number asks the same values, whose run is done.
    assert again.next() is None and again.best() is None
    assert search(trials=1).total == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"metric": "fcd10k_test"}, "choices are never made on the test images"),
        ({"metric": "prior_overfitting"}, "is not measured on held-out images"),
        ({"metric": "nll_held_out"}, "There is no metric 'nll_held_out'"),
        ({"search": "BETA=log(0,1)"}, "expected a log(A,B) with A > 0"),
        ({"search": [BETA, BETA]}, "--search has BETA twice"),
        (
            {"gin_param": "BETA = 0.5"},
            "--search has BETA, which --gin_param=BETA = 0.5",
        ),
        (
            {"grid": "seed=0,1"},
            "--grid takes all values and --search chooses: give one",
        ),
        ({"trials": 0}, "expected --trials >= 1, received 0"),
        ({"search": "BETTA=lin(0,1)"}, "BETTA has no effect"),
        ({"gin_param": "train.validation_share = 0.0"}, "it holds no images out"),
        ({"launcher": "slurm"}, "expected --jobs with --search on slurm"),
    ],
)
def test_refused(refused, flags, message):
    asked = {"search": BETA, "trials": 3, "metric": stand_in.METRIC} | flags
    assert message in refused(**asked)


@pytest.mark.parametrize(
    ("args", "flags", "message"),
    [
        ([], {"search": BETA, "trials": 3}, "--metric is missing"),
        ([], {"search": BETA, "metric": stand_in.METRIC}, "--trials is missing"),
        ([], {"grid": "BETA=1", "trials": 3}, "--trials is given without it"),
        (["--maximize"], {"grid": "BETA=1"}, "--maximize is of --metric"),
        (
            ["--print_commands"],
            {"search": BETA, "trials": 3, "metric": stand_in.METRIC},
            "--print_commands cannot tell the runs of a --search",
        ),
        (
            ["--print_commands"],
            {"grid": "BETA=1", "launcher": "local"},
            "--print_commands carries nothing out: leave it or --launcher out",
        ),
    ],
)
def test_flags_that_do_not_go_together(refused, args, flags, message):
    assert message in refused(*args, **flags)
