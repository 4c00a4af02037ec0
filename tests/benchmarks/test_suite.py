import pytest

from benchmarks import items
from benchmarks import suite
from tfp_priors.errors import UserError


def test_ratios_are_of_one_round_each():
    times = {
        "ours": [1.0, 2.0, 4.0],
        "slow": [2.0, 6.0, 20.0],
        "fast": [1.0, 1.0, 8.0],
    }
    assert suite.ratios(times) == {
        "ratio": {"slow": [3.0, 2.0, 5.0], "fast": [1.0, 0.5, 2.0]},
        "best": "fast",
    }
    assert suite.ratios({"slow": [1.0]}) == {"ratio": {}, "best": None}


def test_cases_by_the_beginnings_of_their_names():
    every = {f"{item.name}.{case}" for item in items.ITEMS for case in item.cases}
    assert set(suite.select(())) == every
    some = suite.select(["priors.", "startup"])
    assert set(some) == {n for n in every if n.startswith(("priors.", "startup"))}
    with pytest.raises(UserError, match="no item begins with 'prior_'; the items are"):
        suite.select(["prior_"])


@pytest.mark.parametrize("out", ["times.txt", "absent/times.json", "folder.json"])
def test_a_file_that_cannot_be_is_refused_first(tmp_path, out, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UserError, match="expected --out=FILE.json in a folder"):
        suite.run(["startup"], out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.json"]
