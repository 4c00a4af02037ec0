"""Packages that only some sweeps need."""

import importlib
from types import ModuleType

from tfp_priors.errors import UserError


def imported(module: str, extra: str, asked: str) -> ModuleType:
    """A module of an optional package.

    Args:
      module: its name.
      extra: of this package that brings it.
      asked: the flag that needs it.

    Raises:
      UserError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise UserError(
            f"{asked} needs {error.name}: pip install 'tfp-priors[{extra}]'."
        ) from error
