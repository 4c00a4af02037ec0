"""Runs commands of this checkout, in its .venv if there is one and none is active."""

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def enter() -> None:
    """Makes this checkout's tfp_priors the one that is imported."""
    python = _ROOT / ".venv" / "bin" / "python"
    if sys.prefix == sys.base_prefix and python.exists():
        os.execv(python, [str(python), *sys.argv])
    sys.path.insert(0, str(_ROOT))


def run(name: str) -> None:
    """Runs tfp_priors/commands/NAME.py."""
    enter()
    # Whatever the user's shell says: it is for other programs.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from tfp_priors.commands.__main__ import start

    start(name)
