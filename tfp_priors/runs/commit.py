"""The commit of the source tree, which records name."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """The git commit of the source tree, or None if it is not in one."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
