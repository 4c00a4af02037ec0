"""The environments that the peers live in, made when they are first needed."""

import os
import subprocess
import sys
import venv
from pathlib import Path

from tfp_priors.errors import UserError

_FOLDER = Path(__file__).parent / ".peers"

PACKAGES = {
    "torch": (
        "torch==2.13.0",
        "numpy",
        "pillow",
        "zuko==1.6.0",
        "nflows==0.14",
        "normflows==1.7.3",
    ),
    "pythae": ("torch==2.13.0", "pythae==0.1.2"),
}


def python(name: str) -> Path:
    """The Python of an environment: "ours" or one of `PACKAGES`.

    With TFP_PRIORS_PEERS=FOLDER, a ready environment FOLDER/NAME is used as it is.

    Raises:
      UserError: if the environment cannot be made.
    """
    if name == "ours":
        return Path(sys.executable)
    ready = os.environ.get("TFP_PRIORS_PEERS")
    folder = Path(ready or _FOLDER) / name
    if not ready:
        _make(name, folder)
    found = folder / "bin" / "python"
    if not found.exists():
        raise UserError(f"expected an environment in {folder}: unset TFP_PRIORS_PEERS.")
    return found


def _make(name, folder):
    # An unfinished or outdated environment has no stamp that matches.
    stamp, wanted = folder / "stamp", " ".join(PACKAGES[name])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print(f"Installing {wanted} into {folder}...", flush=True)
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    command = [*map(str, pip), "--disable-pip-version-check", *PACKAGES[name]]
    if subprocess.run(command, check=False).returncode:
        raise UserError(f"could not install {wanted}: see the message above.")
    stamp.write_text(wanted, encoding="utf-8")
