import json
import re
import shutil

import pytest

from benchmarks import report
from tfp_priors.errors import UserError


def case(ms, **facts):
    return {"ms": ms, "ratio": {}, "best": None, "failed": {}, "facts": facts}


def test_the_page_says_what_the_results_say(tmp_path):
    page = tmp_path / "performance.md"
    shutil.copy(report._PAGE, page)
    assert report.render(page=page) == len(list(report._RESULTS.glob("*.json")))
    assert page.read_text() == report._PAGE.read_text()


def test_what_lacks_a_place_or_results_is_told(tmp_path):
    with pytest.raises(UserError, match="there are no results in"):
        report.render(tmp_path)
    shutil.copy(next(report._RESULTS.glob("*.json")), tmp_path)
    page = tmp_path / "page.md"
    page.write_text("no markers")
    with pytest.raises(UserError, match="page.md lacks"):
        report.render(tmp_path, page)


def test_a_floor_is_products_and_updates_at_the_best_rates():
    cases = {
        # 2e12 and 4e12 operations in a second, 10 GB of memory in a second.
        "roofline.product.float32": case({"ours": [2.0, 1.0]}, ours={"work": 2.0}),
        "roofline.product.bfloat16": case({"ours": [1.0]}, ours={"work": 4.0}),
        "roofline.copy": case({"ours": [100.0]}, ours={"work": 1.0}),
        "train_step.a.float32": case(
            {"ours": [9.0, 7.0, 8.0]}, ours={"gflop": 4.0, "parameters": 1_000_000}
        ),
        "priors.a.sample.bfloat16": case({"ours": [2.0]}, ours={"gflop": 4.0}),
        "features.a": case({"ours": [2.0]}, ours={"gflop": 4.0}),
    }
    step, draws = report.roofline_lines(cases)
    # 2 ms of products, and 28 bytes for each parameter: 2.8 ms.
    assert step == ("train_step.a.float32  floor 4.8 ms, measured 8 ms: 60% reached")
    assert re.search(r"floor 1 ms, measured 2 ms: 50%", draws)
    alone = "train_step.a.float32"
    assert not report.roofline_lines({alone: cases[alone]})


def test_a_line_has_times_failures_and_what_is_on_the_page():
    shown = {
        "ms": {"ours": [2.0], "torch": [1.0, 3.0, 2.6]},
        "ratio": {"torch": [1.3, 0.5, 1.5]},
        "best": "torch",
        "failed": {"other": "no memory"},
        "facts": {"ours": {"peak_mib": 1200.4}},
    }
    known = {"a": {"ratio": {"torch": [1.25, 1.0, 1.5]}}}
    assert report.line("a", shown, known) == (
        "a  |  ours 2 ms 1,200.4 MiB  |  torch 2.6 ms (1.30, 0.50 to 1.50)  |  "
        "other failed: no memory  |  best peer torch: 1.30, 0.50 to 1.50  |  "
        "on the page: 1.25"
    )


def test_later_files_replace_cases_of_earlier_ones(tmp_path):
    for name, value in (("a", 1.0), ("b", 2.0)):
        run = {"cases": {"priors.x": case({"ours": [value]})}}
        (tmp_path / f"{name}.json").write_text(json.dumps(run))
    assert report.recorded(tmp_path)["priors.x"]["ms"] == {"ours": [2.0]}
