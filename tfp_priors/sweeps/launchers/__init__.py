"""Where the runs of a sweep are carried out. A launcher is one file, found here."""

import importlib
import pkgutil

from tfp_priors.errors import UserError
from tfp_priors.sweeps.launchers.launcher import Job
from tfp_priors.sweeps.launchers.launcher import Launcher
from tfp_priors.sweeps.launchers.launcher import Options


def names() -> list[str]:
    """The launchers there are."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if name != "launcher")


def find_launcher(name: str) -> type[Launcher]:
    """The launcher of a name; what it needs is imported when it is made.

    Raises:
      UserError: if there is none.
    """
    if name not in names():
        raise UserError(
            f"There is no launcher {name!r}: expected --launcher to be one of "
            f"{', '.join(names())}."
        )
    return importlib.import_module(f"{__name__}.{name}").Launcher
