import json
import math
import os

import numpy as np
import pytest

from tfp_priors.errors import UserError
from tfp_priors.runs import run_dir


def test_a_lock_is_held_by_one_and_leaves_no_empty_folder(tmp_path):
    with run_dir.RunLock(tmp_path / "run"):
        with pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
            run_dir.RunLock(tmp_path / "run").__enter__()
    assert not (tmp_path / "run").exists()
    with run_dir.RunLock(tmp_path / "run"):
        (tmp_path / "run" / "a").touch()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"a", "lock"}


def test_finished_is_the_last_step_until_it_is_taken_back(tmp_path):
    assert run_dir.finished_step(tmp_path) is None
    run_dir.set_finished(tmp_path, 7)
    assert run_dir.finished_step(tmp_path) == 7
    run_dir.set_finished(tmp_path, 9)
    assert run_dir.finished_step(tmp_path) == 9
    assert run_dir.kept_step(tmp_path) == 9
    run_dir.set_finished(tmp_path, 9, best=8)
    assert (run_dir.finished_step(tmp_path), run_dir.kept_step(tmp_path)) == (9, 8)
    run_dir.set_finished(tmp_path, None)
    run_dir.set_finished(tmp_path, None)
    assert run_dir.kept_step(tmp_path) is None
    assert run_dir.finished_step(tmp_path) is None


def test_the_newest_result_of_each_name_counts(tmp_path):
    assert run_dir.metrics(tmp_path) == []
    results = [{"name": name, "value": i} for i, name in enumerate("aba")]
    run_dir.record_metrics(tmp_path, results[:2])
    run_dir.record_metrics(tmp_path, results[2:])
    assert run_dir.metrics(tmp_path) == [results[2], results[1]]


def test_lines_are_json_whatever_the_numbers(tmp_path):
    numbers = [1.5, math.nan, math.inf, -math.inf, np.float64("nan"), 1e400]
    result = {"name": "a", "value": math.nan, "each": {"b": numbers, "c": (math.nan,)}}
    run_dir.record_metrics(tmp_path, [result])
    run_dir.record_rollback(tmp_path, "loss", 5, 3, math.nan)
    for file in ("metrics", "rollbacks"):
        for line in (tmp_path / f"{file}.jsonl").read_text().splitlines():
            json.loads(line, parse_constant=pytest.fail)
    (read,) = run_dir.metrics(tmp_path)
    assert read["value"] is None
    assert read["each"] == {"b": [1.5] + 5 * [None], "c": [None]}


def test_lines_of_earlier_releases_are_read_likewise(tmp_path):
    line = '{"name": "a", "value": NaN, "floor": -Infinity, "real": 2.0}\n'
    (tmp_path / "metrics.jsonl").write_text(line)
    (read,) = run_dir.metrics(tmp_path)
    assert read == {"name": "a", "value": None, "floor": None, "real": 2.0}


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    run_dir.record_metrics(tmp_path, [{"name": "a", "value": 1}])
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"name": "b", "value": {}')
    assert [result["name"] for result in run_dir.metrics(tmp_path)] == ["a"]
    run_dir.record_metrics(tmp_path, [{"name": "c", "value": 1}])
    assert [result["name"] for result in run_dir.metrics(tmp_path)] == ["a", "c"]


def test_environment_names_versions_seed_and_command(tmp_path):
    run_dir.record_environment(tmp_path, 3, ["CPU:0"])
    run_dir.record_environment(tmp_path, 4, ["CPU:0", "CPU:1"])
    first, second = run_dir.environments(tmp_path)
    assert (first["seed"], second["seed"]) == (3, 4)
    assert second["devices"] == ["CPU:0", "CPU:1"]
    assert {"command", "commit", "python", "tensorflow", "keras"} <= set(first)


def test_bindings_of_a_gin_text():
    text = """# A comment.
a/B.c = 1
LONG = \\
    (1,
     2)
D.e = @F()"""
    assert run_dir.bindings(text) == {
        "a/B.c": "1",
        "LONG": "(1, 2)",
        "D.e": "@F()",
    }
