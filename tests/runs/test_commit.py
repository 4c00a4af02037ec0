"""The commit that records name is that of this source tree alone."""

import runpy
import shutil
import subprocess

from tfp_priors.runs import commit


def test_the_commit_of_a_repository_that_holds_the_source(tmp_path):
    def git(*args):
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *name, *args]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    installed = tmp_path / ".venv" / "runs" / "commit.py"
    installed.parent.mkdir(parents=True)
    shutil.copy(commit.__file__, installed)
    of_the_copy = runpy.run_path(str(installed))["commit"]
    assert of_the_copy() is None
    git("init")
    git("commit", "--allow-empty", "--message=theirs")
    assert of_the_copy() is None
    git("add", "--force", ".")
    assert of_the_copy() is None
    git("commit", "--message=ours")
    assert of_the_copy() == git("log", "-1", "--format=%H")
