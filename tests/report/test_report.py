"""write_report: what kind of folder it is, and the file that is left."""

import subprocess
import sys

import pytest

from tests.report import folders
from tests.report import parsed
from tfp_priors.errors import UserError
from tfp_priors.report import write_report


def test_run_of_a_nasty_name(tmp_path):
    folder = folders.make_run(tmp_path / "<script>")
    write_report(folder, None, tmp_path / "out" / "report.html")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]
    root = parsed.parse((tmp_path / "out" / "report.html").read_text("utf-8"))
    parsed.assert_self_contained(root)
    assert next(root.all("h1")).text == "<script>"
    assert next(root.all("title")).text == "<script>"
    assert [e.text for e in root.all("h2")] == [
        "Run",
        "Pictures",
        "Results",
        "Curves",
        "Configuration",
        "Environment",
    ]


def test_sweep(tmp_path):
    out = folders.make_sweep(tmp_path / "sweep", [({"seed": "0"}, 2.0)], "is50k")
    write_report(out, None, tmp_path / "report.html")
    root = parsed.parse((tmp_path / "report.html").read_text("utf-8"))
    assert next(root.all("h1")).text == "sweep"
    assert parsed.tables(root)["is50k, n = 1"] == [{"metric": "is50k", "value": "2"}]


def test_neither_leaves_no_file(tmp_path):
    with pytest.raises(UserError, match="is neither a run nor a sweep") as error:
        write_report(tmp_path, None, tmp_path / "report.html")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_tensorflow_is_not_imported(tmp_path):
    folder = folders.make_run(tmp_path / "run")
    code = (
        "import sys\n"
        "from tfp_priors.report import write_report\n"
        "write_report(sys.argv[1], None, sys.argv[2])\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "report.html")]
    subprocess.run(command, check=True)
