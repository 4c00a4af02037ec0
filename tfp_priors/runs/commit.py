"""The commit of the source tree, which records name."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """The git commit of the source tree, or None if it is not in one."""
    here = Path(__file__)
    try:
        result = subprocess.run(
            # It fails in a repository that does not hold this file.
            ["git", "rev-parse", "HEAD", f"HEAD:./{here.name}"],
            cwd=here.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.split()[0]
